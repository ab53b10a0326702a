"""common.link.compatibility: what a peer of a version before is not sent"""

from __future__ import annotations

import pytest

from common.link.compatibility import PACE_PROTOCOL, STAMP_PROTOCOL, for_protocol, orders_protocol
from common.link.handshake import make_hello
from common.link.messages import ORDERS_FACT, PROTOCOL, RETRY_PROTOCOL, Ended, Heartbeat, Message, Refused, Report

JOB = "01J00000000000000000000000"
LIFE = f"{'a' * 32}:1:{'b' * 16}"
END = Ended(JOB, "failed", 1, None, "", 0, 0, "", False, 1.0, 2.0, 0.0, 0.0, 0, ("unrecorded",))


@pytest.mark.parametrize(
    ("message", "first"),
    [
        (END, 2),
        (Report("j", "b", {}, LIFE), 3),
        (Refused(JOB, "restarted", "why"), RETRY_PROTOCOL),
        (Report("j", "b", {}, "", ("s1",)), STAMP_PROTOCOL),
        (Heartbeat({"load": 1.0}, "s1"), STAMP_PROTOCOL),
    ],
)
def test_what_a_peer_does_not_know_it_is_not_sent(message: Message, first: int) -> None:
    """From the protocol on that knows the field, the message as it is; to all before, one without it."""
    for protocol in range(1, PROTOCOL + 1):
        assert (for_protocol(message, protocol) == message) is (protocol >= first)


def test_each_field_goes_by_its_own_protocol() -> None:
    report = Report("j", "b", {JOB: "ended"}, LIFE, ("s1",))
    assert for_protocol(report, 2) == Report("j", "b", {JOB: "ended"})
    assert for_protocol(report, PACE_PROTOCOL) == Report("j", "b", {JOB: "ended"}, LIFE)
    assert for_protocol(report, STAMP_PROTOCOL) == report


@pytest.mark.parametrize(("told", "agreed", "taken"), [("8", 8, 8), ("8", 7, 7), ("6", 8, 6), ("", 8, 2), ("x", 8, 2)])
def test_orders_go_by_the_older_of_uplink_and_runner(told: str, agreed: int, taken: int) -> None:
    facts = {ORDERS_FACT: told} if told else {}
    assert orders_protocol(make_hello("agent", "web-1", None, facts=facts), agreed) == taken
