"""What the runner does with an order, from journal to evidence. All of it runs on the event loop, between two waits.

    dispatch -> guard -> journal (durable) -> accepted -> free place -> start fence -> supervised -> result -> ended

The start fence is in `_cross`: the marker is created exclusively, then the program is spawned. No other code starts
anything, and a job that has a marker never comes there again. Before the marker a job can be refused and provably
never ran; after it only evidence ends it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from agent import log
from agent.runner.crashpoints import crashpoint
from agent.runner.evidence import AlreadyStarted, Evidence, Marker, fill
from agent.runner.guard import Refusal, Trust, authenticate, job_of, judge
from agent.runner.jobs import OVER, Job, State, tidy
from agent.runner.journal import Journal, Record
from agent.runner.limits import Limits
from agent.runner.process import CannotEnter, CannotRun, Spawner, find_program, open_folder, since_boot
from agent.runner.rules import Rules
from agent.runner.spool import NOTHING, Output, Spool
from agent.runner.supervise import Supervisor
from agent.runner.telling import Teller
from common.messages import Dispatch, Ended, Refused, Report, Resync, Unsure
from common.plan import Order

_FOR_GOOD: Final = frozenset({"not_mine", "epoch"})
"""Refusals that need no memory: our name does not change and the epoch does not fall."""
_SWEEP: Final = 1.0  # seconds between looks at waiting jobs whose time may be over


class Work:
    """Every job not forgotten yet, and the way of each. `changed` is called when there may be something to tell."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        boot: str,
        rules: Rules,
        journal: Journal,
        evidence: Evidence,
        spool: Spool,
        spawner: Spawner,
        empty: int,
        changed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._boot = boot
        self._rules = rules
        self._journal = journal
        self._evidence = evidence
        self._spool = spool
        self._spawner = spawner
        self._empty = empty  # descriptor of the folder that jobs without one start in
        self._changed = changed
        self._waiting: dict[str, Job] = {}
        self._reported: frozenset[str] = frozenset()
        self._sweeper: asyncio.TimerHandle | None = None
        self._accepting = True
        self.jobs: dict[str, Job] = {}
        self.teller = Teller(evidence, limits)
        self.supervisor = Supervisor(loop, limits, self._news, self._ended)

    @property
    def busy(self) -> bool:
        """Whether anything runs, waits or is on its way to the disk."""
        return bool(self.supervisor.runs or self._waiting or self._journal.waiting)

    @property
    def choked(self) -> bool:
        """Whether the disk lags so far behind that nothing more should be taken in."""
        return self._journal.waiting >= self._limits.max_pending_writes

    # ---- what the hub says

    def dispatch(self, message: Dispatch) -> None:
        """A signed order, perhaps not for the first time."""
        trust = self._rules.trust()
        if isinstance(trust, Refusal):
            self._turn_away(job_of(message.order), trust)
            return
        order = authenticate(message, trust)
        if isinstance(order, Refusal):
            self._turn_away(job_of(message.order), order)
            return
        memory = self._journal.memory
        if (known := self.jobs.get(order.job)) is not None:
            log.info("order.again", job=known.id, state=known.state)
            self.teller.again(known)
            self._changed()
        elif order.job in memory.tombstones:
            log.warning("order.forgotten", job=order.job)
            reason = "this machine had the job before and was told to forget it; it is not run again"
            self.teller.notice(Unsure(order.job, reason))
            self._changed()
        elif len(self.jobs) >= self._limits.max_open or len(memory.tombstones) >= self._limits.max_remembered:
            self._notice_refusal(order.job, Refusal("busy", "this machine remembers as many jobs as it may"))
        else:
            self._take(order, self._objection(order, trust))

    def cancel(self, job_id: str, kill: bool) -> None:
        """Stops a job, or sees to it that it never starts; what is over stays as it is."""
        job = self.jobs.get(job_id)
        if job is None or job.state in OVER:
            log.info("cancel.nothing", job=job_id)
        elif job.state is State.WRITING:
            job.cancel_asked = True
        elif job.state is State.ACCEPTED:
            self._refuse(job, Refusal("cancelled", "cancelled before it started"))
        else:
            self.supervisor.stop(job_id, "cancelled", kill=kill)

    def credit(self, job_id: str, seq: int) -> None:
        if (job := self.jobs.get(job_id)) is not None:
            job.tale.credit(seq)
            self._news(job)

    def forget(self, job_id: str) -> None:
        """The hub has the end on its disk: the files go, once the tombstone is on ours."""
        job = self.jobs.get(job_id)
        if job is None or job.state not in OVER:
            log.info("forget.nothing", job=job_id)
            return
        crashpoint("forget.before_tombstone")
        del self.jobs[job_id]
        self.teller.forget(job)
        self._append(("forget", job_id, job.not_after), done=partial(self._bury, job_id))

    def resync(self, message: Resync) -> None:
        """What the hub knows of our report; everything is told again from where it says."""
        self.teller.listening = True
        for job in list(self.jobs.values()):
            if job.id in message.jobs:
                self.teller.begin(job, message.jobs[job.id])
            elif job.id in self._reported:
                self.teller.mute(job)
                if job.state in OVER and job.not_after + self._limits.tombstone < time.time():
                    self.forget(job.id)
            else:  # came after the report
                self.teller.begin(job, 1)
        for job_id in message.cancel:
            self.cancel(job_id, kill=False)
        for job_id in message.forget:
            self.forget(job_id)
        self._changed()

    # ---- what the uplink's coming and going asks for

    def settled(self, then: Callable[[], None]) -> None:
        """Calls `then` once all that is on its way to the journal has arrived, or failed to."""
        self._append(done=lambda _: then())

    def report(self) -> Report:
        self.teller.reset()
        self._reported = frozenset(self.jobs)
        return Report(self._journal.memory.id, self._boot, {job.id: job.word for job in self.jobs.values()})

    def adopt(self, job: Job) -> None:
        """A job of an earlier life, as `recover` found it."""
        self.jobs[job.id] = job

    def stop(self) -> None:
        """Takes no more orders and starts none of those that wait; what runs may end by itself."""
        self._accepting = False
        for job in list(self._waiting.values()):
            self._refuse(job, Refusal("stopping", "not started: the runner was stopped before its turn"))

    def kill_all(self) -> None:
        for job_id in list(self.supervisor.runs):
            self.supervisor.stop(job_id, "cancelled", kill=True, reason="the runner was stopped")

    def close(self) -> None:
        self.supervisor.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    # ---- the way of an order

    def _objection(self, order: Order, trust: Trust) -> Refusal | None:
        memory, now = self._journal.memory, time.time()
        if not self._accepting:
            return Refusal("stopping", "the runner of this machine is being stopped")
        refusal = judge(
            order, trust, epoch=memory.epoch, fence=memory.fence, now=now, max_ahead=self._limits.max_ahead
        ) or self._rules.objection(order)
        if refusal is not None:
            return refusal
        try:
            find_program(order.argv[0], os.geteuid())
        except CannotRun as error:
            return Refusal("program", str(error))
        if len(self._waiting) + len(self.supervisor.runs) + self._journal.waiting >= self._limits.max_accepted:
            return Refusal("busy", f"this machine has {self._limits.max_accepted} jobs already")
        return None

    def _take(self, order: Order, refusal: Refusal | None) -> None:
        if refusal is not None and refusal.code in _FOR_GOOD:
            log.info("job.refused", job=order.job, code=refusal.code, reason=refusal.reason)
            self._notice_refusal(order.job, refusal)
            return
        ahead = order.not_after - time.time()
        job = Job(order.job, order.plan_hash, order.not_after, State.WRITING, order, since_boot() + ahead)
        self.jobs[job.id] = job
        epoch: tuple[Record, ...] = ()
        if order.epoch > self._journal.memory.epoch:
            epoch = (("epoch", order.epoch),)
        if refusal is not None:
            self._refuse(job, refusal, *epoch)
            return
        accept = ("accept", job.id, job.plan_hash, job.not_after, self._boot)
        self._append(*epoch, accept, done=partial(self._journalled, job))

    def _journalled(self, job: Job, error: OSError | None) -> None:
        if error is not None:
            reason = f"the journal of this machine cannot be written: {error.strerror}"
            log.error("journal.failed", job=job.id, error=error)
            self._set_refused(job, Refusal("disk", reason))
            return
        crashpoint("accept.durable")
        job.state = State.ACCEPTED
        log.info("job.accepted", job=job.id)
        if job.cancel_asked:
            self._refuse(job, Refusal("cancelled", "cancelled before it started"))
            return
        if not self._accepting:
            self._refuse(job, Refusal("stopping", "not started: the runner was stopped before its turn"))
            return
        self._waiting[job.id] = job
        self._news(job)
        self._start_next()
        if self._waiting and self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def _start_next(self) -> None:
        while self._waiting and len(self.supervisor.runs) < self._limits.max_running and self._accepting:
            self._start(self._waiting.pop(next(iter(self._waiting))))

    def _sweep(self) -> None:
        self._sweeper = None
        for job in list(self._waiting.values()):
            if (refusal := _late(job)) is not None:
                self._refuse(job, refusal)
        if self._waiting:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def _start(self, job: Job) -> None:
        """Last questions, then across the fence."""
        order = job.order
        if order is None or job.state is not State.ACCEPTED:
            raise RuntimeError(f"job {job.id} is {job.state}, not accepted")
        if (refusal := self._rules.objection(order)) is not None:  # it may have waited long, and the rules changed
            self._refuse(job, refusal)
            return
        try:
            program = find_program(order.argv[0], os.geteuid())
            folder = open_folder(order.cwd) if order.cwd else os.dup(self._empty)
        except (CannotRun, CannotEnter) as error:
            self._refuse(job, Refusal("program", str(error)))
            return
        except OSError as error:  # no descriptor left
            self._refuse(job, Refusal("busy", f"this machine is short of something: {error.strerror}"))
            return
        try:
            self._cross(job, order, program, folder)
        finally:
            os.close(folder)

    def _cross(self, job: Job, order: Order, program: str, folder: int) -> None:
        """The start fence, and the one place where a program is started."""
        if (refusal := _late(job)) is not None:
            self._refuse(job, refusal)
            return
        crashpoint("start.before_marker")
        try:
            marker = self._evidence.mark(job.id)
        except AlreadyStarted:
            log.error("job.marker_exists", job=job.id)
            self._set_unsure(job, "a start marker was here already: the job may have run before this journal was begun")
            return
        except OSError as error:
            self._refuse(job, Refusal("disk", f"the start marker cannot be made: {error.strerror}"))
            return
        crashpoint("start.after_marker")
        try:
            job.started_at = time.time()
            born = since_boot()
            try:
                child = self._spawner.spawn(program, order.argv, order.env, folder)
            except OSError as error:
                self._record(job, _not_spawned(job, f"{order.argv[0]} could not be started: {error.strerror}"))
                return
            job.pid = child.pid
            fill(marker, Marker(self._boot, child.pid, job.started_at, born))
        finally:
            os.close(marker)
        crashpoint("start.after_spawn")
        job.state = State.STARTED
        job.output = Output(self._spool, job.id, order.output_cap)
        log.info("job.started", job=job.id, pid=child.pid, program=program)
        self.supervisor.begin(job, child, job.output, order.time_limit)
        self._news(job)

    def _ended(self, job: Job, ended: Ended) -> None:
        self._record(job, ended)
        self._start_next()

    def _record(self, job: Job, ended: Ended) -> None:
        crashpoint("end.before_result")
        saved = self._save(ended)
        crashpoint("end.after_result")
        job.ended, job.state = ended, State.ENDED
        job.order = job.output = None
        self._spool.ended(job.id)
        log.info("job.ended", job=job.id, outcome=ended.outcome, exit=ended.exit_code, signal=ended.signal, saved=saved)
        self._news(job)

    def _save(self, ended: Ended) -> bool:
        """On a full disk old output makes room for a result; where that is not enough it is told from memory."""
        while True:
            try:
                self._evidence.save_result(ended)
            except OSError as error:
                if self._spool.drop_oldest():
                    continue
                log.error("job.result_unsaved", job=ended.job, error=error)
                return False
            return True

    # ---- refusals

    def _turn_away(self, job_id: str, refusal: Refusal) -> None:
        """Nothing in such an order can be believed or is remembered; of a job we have, "refused" would be a lie."""
        log.warning("order.unauthentic", job=job_id, reason=refusal.reason)
        if job_id and job_id not in self.jobs and job_id not in self._journal.memory.tombstones:
            self._notice_refusal(job_id, refusal)

    def _refuse(self, job: Job, refusal: Refusal, *records: Record) -> None:
        """Never ran and never will: said once that is on disk."""
        self._waiting.pop(job.id, None)
        job.state = State.WRITING
        refuse = ("refuse", job.id, job.plan_hash, job.not_after, self._boot, refusal.code, tidy(refusal.reason))
        self._append(*records, refuse, done=lambda _: self._set_refused(job, refusal))

    def _set_refused(self, job: Job, refusal: Refusal) -> None:
        job.state, job.order, job.code, job.reason = State.REFUSED, None, refusal.code, tidy(refusal.reason)
        refuse = ("refuse", job.id, job.plan_hash, job.not_after, self._boot, job.code, job.reason)
        self._journal.memory.apply(refuse)  # also where it could not be written: the next whole file will hold it
        log.info("job.refused", job=job.id, code=job.code, reason=job.reason)
        self._news(job)

    def _set_unsure(self, job: Job, reason: str) -> None:
        job.order = None

        def done(_: OSError | None) -> None:
            job.state, job.reason = State.UNSURE, reason
            self._news(job)

        job.state = State.WRITING
        self._append(("unsure", job.id, reason), done=done)

    def _notice_refusal(self, job_id: str, refusal: Refusal) -> None:
        self.teller.notice(Refused(job_id, refusal.code, tidy(refusal.reason)))
        self._changed()

    def _bury(self, job_id: str, error: OSError | None) -> None:
        if error is not None:
            log.error("journal.failed", job=job_id, error=error)
            return  # without the tombstone the files are all that keeps it from starting again
        crashpoint("forget.after_tombstone")
        self._spool.forget(job_id)
        self._evidence.remove(job_id)

    # ---- small change

    def _append(self, *records: Record, done: Callable[[OSError | None], None]) -> None:
        def then(error: OSError | None) -> None:
            done(error)
            self._changed()

        self._journal.append(*records, done=then, now=time.time())

    def _news(self, job: Job) -> None:
        self.teller.news(job)
        self._changed()


def _late(job: Job) -> Refusal | None:
    """By whichever clock says so first: the wall clock may have been turned back since the order came."""
    over = max(time.time() - job.not_after, since_boot() - job.not_after_boot)
    return Refusal("expired", f"its time ended {over:.1f} s before its turn to start") if over > 0 else None


def _not_spawned(job: Job, reason: str) -> Ended:
    """The end of a job whose program never came to life: the marker exists, so this, not a refusal, is what is said."""
    at = job.started_at
    return Ended(job.id, "failed", None, None, tidy(reason), 0, 0, NOTHING, False, at, time.time(), 0.0, 0.0, 0)
