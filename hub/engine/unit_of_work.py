"""One transaction's worth of change: moves of requests and jobs, and what follows from them.

`UnitOfWork` lives inside one store unit. It saves what `hub.core` decided, performs the actions that belong to the same
transaction (rows, audit, outbox) and gathers in `effects` what may be done only after the commit (wake a link, send a
cancel, wake the reply delivery). `UnitOfWorkRunner.write` runs one from begin to fan-out: the only way to change
something in this room.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from ulid import ULID

from common.catalogue import Sentence
from common.command.line import quote_command
from common.crashpoints import crashpoints_of
from common.lifecycle import REQUEST_TERMINAL, JobState, RequestState
from common.plan import Step
from hub.chat.compose import ReplyComposer
from hub.core import job as jobs_of_hub
from hub.core import request as requests_of_hub
from hub.core.approval_proofs import ApprovalProver
from hub.core.attempts import MAX_ATTEMPTS, attempt, next_attempt, outcomes, superfluous
from hub.core.audit import WriteAudit
from hub.core.fair_queue import Key
from hub.core.machine_rows import MachineRows
from hub.core.records import Job, Request
from hub.core.wake import MAX_AT_ONCE
from hub.engine.effects import EffectFanOut, Effects
from hub.engine.snapshot import WorldSnapshot
from hub.store.lanes import NOBODY, OUTPUT_TURN, Lane
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_COMMAND_CHARS: Final = 1_000
RECENT_REQUESTS: Final = 20
"""Requests of a person that are looked at for the chat in which to tell them something."""
T = TypeVar("T")


class UnitOfWork:
    """Rows are read and written through `txn`; everything else that a unit decides from is in `world`."""

    def __init__(
        self, txn: Txn, now: float, wall: float, composer: ReplyComposer, world: WorldSnapshot, prover: ApprovalProver
    ) -> None:
        """`wall` is the wall clock, by which codes and certificates are good; `now` the hub's time (`hub.clock`)."""
        self.txn = txn
        self.wall = wall
        self.prover = prover
        self.now = now
        self.world = world
        self.effects = Effects()
        self.audited: list[str] = []
        self._composer = composer
        self._said: tuple[MachineRows, str] | None = None

    def count_rows_of(self, machine: str, rows: MachineRows) -> None:
        """From now on what this machine says is written as far as its share of the audit reaches."""
        self._said = rows, machine

    def audit(self, kind: str, subject: str, actor: str, data: Mapping[str, Any]) -> None:
        """Writes one audit row: the only place in this room that does."""
        if self._said is not None and not self._said[0].admit(self._said[1], kind, self.now):
            return
        self.txn.audit(kind, subject, actor, data, self.now)
        self.audited.append(kind)

    def roles_now(self, person: str) -> tuple[str, ...]:
        """The roles of a person by the store as it is in this transaction, which another process may have changed."""
        return self.world.people.roles_by(person, self.txn.person(person))

    def is_authentic(self, row: Request | Job) -> bool:
        """Whether this hub wrote the row as it is (`hub.core.row_mac`); where not, the audit and the log say so."""
        if self.txn.rows.is_authentic(row):
            return True
        what = f"r{row.number}" if isinstance(row, Request) else f"job {row.id}"
        self.report_forged(row.id, what)
        return False

    def report_forged(self, subject: str, what: str, sentence: str = "row_forged") -> None:
        """The record of a row that was not written by this hub: for the audit, the log, and the attention list.
        `sentence` is the catalogue's, with {what}.
        """
        self.audit("row.forged", subject, "hub", {"what": str(Sentence(sentence, {"what": what}))})
        self.effects.log_events.append(("row.forged", {"subject": subject, "what": what}))

    def notify_person(self, person: str, sentence: Sentence) -> bool:
        """Tells a person in chat, where they last spoke; False where they are not known to any chat that takes it."""
        for request in self.txn.requests(person=person, limit=RECENT_REQUESTS):
            if self._composer.enqueue_notice(self.txn, request, sentence.render(request.language), self.now):
                self.effects.replies = True
                return True
        return False

    def show_on_card(self, request: Request, state: Sentence) -> None:
        """Something short of a move that whoever looks at the request's card should see."""
        self.effects.replies |= self._composer.enqueue_state(
            self.txn, request, state.render(request.language), self.now
        )

    def apply_transition(
        self, before: Request, transition: requests_of_hub.Transition, actor: str, text: str = ""
    ) -> Request:
        """Saves a request's move and performs its actions; `text` is what a `final` says where it is a plain answer."""
        after, actions = transition
        if after is not before:
            after = self.txn.save_request(before, after)
        self.effects.changed.add(after.id)
        if after.state in REQUEST_TERMINAL:
            self.effects.ended.add(after.id)
        if (before.state, after.state) == (RequestState.ASKING, RequestState.WORKING):
            self.show_on_card(after, Sentence("card_started", {"number": after.number}))
        for action in actions:
            match action:
                case WriteAudit(kind, data):
                    self.audit(kind, after.id, actor, data)
                    self.effects.log_events.append(
                        (kind, {"request": after.id, "number": str(after.number), "actor": actor})
                    )
                case requests_of_hub.QueueStep(index):
                    self._queue_step(after, index)
                case requests_of_hub.CancelJobs(by, kill):
                    for job in self.txn.jobs_of(after.id):
                        self.apply_job_event(job, jobs_of_hub.AskCancel(by, kill), by)
                case requests_of_hub.SendReply(kind):
                    self._enqueue_reply(after, kind, text)
        if after.planned_at == self.now:
            self.effects.stages.append(("plan", self.now - after.received_at))
        if after.decided_at == self.now and after.planned_at and after.approvers:
            self.effects.stages.append(("approve", self.now - after.planned_at))
        return after

    def apply_job_event(self, before: Job, event: jobs_of_hub.JobInput, actor: str) -> Job:
        """Saves what a job does on an event, and moves its request where the job has settled."""
        after, actions = jobs_of_hub.decide(before, event, self.now)
        if after is not before:
            after = self.txn.save_job(before, after)
            self.effects.changed.add(after.id)
        for action in actions:
            match action:
                case WriteAudit(kind, data):
                    self.audit(kind, after.id, actor, data)
                    ids = {"request": after.request_id, "job": after.id, "agent": after.agent}
                    self.effects.log_events.append((kind, {**ids, "state": after.state.value}))
                case jobs_of_hub.SendCancel(kill):
                    self.effects.cancels.append((after.agent, after.id, kill))
                case jobs_of_hub.SendForget():
                    self.effects.forgets.setdefault(after.agent, []).append(after.id)
                case jobs_of_hub.Settled(late):
                    self._on_job_settled(after, late=late)
        return after

    def _on_job_settled(self, job: Job, *, late: bool) -> None:
        """The job's request goes on where this was the last it waited for. A request that has ended was answered with
        this job as unknown; its chat gets the outcome as one more reply.
        """
        self.effects.settled.append((job.agent, job.id))
        self.effects.failed += job.state is not JobState.SUCCEEDED
        if job.duration is not None:
            self.effects.stages.append(("run", job.duration))
        request = self.txn.request(job.request_id)
        if request is None:
            return
        if job.state is JobState.UNKNOWN:
            self._try_again(request, job)
        elif late and self._take_back_attempts(request, job):
            return  # with the attempt that was taken back the request has gone on
        if request.state in REQUEST_TERMINAL:
            if (known := requests_of_hub.outcome_known(request, self.txn.jobs_of(request.id))) != request:
                self.txn.save_request(request, known)
                self.effects.changed.add(request.id)
            self.effects.replies |= self._composer.enqueue_late_outcome(self.txn, request, job, self.now)
            return
        if self.txn.count_unsettled(request.id, request.step):
            self.effects.partial.append(request.id)
            return
        last = not self.is_authentic(request)  # no further step of what this hub has not judged
        move = requests_of_hub.jobs_settled(request, self.txn.jobs_of(request.id), self.now, last=last)
        if move[0] is not request:
            after = self.apply_transition(request, move, "hub")
            if after.ended_at is not None:
                self.effects.stages.append(("total", after.ended_at - after.received_at))

    def _take_back_attempts(self, request: Request, job: Job) -> bool:
        """What became of a job that was unknown is known: another attempt that still waits is not needed. Whether there
        was one.
        """
        waiting = superfluous(job, self.txn.jobs_of(request.id))
        for one in waiting:
            why = f"attempt {job.id} has ended after all"
            self.apply_job_event(one, jobs_of_hub.AskCancel("hub", why=why), "hub")
        return bool(waiting)

    def _try_again(self, request: Request, job: Job) -> None:
        """Queues another attempt at a job that is unknown now, where its rule says that this does no harm."""
        plan = request.plan
        if plan is None or self.world.recovering or not self.is_authentic(request):
            return
        rule = self.world.idempotence(request, plan.steps[job.step], job.agent, self.now)
        if not rule:
            return
        jobs = self.txn.jobs_of(request.id)
        again = next_attempt(request, job, jobs, rule, self.now, str(ULID()))
        if again is None:
            return
        self.txn.add_jobs([again])
        self.effects.queued += 1
        self.effects.wake.add(again.agent)
        self.effects.changed.add(again.id)
        number = attempt(again)
        data = {"attempt": number, "of": MAX_ATTEMPTS, "after": job.id, "plan_hash": job.plan_hash}
        self.audit("job.tried_again", again.id, "hub", data)
        self.effects.replies |= self._composer.enqueue_again(self.txn, request, job, number, self.now)

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
        named = {job.id: job.agent for job in queued[:100]}
        data = {"step": index, "plan_hash": request.plan_hash, "jobs": named}
        self.audit("jobs.queued", request.id, "hub", data)
        if self.world.recovering:
            self._composer.enqueue_recovery_wait(self.txn, request, queued, self.now)
            self.effects.replies = True
            return
        offline = [job for job in queued if job.agent not in self.world.machines.online]
        if offline:
            self._composer.enqueue_waiting(self.txn, request, offline, self.now)
            self.effects.replies = True
            asleep = [job.agent for job in offline[:MAX_AT_ONCE]]
            found = self.world.to_wake(request, step, asleep, self.now)
            self.effects.to_wake += [(agent, request.id) for agent in found]

    def _enqueue_reply(self, request: Request, kind: str, text: str) -> None:
        jobs: Sequence[Job] = outcomes(self.txn.jobs_of(request.id)) if request.plan is not None else ()
        approvers = self._who_may_approve(request) if kind == "question" else ()
        self._composer.enqueue_reply(self.txn, request, kind, text, jobs, self.now, approvers)
        self.effects.replies = True
        if kind == "final" and jobs:
            self.effects.final_replies.append(request.id)

    def _who_may_approve(self, request: Request) -> tuple[str, ...]:
        people = self.world.people
        return tuple(
            name
            for name in people.holders("approver")
            if (request.own_approval or name != request.person)
            and (not request.second_factor or people.has_factor(name))
        )


