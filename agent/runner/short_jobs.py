"""Reports of a job that has just been started are kept back for a moment: where it ends within that, all that is to be
told of it leaves in one piece, and the hub takes it in one unit of work.

Nothing but the report waits. The journal has the job before it starts, as every other; a job that waits for its turn,
for the hub's word, or that is to be stopped, is told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from agent.runner.jobs import RunnerJob

HOLD: Final = 0.02
"""Seconds: most commands that people wait for have ended by then; of one that has not nobody sees the difference."""


class ShortJobs:
    def __init__(self, loop: asyncio.AbstractEventLoop, on_told: Callable[[RunnerJob], None]) -> None:
        """`on_told` is called when a job's report need not wait any more."""
        self._loop = loop
        self._on_told = on_told
        self._held: dict[str, asyncio.TimerHandle] = {}

    def hold(self, job: RunnerJob) -> None:
        self._held[job.id] = self._loop.call_later(HOLD, self.release, job)

    def is_held(self, job: RunnerJob) -> bool:
        return job.id in self._held

    def release(self, job: RunnerJob) -> None:
        """The job has ended, is still running after that moment, or something else has to be told of it."""
        timer = self._held.pop(job.id, None)
        if timer is not None:
            timer.cancel()
            self._on_told(job)

    def close(self) -> None:
        for timer in self._held.values():
            timer.cancel()
        self._held.clear()
