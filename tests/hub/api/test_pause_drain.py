"""Pausing, resuming and draining at the console: one machine, a selection, the whole queue."""

from __future__ import annotations

import pytest

from common.api.actions import MAX_CANCEL_AFTER
from hub.api.pause_drain import MAX_PAUSE
from hub.links.console import InvalidArguments
from tests.hub.api_harness import REMOTE, ApiHarness
from tests.hub.hub_harness import NOW, HubHarness


def paused(harness: HubHarness) -> list[str]:
    return [agent.name for agent in harness.read(lambda txn: txn.agents()) if agent.paused_at is not None]


async def test_a_selection_is_paused_and_resumed(harness: HubHarness) -> None:
    """Each machine has its row, the fleet knows at once, and all of them are woken."""
    for name in ("web-2", "db-1"):
        await harness.add_machine(name)
    rooms = ApiHarness(harness)
    told = await rooms.call("bob", "pause", selector="web-*", reason="deploy", until=NOW + 60)
    assert (told["code"], told["count"], paused(harness)) == ("ok", 2, ["web-1", "web-2"])
    assert {name for name, one in harness.fleet.inventory.machines.items() if one.paused} == {"web-1", "web-2"}
    rows = harness.events("queue.paused")
    assert [row.subject for row in rows] == ["web-1", "web-2"]
    assert all(row.data == {"reason": "deploy", "until": NOW + 60, "via": "console", "from": REMOTE} for row in rows)
    told = await rooms.call("bob", "resume", selector="web-*")
    assert (told["code"], told["count"], paused(harness)) == ("ok", 2, [])
    assert harness.effects[-1].wake == {"web-1", "web-2"}
    done = [
        (row.actor, row.data["verb"], row.data["selector"], row.data["count"]) for row in harness.events("act.done")
    ]
    assert done == [("bob", "pause", "web-*", 2), ("bob", "resume", "web-*", 2)]


async def test_one_machine_is_the_subject_of_its_act(harness: HubHarness) -> None:
    """By name or by a selection that means it alone."""
    rooms = ApiHarness(harness)
    await rooms.call("bob", "pause", agent="web-1")
    await rooms.call("bob", "resume", selector="web-1")
    assert [row.subject for row in harness.events("act.done")] == ["web-1", "web-1"]


async def test_no_machine_named_is_the_whole_queue(harness: HubHarness) -> None:
    """It is one act, with its row; machines themselves are not paused."""
    rooms = ApiHarness(harness)
    await harness.queued_job()
    assert (await rooms.call("bob", "pause", reason="deploy"))["code"] == "ok"
    assert await harness.claim() == []
    assert paused(harness) == []
    (done,) = harness.events("act.done")
    assert (done.subject, done.actor, done.data["verb"]) == ("queue", "bob", "pause")
    assert (await rooms.call("bob", "resume"))["code"] == "ok"
    assert "web-1" in harness.effects[-1].wake
    assert len(await harness.claim()) == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_selection_that_means_another_number_is_left_alone(harness: HubHarness, verb: str) -> None:
    """The number that a person typed has to be the number of now; a machine that there is not is unknown."""
    await harness.add_machine("web-2")
    rooms = ApiHarness(harness)
    told = await rooms.call("bob", verb, selector="web-*", expect=3)
    assert (told["code"], told["count"]) == ("selection_changed", 2)
    assert (await rooms.call("bob", verb, agent="db-9"))["code"] == "unknown"
    with pytest.raises(InvalidArguments, match="expect"):
        await rooms.call("bob", verb, selector="web-*", expect=0)
    assert harness.events("queue.") == []
    assert (await rooms.call("bob", verb, selector="web-*", expect=2))["count"] == 2


@pytest.mark.parametrize(("seconds", "code"), [(-1, "too_late"), (0, "too_late"), (1, "ok"), (MAX_PAUSE, "ok")])
async def test_a_pause_ends_in_the_future_and_within_its_bound(harness: HubHarness, seconds: float, code: str) -> None:
    """An end that has passed is no pause at all, one beyond a month neither."""
    rooms = ApiHarness(harness)
    assert (await rooms.call("bob", "pause", agent="web-1", until=NOW + MAX_PAUSE + 1))["code"] == "too_late"
    assert paused(harness) == []
    assert (await rooms.call("bob", "pause", agent="web-1", until=NOW + seconds))["code"] == code
    assert paused(harness) == (["web-1"] if code == "ok" else [])


@pytest.mark.parametrize("where", [{}, {"agent": "web-1"}, {"selector": "web-*"}])
async def test_an_operator_may_not(harness: HubHarness, where: dict[str, str]) -> None:
    """Neither the queue nor a machine, by whichever way it is named; nothing is written."""
    rooms = ApiHarness(harness)
    for verb in ("pause", "resume"):
        assert (await rooms.call("carol", verb, **where))["code"] == "no_right"
    for verb in ("drain", "undrain"):
        assert (await rooms.call("carol", verb, agent="web-1"))["code"] == "no_right"
    assert paused(harness) == []
    assert harness.read(lambda txn: txn.queue_paused()) is None
    assert harness.events("queue.") == harness.events("agent.") == harness.events("act.") == []
    assert [effects.wake for effects in harness.effects if effects.wake] == []


async def test_a_machine_is_drained_and_comes_back(harness: HubHarness) -> None:
    """With how many jobs it has left, when they are told to stop, and an act's row for both."""
    rooms = ApiHarness(harness)
    await harness.leased_job()
    told = await rooms.call("bob", "drain", agent="web-1", cancel_after=60)
    assert (told["code"], told["left"]) == ("ok", 1)
    (row,) = [agent for agent in harness.fleet.agents() if agent.name == "web-1"]
    assert (row.drain_at, row.drain_by, row.drain_cancel_at) == (NOW, "bob", NOW + 60)
    assert (await rooms.call("bob", "undrain", agent="web-1"))["code"] == "ok"
    (row,) = [agent for agent in harness.fleet.agents() if agent.name == "web-1"]
    assert row.drain_at is None
    assert harness.effects[-1].wake == {"web-1"}
    assert (await rooms.call("bob", "undrain", agent="web-1"))["code"] == "too_late"
    done = [(row.data["verb"], row.subject) for row in harness.events("act.done")]
    assert done == [("drain", "web-1"), ("undrain", "web-1")]


async def test_what_cannot_be_drained(harness: HubHarness) -> None:
    """All machines at once, one that there is not, and a time out of bounds."""
    rooms = ApiHarness(harness)
    with pytest.raises(InvalidArguments, match="agent"):
        await rooms.call("bob", "drain")
    for seconds in (-1, MAX_CANCEL_AFTER + 1):
        with pytest.raises(InvalidArguments, match="cancel_after"):
            await rooms.call("bob", "drain", agent="web-1", cancel_after=seconds)
    assert (await rooms.call("bob", "drain", agent="db-9"))["code"] == "unknown"
    harness.effects.clear()
    assert (await rooms.call("bob", "undrain", agent="db-9"))["code"] == "unknown"
    assert [effects.wake for effects in harness.effects if effects.wake] == []
    assert harness.events("agent.drained") == []
