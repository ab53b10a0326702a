"""hub.core.absence: which reason counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.machine.absence import Absence
from hub.core.absence import CLOCK_REFUSED, INVITED, is_off, why_away
from hub.core.records import Agent

SEEN = Agent("web-1", {}, "active", 10.0, last_seen=100.0)


def refused(code: str, at: float = 200.0, since: float | None = None, ahead: float | None = None) -> Agent:
    return replace(SEEN, refused_at=at, refused_code=code, refused_since=since, clock_ahead=ahead)


@pytest.mark.parametrize(
    ("agent", "absence"),
    [
        (SEEN, Absence("silent", 100.0)),
        (replace(SEEN, last_seen=None), Absence("never_linked", 10.0)),
        (replace(SEEN, state=INVITED, last_seen=None), Absence("never_joined", 10.0)),
        (replace(SEEN, state="revoked"), Absence("revoked")),
        (replace(refused("locked"), state="locked"), Absence("locked", 200.0)),
        (refused("expired", since=150.0), Absence("expired", 150.0)),
        (refused("epoch"), Absence("epoch", 200.0)),
        (refused("stale"), Absence("stale", 200.0)),
        (refused("unknown"), Absence("unknown", 200.0)),
        (refused("hello"), Absence("refused", 200.0)),
        (refused(CLOCK_REFUSED, ahead=-7_200.0), Absence("clock", 200.0, -7_200.0)),
        (replace(SEEN, clock_ahead=7_200.0), Absence("clock", 100.0, 7_200.0)),
        (replace(SEEN, clock_ahead=2.0), Absence("silent", 100.0)),
        (refused("expired", at=99.0, since=50.0), Absence("silent", 100.0)),
    ],
)
def test_why(agent: Agent, absence: Absence) -> None:
    """The state first, then a refusal since it was last here, then its clock, then that it is not heard."""
    assert why_away(agent, online=False) == absence


def test_a_machine_that_is_here_is_not_away() -> None:
    """Whatever was before; but who is revoked or locked is told so even in the seconds in which the link still is."""
    assert why_away(refused("expired", since=150.0), online=True) is None
    assert why_away(replace(SEEN, state="revoked"), online=True) == Absence("revoked")


@pytest.mark.parametrize(("ahead", "off"), [(None, False), (0.0, False), (59.0, False), (-60.0, True), (7_200.0, True)])
def test_when_a_clock_is_off(ahead: float | None, off: bool) -> None:
    """From a minute on, in either direction."""
    assert is_off(ahead) is off
