"""Supervises running programs: reads their output, enforces time limits and cancels, reports how they ended.

All deadlines are fields of the run: time limit, grace, the wait for a pipe that another process holds open, the flush
of small output. One timer is set for the earliest. Exits arrive by pidfd; the leader is reaped only after the rest of
its group has been killed. How long a job took is measured on CLOCK_BOOTTIME and added to its start: the wall clock may
be set while it runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from agent import log
from agent.boot import since_boot
from agent.reserve import Reserve
from agent.runner.hand_over import HandedRun
from agent.runner.jobs import RunnerJob, clean_reason
from agent.runner.limits import RunnerLimits
from agent.runner.orphans import Orphans, describe_leftovers
from agent.runner.out_of_memory import OutOfMemory
from agent.runner.output_pipeline import OutputPipeline
from agent.runner.process import ChildProcess, ExitStatus, has_exited, reap, signal_group
from agent.runner.spool import OutputWriter
from common.link.messages import Ended
from common.machine.end_notes import make_note

_READ_SIZE: Final = 65_536
_MAX_PIPE_SIZE: Final = 1024 * 1024  # what a pipe can hold at most, so what may be left in it after the end
_STDOUT: Final = 1


@dataclass(slots=True, eq=False)
class Run:
    """One program, from its start to the end of its output. Times are of the event loop's clock."""

    job: RunnerJob
    child: ChildProcess
    output: OutputWriter
    pipes: dict[int, int]  # descriptor -> stream
    filters: OutputPipeline | None  # of standard output
    limit_at: float
    kill_at: float = inf
    drain_at: float = inf
    flush_at: float = inf
    cause: str = ""  # timed_out | cancelled: why we stopped it; "" where it ended by itself
    reasons: list[str] = field(default_factory=list)
    unrecorded: bool = False  # a process that it left keeps the output open
    exit: ExitStatus | None = None


