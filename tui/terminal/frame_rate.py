"""How often the screen is brought up to date: as often as the terminal takes it, ten times a second at most. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INTERVALS: Final = (0.1, 0.2, 0.5, 1.0)
RECOVER_AFTER: Final = 2.0
"""Seconds in which the terminal is not behind, after which it may go faster again."""


@dataclass(slots=True)
class FrameRate:
    slow: bool = False
    _step: int = 0
    _next: float = 0.0
    _idle_since: float = 0.0
    _slowed_at: float = 0.0

    @property
    def interval(self) -> float:
        return INTERVALS[-1] if self.slow else INTERVALS[self._step]

    def is_due(self, now: float, behind: bool) -> bool:
        """Whether to bring the screen up to date at `now`; `behind` is a terminal that has not taken the last frame."""
        if behind:
            if now - self._slowed_at >= INTERVALS[0]:  # a step at a time, however often it is looked at
                self._step = min(self._step + 1, len(INTERVALS) - 1)
                self._slowed_at = now
            self._idle_since = now
            self._next = max(self._next, now + self.interval)
            return False
        if self._step and now - self._idle_since >= RECOVER_AFTER:
            self._step -= 1
            self._idle_since = now
        if now + 0.01 < self._next:
            return False
        self._next = now + self.interval
        return True
