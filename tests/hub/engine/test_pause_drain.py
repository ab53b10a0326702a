"""Machines that are paused or drained, the paused queue, and what time brings to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from common.link.messages import Unsure
from hub.core.records import Agent
from hub.engine import pause_drain as machines
from hub.engine.actor import Actor
from hub.engine.pause_drain import HUB_ACTOR, MAX_REASON, PauseDrainTask
from hub.engine.unit_of_work import UnitOfWork
from tests.hub.api_harness import REMOTE, ApiHarness
from tests.hub.hub_harness import NOW, HubHarness

BOB = Actor("bob", "console", remote=REMOTE)


async def do(harness: HubHarness, unit: Callable[[UnitOfWork], Any]) -> Any:
    done: list[Any] = []
    await harness.change(lambda change: done.append(unit(change)))
    await harness.fleet.refresh()
    return done[0]


def keeper(harness: HubHarness) -> PauseDrainTask:
    return PauseDrainTask(harness.store, harness.engine, harness.fleet, harness.clock)


def row_of(harness: HubHarness, name: str = "web-1") -> Agent:
    found = harness.read(lambda txn: txn.agent(name))
    assert found is not None
    return found


async def test_machines_are_paused_by_name_and_counted(harness: HubHarness) -> None:
    """An unknown name is not counted and has no row; the reason is cut; resumed, nothing of it is left."""
    before = row_of(harness)
    assert await do(harness, lambda change: machines.pause(change, BOB, ["web-1", "web-9"], "w" * 900, NOW + 60)) == 1
    row = row_of(harness)
    assert (row.paused_at, row.paused_by, row.paused_until) == (NOW, "bob", NOW + 60)
    assert row.pause_reason == "w" * MAX_REASON
    (event,) = harness.events("queue.paused")
    assert (event.subject, event.actor, event.data["from"], event.data["until"]) == ("web-1", "bob", REMOTE, NOW + 60)
    await harness.queued_job()
    assert await harness.claim() == []
    assert await do(harness, lambda change: machines.resume(change, BOB, ["web-1"])) == 1
    assert row_of(harness) == before
    assert harness.effects[-1].wake == {"web-1"}
    assert len(await harness.claim()) == 1


async def test_a_pause_ends_by_itself(harness: HubHarness) -> None:
    """At its time and not before, by the hub's own hand; the machine is woken."""
    keep = keeper(harness)
    await do(harness, lambda change: machines.pause(change, BOB, ["web-1"], "", NOW + 60))
    harness.clock.advance(59)
    await keep.run_due()
    assert row_of(harness).paused_at == NOW
    harness.clock.advance(1)
    await keep.run_due()
    assert row_of(harness).paused_at is None
    (event,) = harness.events("queue.resumed")
    assert (event.subject, event.actor) == ("web-1", HUB_ACTOR.person)
    assert harness.effects[-1].wake == {"web-1"}
    await keep.run_due()
    assert len(harness.events("queue.resumed")) == 1


async def test_the_paused_queue_ends_by_itself(harness: HubHarness) -> None:
    """As a machine's pause does, for all machines."""
    await harness.add_machine("web-2")
    keep = keeper(harness)
    await do(harness, lambda change: machines.pause_queue(change, BOB, "deploy", NOW + 60))
    await harness.queued_job("@web-* uptime")
    await keep.run_due()
    assert await harness.claim("web-2") == []
    harness.clock.advance(60)
    await keep.run_due()
    assert harness.effects[-1].wake == {"web-1", "web-2"}
    assert len(await harness.claim("web-2")) == 1
    assert [(row.kind, row.subject, row.actor) for row in harness.events("queue.")] == [
        ("queue.paused", "queue", "bob"),
        ("queue.resumed", "queue", "hub"),
    ]


