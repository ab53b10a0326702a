"""One transaction's worth of change: moves of requests and jobs, and what follows from them.

`Change` lives inside one store unit. It saves what the pure files decided, performs the actions that belong to the
same transaction (rows, audit, outbox) and gathers in `effects` what may be done only after the commit (wake a link,
send a cancel, wake the courier).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ulid import ULID

from common.lifecycle import REQUEST_ENDS, JobState
from common.plan import Step
from hub import job as jobs_of_hub
from hub import request as requests_of_hub
from hub.records import Job, Request
from hub.speech import Speech
from hub.store.verbs import Txn

MAX_COMMAND: Final = 1_000


@dataclass(slots=True)
class Effects:
    """What to do after the commit."""

    wake: set[str] = field(default_factory=set)  # machines with something queued
    cancels: list[tuple[str, str, bool]] = field(default_factory=list)  # machine, job, kill
    forgets: dict[str, list[str]] = field(default_factory=dict)  # machine -> jobs whose end is committed
    settled: list[tuple[str, str]] = field(default_factory=list)  # machine, job
    locked: set[str] = field(default_factory=set)  # machines whose identity was found copied: their links end
    replies: bool = False
    changed: set[str] = field(default_factory=set)  # ids of requests and jobs, for those who watch
    stages: list[tuple[str, float]] = field(default_factory=list)  # stage, seconds: observed once committed
    told: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # for the log: event, ids bound
    queued: int = 0
    failed: int = 0  # jobs that ended otherwise than well
    finals: list[str] = field(default_factory=list)  # requests whose outcome on machines was told


class Change:
    def __init__(self, txn: Txn, now: float, speech: Speech, online: Callable[[str], bool]) -> None:
        self.txn = txn
        self.now = now
        self.effects = Effects()
        self._speech = speech
        self._online = online

    def request(self, before: Request, move: requests_of_hub.Move, actor: str, text: str = "") -> Request:
        """Saves a request's move and performs its actions; `text` is what a `final` says where it is a plain answer."""
        after, actions = move
        if after is not before:
            self.txn.save_request(before, after)
        self.effects.changed.add(after.id)
        for action in actions:
            match action:
                case requests_of_hub.Audit(kind, data):
                    self.txn.audit(kind, after.id, actor, data, self.now)
                    self.effects.told.append((kind, {"request": after.id, "number": str(after.number), "actor": actor}))
                case requests_of_hub.QueueStep(index):
                    self._queue_step(after, index)
                case requests_of_hub.CancelJobs(by, kill):
                    for job in self.txn.jobs_of(after.id):
                        self.job(job, jobs_of_hub.AskCancel(by, kill), by)
                case requests_of_hub.Tell(kind):
                    self._tell(after, kind, text)
        if after.planned_at == self.now:
            self.effects.stages.append(("plan", self.now - after.received_at))
        if after.decided_at == self.now and after.planned_at and after.approvers:
            self.effects.stages.append(("approve", self.now - after.planned_at))
        return after

    def job(self, before: Job, event: jobs_of_hub.Event, actor: str) -> Job:
        """Saves what a job does on an event, and moves its request where the job has settled."""
        after, actions = jobs_of_hub.decide(before, event, self.now)
        if after is not before:
            self.txn.save_job(before, after)
            self.effects.changed.add(after.id)
        for action in actions:
            match action:
                case jobs_of_hub.Audit(kind, data):
                    self.txn.audit(kind, after.id, actor, data, self.now)
                    ids = {"request": after.request_id, "job": after.id, "agent": after.agent}
                    self.effects.told.append((kind, {**ids, "state": after.state.value}))
                case jobs_of_hub.SendCancel(kill):
                    self.effects.cancels.append((after.agent, after.id, kill))
                case jobs_of_hub.SendForget():
                    self.effects.forgets.setdefault(after.agent, []).append(after.id)
                case jobs_of_hub.Settled():
                    self._settled(after)
        return after

    def _settled(self, job: Job) -> None:
        """The job's request goes on where this was the last it waited for. One that has ended was told of this job as
        unknown, and now hears the truth.
        """
        self.effects.settled.append((job.agent, job.id))
        self.effects.failed += job.state is not JobState.SUCCEEDED
        if job.duration is not None:
            self.effects.stages.append(("run", job.duration))
        request = self.txn.request(job.request_id)
        if request is None:
            return
        if request.state in REQUEST_ENDS:
            self.effects.replies |= self._speech.late(self.txn, request, job, self.now)
            return
        if self.txn.count_unsettled(request.id, request.step):
            return
        move = requests_of_hub.jobs_settled(request, self.txn.jobs_of(request.id), self.now)
        if move[0] is not request:
            after = self.request(request, move, "hub")
            if after.ended_at is not None:
                self.effects.stages.append(("total", after.ended_at - after.received_at))

    def _queue_step(self, request: Request, index: int) -> None:
        assert request.plan is not None  # noqa: S101 - QueueStep comes only from a judged request
        step = request.plan.steps[index]
        not_before = self.now + request.hold if request.hold and index == 0 else 0.0
        command = command_of(step)
        queued = [
            Job(
                id=str(ULID()),
                request_id=request.id,
                person=request.person,
                agent=target,
                state=JobState.QUEUED,
                step=index,
                plan_hash=request.plan_hash,
                not_after=self.now + request.plan.ttl,
                queued_at=self.now,
                parent=request.parent,
                number=request.number,
                inlet=request.inlet,
                source=request.plan.source,
                command=command,
                time_limit=step.time_limit,
                not_before=not_before,
            )
            for target in step.targets
        ]
        self.txn.add_jobs(queued)
        self.effects.queued += len(queued)
        for job in queued:
            self.effects.wake.add(job.agent)
            self.effects.changed.add(job.id)
        self.txn.audit(
            "jobs.queued",
            request.id,
            "hub",
            {"step": index, "plan_hash": request.plan_hash, "jobs": {job.id: job.agent for job in queued[:100]}},
            self.now,
        )
        offline = [job for job in queued if not self._online(job.agent)]
        if offline:
            self._speech.waiting(self.txn, request, offline, self.now)
            self.effects.replies = True

    def _tell(self, request: Request, kind: str, text: str) -> None:
        jobs: Sequence[Job] = self.txn.jobs_of(request.id) if request.plan is not None else ()
        self._speech.tell(self.txn, request, kind, text, jobs, self.now)
        self.effects.replies = True
        if kind == "final" and jobs:
            self.effects.finals.append(request.id)


def command_of(step: Step) -> str:
    """The step's command for lists: `shlex.split` gives the vector back; "" where it is too long to be carried."""
    line = shlex.join(step.argv)
    return line if len(line) <= MAX_COMMAND else ""
