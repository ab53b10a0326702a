"""Moments as people read them: in a time zone, and always with its name. Pure but for `local_zone`.

A moment is seconds since the epoch. Which zone a text is in is the caller's decision: a reader at a terminal has one
(`local_zone`), a chat room has readers in several and so gets UTC.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeGuard

Zone = Callable[[float], tuple[int, str]]
"""For a moment, the seconds that the zone's clocks are ahead of UTC then, and the zone's name then: (3600, "CET")."""

NEAR: Final = 12 * 3_600.0
"""Seconds around now within which a time of day needs no date."""
_END_OF_CALENDAR: Final = 253_402_300_800.0  # the year 10000


def utc(at: float) -> tuple[int, str]:
    return 0, "UTC"


def local_zone(at: float) -> tuple[int, str]:
    """The zone of this process: $TZ, else the machine's. A zone whose name is only a number is shown as UTC+03."""
    found = time.localtime(at)
    name = found.tm_zone
    return found.tm_gmtoff, name if name[:1].isalpha() else f"UTC{name}"


def is_date(at: float | None) -> TypeGuard[float]:
    """Whether a calendar has this moment: it lies in the years 1970 to 9999."""
    return at is not None and 0 <= at < _END_OF_CALENDAR


def format_in_zone(at: float, form: str, zone: Zone) -> str:
    """The moment by `form` (strftime), without the zone's name: for a column under a heading that names it."""
    return time.strftime(form, time.gmtime(at + zone(at)[0]))


def format_moment(at: float | None, now: float | None, zone: Zone, *, seconds: bool = True) -> str:
    """`14:03:21 CET`, with the date where it is not within twelve hours of `now`, or where `now` is None; "-" where
    there is no such moment. Without `seconds` to the minute.
    """
    if not is_date(at):
        return "-"
    form = "%H:%M:%S" if seconds else "%H:%M"
    if now is None or abs(at - now) >= NEAR:
        form = f"%Y-%m-%d {form}"
    return f"{format_in_zone(at, form, zone)} {zone(at)[1]}"


def format_iso(at: float) -> str:
    """`2026-11-30T14:03:21Z`, for logs and files: always UTC, so that lines of several machines can be compared."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def format_skew(ahead: float) -> str:
    """How far a clock is ahead of another: `2 hours ahead of`, `3 days behind`; the other's name follows."""
    seconds = abs(ahead)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds > 1.9 * size:
            return f"{seconds / size:.0f} {unit} {'ahead of' if ahead > 0 else 'behind'}"
    return f"{seconds:.0f} seconds {'ahead of' if ahead > 0 else 'behind'}"