async def test_a_drained_machine_keeps_what_it_has(harness: HubHarness) -> None:
    """It is handed nothing new, and drained again it keeps since when; ended, it is woken."""
    await harness.leased_job()
    await harness.queued_job()
    done = await do(harness, lambda change: machines.drain(change, BOB, "web-1", None))
    assert (done.code, done.data, done.subject) == ("", {"left": 1}, "web-1")
    harness.clock.advance(5)
    await do(harness, lambda change: machines.drain(change, Actor("ann", "console"), "web-1", 9.0))
    row = row_of(harness)
    assert (row.drain_at, row.drain_by, row.drain_jobs, row.drain_cancel_at) == (NOW, "bob", 1, NOW + 14)
    assert await harness.claim() == []
    assert (await do(harness, lambda change: machines.undrain(change, BOB, "web-1"))).code == ""
    row = row_of(harness)
    assert (row.drain_at, row.drain_by, row.drain_jobs, row.drain_cancel_at) == (None, "", 0, None)
    assert harness.effects[-1].wake == {"web-1"}
    assert len(await harness.claim()) == 1
    assert [row.kind for row in harness.events("agent.")][-3:] == ["agent.drained", "agent.drained", "agent.undrained"]


async def test_the_time_of_a_drain_runs_out(harness: HubHarness) -> None:
    """What the machine still has is told to stop, once, in the name of who drained it; what waits is left to wait."""
    keep = keeper(harness)
    running, waiting = await harness.leased_job(), await harness.queued_job()
    await do(harness, lambda change: machines.drain(change, BOB, "web-1", 60.0))
    harness.clock.advance(59)
    await keep.run_due()
    assert harness.job(running.id).cancel_asked_at is None
    harness.clock.advance(1)
    await keep.run_due()
    assert (harness.job(running.id).cancel_asked_at, harness.job(running.id).cancel_asked_by) == (NOW + 60, "bob")
    assert harness.job(waiting.id).cancel_asked_at is None
    assert [cancel for effects in harness.effects for cancel in effects.cancels] == [("web-1", running.id, False)]
    assert (row_of(harness).drain_at, row_of(harness).drain_cancel_at) == (NOW, None)
    harness.clock.advance(60)
    await keep.run_due()
    assert len(harness.events("job.cancel_asked")) == 1


async def test_an_unknown_job_is_not_told_to_stop(harness: HubHarness) -> None:
    """There is nothing there that could be."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", Unsure(job.id, "?"))
    await do(harness, lambda change: machines.drain(change, BOB, "web-1", 0.0))
    assert await do(harness, lambda change: machines.cancel_remaining(change, "web-1")) == 0
    assert harness.job(job.id).cancel_asked_at is None
    assert row_of(harness).drain_cancel_at is None


@pytest.mark.parametrize(("name", "code"), [("web-9", "unknown"), ("web-1", "too_late")])
async def test_what_is_not_drained_cannot_be_ended(harness: HubHarness, name: str, code: str) -> None:
    """A machine that there is not, and one that nobody drained: no row for either."""
    assert (await do(harness, lambda change: machines.undrain(change, BOB, name))).code == code
    assert (await do(harness, lambda change: machines.drain(change, BOB, "web-9", None))).code == "unknown"
    assert harness.events("agent.undrained") == harness.events("agent.drained") == []


async def test_machines_are_woken_when_a_hold_ends(harness: HubHarness) -> None:
    """Once: a machine is not woken again for what was told before."""
    keep = keeper(harness)
    await ApiHarness(harness).call("carol", "run", target="web-1", argv=["uptime"], hold=30)
    harness.effects.clear()
    for seconds in (29, 1.5, 1):
        harness.clock.advance(seconds)
        await keep.run_due()
        assert [effects.wake for effects in harness.effects] == ([] if seconds == 29 else [{"web-1"}])


async def test_a_paused_machine_gets_nothing_and_the_others_do(harness: HubHarness) -> None:
    """Its jobs wait in the queue, and are handed out when it is resumed."""
    await harness.add_machine("web-2")
    await harness.queued_job("@web-* uptime")
    await do(harness, lambda change: machines.pause(change, BOB, ["web-1"], "disk", None))
    assert await harness.claim("web-1") == []
    assert len(await harness.claim("web-2")) == 1
    await do(harness, lambda change: machines.resume(change, BOB, ["web-1"]))
    assert harness.effects[-1].wake == {"web-1"}
    assert len(await harness.claim("web-1")) == 1
