"""Accepted jobs that have not started, in the order in which they may start. Those that wait for the hub's word hold
nobody up; those whose time is over are noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from agent.runner.jobs import RunnerJob
from agent.runner.refusals import check_expiry
from agent.runner.verify import OrderRefusal

SWEEP_INTERVAL: Final = 1.0  # seconds between checks of waiting jobs for expiry


class WaitingJobs:
    def __init__(self) -> None:
        self._all: dict[str, RunnerJob] = {}
        self._ready: dict[str, RunnerJob] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[RunnerJob]:
        """All of them, whatever is done with them meanwhile."""
        return iter(list(self._all.values()))

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def add(self, job: RunnerJob) -> None:
        self._all[job.id] = job
        if job.confirmed:
            self._ready[job.id] = job

    def confirm(self, job: RunnerJob) -> None:
        """The hub's word has come; it may come more than once, and before the job waits here."""
        job.confirmed = True
        if job.id in self._all:
            self._ready[job.id] = job

    def pop_ready(self) -> RunnerJob:
        """The one that may start next."""
        job = self._ready.pop(next(iter(self._ready)))
        del self._all[job.id]
        return job

    def remove(self, job: RunnerJob) -> None:
        self._all.pop(job.id, None)
        self._ready.pop(job.id, None)


class ExpirySweep:
    """Refuses waiting jobs whose time is over; it sleeps while none waits."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, waiting: WaitingJobs, refuse: Callable[[RunnerJob, OrderRefusal], None]
    ) -> None:
        self._loop = loop
        self._waiting = waiting
        self._refuse = refuse
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        for job in self._waiting:
            if (refusal := check_expiry(job)) is not None:
                self._refuse(job, refusal)
        self.schedule()
