"""Tokens that a person may use, a minute and a day. Pure; `now` is passed in.

Both are token buckets that refill steadily, so there is no reset at midnight. A request reserves its estimate and
returns afterwards what it did not use. In memory only: after a restart all are full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.core.lru import Lru

MAX_PEOPLE: Final = 10_000
_MINUTE: Final = 60.0
_DAY: Final = 86_400.0


@dataclass(slots=True)
class _TokenBuckets:
    minute: float
    day: float
    at: float


class TokenBudget:
    """The buckets of all people. Beyond MAX_PEOPLE the least recently used are dropped, which makes them full again."""

    def __init__(self, minute: int, day: int, max_people: int = MAX_PEOPLE) -> None:
        """Tokens a person may use; 0: unlimited."""
        self._minute = float(minute) or float("inf")
        self._day = float(day) or float("inf")
        self._buckets: Lru[str, _TokenBuckets] = Lru(max_people)

    def __len__(self) -> int:
        return len(self._buckets)

    def reserve(self, person: str, tokens: int, now: float) -> float:
        """Takes the tokens and returns 0, or takes none and returns the seconds until there are enough: infinity for
        more than a bucket can hold.
        """
        buckets = self._buckets_of(person, now)
        wait = max(
            _wait(tokens, buckets.minute, self._minute, _MINUTE),
            _wait(tokens, buckets.day, self._day, _DAY),
        )
        if wait == 0:
            buckets.minute -= tokens
            buckets.day -= tokens
        return wait

    def adjust(self, person: str, reserved: int, used: int, now: float) -> None:
        """Corrects a reservation by what was really used; the buckets may become negative."""
        buckets = self._buckets_of(person, now)
        buckets.minute = min(self._minute, buckets.minute + reserved - used)
        buckets.day = min(self._day, buckets.day + reserved - used)

    def remaining(self, person: str, now: float) -> tuple[float, float]:
        """Tokens left for the minute and for the day; may be negative."""
        buckets = self._buckets_of(person, now)
        return buckets.minute, buckets.day

    def _buckets_of(self, person: str, now: float) -> _TokenBuckets:
        buckets = self._buckets.get(person)
        if buckets is None:
            buckets = _TokenBuckets(self._minute, self._day, now)
            self._buckets.put(person, buckets)
            return buckets
        if now > buckets.at:
            elapsed = now - buckets.at
            buckets.minute = min(self._minute, buckets.minute + elapsed * self._minute / _MINUTE)
            buckets.day = min(self._day, buckets.day + elapsed * self._day / _DAY)
            buckets.at = now
        return buckets


def _wait(tokens: int, held: float, size: float, window: float) -> float:
    if tokens <= held:
        return 0.0
    return float("inf") if tokens > size else (tokens - held) / size * window
