"""Pausing and draining: which machines are handed no new jobs, and until when.

A paused machine takes nothing new until somebody resumes it, or the time said has come. A drained one takes nothing
new either, and is on its way to having no job at all: what it has may finish, or is cancelled after a time; that it is
drained is shown until somebody ends it. The whole queue is paused by the empty name. `Keeper` does what time brings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from common.catalogue import Sentence
from common.lifecycle import JOB_HANDED_OUT
from hub import job as jobs_of_hub
from hub.acts import By, Done
from hub.change import Change, Effects
from hub.engine import Engine
from hub.fleet import Fleet
from hub.records import Agent
from hub.store.engine import Store

MAX_REASON: Final = 500
SHARE: Final = 500  # machines, or jobs, dealt with in one transaction

HUB: Final = By("hub", "hub")


def pause_queue(change: Change, by: By, reason: str, until: float | None) -> Done:
    change.txn.pause_queue(by.person, change.now, reason[:MAX_REASON], until)
    _audit(change, by, "queue.paused", "queue", {"reason": reason[:MAX_REASON], "until": until})
    return Done(Sentence("paused_now", {"what": Sentence("queue_of_all")}), subject="queue")


def resume_queue(change: Change, by: By, agents: Sequence[str]) -> Done:
    change.txn.resume_queue()
    change.effects.wake.update(agents)
    _audit(change, by, "queue.resumed", "queue", {})
    return Done(Sentence("resumed_now", {"what": Sentence("queue_of_all")}), subject="queue")


def pause(change: Change, by: By, names: Sequence[str], reason: str, until: float | None) -> int:
    """Hands nothing new to these machines; what runs goes on. How many there were."""
    data = {"reason": reason[:MAX_REASON], "until": until}
    paused: dict[str, Any] = {"paused_at": change.now, "paused_by": by.person, "pause_reason": reason[:MAX_REASON]}
    return _save(change, by, names, "queue.paused", data, lambda row: replace(row, **paused, paused_until=until))


def resume(change: Change, by: By, names: Sequence[str]) -> int:
    change.effects.wake.update(names)
    running: dict[str, Any] = {"paused_at": None, "paused_by": "", "pause_reason": "", "paused_until": None}
    return _save(change, by, names, "queue.resumed", {}, lambda row: replace(row, **running))


def drain(change: Change, by: By, agent: str, cancel_after: float | None) -> Done:
    """Nothing new; what it has finishes, or is cancelled after so many seconds."""
    row = change.txn.agent(agent)
    if row is None:
        return Done(Sentence("no_machine_named", {"agent": agent}), "unknown")
    count = change.txn.count_busy(agent)
    cancel_at = None if cancel_after is None else change.now + cancel_after
    first: dict[str, Any] = (
        {} if row.drain_at is not None else {"drain_at": change.now, "drain_by": by.person, "drain_jobs": count}
    )
    change.txn.save_agent(row, replace(row, **first, drain_cancel_at=cancel_at))
    _audit(change, by, "agent.drained", agent, {"jobs": count, "cancel_at": cancel_at})
    return Done(Sentence("drain_begun", {"agent": agent, "count": count}), "", {"left": count}, agent)


def undrain(change: Change, by: By, agent: str) -> Done:
    row = change.txn.agent(agent)
    if row is None:
        return Done(Sentence("no_machine_named", {"agent": agent}), "unknown")
    if row.drain_at is None:
        return Done(Sentence("drain_none", {"agent": agent}), "too_late")
    change.txn.save_agent(row, replace(row, drain_at=None, drain_by="", drain_jobs=0, drain_cancel_at=None))
    change.effects.wake.add(agent)
    _audit(change, by, "agent.undrained", agent, {})
    return Done(Sentence("drain_ended", {"agent": agent}), "", {}, agent)


def cancel_rest(change: Change, agent: str) -> int:
    """The time that a drained machine's jobs had is over: they are told to stop. How many."""
    row = change.txn.agent(agent)
    if row is None or row.drain_cancel_at is None or change.now < row.drain_cancel_at:
        return 0
    change.txn.save_agent(row, replace(row, drain_cancel_at=None))
    jobs = [job for job in change.txn.open_jobs(agent) if job.state in JOB_HANDED_OUT and job.cancel_asked_at is None]
    for job in jobs[:SHARE]:
        change.job(job, jobs_of_hub.AskCancel(row.drain_by, why="the machine is drained"), row.drain_by)
    return len(jobs)


def _save(
    change: Change, by: By, names: Sequence[str], kind: str, data: dict[str, Any], to: Callable[[Agent], Agent]
) -> int:
    count = 0
    for name in names:
        row = change.txn.agent(name)
        if row is not None:
            change.txn.save_agent(row, to(row))
            _audit(change, by, kind, name, data)
            count += 1
    return count


def _audit(change: Change, by: By, kind: str, subject: str, data: dict[str, Any]) -> None:
    change.txn.audit(kind, subject, by.person, {**data, "via": by.via, "from": by.remote}, change.now)


class Keeper:
    """What time brings to pauses, drains and holds; `keep` is called twice a second."""

    def __init__(self, store: Store, engine: Engine, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._store = store
        self._engine = engine
        self._fleet = fleet
        self._clock = clock
        self._kept_at = clock()

    async def keep(self) -> None:
        now, since = self._clock(), self._kept_at
        until, released = await self._store.read(
            lambda txn: (txn.queue_paused_until(), txn.released_agents(since, now))
        )
        self._kept_at = now
        agents = self._fleet.agents()
        over = [agent.name for agent in agents if agent.paused_until is not None and agent.paused_until <= now]
        late = [agent.name for agent in agents if agent.drain_cancel_at is not None and agent.drain_cancel_at <= now]
        if until is not None and until <= now:
            names = [agent.name for agent in agents]
            await self._engine.write(lambda change: resume_queue(change, HUB, names))
        for first in range(0, len(over), SHARE):
            await self._engine.write(partial(resume, by=HUB, names=over[first : first + SHARE]))
        for name in late:
            await self._engine.write(partial(cancel_rest, agent=name))
        if over or late:
            await self._fleet.refresh()
            self._engine.after(Effects(wake=set(over)))
        if released:
            self._engine.after(Effects(wake=set(released)))
