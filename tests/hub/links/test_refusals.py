"""hub.links.refusals: who was refused is told, once, and no flood fills the audit."""

from __future__ import annotations

import pytest

from common.identity.certificates import Identity
from hub.core.rate_limits import RefusalLimiter
from hub.links import refusals as refusals_module
from hub.links.peer import Peer
from hub.links.refusals import SAME_AGAIN, LinkRefusals
from tests.hub.hub_harness import HubHarness


def rows(harness: HubHarness) -> list[tuple[str, str, int]]:
    return [(row.subject, row.data["code"], row.data["count"]) for row in harness.events("link.refused")]


async def test_a_machine_that_comes_again_and_again_is_told_once(harness: HubHarness) -> None:
    """Every five minutes for an hour: a row at once, then one in ten minutes with how many; another reason is told at
    once."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for _ in range(12):
        await refusals.record("agent", "revoked", "web-1")
        harness.clock.advance(300)
    assert rows(harness) == [("web-1", "revoked", 1), *[("web-1", "revoked", 2)] * 5]
    assert [row.data.get("seconds") for row in harness.events("link.refused")] == [None, 600, *[600] * 4]
    await refusals.record("agent", "epoch", "web-1")
    assert rows(harness)[-1] == ("web-1", "epoch", 1)
    await refusals.flush(everything=True)
    assert sum(count for _, _, count in rows(harness)) == 13


async def test_one_that_sends_broken_frames_for_ever_is_a_row_in_ten_minutes(harness: HubHarness) -> None:
    """With what was wrong with the last, and how many there were."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for number in range(20_000):
        await refusals.record("agent", "frame", "web-1", f"nested deeper than {number % 3}")
        harness.clock.advance(0.1)
    told = harness.events("link.bad_frame")
    assert len(told) <= 2_000 / 600 + 1
    assert told[0].data == {"path": "agent", "code": "frame", "count": 1, "why": "nested deeper than 0"}
    assert told[1].data["count"] == pytest.approx(6_000, abs=5)
    assert (told[1].subject, told[1].actor, told[1].data["seconds"]) == ("web-1", "web-1", 600)


async def test_one_address_that_proves_nothing_has_a_few_rows(harness: HubHarness) -> None:
    """Trust (A7): whatever names it says it has; what is held back is in a sum."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    codes = ("token_unknown", "token_used", "token_expired")
    for number in range(900):
        await refusals.record("join", codes[number % 3], f"web-{number}", address=f"2001:db8::{number % 9:x}")
    await refusals.record("tls", "tls", "198.51.100.7", "alert unknown ca", "198.51.100.7")
    single = harness.events("join.refused")
    assert len(single) == 10
    assert (single[0].data["address"], single[0].actor) == ("2001:db8::0", "unknown")
    (row,) = harness.events("link.no_tls")
    assert (row.subject, row.actor, row.data["why"]) == ("198.51.100.7", "unknown", "alert unknown ca")
    await refusals.flush(everything=True)
    assert sum(row.data["count"] for row in harness.events("join.refused")) == 900
    assert len(harness.events("join.refused")) == 13


async def test_many_machines_at_once_are_a_few_rows(harness: HubHarness) -> None:
    """A thousand machines refused in one minute: ten rows and a sum of 990; the next hour's refusal is a row again."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for number in range(1_000):
        await refusals.record("agent", "expired", f"web-{number}")
    assert len(rows(harness)) == 10
    harness.clock.advance(SAME_AGAIN + 1)
    await refusals.flush()
    assert rows(harness)[-1][2] == 990
    await refusals.record("agent", "expired", "web-1")
    assert rows(harness)[-1] == ("web-1", "expired", 1)


async def test_what_is_remembered_is_bounded_and_nothing_is_lost(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who makes room for another goes into the sum of all."""
    monkeypatch.setattr(refusals_module, "MAX_NAMES", 3)
    monkeypatch.setattr(refusals_module, "RefusalLimiter", lambda window: RefusalLimiter(rows=100, window=window))
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for number in range(6):
        for _ in range(3):
            await refusals.record("agent", "expired", f"web-{number}")
    assert len(refusals._told) == len(refusals._repeated) == 3
    await refusals.flush(everything=True)
    assert sum(count for _, _, count in rows(harness)) == 18


async def test_nothing_is_lost_at_the_end(harness: HubHarness) -> None:
    """What is held back when the hub stops is written."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for _ in range(3):
        await refusals.record("join", "token_unknown", "web-9")
    await refusals.flush(everything=True)
    assert [row.data["count"] for row in harness.events("join.refused")] == [1, 2]


def peer(name: str = "web-1", *, ahead: float | None = None, until: float = 50.0) -> Peer:
    return Peer(Identity("agent", name, "f", until, 1.0), "192.0.2.7", ahead)


async def test_the_row_keeps_why(harness: HubHarness) -> None:
    """The last reason, with the moment that belongs to it; once a minute where it stays the same."""
    harness.fleet.set_offline("web-1")
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    start = harness.clock.now
    await refusals.note(peer(ahead=3.0), "expired")
    agent = harness.fleet.agent("web-1")
    assert agent is not None
    assert (agent.refused_code, agent.refused_since, agent.refused_at, agent.clock_ahead) == (
        "expired",
        50.0,
        start,
        3.0,
    )
    harness.clock.advance(30)
    await refusals.note(peer(), "expired")
    assert harness.read(lambda txn: txn.agent("web-1")) == agent
    await refusals.note(peer(), "epoch")
    after = harness.read(lambda txn: txn.agent("web-1"))
    assert after is not None
    assert (after.refused_code, after.refused_since) == ("epoch", start + 30)


async def test_a_copy_says_nothing_about_a_machine_that_is_here(harness: HubHarness) -> None:
    """Nor does a name that the hub does not know, or a person's certificate."""
    harness.fleet.set_online("web-1")
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    before = harness.read(lambda txn: txn.agents())
    await refusals.note(peer(), "stale")
    await refusals.note(peer("web-7"), "unknown")
    await refusals.note(Peer(Identity("operator", "web-1", "f", 50.0), ""), "revoked")
    await refusals.note(Peer(None, ""), "identity")
    assert harness.read(lambda txn: txn.agents()) == before


async def test_a_clock_that_is_off_is_kept(harness: HubHarness) -> None:
    """By how much; one that is right is no reason."""
    harness.fleet.set_offline("web-1")
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    await refusals.note_clock(peer(ahead=5.0))
    assert rows(harness) == []
    await refusals.note_clock(peer(ahead=-7_200.0))
    assert rows(harness) == [("web-1", "clock", 1)]
    agent = harness.fleet.agent("web-1")
    assert agent is not None
    assert (agent.refused_code, agent.clock_ahead) == ("clock", -7_200.0)