class Supervisor:
    """The running programs. `on_output` is called when a job has new chunks, `on_end` when it has ended."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: RunnerLimits,
        on_output: Callable[[RunnerJob], None],
        on_end: Callable[[RunnerJob, Ended], None],
        orphans: Orphans | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._on_output = on_output
        self._on_end = on_end
        self.orphans = orphans if orphans is not None else Orphans(watching=False)
        self._reserve = reserve
        self._out_of_memory = OutOfMemory()
        self._timer: asyncio.TimerHandle | None = None
        self.spared: set[int] = set()  # children of this process that are no job's, and that their starter reaps
        self.runs: dict[str, Run] = {}

    def watch(
        self,
        job: RunnerJob,
        child: ChildProcess,
        output: OutputWriter,
        time_limit: float,
        filters: OutputPipeline | None = None,
    ) -> None:
        """Starts supervising a program that has just been started; `time_limit` in seconds from now."""
        limit_at = self._loop.time() + time_limit
        run = Run(job, child, output, {child.out: _STDOUT, child.err: 2}, filters, limit_at)
        self.runs[job.id] = run
        for pipe in run.pipes:
            self._loop.add_reader(pipe, self._read, run, pipe)
        self._loop.add_reader(child.pidfd, self._on_exit, run)
        self._schedule(limit_at)

    def hand_over(self) -> list[HandedRun]:
        """The running programs for the process that takes over, with all that was read of their output on disk. They
        are supervised here until that has happened.
        """
        ahead = since_boot() - self._loop.time()
        found = []
        for run in self.runs.values():
            run.output.flush(time.time(), self._loop.time())
            run.flush_at = inf
            found.append(
                HandedRun(
                    job=run.job.id,
                    pid=run.child.pid,
                    pipes=dict(run.pipes),
                    limit_at=run.limit_at + ahead,
                    kill_at=run.kill_at + ahead,
                    drain_at=run.drain_at + ahead,
                    cause=run.cause,
                    reasons=tuple(run.reasons),
                    exit=run.exit,
                    output=run.output.state(),
                    filters=None if run.filters is None else run.filters.state(),
                )
            )
        return found

    def resume(self, job: RunnerJob, handed: HandedRun, output: OutputWriter, filters: OutputPipeline | None) -> None:
        """Supervises a program of the process that this one took over from: it is a child of ours still. Raises OSError
        where it is not.
        """
        pidfd = -1
        if handed.exit is None:
            os.waitid(os.P_PID, handed.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises where it is no child
            pidfd = os.pidfd_open(handed.pid)
        behind = self._loop.time() - since_boot()
        child = ChildProcess(handed.pid, pidfd, -1, -1)
        run = Run(
            job,
            child,
            output,
            dict(handed.pipes),
            filters,
            handed.limit_at + behind,
            handed.kill_at + behind,
            handed.drain_at + behind,
            cause=handed.cause,
            reasons=list(handed.reasons),
            exit=handed.exit,
        )
        self.runs[job.id] = run
        for pipe in run.pipes:
            self._loop.add_reader(pipe, self._read, run, pipe)
        if handed.exit is None:
            self._loop.add_reader(pidfd, self._on_exit, run)
        self._schedule(min(run.limit_at, run.kill_at, run.drain_at))

    def stop(self, job_id: str, cause: str, *, kill: bool = False, reason: str = "") -> None:
        """Sends SIGTERM to the group, and SIGKILL after the grace (or at once with `kill`). Does nothing where the
        program has already ended: its own end counts.
        """
        run = self.runs.get(job_id)
        if run is None or run.exit is not None or has_exited(run.child):
            return
        if not run.cause:
            run.cause = cause
            if reason:
                run.reasons.append(reason)
        if kill:
            run.kill_at = inf
            signal_group(run.child, signal.SIGKILL)
        elif run.kill_at == inf:
            signal_group(run.child, signal.SIGTERM)
            run.kill_at = self._loop.time() + self._limits.kill_grace
            self._schedule(run.kill_at)

    def close(self) -> None:
        """Closes all descriptors; the programs run on, unsupervised."""
        if self._timer is not None:
            self._timer.cancel()
        for run in self.runs.values():
            for pipe in list(run.pipes):
                self._close_pipe(run, pipe)
            if run.exit is None:
                self._loop.remove_reader(run.child.pidfd)
                os.close(run.child.pidfd)
            run.output.close()
        self.runs.clear()
        self.orphans.reap(self.spared)

    def reap_orphans(self) -> None:
        """Collects what ended and is no program of ours: for SIGCHLD, and after each program's end."""
        self.orphans.reap(self._running_pids())

    def _running_pids(self) -> frozenset[int]:
        return frozenset(run.child.pid for run in self.runs.values() if run.exit is None) | self.spared

    # ---- output

    def _read(self, run: Run, pipe: int) -> None:
        if self._read_once(run, pipe) == 0:
            self._close_pipe(run, pipe)
        self._flush_when_due(run)
        if run.exit is not None and not run.pipes:
            self._finish(run, run.exit)

    def _read_once(self, run: Run, pipe: int) -> int:
        """Reads once; returns the bytes read, 0 at the end of the stream, -1 where nothing is available."""
        try:
            data = os.read(pipe, _READ_SIZE)
        except BlockingIOError:
            return -1
        except OSError as error:
            log.error("job.output_unreadable", job=run.job.id, error=error)
            return 0
        if data:
            stream = run.pipes[pipe]
            if kept := data if run.filters is None or stream != _STDOUT else run.filters.feed(data):
                run.output.write(stream, kept, time.time())
        return len(data)

    def _flush_when_due(self, run: Run) -> None:
        if run.output.buffered:
            now = self._loop.time()
            due = run.output.flush_due_at(now, self._limits.coalesce_delay)
            if due <= now:
                run.output.flush(time.time(), now)
            elif run.flush_at == inf:
                run.flush_at = due
                self._schedule(due)
        if run.job.cursor.next_chunk <= run.output.chunks:
            self._on_output(run.job)

    def _close_pipe(self, run: Run, pipe: int) -> None:
        del run.pipes[pipe]
        self._loop.remove_reader(pipe)
        os.close(pipe)

    def _drain_pipes(self, run: Run) -> None:
        """Reads what the pipes still hold, and closes those at their end."""
        for pipe in list(run.pipes):
            taken = 0
            while taken < _MAX_PIPE_SIZE:
                count = self._read_once(run, pipe)
                if count == 0:
                    self._close_pipe(run, pipe)
                if count <= 0:
                    break
                taken += count

    # ---- the end

    def _on_exit(self, run: Run) -> None:
        self._loop.remove_reader(run.child.pidfd)
        os.close(run.child.pidfd)
        run.exit = reap(run.child)
        self.reap_orphans()
        run.limit_at = run.kill_at = inf
        self._drain_pipes(run)
        if not run.pipes:
            self._finish(run, run.exit)
            return
        run.drain_at = self._loop.time() + self._limits.drain_timeout
        self._schedule(run.drain_at)

    def _abandon_pipes(self, run: Run, end: ExitStatus) -> None:
        self._drain_pipes(run)
        for pipe in list(run.pipes):
            run.unrecorded = True
            self.orphans.drain(pipe)  # closed by us alone it would kill the process at its next output
            self._close_pipe(run, pipe)
        self._finish(run, end)

    def _finish(self, run: Run, end: ExitStatus) -> None:
        now, output = time.time(), run.output
        if run.filters is not None:
            output.write(_STDOUT, run.filters.finish(), now)
        output.flush(now, self._loop.time())
        output.close()
        del self.runs[run.job.id]
        if end.signal == signal.SIGKILL and not run.cause and self._out_of_memory.has_killed():
            run.reasons.append("this machine ran out of memory, and the kernel ended it")
        ended = Ended(
            job=run.job.id,
            outcome=run.cause or ("succeeded" if end.code == 0 else "failed"),
            exit_code=end.code,
            signal=end.signal,
            reason=clean_reason("; ".join(run.reasons)),
            chunks=output.chunks,
            output_bytes=output.total_bytes,
            output_digest=output.digest(),
            truncated=output.truncated,
            started_at=run.job.started_at,
            ended_at=run.job.started_at + max(0.0, since_boot() - run.job.started_boot),
            cpu_user=end.cpu_user,
            cpu_system=end.cpu_system,
            max_rss=end.max_rss,
            notes=self._notes(run),
        )
        self._on_end(run.job, ended)

    def _notes(self, run: Run) -> tuple[str, ...]:
        """What is to be told besides how it ended (`common.machine.end_notes`); the run is no longer among `runs`."""
        notes = []
        if run.output.lost_bytes:
            notes.append(make_note("lost", str(run.output.lost_bytes)))
        if run.filters is not None and run.filters.lost_bytes:
            notes.append(make_note("filtered", str(run.filters.lost_bytes)))
        left = self.orphans.left_by(run.job.id, run.child.pid, run.job.started_boot, self._running_pids())
        if left:
            notes.append(make_note("left", describe_leftovers(left)))
        if run.unrecorded:
            notes.append(make_note("unrecorded"))
        if run.output.rehashed:
            notes.append(make_note("digest"))
        if run.output.in_memory or run.job.from_memory:
            notes.append(make_note("memory"))
        elif self._reserve is not None and self._reserve.is_used():
            notes.append(make_note("disk"))
        return tuple(notes)

    # ---- deadlines

    def _schedule(self, when: float) -> None:
        if when == inf:
            return
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        for run in list(self.runs.values()):
            if run.flush_at <= now:
                run.flush_at = inf
                self._flush_when_due(run)
            if run.limit_at <= now:
                run.limit_at = inf
                self.stop(run.job.id, "timed_out")
            if run.kill_at <= now:
                run.kill_at = inf
                signal_group(run.child, signal.SIGKILL)
            if run.drain_at <= now and run.exit is not None:
                run.drain_at = inf
                self._abandon_pipes(run, run.exit)
        earliest = min(
            (min(run.flush_at, run.limit_at, run.kill_at, run.drain_at) for run in self.runs.values()), default=inf
        )
        self._schedule(earliest)
