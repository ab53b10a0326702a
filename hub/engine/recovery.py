"""Recovery after a restored backup: how it begins while the hub serves, what was open is ended, how its end is noticed.

    the store's file or the command `restore` tells      `Store.acquire` begins it; `load` finds it at the start
    a machine's position is not of this store's history  `hear` begins it, before that machine is answered
    an admin says so (`answerback-hub recover`)          `refresh` sees it in the store, and that it is over

`recovery_state` is what everybody else asks: units of work through their snapshot, so that nothing is handed out and no
approval counts while it is active.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ulid import ULID

from common.catalogue import Sentence
from common.ids import is_ulid
from common.lifecycle import JOB_DISPATCHED, JobEvent, JobState, RequestState, next_job_state
from common.link.marks import Mark
from common.link.messages import Report
from common.plan import MAX_TIME_LIMIT
from hub.core import job as jobs_of_hub
from hub.core import request as requests_of_hub
from hub.core.reconcile import MAX_ID
from hub.core.records import Job, Request
from hub.core.recovery import INLET, JOB_REASON, REASON, Cause, Recovery, Start, in_history
from hub.engine.recovery_state import RecoveryState
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.log import logger
from hub.store.restored import begin_recovery
from hub.store.store import Store
from hub.store.taken import MAX_AGE, Known
from hub.store.transaction import Txn

BATCH: Final = 200
MAX_TAKEN: Final = 1_000
"""Jobs that are taken of one machine's report."""
HUB: Final = "hub"
MAX_EPOCH_AHEAD: Final = 1_000_000
"""How far the hub follows an epoch that a machine claims without proof."""

log = logger("recovery")


class RecoveryControl:
    """`epoch` is the hub's; it rises where a machine has heard a higher one, and `on_epoch` is called then."""

    def __init__(
        self,
        state: RecoveryState,
        store: Store,
        units: UnitOfWorkRunner,
        epoch: int,
        clock: Callable[[], float],
        on_epoch: Callable[[int], None],
    ) -> None:
        self.state = state
        self.epoch = epoch
        self._store = store
        self._units = units
        self._clock = clock
        self._on_epoch = on_epoch
        self._starts: list[Start] | None = None
        self._recalled: float | None = None  # the recovery whose messages `state.taken` has
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> None:
        """At the start, before anybody may come: goes on with a recovery that has begun."""
        await self.refresh()

    def take_up(self, epoch: int) -> None:
        """The start that this process could not write until now."""
        self._starts = None
        self.epoch = epoch

    async def refresh(self) -> bool:
        """What another process has done to it; True where it is over since the last look."""
        async with self._one_at_a_time:
            was = self.state.active
            record = await self._store.read(lambda txn: txn.recovery())
            await self._recall(record)
            self.state.record = record
            if record is not None and record.active and (not was or not record.voided):
                await self._go_on(record)
            return was and not self.state.active

    # ---- what machines have heard

    async def hear(self, mark: Mark | None, claimed: int, machine: str) -> bool:
        """A machine says the position that it was told last, and the highest epoch without proof. True where it has
        heard a hub whose work this store does not know. A recovery may have begun when this returns.
        """
        unknown = mark is not None and not await self._knows(mark)
        if unknown and not self._is_beyond(mark):
            await self._begin("machine", machine, mark)
        elif self.state.active and self.epoch < claimed < self.epoch + MAX_EPOCH_AHEAD:
            await self._begin("machine", machine, None, claimed)
        return unknown or self.state.active

    async def _knows(self, mark: Mark) -> bool:
        if self._starts is None:
            self._starts = await self._store.read(lambda txn: txn.starts())
        now = self._store.mark()
        return in_history(mark, self._starts, now.seq if now is not None else 0)

    def _is_beyond(self, mark: Mark | None) -> bool:
        """Whether what this hub tells cannot be taken for what the other one told."""
        record = self.state.record
        return mark is not None and record is not None and mark.epoch < record.epoch and mark.number < record.number

    async def _begin(self, cause: Cause, witness: str, heard: Mark | None, claimed: int = 0) -> None:
        async with self._one_at_a_time:
            if heard is not None and self._is_beyond(heard):
                return  # another machine was here first

            def unit(txn: Txn) -> Recovery:
                return begin_recovery(
                    txn, self._clock(), cause=cause, witness=witness, heard=heard, epochs=[self.epoch, claimed]
                )

            # Where a later hub serves this store it is this process that is out of date: then this raises StoreFenced.
            record = await self._store.write(unit)
            await self._recall(record)
            self.state.record = record
            await self._go_on(record)

    async def _recall(self, record: Recovery | None) -> None:
        """Reads which messages were taken, once a recovery, and forgets them when nobody delivers them again."""
        if record is None or not abs(self._clock() - record.since) <= MAX_AGE:
            self._recalled, self.state.taken = None, Known()
        elif record.since != self._recalled:
            self._recalled, self.state.taken = record.since, await self._store.taken()

    # ---- what follows

    async def _go_on(self, record: Recovery) -> None:
        heard = f" It has not heard of {record.heard}." if record.heard else ""
        log.error(
            "hub.recovery",
            cause=record.cause,
            witness=record.witness,
            reason=f"this store was restored from a backup.{heard} Nothing is handed out and no approval counts",
            cure="answerback-hub recover",
        )
        if record.epoch > self.epoch:
            await self._raise_epoch(record.epoch)
        if not record.voided:
            await self._end_what_was_open(record)

    async def _raise_epoch(self, epoch: int) -> None:
        """The rest of this run is another start, which no machine can take for one that it has heard."""

        def unit(txn: Txn) -> Start:
            start = Start(epoch, secrets.token_hex(8), txn.audit_head().seq)
            txn.add_start(start)
            return start

        self._store.begin_again(await self._store.write(unit))
        self._starts = None
        self.epoch = epoch
        self._on_epoch(epoch)

    async def _end_what_was_open(self, record: Recovery) -> None:
        below = record.number
        questions = await self._in_batches(lambda uow: _void_questions(uow, below))
        messages = await self._in_batches(lambda uow: _refuse_messages(uow, below))
        jobs = await self._in_batches(lambda uow: _lose_jobs(uow, below))

        def unit(txn: Txn) -> Recovery:
            now = txn.recovery() or record
            ended = replace(now.counted(questions=questions, messages=messages, jobs=jobs), voided=True)
            txn.save_recovery(ended)
            return ended

        self.state.record = await self._store.write(unit)

    async def _in_batches(self, unit: Callable[[UnitOfWork], int]) -> int:
        total = 0
        while count := await self._units.write(unit):
            total += count
        return total


