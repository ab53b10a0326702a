"""Machines that are paused or drained, the paused queue, and what time brings to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from common.messages import Unsure
from hub import acts_machines as machines
from hub.acts import By
from hub.acts_machines import HUB, MAX_REASON, Keeper
from hub.change import Change
from hub.records import Agent
from tests.hub.house import NOW, House
from tests.hub.rooms import REMOTE, Rooms

BOB = By("bob", "console", remote=REMOTE)


async def do(inside: House, unit: Callable[[Change], Any]) -> Any:
    done: list[Any] = []
    await inside.change(lambda change: done.append(unit(change)))
    await inside.fleet.refresh()
    return done[0]


def keeper(inside: House) -> Keeper:
    return Keeper(inside.store, inside.engine, inside.fleet, inside.clock)


def row_of(inside: House, name: str = "web-1") -> Agent:
    found = inside.read(lambda txn: txn.agent(name))
    assert found is not None
    return found


async def test_machines_are_paused_by_name_and_counted(inside: House) -> None:
    """An unknown name is not counted and has no row; the reason is cut; resumed, nothing of it is left."""
    before = row_of(inside)
    assert await do(inside, lambda change: machines.pause(change, BOB, ["web-1", "web-9"], "w" * 900, NOW + 60)) == 1
    row = row_of(inside)
    assert (row.paused_at, row.paused_by, row.paused_until) == (NOW, "bob", NOW + 60)
    assert row.pause_reason == "w" * MAX_REASON
    (event,) = inside.events("queue.paused")
    assert (event.subject, event.actor, event.data["from"], event.data["until"]) == ("web-1", "bob", REMOTE, NOW + 60)
    await inside.working()
    assert await inside.claim() == []
    assert await do(inside, lambda change: machines.resume(change, BOB, ["web-1"])) == 1
    assert row_of(inside) == before
    assert inside.effects[-1].wake == {"web-1"}
    assert len(await inside.claim()) == 1


async def test_a_pause_ends_by_itself(inside: House) -> None:
    """At its time and not before, by the hub's own hand; the machine is woken."""
    keep = keeper(inside)
    await do(inside, lambda change: machines.pause(change, BOB, ["web-1"], "", NOW + 60))
    inside.clock.pass_(59)
    await keep.keep()
    assert row_of(inside).paused_at == NOW
    inside.clock.pass_(1)
    await keep.keep()
    assert row_of(inside).paused_at is None
    (event,) = inside.events("queue.resumed")
    assert (event.subject, event.actor) == ("web-1", HUB.person)
    assert inside.effects[-1].wake == {"web-1"}
    await keep.keep()
    assert len(inside.events("queue.resumed")) == 1


async def test_the_paused_queue_ends_by_itself(inside: House) -> None:
    """As a machine's pause does, for all machines."""
    await inside.machine("web-2")
    keep = keeper(inside)
    await do(inside, lambda change: machines.pause_queue(change, BOB, "deploy", NOW + 60))
    await inside.working("@web-* uptime")
    await keep.keep()
    assert await inside.claim("web-2") == []
    inside.clock.pass_(60)
    await keep.keep()
    assert inside.effects[-1].wake == {"web-1", "web-2"}
    assert len(await inside.claim("web-2")) == 1
    assert [(row.kind, row.subject, row.actor) for row in inside.events("queue.")] == [
        ("queue.paused", "queue", "bob"),
        ("queue.resumed", "queue", "hub"),
    ]


