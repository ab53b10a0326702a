"""Watches the programs that run: takes their output, ends them when they must, and says how they ended.

All deadlines are data on the run: time limit, grace, the wait for a pipe that someone else holds, the flush of small
output. One timer is set for the earliest. An exit is noticed by a pidfd; the leader is reaped only after what is left
of its group is killed.
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
from agent.runner.jobs import Job, tidy
from agent.runner.limits import Limits
from agent.runner.process import Child, Exit, has_exited, reap, signal_group
from agent.runner.spool import Output
from common.messages import Ended

_READ: Final = 65_536
_LAST: Final = 1024 * 1024  # what a pipe can hold at most, so what may be left in it after the end
_HELD: Final = "a process that it left behind held the output open; what that wrote later is not recorded"


@dataclass(slots=True, eq=False)
class Run:
    """One program, from its start to the last of its output."""

    job: Job
    child: Child
    output: Output
    pipes: dict[int, int]  # descriptor -> stream
    limit_at: float
    kill_at: float = inf
    drain_at: float = inf
    flush_at: float = inf
    cause: str = ""  # timed_out | cancelled: why we stopped it, if we did before it ended
    reasons: list[str] = field(default_factory=list)
    exit: Exit | None = None


class Supervisor:
    """The programs that run now. `on_news` is called when a job has more output, `on_end` when it has ended."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        on_news: Callable[[Job], None],
        on_end: Callable[[Job, Ended], None],
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._on_news = on_news
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None
        self.runs: dict[str, Run] = {}

    def begin(self, job: Job, child: Child, output: Output, time_limit: float) -> None:
        """Takes a program that has just been started into its care; `time_limit` in seconds from now."""
        limit_at = self._loop.time() + time_limit
        run = Run(job, child, output, {child.out: 1, child.err: 2}, limit_at)
        self.runs[job.id] = run
        for pipe in run.pipes:
            self._loop.add_reader(pipe, self._read, run, pipe)
        self._loop.add_reader(child.pidfd, self._exited, run)
        self._arm(limit_at)

    def stop(self, job_id: str, cause: str, *, kill: bool = False, reason: str = "") -> None:
        """Asks the group to end, and makes it when the grace is over; a program that has ended already was first."""
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
            run.kill_at = self._loop.time() + self._limits.grace
            self._arm(run.kill_at)

    def close(self) -> None:
        """Lets go of everything; the programs run on, unwatched."""
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

    # ---- output

    def _read(self, run: Run, pipe: int) -> None:
        if self._take(run, pipe) == 0:
            self._close_pipe(run, pipe)
        self._flush_when_due(run)
        if run.exit is not None and not run.pipes:
            self._finish(run, run.exit)

    def _take(self, run: Run, pipe: int) -> int:
        """Reads once; gives the bytes read, 0 at the end of the stream, -1 where there is nothing for now."""
        try:
            data = os.read(pipe, _READ)
        except BlockingIOError:
            return -1
        except OSError as error:
            log.error("job.output_unreadable", job=run.job.id, error=error)
            return 0
        if data:
            run.output.feed(run.pipes[pipe], data, time.time())
        return len(data)

    def _flush_when_due(self, run: Run) -> None:
        if run.output.buffered:
            now = self._loop.time()
            due = run.output.due(now, self._limits.coalesce)
            if due <= now:
                run.output.flush(time.time(), now)
            elif run.flush_at == inf:
                run.flush_at = due
                self._arm(due)
        if run.job.tale.next <= run.output.chunks:
            self._on_news(run.job)

    def _close_pipe(self, run: Run, pipe: int) -> None:
        del run.pipes[pipe]
        self._loop.remove_reader(pipe)
        os.close(pipe)

    def _empty(self, run: Run) -> None:
        """Takes what the pipes still hold, and closes those that are at their end."""
        for pipe in list(run.pipes):
            taken = 0
            while taken < _LAST:
                count = self._take(run, pipe)
                if count == 0:
                    self._close_pipe(run, pipe)
                if count <= 0:
                    break
                taken += count

    # ---- the end

    def _exited(self, run: Run) -> None:
        self._loop.remove_reader(run.child.pidfd)
        os.close(run.child.pidfd)
        run.exit = reap(run.child)
        run.limit_at = run.kill_at = inf
        self._empty(run)
        if not run.pipes:
            self._finish(run, run.exit)
            return
        run.drain_at = self._loop.time() + self._limits.drain
        self._arm(run.drain_at)

    def _give_up_pipes(self, run: Run, end: Exit) -> None:
        self._empty(run)
        for pipe in list(run.pipes):
            self._close_pipe(run, pipe)
            if _HELD not in run.reasons:
                run.reasons.append(_HELD)
        self._finish(run, end)

    def _finish(self, run: Run, end: Exit) -> None:
        now, output = time.time(), run.output
        output.flush(now, self._loop.time())
        output.close()
        del self.runs[run.job.id]
        ended = Ended(
            job=run.job.id,
            outcome=run.cause or ("succeeded" if end.code == 0 else "failed"),
            exit_code=end.code,
            signal=end.signal,
            reason=tidy("; ".join(run.reasons)),
            chunks=output.chunks,
            output_bytes=output.seen,
            output_digest=output.digest(),
            truncated=output.truncated,
            started_at=run.job.started_at,
            ended_at=now,
            cpu_user=end.cpu_user,
            cpu_system=end.cpu_system,
            max_rss=end.max_rss,
        )
        self._on_end(run.job, ended)

    # ---- time

    def _arm(self, when: float) -> None:
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
                self._give_up_pipes(run, run.exit)
        earliest = min(
            (min(run.flush_at, run.limit_at, run.kill_at, run.drain_at) for run in self.runs.values()), default=inf
        )
        if earliest < inf:
            self._arm(earliest)
