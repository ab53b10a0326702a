"""Stepping in, in the demo world: jobs that run or wait, machines and the queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from common.api.actions import (
    CancelArgs,
    CancelResult,
    DrainArgs,
    DrainResult,
    PauseArgs,
    PauseResult,
    PriorityArgs,
    PriorityResult,
    QueuePlace,
    ResumeArgs,
    ResumeResult,
    SettleArgs,
    SettleResult,
    UndrainArgs,
    UndrainResult,
)
from common.api.agents import AgentView, DrainView
from common.api.jobs import JobView
from common.api.outcome import OK
from common.api.overview import QueuePause
from common.api.wake import WakeArgs, WakeResult, WakingArgs, WakingView
from tui.demo.cast import DEMO_USER
from tui.demo.queries import Finder
from tui.demo.world import DemoWorld

WAKES_AFTER: Final = 14.0
"""Seconds after which a machine that was woken is online."""


class Interventions:
    """One method a verb."""

    def __init__(self, world: DemoWorld, find: Finder) -> None:
        self._world = world
        self._find = find
        self._woken: dict[str, float] = {}  # machine -> when it was asked for

    # ---- jobs

    def cancel(self, args: CancelArgs) -> CancelResult:
        if args.number is not None:
            return self._cancel_request(args)
        job = self._find.job(args.job)
        if job.is_settled:
            return CancelResult(code="too_late", text=f"it is too late: the job is {job.state} already")
        self._world.cancel_job(job.id, DEMO_USER, args.kill)
        return CancelResult(code=OK, text="cancel asked for 1 job")

    def _cancel_request(self, args: CancelArgs) -> CancelResult:
        request = self._find.request(args)
        if request.is_asking:
            self._world.end_request(request, "cancelled", f"taken back by {DEMO_USER}", DEMO_USER)
            return CancelResult(code=OK, text=f"r{request.number} is cancelled; nothing has run")
        if not request.is_working:
            text = f"it is too late: r{request.number} is {request.state} already"
            return CancelResult(code="too_late", text=text)
        jobs = [job for job in self._world.jobs_of(request.id) if not job.is_settled]
        self._cancel_all((job.id for job in jobs), args.kill)
        return CancelResult(code=OK, text=f"cancel asked for {len(jobs)} jobs of r{request.number}")

    def _cancel_all(self, jobs: Iterable[str], kill: bool) -> None:
        for identity in jobs:
            if identity in self._world.jobs:
                self._world.cancel_job(identity, DEMO_USER, kill)

    def settle(self, args: SettleArgs) -> SettleResult:
        job = self._find.job(args.job)
        if not job.is_unknown:
            return SettleResult(code="too_late", text=f"the outcome is known: {job.state}")
        self._world.end_job(job, "succeeded" if args.done else "failed", reason=f"settled by {DEMO_USER}")
        return SettleResult(code=OK, text="recorded as your word")

    def priority(self, args: PriorityArgs) -> PriorityResult:
        named = [self._find.job(name) for name in args.jobs]
        waiting = [job for job in named if job.is_queued]
        count = len(waiting)
        skipped = len(named) - count
        if not waiting:
            return PriorityResult(code="too_late", text="none of them waits in the queue any more", skipped=skipped)
        if args.dry_run:
            order = tuple(self._queue_places(waiting, args.priority))
            text = f"{count} jobs would have it"
            return PriorityResult(code=OK, text=text, count=count, skipped=skipped, order=order)
        for job in waiting:
            self._world.store_job(replace(job, priority=args.priority))
        data = {"priority": args.priority, "jobs": count}
        self._world.append_event("job.priority", args.jobs[0], DEMO_USER, data)
        text = f"priority {args.priority} for {count} jobs"
        return PriorityResult(code=OK, text=text, count=count, skipped=skipped)

    def _queue_places(self, chosen: list[JobView], priority: int) -> list[QueuePlace]:
        """The place of each in its machine's line, before and after."""
        places, names = [], {job.id for job in chosen}
        for agent in sorted({job.agent for job in chosen}):
            line = [job for job in self._world.jobs.values() if job.agent == agent and job.is_queued]
            line.sort(key=lambda job: (-job.priority, job.queued_at))
            after = sorted(line, key=lambda job: -(priority if job.id in names else job.priority))
            places += [
                QueuePlace(job=job.id, agent=agent, was=line.index(job) + 1, now=place, of=len(line))
                for place, job in enumerate(after, 1)
                if job.id in names
            ]
        return places

    # ---- machines and the queue

    def pause(self, args: PauseArgs) -> PauseResult:
        world = self._world
        selection = args.selector or args.agent
        if not selection:
            world.queue_paused = QueuePause(by=DEMO_USER, at=world.now, reason=args.reason)
            world.append_event("queue.paused", "queue", DEMO_USER, {"reason": args.reason})
            return PauseResult(code=OK, text="the whole queue is paused")
        found = self._find.agents(selection)
        for agent in found:
            world.append_event("queue.paused", agent.name, DEMO_USER, {"reason": args.reason})
            world.store_agent(replace(agent, paused_by=DEMO_USER, paused_at=world.now, pause_reason=args.reason))
            if args.until:
                world.schedule_at(args.until, partial(self._resume_agent, agent.name, "hub"))
        return PauseResult(code=OK, text=f"paused: {_first_names(found)}", count=len(found))

    def resume(self, args: ResumeArgs) -> ResumeResult:
        selection = args.selector or args.agent
        if not selection:
            self._world.queue_paused = None
            self._world.append_event("queue.resumed", "queue", DEMO_USER, {})
            return ResumeResult(code=OK, text="the queue goes on")
        found = self._find.agents(selection)
        for agent in found:
            self._resume_agent(agent.name, DEMO_USER)
        return ResumeResult(code=OK, text=f"resumed: {_first_names(found)}", count=len(found))

    def _resume_agent(self, name: str, by: str) -> None:
        self._world.append_event("queue.resumed", name, by, {})
        self._world.store_agent(replace(self._world.agents[name], paused_by="", paused_at=None, pause_reason=""))

    def drain(self, args: DrainArgs) -> DrainResult:
        world = self._world
        agent = self._find.agents(args.agent)[0]
        drain = DrainView(by=DEMO_USER, at=world.now, left=agent.running, of=agent.running)
        world.append_event("agent.drained", agent.name, DEMO_USER, {"cancel_after": args.cancel_after})
        world.store_agent(replace(agent, draining=drain))
        if args.cancel_after:
            jobs = [job.id for job in world.jobs.values() if job.agent == agent.name and job.is_running]
            world.schedule_in(args.cancel_after, lambda: self._cancel_all(jobs, False))
        text = f"{agent.name} drains: {agent.running} jobs still run there"
        return DrainResult(code=OK, text=text, left=agent.running)

    def undrain(self, args: UndrainArgs) -> UndrainResult:
        agent = self._find.agents(args.agent)[0]
        if not agent.is_draining:
            return UndrainResult(code="too_late", text=f"{agent.name} is not draining")
        self._world.append_event("agent.undrained", agent.name, DEMO_USER, {})
        self._world.store_agent(replace(agent, draining=None))
        return UndrainResult(code=OK, text=f"{agent.name} takes jobs again")

    def wake(self, args: WakeArgs) -> WakeResult:
        agent = self._find.agents(args.agent)[0]
        if agent.online:
            return WakeResult(code=OK, text=f"{agent.name} is online already", waking=False)
        self._woken[agent.name] = self._world.now
        self._world.append_event("wake.asked", agent.name, DEMO_USER, {"via": "console"})
        self._world.schedule_in(WAKES_AFTER, partial(self._link, agent.name))
        return WakeResult(code=OK, text=f"waking {agent.name}: a neighbour sends the magic packet", waking=True)

    def _link(self, name: str) -> None:
        agent = self._world.agents[name]
        self._world.store_agent(replace(agent, online=True, away="", last_seen=self._world.now))
        told = {"what": "woke", "count": round(WAKES_AFTER), "why": ""}
        self._world.append_event("wake.ended", name, DEMO_USER, told)

    def waking(self, args: WakingArgs) -> WakingView:
        name = self._find.agents(args.agent)[0].name
        if name not in self._woken:
            return WakingView(state="none", text=f"{name} has not been woken since the hub started")
        seconds = min(WAKES_AFTER, self._world.now - self._woken[name])
        if seconds < WAKES_AFTER:
            return WakingView(state="waking", text=f"{name} is being woken already", seconds=seconds)
        return WakingView(state="woke", text=f"{name} woke after {seconds:.0f} s", seconds=seconds)


def _first_names(agents: list[AgentView]) -> str:
    return ", ".join(agent.name for agent in agents[:3])
