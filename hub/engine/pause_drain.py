"""Pausing and draining: which machines are handed no new jobs, and until when.

A paused machine takes nothing new until somebody resumes it, or its time has come. A drained one takes nothing
new either, and is on its way to having no job at all: what it has may finish, or is cancelled after a time; that it is
drained is shown until somebody ends it. The whole queue is paused by the empty name. `PauseDrainTask` does what time
brings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from common.catalogue import Sentence
from hub.core import job as jobs_of_hub
from hub.core import pause_drain as moves
from hub.core.approval import DecisionRefused
from hub.core.pause_drain import MAX_REASON, AgentMove
from hub.core.records import Agent
from hub.engine.actor import ActionResult, Actor
from hub.engine.effects import Effects
from hub.engine.unit_of_work import UnitOfWork
from hub.identity.agents import AgentRegistry
from hub.store.store import Store

BATCH_SIZE: Final = 500  # machines, or jobs, dealt with in one transaction

HUB_ACTOR: Final = Actor("hub", "hub")


def pause_queue(uow: UnitOfWork, actor: Actor, reason: str, until: float | None) -> ActionResult:
    reason = reason[:MAX_REASON]
    uow.txn.pause_queue(actor.person, uow.now, reason, until)
    _audit(uow, actor, "queue.paused", "queue", {"reason": reason, "until": until})
    return ActionResult(Sentence("paused_now", {"what": Sentence("queue_of_all")}), subject="queue")


def resume_queue(uow: UnitOfWork, actor: Actor) -> ActionResult:
    uow.txn.resume_queue()
    uow.effects.wake.update(uow.world.machines.agents)
    _audit(uow, actor, "queue.resumed", "queue", {})
    return ActionResult(Sentence("resumed_now", {"what": Sentence("queue_of_all")}), subject="queue")


def pause(uow: UnitOfWork, actor: Actor, names: Sequence[str], reason: str, until: float | None) -> int:
    """Hands nothing new to these machines; what runs goes on. How many there were."""
    return _move_all(uow, actor, names, lambda row: moves.paused(row, actor.person, reason, until, uow.now))


def resume(uow: UnitOfWork, actor: Actor, names: Sequence[str]) -> int:
    uow.effects.wake.update(names)
    return _move_all(uow, actor, names, moves.resumed)


def drain(uow: UnitOfWork, actor: Actor, agent: str, cancel_after: float | None) -> ActionResult:
    """Nothing new; what it has finishes, or is cancelled after so many seconds."""
    row = uow.txn.agent(agent)
    if row is None:
        return _no_machine(agent)
    busy = uow.txn.count_busy(agent)
    _save(uow, actor, row, moves.drained(row, actor.person, busy, cancel_after, uow.now))
    return ActionResult(Sentence("drain_begun", {"agent": agent, "count": busy}), "", {"left": busy}, agent)


def undrain(uow: UnitOfWork, actor: Actor, agent: str) -> ActionResult:
    row = uow.txn.agent(agent)
    if row is None:
        return _no_machine(agent)
    move = moves.undrained(row)
    if isinstance(move, DecisionRefused):
        return ActionResult.refused(move)
    _save(uow, actor, row, move)
    uow.effects.wake.add(agent)
    return ActionResult(Sentence("drain_ended", {"agent": agent}), "", {}, agent)


def cancel_remaining(uow: UnitOfWork, agent: str) -> int:
    """The time that a drained machine's jobs had is over: they are asked to stop. How many."""
    row = uow.txn.agent(agent)
    if row is None or not moves.drain_time_over(row, uow.now):
        return 0
    uow.txn.save_agent(row, replace(row, drain_cancel_at=None))
    jobs = moves.jobs_to_cancel(uow.txn.open_jobs(agent))
    for job in jobs[:BATCH_SIZE]:
        uow.apply_job_event(job, jobs_of_hub.AskCancel(row.drain_by, why="the machine is drained"), row.drain_by)
    return len(jobs)


def _move_all(uow: UnitOfWork, actor: Actor, names: Sequence[str], move: Callable[[Agent], AgentMove]) -> int:
    rows = [row for row in map(uow.txn.agent, names) if row is not None]
    for row in rows:
        _save(uow, actor, row, move(row))
    return len(rows)


def _save(uow: UnitOfWork, actor: Actor, before: Agent, move: AgentMove) -> None:
    after, audit = move
    uow.txn.save_agent(before, after)
    _audit(uow, actor, audit.kind, before.name, audit.data)


def _audit(uow: UnitOfWork, actor: Actor, kind: str, subject: str, data: dict[str, Any]) -> None:
    uow.audit(kind, subject, actor.person, {**data, "via": actor.via, "from": actor.remote})


def _no_machine(agent: str) -> ActionResult:
    return ActionResult(Sentence("no_machine_named", {"agent": agent}), "unknown")


class UnitWriter(Protocol):
    """The engine, as far as it is needed here: chat pauses too, so the engine stands above this module."""

    async def write(self, unit: Callable[[UnitOfWork], object]) -> object: ...

    def publish(self, effects: Effects) -> None: ...


class PauseDrainTask:
    """What time brings to pauses, drains and holds; `run_due` is called twice a second."""

    def __init__(self, store: Store, engine: UnitWriter, fleet: AgentRegistry, clock: Callable[[], float]) -> None:
        self._store = store
        self._engine = engine
        self._fleet = fleet
        self._clock = clock
        self._last_run_at = clock()

    async def run_due(self) -> None:
        now, since = self._clock(), self._last_run_at
        until, released = await self._store.read(
            lambda txn: (txn.queue_paused_until(), txn.released_agents(since, now))
        )
        self._last_run_at = now
        agents = self._fleet.agents()
        over = [agent.name for agent in agents if agent.paused_until is not None and agent.paused_until <= now]
        late = [agent.name for agent in agents if agent.drain_cancel_at is not None and agent.drain_cancel_at <= now]
        if until is not None and until <= now:
            await self._engine.write(partial(resume_queue, actor=HUB_ACTOR))
        for first in range(0, len(over), BATCH_SIZE):
            await self._engine.write(partial(resume, actor=HUB_ACTOR, names=over[first : first + BATCH_SIZE]))
        for name in late:
            await self._engine.write(partial(cancel_remaining, agent=name))
        if over or late:
            await self._fleet.refresh()
            self._engine.publish(Effects(wake=set(over)))
        if released:
            self._engine.publish(Effects(wake=set(released)))
