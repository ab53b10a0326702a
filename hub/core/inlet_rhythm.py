"""In which hours of the week something usually comes from an inlet, and after which silence that is over. Pure.

Of each of the last weeks it is kept in which of its 168 hours anything came. Silence in an hour in which something came
in k of n weeks has a chance of 1 - k/(n + 1); once the chance of the whole silence is below UNLIKELY, the inlet is
quiet. Nights and weekends, in which nothing comes, count for nothing; after four weeks, five busy hours are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HOUR: Final = 3_600.0
WEEK: Final = 168  # hours
MAX_WEEKS: Final = 4
MIN_WEEKS: Final = 2
"""Whole weeks after the first one, of which little is known."""
UNLIKELY: Final = 0.001
MAX_LIMIT: Final = 2 * WEEK
"""Hours that are looked ahead."""


@dataclass(slots=True)
class Rhythm:
    """`hours`: of each week that is kept, by its number since the epoch, a bit an hour in which something came."""

    first: int = 0  # the week in which it was heard first; 0: never
    hours: dict[int, int] = field(default_factory=dict)
    _newest: int = -1  # the hour since the epoch that was noted last

    def note(self, at: float) -> bool:
        """Something came at that time; True where that is news."""
        hour = int(at // HOUR)
        if hour == self._newest:
            return False
        self._newest = hour
        week, of_week = divmod(hour, WEEK)
        before = self.hours.get(week, 0)
        self.first = self.first or week
        self.hours[week] = before | 1 << of_week
        for old in [one for one in self.hours if one < week - MAX_WEEKS]:
            del self.hours[old]
        return self.hours[week] != before

    def limit(self, heard: float) -> float:
        """After how many seconds without anything since `heard` it is quiet; 0 where that is not known."""
        start = int(heard // HOUR)
        now = start // WEEK
        weeks = range(max(self.first + 1, now - MAX_WEEKS), now)
        if not self.first or len(weeks) < MIN_WEEKS:
            return 0.0
        masks, chance = [self.hours.get(week, 0) for week in weeks], 1.0
        for hour in range(start + 1, start + 1 + MAX_LIMIT):
            bit = hour % WEEK
            chance *= 1 - sum(mask >> bit & 1 for mask in masks) / (len(masks) + 1)
            if chance < UNLIKELY:
                return (hour + 1) * HOUR - heard
        return 0.0

    def to_json(self) -> dict[str, Any]:
        return {"first": self.first, "hours": {str(week): f"{mask:x}" for week, mask in self.hours.items()}}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Rhythm:
        """Raises KeyError, TypeError, ValueError or AttributeError where it is not one."""
        hours = {int(week): int(mask, 16) & (1 << WEEK) - 1 for week, mask in body["hours"].items()}
        kept = dict(sorted(hours.items())[-MAX_WEEKS - 1 :])
        return cls(int(body["first"]), kept)