async def test_a_drained_machine_keeps_what_it_has(inside: House) -> None:
    """It is handed nothing new, and drained again it keeps since when; ended, it is woken."""
    await inside.leased()
    await inside.working()
    done = await do(inside, lambda change: machines.drain(change, BOB, "web-1", None))
    assert (done.code, done.more, done.subject) == ("", {"left": 1}, "web-1")
    inside.clock.pass_(5)
    await do(inside, lambda change: machines.drain(change, By("ann", "console"), "web-1", 9.0))
    row = row_of(inside)
    assert (row.drain_at, row.drain_by, row.drain_jobs, row.drain_cancel_at) == (NOW, "bob", 1, NOW + 14)
    assert await inside.claim() == []
    assert (await do(inside, lambda change: machines.undrain(change, BOB, "web-1"))).code == ""
    row = row_of(inside)
    assert (row.drain_at, row.drain_by, row.drain_jobs, row.drain_cancel_at) == (None, "", 0, None)
    assert inside.effects[-1].wake == {"web-1"}
    assert len(await inside.claim()) == 1
    assert [row.kind for row in inside.events("agent.")][-3:] == ["agent.drained", "agent.drained", "agent.undrained"]


async def test_the_time_of_a_drain_runs_out(inside: House) -> None:
    """What the machine still has is told to stop, once, in the name of who drained it; what waits is left to wait."""
    keep = keeper(inside)
    running, waiting = await inside.leased(), await inside.working()
    await do(inside, lambda change: machines.drain(change, BOB, "web-1", 60.0))
    inside.clock.pass_(59)
    await keep.keep()
    assert inside.job(running.id).cancel_asked_at is None
    inside.clock.pass_(1)
    await keep.keep()
    assert (inside.job(running.id).cancel_asked_at, inside.job(running.id).cancel_asked_by) == (NOW + 60, "bob")
    assert inside.job(waiting.id).cancel_asked_at is None
    assert [cancel for effects in inside.effects for cancel in effects.cancels] == [("web-1", running.id, False)]
    assert (row_of(inside).drain_at, row_of(inside).drain_cancel_at) == (NOW, None)
    inside.clock.pass_(60)
    await keep.keep()
    assert len(inside.events("job.cancel_asked")) == 1


async def test_an_unknown_job_is_not_told_to_stop(inside: House) -> None:
    """There is nothing there that could be."""
    job = await inside.leased()
    await inside.heard("web-1", Unsure(job.id, "?"))
    await do(inside, lambda change: machines.drain(change, BOB, "web-1", 0.0))
    assert await do(inside, lambda change: machines.cancel_rest(change, "web-1")) == 0
    assert inside.job(job.id).cancel_asked_at is None
    assert row_of(inside).drain_cancel_at is None


@pytest.mark.parametrize(("name", "code"), [("web-9", "unknown"), ("web-1", "too_late")])
async def test_what_is_not_drained_cannot_be_ended(inside: House, name: str, code: str) -> None:
    """A machine that there is not, and one that nobody drained: no row for either."""
    assert (await do(inside, lambda change: machines.undrain(change, BOB, name))).code == code
    assert (await do(inside, lambda change: machines.drain(change, BOB, "web-9", None))).code == "unknown"
    assert inside.events("agent.undrained") == inside.events("agent.drained") == []


async def test_machines_are_woken_when_a_hold_ends(inside: House) -> None:
    """Once: a machine is not woken again for what was told before."""
    keep = keeper(inside)
    await Rooms(inside).call("carol", "run", target="web-1", argv=["uptime"], hold=30)
    inside.effects.clear()
    for seconds in (29, 1.5, 1):
        inside.clock.pass_(seconds)
        await keep.keep()
        assert [effects.wake for effects in inside.effects] == ([] if seconds == 29 else [{"web-1"}])


async def test_a_paused_machine_gets_nothing_and_the_others_do(inside: House) -> None:
    """Its jobs wait in the queue, and are handed out when it is resumed."""
    await inside.machine("web-2")
    await inside.working("@web-* uptime")
    await do(inside, lambda change: machines.pause(change, BOB, ["web-1"], "disk", None))
    assert await inside.claim("web-1") == []
    assert len(await inside.claim("web-2")) == 1
    await do(inside, lambda change: machines.resume(change, BOB, ["web-1"]))
    assert inside.effects[-1].wake == {"web-1"}
    assert len(await inside.claim("web-1")) == 1
