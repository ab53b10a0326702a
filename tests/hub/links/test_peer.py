"""hub.links.peer: what the other end's certificate and its clock say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.identity.certificates import Identity
from hub.links.peer import Peer, parse_clock

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", 0.0),
        ("Fri, 15 Jan 2027 10:00:00 GMT", 7_200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", -NOW),
        ("", None),
        ("yesterday", None),
        ("Fri, 15 Jan 99999 10:00:00 GMT", None),
        ("Fri, 32 Jan 2027 10:00:00 GMT", None),
    ],
)
def test_the_clock_of_the_other_end(date: str, ahead: float | None) -> None:
    """Seconds ahead of the hub's; nothing where it is no date."""
    assert parse_clock(date, NOW) == ahead


@given(st.text(max_size=100))
def test_any_text_is_a_clock_or_none(date: str) -> None:
    """It is the peer's to write: it never raises."""
    assert isinstance(parse_clock(date, NOW), float | None)


@pytest.mark.parametrize(("now", "valid"), [(9.9, False), (10.0, True), (19.9, True), (20.0, False)])
def test_an_identity_counts_while_its_certificate_is_valid(now: float, valid: bool) -> None:
    """From its first second to its last."""
    peer = Peer(Identity("agent", "web-1", "f", 20.0, 10.0), "127.0.0.1")
    assert (peer.valid_identity(now) is not None) == valid
    assert Peer(None, "").valid_identity(now) is None
