"""When a runner that ended is started again. Pure: the caller reads the clocks.

A runner that served for a while is started again at once; one that ends soon after its start waits, each time twice as
long, so that a machine on which none can run (a full disk, a damaged journal) is not kept busy with starting it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVED_FOR: Final = 10.0
"""Seconds after which a runner counts as one that works."""
FIRST_WAIT: Final = 0.25
MAX_WAIT: Final = 10.0


@dataclass(frozen=True, slots=True)
class RunnerDown:
    """There is no runner."""

    since: float  # seconds since the epoch
    why: str  # how the last one ended
    next_start: float = 0.0  # seconds since the epoch; 0 where it is not this process that starts it


@dataclass(slots=True)
class RestartBackoff:
    failures: int = 0
    due: float = 0.0  # when the next may be started, by the clock of `ended`

    def ended(self, now: float, lived: float) -> float:
        """A runner that lived for so many seconds has ended; the seconds until the next may be started."""
        if lived >= SERVED_FOR:
            self.failures = 0
        wait = 0.0 if not self.failures else min(MAX_WAIT, FIRST_WAIT * 2.0 ** min(self.failures - 1, 16))
        self.failures += 1
        self.due = now + wait
        return wait
