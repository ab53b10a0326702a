"""Where a table's cursor was when it was last shown, and whether it has passed to another row by itself since. Pure.

When a row leaves the list, the cursor passes to the one that takes its place. A key pressed at that moment was meant
for the row that is gone: for `REPLACED_GRACE` seconds acts ask for a second press.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

REPLACED_GRACE: Final = 2.0
"""Seconds in which the eye may not have noticed."""


@dataclass(frozen=True, slots=True)
class CursorPlace:
    row_id: str = ""  # the id under the cursor; "" is none
    title: str = ""  # what it is called
    list_generation: int = 0  # which list: another filter or order is another one
    previous_title: str = ""  # the title of the row that the cursor has passed from
    passed_at: float = 0.0

    def replaced_title(self, row: str | None, now: float) -> str:
        """The title of the row that stood here until just now; "" where `row_id` has been here, or was gone to by
        hand.
        """
        return self.previous_title if row == self.row_id and now - self.passed_at < REPLACED_GRACE else ""

    def restart_grace(self, now: float) -> CursorPlace:
        """Nobody has seen it until `now`."""
        return replace(self, passed_at=now)

    def acknowledged(self) -> CursorPlace:
        """The operator has been told."""
        return replace(self, previous_title="")


def update_place(
    before: CursorPlace | None, row: str | None, title: str, list_generation: int, removed: bool, now: float
) -> CursorPlace:
    """The place after a table was brought up to date; `out` says that the row before is in its list no more."""
    here = CursorPlace(row or "", title, list_generation)
    if before is None or not before.row_id or before.list_generation != list_generation:
        return here
    if before.row_id == here.row_id:
        return replace(before, title=title or before.title)
    return replace(here, previous_title=before.title, passed_at=now) if removed else here
