"""Accepted jobs that have not started, in the order in which they may start. Those that wait for the hub's word that it
knows their acceptance hold nobody up.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.runner.jobs import RunnerJob


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
