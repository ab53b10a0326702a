"""When a rule holds: windows of the week, as in `mon-fri 08:00-18:00 Europe/Berlin`. Pure; the moment is an argument.

    DAYS FROM-TO [ZONE]     DAYS is `daily`, a day, a range or a list of them: mon-fri, sat,sun
                            FROM and TO are HH:MM on the wall clock of ZONE, TO also 24:00; where TO is the earlier one
                            the window goes over midnight and belongs to the day on which it begins
                            ZONE is a name of the IANA database, UTC where there is none

A window holds while a clock on the wall there shows a time within it. So where clocks are put forward, what lies in the
hour that is left out holds for no moment, and where they are put back, the hour that comes twice holds twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY: Final = 24 * 60
"""Minutes of a day."""
LONGEST: Final = 48 * 3_600.0
"""Seconds that are looked ahead for an end: a window that holds for longer is taken for one that ends then."""
_FORM: Final = re.compile(
    r"(?P<days>[a-z,-]{3,40}) (?P<start>[0-9]{2}:[0-9]{2})-(?P<end>[0-9]{2}:[0-9]{2})"
    r"(?: (?P<zone>[A-Za-z0-9_+/-]{1,64}))?",
    re.ASCII,
)


class BadWindow(ValueError):
    """What is wrong with a window's text."""


@dataclass(frozen=True, slots=True)
class Window:
    days: frozenset[int]  # on which it begins; 0 is Monday
    start: int  # minutes after midnight
    end: int  # minutes; not above `start` where it ends on the next day
    zone: str
    text: str  # as it was written

    def holds(self, at: float) -> bool:
        """Whether it is now: `at` in seconds since the epoch."""
        local = datetime.fromtimestamp(at, _zone(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)


def parse_window(text: str) -> Window:
    """Raises BadWindow."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadWindow("not of the form DAYS HH:MM-HH:MM ZONE, as in mon-fri 08:00-18:00 Europe/Berlin")
    start, end = _minutes(match["start"]), _minutes(match["end"])
    if start in (DAY, end):
        raise BadWindow("begins when it ends: all day is 00:00-24:00")
    zone = match["zone"] or "UTC"
    try:
        _zone(zone)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise BadWindow(f"{zone} is no time zone that this machine knows") from None
    return Window(_days(match["days"]), start, end, zone, text)


def any_holds(windows: Sequence[Window], at: float) -> bool:
    return any(window.holds(at) for window in windows)


def holds_until(windows: Sequence[Window], at: float) -> float:
    """The first moment after `at` when none of them holds any more, where one holds at `at`; at most LONGEST later."""
    moment = at
    while moment < at + LONGEST and (holding := [window for window in windows if window.holds(moment)]):
        moment = max(_change(window, moment) for window in holding)
    return min(moment, at + LONGEST)


def holds_from(windows: Sequence[Window], at: float) -> float:
    """The first moment after `at` when one of them holds, where none does at `at`; at most LONGEST later."""
    moment = at
    while moment < at + LONGEST and not any_holds(windows, moment):
        moment = min(_change(window, moment) for window in windows)
    return min(moment, at + LONGEST)


def now_words(windows: Sequence[Window], at: float) -> str:
    """The moment on the wall clock of the first window, as its text has it: `sat 10:12 CET`."""
    local = datetime.fromtimestamp(at, _zone(windows[0].zone))
    return f"{DAYS[local.weekday()]} {local:%H:%M} {local.tzname()}"


def _change(window: Window, at: float) -> float:
    """A moment after `at` up to which the window goes on holding, or not holding: the next one at which that may
    change. Where the zone's clocks are not put in between it is the next edge of the window or midnight, else the next
    minute.
    """
    zone = _zone(window.zone)
    local = datetime.fromtimestamp(at, zone)
    minute = local.hour * 60 + local.minute
    edge = min(edge for edge in (window.start, window.end, DAY) if edge > minute)
    then = at - at % 60 + (edge - minute) * 60.0
    if datetime.fromtimestamp(then, zone).utcoffset() == local.utcoffset():
        return then
    return at - at % 60 + 60.0


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise BadWindow(f"{part!r} is no day: write {', '.join(DAYS)}, a range, or daily")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(found)


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > DAY:
        raise BadWindow(f"{text} is no time of a day")
    return hours * 60 + minutes


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # few policies have windows, and fewer name a zone

    return ZoneInfo(name)
