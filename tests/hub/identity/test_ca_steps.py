"""The steps as transactions: the row of each in the audit, once, whoever writes it. What they do to the files, and a
kill between, is in tests/hub/cli/test_ca_rotation.py.
"""

from __future__ import annotations

from common.identity.certificates import Authority
from hub.core.ca_rotation import Behind, Holder
from hub.identity.authorities import Authorities
from hub.identity.ca_steps import MAX_NAMES, StillBehind, everybody_behind, note_state
from hub.identity.certificates import CA_WANTED
from tests.hub.hub_harness import NOW, HubHarness

OLD, NEW = (Authority.create("hub-1", NOW) for _ in range(2))
GRACES = {"agent": 0.0, "operator": 0.0}


def late(count: int) -> list[Behind]:
    return [
        Behind(Holder("agent", f"web-{number:03}", "", "", True, None, NOW), "not_linked") for number in range(count)
    ]


async def test_each_state_has_one_row(harness: HubHarness) -> None:
    """The hub and a command may both come to it; one that never rotated has none."""

    def note(now: Authorities, by: str = "hub", left: list[Behind] | None = None) -> bool:
        return harness.write(lambda txn: note_state(txn, now, by, NOW, left))

    assert not note(Authorities(OLD))
    assert note(between := Authorities(OLD, NEW, "init", NOW), "terminal")
    assert not note(between)
    assert note(Authorities(NEW), "terminal", late(MAX_NAMES + 1))
    first, last = harness.events("ca.rotated")
    assert (first.actor, first.data) == (
        "terminal",
        {"phase": "init", "before": "standby", "ca": OLD.pin, "new": NEW.pin},
    )
    assert (last.data["phase"], last.data["before"], last.data["ca"]) == ("standby", "init", NEW.pin)
    assert len(last.data["shut_out"]) == MAX_NAMES
    assert harness.read(lambda txn: txn.get_meta(CA_WANTED)) == Authorities(NEW).state


def test_the_refusal_names_a_few() -> None:
    assert "6 would be shut out by this step: web-000, web-001, web-002, web-003, web-004 and 1 more" in str(
        StillBehind(late(6))
    )


async def test_in_standby_whoever_was_left_is_told(harness: HubHarness) -> None:
    """The admin's first certificate is of the CA there is; of another one it would be good for nothing."""
    now = Authorities(harness.authorities.now.current)
    assert harness.read(lambda txn: everybody_behind(txn, now, GRACES, NOW)) == []
