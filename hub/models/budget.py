"""Tokens that a person may use, a minute and a day. Pure; `now` is passed in.

Both are buckets that refill steadily, so there is no midnight at which everybody starts anew. A request reserves its
estimate, and gives back afterwards what it did not use. Kept in memory: a restart fills them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_PEOPLE: Final = 10_000
_MINUTE: Final = 60.0
_DAY: Final = 86_400.0


@dataclass(slots=True)
class _Purse:
    minute: float
    day: float
    at: float


class Budget:
    """The purses of everybody. The one not used for longest is forgotten beyond MAX_PEOPLE, which fills it."""

    def __init__(self, minute: int, day: int, max_people: int = MAX_PEOPLE) -> None:
        """Tokens a person; 0 is no bound."""
        self._minute = float(minute) or float("inf")
        self._day = float(day) or float("inf")
        self._max_people = max_people
        self._purses: OrderedDict[str, _Purse] = OrderedDict()

    def __len__(self) -> int:
        return len(self._purses)

    def reserve(self, person: str, tokens: int, now: float) -> float:
        """Takes the tokens and returns 0, or takes none and returns the seconds until there are enough: infinity for
        more than a purse ever holds.
        """
        purse = self._purse(person, now)
        wait = max(
            _wait(tokens, purse.minute, self._minute, _MINUTE),
            _wait(tokens, purse.day, self._day, _DAY),
        )
        if wait == 0:
            purse.minute -= tokens
            purse.day -= tokens
        return wait

    def settle(self, person: str, reserved: int, used: int, now: float) -> None:
        """Puts the estimate right: what was not used comes back, what was used beyond it is owed."""
        purse = self._purse(person, now)
        purse.minute = min(self._minute, purse.minute + reserved - used)
        purse.day = min(self._day, purse.day + reserved - used)

    def left(self, person: str, now: float) -> tuple[float, float]:
        """What is in the purse, for the minute and for the day; may be negative."""
        purse = self._purse(person, now)
        return purse.minute, purse.day

    def _purse(self, person: str, now: float) -> _Purse:
        purse = self._purses.get(person)
        if purse is None:
            purse = self._purses[person] = _Purse(self._minute, self._day, now)
            if len(self._purses) > self._max_people:
                self._purses.popitem(last=False)
            return purse
        self._purses.move_to_end(person)
        if now > purse.at:
            passed = now - purse.at
            purse.minute = min(self._minute, purse.minute + passed * self._minute / _MINUTE)
            purse.day = min(self._day, purse.day + passed * self._day / _DAY)
            purse.at = now
        return purse


def _wait(tokens: int, held: float, size: float, window: float) -> float:
    if tokens <= held:
        return 0.0
    return float("inf") if tokens > size else (tokens - held) / size * window
