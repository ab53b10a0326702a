"""hub.links.refusals: who was refused is told, once, and no flood fills the audit."""

from __future__ import annotations

from common.identity.certificates import Identity
from hub.links.peer import Peer
from hub.links.refusals import SAME_AGAIN, LinkRefusals
from tests.hub.hub_harness import HubHarness


def rows(harness: HubHarness) -> list[tuple[str, str, int]]:
    return [(row.subject, row.data["code"], row.data["count"]) for row in harness.events("link.refused")]


async def test_a_machine_that_comes_again_and_again_is_told_once(harness: HubHarness) -> None:
    """Every five minutes for an hour: a row in ten minutes, and the rest as sums; another reason is told at once."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for _ in range(12):
        await refusals.record("agent", "revoked", "web-1")
        harness.clock.advance(300)
    told = rows(harness)
    assert told.count(("web-1", "revoked", 1)) <= 12
    assert sum(count for _, _, count in told) >= 11
    await refusals.record("agent", "epoch", "web-1")
    assert rows(harness)[-1] == ("web-1", "epoch", 1)


async def test_many_machines_at_once_are_a_few_rows(harness: HubHarness) -> None:
    """A thousand machines refused in one minute: ten rows and a sum of 990; the next hour's refusal is a row again."""
    refusals = LinkRefusals(harness.store, harness.fleet, harness.clock)
    for number in range(1_000):
        await refusals.record("agent", "expired", f"web-{number}")
    assert len(rows(harness)) == 10
    harness.clock.advance(61)
    await refusals.flush()
    assert rows(harness)[-1][2] == 990
    harness.clock.advance(SAME_AGAIN)
    await refusals.record("agent", "expired", "web-1")
    assert rows(harness)[-1] == ("web-1", "expired", 1)


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