WriteUnit = Callable[[Callable[[UnitOfWork], object]], Awaitable[object]]
"""`UnitOfWorkRunner.write`, for those who need no result."""


class UnitOfWorkRunner:
    def __init__(
        self,
        store: Store,
        composer: ReplyComposer,
        world: Callable[[], WorldSnapshot],
        fan_out: EffectFanOut,
        clock: Callable[[], float],
        prover: ApprovalProver,
        wall: Callable[[], float] | None = None,
    ) -> None:
        """`wall` is the wall clock, where `clock` is not."""
        self._wall = wall or clock
        self._store = store
        self._prover = prover
        self._composer = composer
        self.world = world
        self._fan_out = fan_out
        self._clock = clock

    async def write(self, unit: Callable[[UnitOfWork], T], lane: Lane = Lane.PEOPLE) -> T:
        """Runs `unit` in one transaction; once that is committed, publishes its effects."""
        result, effects = await self.commit(unit, lane)
        self.publish(effects)
        return result

    async def commit(
        self, unit: Callable[[UnitOfWork], T], lane: Lane = Lane.PEOPLE, key: Key = NOBODY, cost: int = OUTPUT_TURN
    ) -> tuple[T, Effects]:
        """Runs `unit` in one transaction. Its effects are the caller's to publish."""
        now, wall, world = self._clock(), self._wall(), self.world()

        def in_transaction(txn: Txn) -> tuple[T, UnitOfWork]:
            uow = UnitOfWork(txn, now, wall, self._composer, world, self._prover)
            result = unit(uow)
            crashpoints_of(uow.audited, "uncommitted")
            return result, uow

        result, uow = await self._store.write(in_transaction, lane, key, cost)
        crashpoints_of(uow.audited, "committed")
        return result, uow.effects

    def publish(self, effects: Effects) -> None:
        self._fan_out.publish(effects)


def command_of(step: Step) -> str:
    """The step's command for lists: `parse_command` gives it back; "" where it is too long to be carried."""
    line = quote_command(step.argv, step.filters)
    return line if len(line) <= MAX_COMMAND_CHARS else ""