def _void_questions(uow: UnitOfWork, below: int) -> int:
    found = uow.txn.requests(states=(RequestState.ASKING,), before_number=below, limit=BATCH)
    for request in found:
        uow.apply_transition(request, requests_of_hub.voided(request, uow.now), HUB)
    return len(found)


def _refuse_messages(uow: UnitOfWork, below: int) -> int:
    """Messages that were accepted and not planned: they were planned since, in all likelihood."""
    found = uow.txn.requests(states=(RequestState.RECEIVED,), before_number=below, limit=BATCH)
    for request in found:
        sentence = Sentence("restored_message", {"number": request.number})
        move = requests_of_hub.refused(request, REASON, str(sentence), uow.now)
        uow.apply_transition(request, move, HUB, sentence.render(request.language))
    return len(found)


def _lose_jobs(uow: UnitOfWork, below: int) -> int:
    """Jobs that had not ended: what became of them is not known until their machine has reported."""
    found = uow.txn.jobs(states=(JobState.QUEUED, *JOB_DISPATCHED), below_number=below, limit=BATCH)
    for job in found:
        current = _leased(uow, job) if job.state is JobState.QUEUED else job
        uow.apply_job_event(current, jobs_of_hub.MarkUnknown(JOB_REASON), HUB)
    return len(found)


def _leased(uow: UnitOfWork, job: Job) -> Job:
    """A queued job as one that was handed out: it may have been, after the backup was made."""
    leased = replace(job, state=next_job_state(job.state, JobEvent.LEASE), leased_at=uow.now)
    uow.txn.save_job(job, leased)
    return leased


# ---- what only the machines know


def take_jobs(uow: UnitOfWork, agent: str, report: Report) -> None:
    """Rows for the jobs of a report that the store does not know: the hub whose store was lost had handed them out.
    Each is a request of its own, so that its result is taken and told, and nobody runs it again unawares.
    """
    missing = [job for job in report.open if is_ulid(job) and uow.txn.job(job) is None]
    deleted = uow.txn.jobs_gone(agent, missing)
    missing = [job for job in missing if job not in deleted][:MAX_TAKEN]
    for job in missing:
        request = uow.txn.add_request(_request_of(job, agent, uow.now))
        if request is not None:
            uow.txn.add_jobs([_job_of(job, agent, request, report.journal[:MAX_ID], uow.now)])
            uow.effects.changed |= {job, request.id}
            uow.audit("recovery.job", job, agent, {"stage": report.open[job], "number": request.number})
    uow.audit("recovery.machine", agent, agent, {"open": len(report.open), "taken": len(missing)})


def _request_of(job: str, agent: str, now: float) -> Request:
    return Request(
        id=str(ULID()),
        number=0,
        state=RequestState.WORKING,
        inlet=INLET,
        event_id=job,
        conversation="",
        chat_user="",
        person="",
        text=str(Sentence("restored_job", {"agent": agent})),
        language="en",
        reply_url="",
        received_at=now,
        planned_at=now,
    )


def _job_of(job: str, agent: str, request: Request, journal: str, now: float) -> Job:
    return Job(
        id=job,
        request_id=request.id,
        person="",
        agent=agent,
        state=JobState.LEASED,
        step=0,
        plan_hash="",
        not_after=now,
        queued_at=now,
        journal=journal,
        leased_at=now,
        number=request.number,
        inlet=INLET,
        source=INLET,
        time_limit=MAX_TIME_LIMIT,
    )
