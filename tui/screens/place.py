"""Where a table's cursor was when it was last shown, and whether it has passed to another row by itself since. Pure.

When a row leaves the list, the cursor passes to the one that takes its place. A key pressed at that moment was meant
for the row that is gone: for `PASSED_FOR` seconds acts ask for a second press.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

PASSED_FOR: Final = 2.0
"""Seconds in which the eye may not have noticed."""


@dataclass(frozen=True, slots=True)
class Place:
    row: str = ""  # the id under the cursor; "" is none
    title: str = ""  # what it is called
    lists: int = 0  # which list: another filter or order is another one
    gone: str = ""  # the title of the row that the cursor has passed from
    passed_at: float = 0.0

    def passed_from(self, row: str | None, now: float) -> str:
        """The title of the row that stood here until just now; "" where `row` has been here, or was gone to by hand."""
        return self.gone if row == self.row and now - self.passed_at < PASSED_FOR else ""

    def unseen(self, now: float) -> Place:
        """Nobody has seen it until `now`."""
        return replace(self, passed_at=now)

    def known(self) -> Place:
        """The operator has been told."""
        return replace(self, gone="")


def seen_again(before: Place | None, row: str | None, title: str, lists: int, out: bool, now: float) -> Place:
    """The place after a table was brought up to date; `out` says that the row before is in its list no more."""
    here = Place(row or "", title, lists)
    if before is None or not before.row or before.lists != lists:
        return here
    if before.row == here.row:
        return replace(before, title=title or before.title)
    return replace(here, gone=before.title, passed_at=now) if out else here
