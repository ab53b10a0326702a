"""The life of a job in the runner, from dispatch to evidence. Everything runs on the event loop, without awaits.

    dispatch -> verify -> journal (durable) -> accepted -> confirmed -> free slot -> start fence -> supervised -> result

An order that asks for it starts by the hub's word: one that came with it, for a stamp of this runner (`stamps`), or
one for its acceptance (`confirm`). So of two that hold copies of one state folder one at most starts a job, for the hub
gives its word to one; and a job without it was started nowhere, whatever became of the link and of this machine.

A job that was refused for a while (RETRY_CODES) has no marker, and is taken when the hub dispatches it once more; by a
replay of its order it waits for the hub's word again.

The start fence is in `_spawn_fenced`: the marker is created with O_EXCL, then the program is spawned. No other code
starts a job, and a job that has a marker never gets there again. Before the marker a job can be refused and provably
never ran; after it only evidence ends it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from agent import log
from agent.boot import since_boot
from agent.reserve import Reserve
from agent.runner.acceptance import check_acceptance, check_again
from agent.runner.confirmations import Confirmations
from agent.runner.evidence import AlreadyStarted, Evidence, Marker, write_marker
from agent.runner.jobs import TERMINAL_STATES, RunnerJob, RunnerJobState, clean_reason
from agent.runner.journal import Journal, Record
from agent.runner.limits import RunnerLimits
from agent.runner.local_policy import LocalPolicy
from agent.runner.look_aside import LooksAside
from agent.runner.markers import create_marker
from agent.runner.mounts import SlowMounts
from agent.runner.order_life import OrderLife, on_receipt
from agent.runner.orphans import Orphans
from agent.runner.output_pipeline import OutputPipeline
from agent.runner.preparation import PreparedStart, prepare_start
from agent.runner.process import JOB_VARIABLE, CannotEnter, Spawner
from agent.runner.programs import CannotRun
from agent.runner.refusals import (
    STOPPED,
    check_expiry,
    disk_refusal,
    may_run_from_memory,
    preparation_refusal,
    refuse_record,
    spawn_failure,
)
from agent.runner.reporter import Reporter
from agent.runner.short_jobs import ShortJobs
from agent.runner.spool import OutputWriter, Spool
from agent.runner.start_failure import explain_start_failure
from agent.runner.supervise import Supervisor
from agent.runner.verify import OrderRefusal, Trust, authenticate, peek_job_id
from agent.runner.waiting import ExpirySweep, WaitingJobs
from agent.runner.walk import SlowPlace
from common.crashpoints import crashpoint
from common.link.messages import Confirm, Dispatch, Ended, Refused, Report, Resync, Stamp, Unsure
from common.machine.end_notes import has_code, make_note
from common.plan import Order

_PERMANENT_REFUSALS: Final = frozenset({"not_mine", "epoch"})
"""Refusals that need no memory: our name does not change and the epoch does not fall."""


class JobManager:
    """All jobs that the hub has not told us to forget. `on_change` is called when there may be something to report."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: RunnerLimits,
        boot: str,
        local_policy: LocalPolicy,
        journal: Journal,
        evidence: Evidence,
        spool: Spool,
        reserve: Reserve,
        orphans: Orphans,
        spawner: Spawner,
        empty: int,
        on_change: Callable[[], None],
    ) -> None:
        self._limits = limits
        self._boot = boot
        self._local_policy = local_policy
        self._journal = journal
        self._evidence = evidence
        self._spool = spool
        self._reserve = reserve
        self._spawner = spawner
        self._empty = empty  # descriptor of the folder that jobs without one start in
        self._on_change = on_change
        self._waiting = WaitingJobs()
        self._reported: frozenset[str] = frozenset()
        self._sweep = ExpirySweep(loop, self._waiting, self._refuse)
        self._slow_mounts = SlowMounts()
        self._looks = LooksAside(loop, limits.look_timeout)
        self._accepting = True
        self._paused = False  # nothing is started: another program is about to take over (`job_table`)
        self._confirmations = Confirmations()
        self.jobs: dict[str, RunnerJob] = {}
        self.reporter = Reporter(spool, limits)
        self._short = ShortJobs(loop, self._enqueue)
        self.supervisor = Supervisor(loop, limits, self._enqueue, self._on_end, orphans, reserve)

    @property
    def busy(self) -> bool:
        """Whether any job runs or waits, or a journal write is pending."""
        return bool(self.supervisor.runs or self._waiting or self._looks or self._journal.pending_count)

    @property
    def overloaded(self) -> bool:
        """Whether so many journal writes are pending that the socket should not be read."""
        return self._journal.pending_count >= self._limits.max_pending_writes

    # ---- messages of the hub

    def dispatch(self, message: Dispatch) -> None:
        """A signed order; it may come more than once and is then answered from memory."""
        trust = self._local_policy.trust()
        if isinstance(trust, OrderRefusal):
            self._reject_unauthentic(peek_job_id(message.order), trust)
            return
        order = authenticate(message, trust)
        if isinstance(order, OrderRefusal):
            self._reject_unauthentic(peek_job_id(message.order), order)
            return
        memory = self._journal.state
        known = self.jobs.get(order.job)
        if known is not None and known.may_come_again and order.confirm:
            log.info("order.once_more", job=known.id, refused=known.code)
            self.reporter.discard(known)
            self._accept_order(order, message, trust, known)
        elif known is not None:
            log.info("order.again", job=known.id, state=known.state)
            self.reporter.resend(known)
            self._on_change()
        elif order.job in memory.tombstones:
            log.warning("order.forgotten", job=order.job)
            reason = "this machine had the job before and was told to forget it; it is not run again"
            self.reporter.enqueue_notice(Unsure(order.job, reason))
            self._on_change()
        elif len(self.jobs) >= self._limits.max_open or len(memory.tombstones) >= self._limits.max_remembered:
            self._enqueue_refusal(order.job, OrderRefusal("busy", "this machine remembers as many jobs as it may"))
        else:
            self._accept_order(order, message, trust, None)

    def confirm(self, message: Confirm) -> None:
        """The hub knows that this machine has accepted the job. It may come more than once."""
        job = self.jobs.get(message.job)
        if job is None or job.confirmed:
            return
        if self._confirmations.take(job, message, self._local_policy.trust(), self._journal.lineage):
            self._waiting.confirm(job)
            self._start_next()

    def cancel(self, job_id: str, kill: bool) -> None:
        """Stops a running job, or keeps a waiting one from starting; an ended job stays as it is."""
        job = self.jobs.get(job_id)
        if job is None or job.state in TERMINAL_STATES:
            log.info("cancel.nothing", job=job_id)
        elif job.state is RunnerJobState.WRITING:
            job.cancel_requested = True
        elif job.state is RunnerJobState.ACCEPTED:
            self._refuse(job, OrderRefusal("cancelled", "cancelled before it started"))
        else:
            self.supervisor.stop(job_id, "cancelled", kill=kill)
            self._short.release(job)

    def credit(self, job_id: str, seq: int) -> None:
        if (job := self.jobs.get(job_id)) is not None:
            job.cursor.credit(seq)
            self._enqueue(job)

    def forget(self, job_id: str) -> None:
        """The hub has committed the end: deletes the job's files once its tombstone is on our disk."""
        job = self.jobs.get(job_id)
        if job is None or job.state not in TERMINAL_STATES:
            log.info("forget.nothing", job=job_id)
            return
        crashpoint("forget.before_tombstone")
        del self.jobs[job_id]
        self.reporter.discard(job)
        self._append(("forget", job_id, job.not_after), done=partial(self._on_forget_written, job_id))

    def resync(self, message: Resync) -> None:
        """The hub's answer to our report: from which output chunk on it wants each job; everything after is sent
        again.
        """
        forgotten = self._confirmations.hub_now() - self._limits.tombstone_ttl
        for job in self.reporter.resync(list(self.jobs.values()), message.jobs, self._reported):
            if job.state in TERMINAL_STATES and job.not_after < forgotten:
                self.forget(job.id)
        for job_id in message.cancel:
            self.cancel(job_id, kill=False)
        for job_id in message.forget:
            self.forget(job_id)
        self._on_change()

    # ---- attach, restart, shutdown

    def after_flush(self, then: Callable[[], None]) -> None:
        """Calls `then` once every pending journal write has succeeded or failed."""
        self._append(done=lambda _: then())

    def stamp(self) -> Stamp:
        return self._confirmations.stamps.tell(since_boot(), taking_orders=self._accepting)

    def report(self) -> Report:
        self._confirmations.stamps.end_all()
        self.reporter.reset()
        self._reported = frozenset(self.jobs)
        return Report(self._journal.state.id, self._boot, {job.id: job.reported_state for job in self.jobs.values()})

    def adopt(self, job: RunnerJob) -> None:
        """Takes over a job that `recover` found after a restart."""
        self.jobs[job.id] = job

    def stop(self) -> None:
        """Takes no more orders and refuses those that wait; what runs may end by itself."""
        self._accepting = False
        for job in self._waiting:
            self._refuse(job, STOPPED)

    def kill_all(self) -> None:
        for job_id in list(self.supervisor.runs):
            self.supervisor.stop(job_id, "cancelled", kill=True, reason="the runner was stopped")

    def close(self) -> None:
        self.supervisor.close()
        self._short.close()
        self._looks.close()
        self._slow_mounts.close()
        self._sweep.close()

    # ---- from order to result

    def _check_order(self, order: Order, trust: Trust, life: OrderLife) -> OrderRefusal | None:
        if not self._accepting:
            return OrderRefusal("stopping", "the runner of this machine is being stopped")
        load = len(self._waiting) + len(self._looks) + len(self.supervisor.runs) + self._journal.pending_count
        return check_acceptance(
            order,
            trust,
            journal=self._journal.state,
            policy=self._local_policy,
            limits=self._limits,
            slow_mounts=self._slow_mounts,
            load=load,
            now=life.hub_now(since_boot()),
        )

    def _accept_order(self, order: Order, message: Dispatch, trust: Trust, before: RunnerJob | None) -> None:
        life = on_receipt(order, time.time(), since_boot())
        refusal = self._check_order(order, trust, life)
        if refusal is not None and refusal.code in _PERMANENT_REFUSALS:
            log.info("job.refused", job=order.job, code=refusal.code, reason=refusal.reason)
            self._enqueue_refusal(order.job, refusal)
            return
        terms = (order.job, order.plan_hash, order.not_after)
        job = RunnerJob(*terms, RunnerJobState.WRITING, order, life, confirmed=not order.confirm)
        job.came_again = job.on_disk = before is not None  # it was refused for a while
        job.refused_boot = 0.0 if before is None else before.refused_boot
        job.confirmed |= self._confirmations.take_ahead(job, message, trust, self._journal.lineage)
        self.jobs[job.id] = job
        epoch: tuple[Record, ...] = (("epoch", order.epoch),) if order.epoch > self._journal.state.epoch else ()
        if refusal is not None:
            self._refuse(job, refusal, *epoch)
            return
        accept = ("accept", job.id, job.plan_hash, job.not_after, self._boot)
        self._append(*epoch, accept, done=partial(self._on_accept_written, job))

    def _on_accept_written(self, job: RunnerJob, error: OSError | None) -> None:
        if error is not None:
            log.error("journal.failed", job=job.id, error=error)
            if job.on_disk or not may_run_from_memory(job):
                self._set_refused(job, disk_refusal("the journal of this machine cannot be written", error))
                return
            self._run_from_memory(job)
        else:
            job.on_disk = True
        crashpoint("accept.durable")
        job.state = RunnerJobState.ACCEPTED
        log.info("job.accepted", job=job.id)
        if job.cancel_requested:
            self._refuse(job, OrderRefusal("cancelled", "cancelled before it started"))
            return
        if not self._accepting:
            self._refuse(job, STOPPED)
            return
        self._wait_for_turn(job)
        self._start_next()
        if job.state is RunnerJobState.ACCEPTED:
            self._enqueue(job)

    def _wait_for_turn(self, job: RunnerJob) -> None:
        self._waiting.add(job)
        self._sweep.schedule()

    def _start_next(self) -> None:
        most = self._limits.max_running if self._accepting and not self._paused else 0
        while self._waiting.has_ready and len(self.supervisor.runs) + len(self._looks) < most:
            self._start(self._waiting.pop_ready())

    def _start(self, job: RunnerJob) -> None:
        """Checks once more what may have changed while the job waited, then starts it behind the fence."""
        order = job.order
        if order is None or job.state is not RunnerJobState.ACCEPTED:
            raise RuntimeError(f"job {job.id} is {job.state}, not accepted")
        checks = check_expiry(job) or check_again(order, self._local_policy, job.life.hub_now(since_boot()))
        if isinstance(checks, OrderRefusal):
            self._refuse(job, checks)
            return
        found: PreparedStart | Exception
        try:
            found = prepare_start(order, checks, self._empty, self._slow_mounts)
        except SlowPlace:
            self._looks.look(partial(prepare_start, order, checks, self._empty), partial(self._on_looked, job, order))
            return
        except (CannotRun, CannotEnter, OSError) as error:
            found = error
        self._on_prepared(job, order, found)

    def _on_looked(self, job: RunnerJob, order: Order, found: PreparedStart | Exception) -> None:
        """What was looked at aside; the job may have been cancelled meanwhile, or the runner been told to stop."""
        if job.state is not RunnerJobState.ACCEPTED or not self._accepting:
            if isinstance(found, PreparedStart):
                found.close()
            if job.state is RunnerJobState.ACCEPTED:
                self._refuse(job, STOPPED)
        else:
            self._on_prepared(job, order, found)
        self._start_next()

    def _on_prepared(self, job: RunnerJob, order: Order, found: PreparedStart | Exception) -> None:
        if isinstance(found, PreparedStart):
            try:
                self._spawn_fenced(job, order, found)
            finally:
                found.close()
        else:
            self._refuse(job, preparation_refusal(found, self._limits.look_timeout))

    def _spawn_fenced(self, job: RunnerJob, order: Order, prepared: PreparedStart) -> None:
        """The start fence, and the one place where a program is started."""
        if (refusal := check_expiry(job)) is not None:
            self._refuse(job, refusal)
            return
        crashpoint("start.before_marker")
        try:
            marker = create_marker(job, self._evidence, self._reserve)
        except AlreadyStarted:
            log.error("job.marker_exists", job=job.id)
            self._set_unsure(job, "a start marker was here already: the job may have run before this journal was begun")
            return
        except OSError as error:
            if may_run_from_memory(job) and not job.from_memory:
                self._start_without_marker(job, error)
            else:
                self._refuse(job, disk_refusal("the start marker cannot be made", error))
            return
        crashpoint("start.after_marker")
        try:
            job.started_at = time.time()
            spawned_at = since_boot()
            try:
                child = prepared.spawn(self._spawner, (*order.env, (JOB_VARIABLE, job.id)))
            except OSError as error:
                reason = explain_start_failure(prepared.program.real, order.argv[0], error)
                self._record_end(job, spawn_failure(job, reason, since_boot() - spawned_at))
                return
            job.pid, job.started_boot = child.pid, spawned_at
            if marker is not None:
                write_marker(marker, Marker(self._boot, child.pid, job.started_at, spawned_at))
        finally:
            if marker is not None:
                os.close(marker)
        crashpoint("start.after_spawn")
        job.state = RunnerJobState.STARTED
        job.output = OutputWriter(self._spool, job.id, order.output_cap)
        log.info("job.started", job=job.id, pid=child.pid, program=prepared.program.real)
        filters = OutputPipeline(order.filters) if order.filters else None
        self.supervisor.watch(job, child, job.output, order.time_limit, filters)
        self._short.hold(job)

    def _start_without_marker(self, job: RunnerJob, error: OSError) -> None:
        """A job that only reads, and no disk takes its marker. That it was accepted is on disk: without a marker the
        next runner would say that it never started, and it would be handed out again. So first the journal says that
        this is not known; where not even that can be written, it is not started.
        """
        log.error("job.no_marker", job=job.id, error=error)

        def on_written(failure: OSError | None) -> None:
            job.state = RunnerJobState.ACCEPTED
            if job.cancel_requested:
                self._refuse(job, OrderRefusal("cancelled", "cancelled before it started"))
            elif failure is not None and job.on_disk:
                self._refuse(job, disk_refusal("the start marker cannot be made", error))
            else:
                self._start(job)
                self._start_next()

        job.state = RunnerJobState.WRITING
        self._run_from_memory(job, on_written)

    def _run_from_memory(self, job: RunnerJob, then: Callable[[OSError | None], None] = lambda _: None) -> None:
        """Goes on without a durable record. Should the journal be written again while the job runs, and the runner die
        then, what it finds is that it does not know, never that the job was not started.
        """
        job.from_memory = True
        log.warning("job.from_memory", job=job.id)
        self._append(("unsure", job.id, "it ran from memory, since no disk took a record of it"), done=then)

    def _on_end(self, job: RunnerJob, ended: Ended) -> None:
        self._record_end(job, ended)
        self._start_next()

    def _record_end(self, job: RunnerJob, ended: Ended) -> None:
        crashpoint("end.before_result")
        saved = self._spool.save_result(ended)
        if not saved and not has_code(ended.notes, {"memory"}):
            ended = replace(ended, notes=(*ended.notes, make_note("memory")))
        crashpoint("end.after_result")
        job.ended, job.state = ended, RunnerJobState.ENDED
        job.order = job.output = None
        self._spool.mark_ended(job.id)
        log.info("job.ended", job=job.id, outcome=ended.outcome, exit=ended.exit_code, signal=ended.signal, saved=saved)
        self._short.release(job)
        self._enqueue(job)

    # ---- refusals

    def _reject_unauthentic(self, job_id: str, refusal: OrderRefusal) -> None:
        """Reports a refusal without remembering it, since nothing in such an order is proven. Of a job that we have, or
        had, nothing is reported: "refused" would claim that it never ran.
        """
        log.warning("order.unauthentic", job=job_id, reason=refusal.reason)
        if job_id and job_id not in self.jobs and job_id not in self._journal.state.tombstones:
            self._enqueue_refusal(job_id, refusal)

    def _refuse(self, job: RunnerJob, refusal: OrderRefusal, *records: Record) -> None:
        """Refuses a job that never ran; reported once the refusal is on disk."""
        self._waiting.remove(job)
        job.state = RunnerJobState.WRITING
        self._append(*records, refuse_record(job, refusal, self._boot), done=lambda _: self._set_refused(job, refusal))

    def _set_refused(self, job: RunnerJob, refusal: OrderRefusal) -> None:
        job.state, job.order, job.code = RunnerJobState.REFUSED, None, refusal.code
        job.refused_boot = since_boot()
        job.reason = clean_reason(refusal.reason)
        # Also where it could not be written: the next rewrite of the journal holds it.
        self._journal.state.apply(refuse_record(job, refusal, self._boot))
        log.info("job.refused", job=job.id, code=job.code, reason=job.reason)
        self._enqueue(job)

    def _set_unsure(self, job: RunnerJob, reason: str) -> None:
        job.order = None

        def done(_: OSError | None) -> None:
            job.state, job.reason = RunnerJobState.UNSURE, reason
            self._enqueue(job)

        job.state = RunnerJobState.WRITING
        self._append(("unsure", job.id, reason), done=done)

    def _enqueue_refusal(self, job_id: str, refusal: OrderRefusal) -> None:
        self._confirmations.stamps.end_all()  # it is not remembered: by no word from before may it start later
        self.reporter.enqueue_notice(Refused(job_id, refusal.code, clean_reason(refusal.reason)))
        self._on_change()

    def _on_forget_written(self, job_id: str, error: OSError | None) -> None:
        if error is not None:
            log.error("journal.failed", job=job_id, error=error)
            self._spool.free_memory(job_id)
            return  # without the tombstone the files are all that keeps it from starting again
        crashpoint("forget.after_tombstone")
        self._spool.remove(job_id)
        self._evidence.remove(job_id)
        if self._reserve.is_used():
            self._reserve.restore()

    def _append(self, *records: Record, done: Callable[[OSError | None], None]) -> None:
        def then(error: OSError | None) -> None:
            done(error)
            self._on_change()

        self._journal.append(*records, on_done=then, now=self._confirmations.hub_now())

    def _enqueue(self, job: RunnerJob) -> None:
        if not self._short.is_held(job):
            self.reporter.enqueue(job)
            self._on_change()
