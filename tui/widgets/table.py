"""The table: a window of a server's list, by columns. The cursor is a row's id, and the row under it never moves by
itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.bindings import bindings
from tui.commands import Kind
from tui.format import Cell, Look, fit
from tui.model import Row, Window
from tui.widgets.columns import Column, Placed, lay_out
from tui.widgets.painted import Painted

FOLLOW_EVERY: Final = 1.0
QUIET: Final = 2.0
"""Seconds after a key in which rows keep their places."""
MAX_MARKS: Final = 10_000
Painting = tuple[bool, bool, bool, tuple[Cell, ...]]


class Table(Painted, can_focus=True):
    HEAD = 1
    BINDINGS: ClassVar[list[BindingType]] = bindings("table")

    class Posted(Message):
        """Of one table; `control` is it."""

        def __init__(self, table: Table) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Widget:
            return self.table

    class Opened(Posted):
        """Enter or a double click on the row under the cursor."""

    class Moved(Posted):
        """The cursor stands on another row, or marks have changed."""

    class Wants(Posted):
        """Rows of the window shown are not known yet."""

    class Titled(Posted):
        """A column's title was clicked."""

        def __init__(self, table: Table, column: Column) -> None:
            super().__init__(table)
            self.column = column

    def __init__(
        self,
        kind: Kind,
        columns: Sequence[Column],
        look: Callable[[], Look],
        *,
        window: Window | None = None,
        empty: Callable[[], Sequence[str]] = tuple,
        follow: bool = False,
        id: str | None = None,  # noqa: A002 - as every widget has it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.kind: Kind = kind
        self.columns = tuple(columns)
        self.window = Window() if window is None else window
        self.marks: dict[str, Row] = {}  # as they were when marked; they stay marked beyond the window
        self.cursor_id: str | None = None
        self.at = 0
        self.can_follow = follow
        self.following = follow
        self.sort = ""
        self._look = look
        self._empty = empty
        self._placed: list[Placed] = []
        self._painted: dict[int, Painting] = {}
        self._seen_version = -1
        self._list = self.window.lists
        self._lost = False
        self._touched = -QUIET
        self._seated = 0.0
        self.held = False  # for the operator's sake
        self._bar_seen = (0, 0)
        self._range_from: int | None = None
        self._noted: tuple[str, ...] = ()  # what stood in it while it was empty

    # ---- what is under the cursor

    @property
    def row(self) -> Row | None:
        return None if self.cursor_id is None else self.window.row(self.cursor_id)

    def marked_rows(self) -> list[Row]:
        """Marked rows as they are now as far as is known, the one under the cursor first; without marks that one
        alone."""
        found = [self.window.row(identity) or row for identity, row in self.marks.items()]
        found.sort(key=lambda row: row["id"] != self.cursor_id)
        return found or ([self.row] if self.row is not None else [])

    def touch(self) -> None:
        """The operator has just done something here."""
        self._touched = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether rows should keep their places now."""
        return bool(self.marks) or time.monotonic() - self._touched < QUIET

    def tend(self, *, apart: bool = False) -> None:
        """Lets a new order in, or holds it: while the operator is at it, while a dialog stands before it (`apart`), and
        between two scrolls of a list that follows what is newest, since each repaints it whole.
        """
        now = time.monotonic()
        self.held = apart or self.busy
        if self.held:
            self.window.hold()
        elif not self.following:
            self.window.release()
        elif now - self._seated >= FOLLOW_EVERY or not self.window.held:
            self._seated = now
            self.window.release()
            self.window.hold()

    @property
    def moved(self) -> int:
        """How many rows wait to move because of what the operator does."""
        return self.window.moved if self.held else 0

    def span(self) -> tuple[int, int]:
        """Indexes of the rows shown."""
        return self.top, min(self.window.total, self.top + self.page)

    # ---- data in

    def flush(self) -> None:
        """Takes up what the window has become and repaints what differs from the screen."""
        look = self._look()
        self.ascii = look.ascii
        if self._seen_version != self.window.version:
            self._reseat()
        elif self.cursor_id is None:
            self._take_id()
        if not self.window.total and (note := tuple(self._empty())) != self._noted:
            self._noted = note
            self.refresh()
        for y in range(1, self.size.height):
            self._repaint(y, look)

    def _reseat(self) -> None:
        """The order or the size has changed: the cursor's row stays on its line of the screen where it can."""
        window = self.window
        self._seen_version = window.version
        before_room, known = self.room, self.cursor_id
        self.total = window.total
        found = None if known is None else window.index(known)
        if self.following:
            self.top = self.at = 0
            self.cursor_id = window.id_at(0)
        elif found is not None:
            shift, self.at = found - self.at, found
            if shift and not self._lost:
                self.top = max(0, min(self.furthest, self.top + shift))
        else:
            self.at = max(0, min(self.at, window.total - 1))
            if known is None or self._list != window.lists or window.is_out(known):
                self.cursor_id = window.id_at(self.at)
        # A row beyond the window keeps the cursor: none is under it until a key takes one, never another by itself.
        self._lost = self.cursor_id is not None and window.index(self.cursor_id) is None
        self._list = window.lists
        if not self.following or self.top > self.furthest:
            self.top = max(0, min(self.furthest, self.top))
        if before_room != self.room:
            self._lay_out()
        bar = self.bar_place()
        if bar != self._bar_seen or not self.total:  # else the lines that differ are found one by one
            self._bar_seen = bar
            self._painted.clear()
            self.refresh()
        self.scrolled()
        if self.cursor_id != known:
            self.post_message(self.Moved(self))

    def _take_id(self) -> None:
        self.cursor_id = self.window.id_at(self.at)
        if self.cursor_id is not None:
            self.post_message(self.Moved(self))

    def _repaint(self, y: int, look: Look) -> None:
        new, old = self._painting(y, look), self._painted.get(y)
        if new == old:
            return
        if old is None or new[:3] != old[:3] or len(new[3]) != len(old[3]):
            self.refresh_row(y)
            return
        changed = [placed for placed, cell, before in zip(self._placed, new[3], old[3], strict=False) if cell != before]
        # One region a line: it is rendered once, from the left edge on.
        first, last = changed[0], changed[-1]
        self.refresh(Region(first.x, y, last.x + last.width - first.x, 1))

    def forget_painted(self) -> None:
        self._painted.clear()

    # ---- layout and painting

    def on_resize(self, event: events.Resize) -> None:
        self.total = self.window.total
        self.top = max(0, min(self.furthest, self.top))
        if self.at >= self.top + self.page > 0:
            self.top = max(0, self.at - self.page + 1)
        self._lay_out()
        self.scrolled()

    def _lay_out(self) -> None:
        self._placed = lay_out(self.columns, self.room)
        self._painted.clear()
        self.refresh()

    def relabel(self) -> None:
        """Language or glyphs have changed."""
        self._painted.clear()
        self.refresh()

    def scrolled(self) -> None:
        lo, hi = self.span()
        if self.is_mounted and (not self.window.has(lo, hi) or self.window.loaded):
            self.post_message(self.Wants(self))

    def _painting(self, y: int, look: Look) -> Painting:
        index = self.top + y - 1
        identity = self.window.id_at(index)
        row = None if identity is None else self.window.row(identity)
        if identity is None or row is None:
            return (index < self.window.total, False, False, ())
        cells = tuple(placed.column.cell(row, look) for placed in self._placed)
        if identity in self.window.gone and not self.following:  # there, rows go because newer ones came
            cells = tuple(Cell(cell.text, "dim") for cell in cells)
        return (True, identity == self.cursor_id, identity in self.marks, cells)

    def render_line(self, y: int) -> Strip:
        look = self._look()
        if y == 0:
            return self._head(look)
        painting = self._painted[y] = self._painting(y, look)
        there, cursor, marked, cells = painting
        base = self.style_of("")
        if not cells:
            if there:
                return self.strip(y, [("  " + (look.cut * 2 if look.ascii else look.cut), self.style_of("dim"))])
            return self.strip(y, [(self._note(y, look), self.style_of("dim"))])
        gutter = "*" if marked else " "
        if cursor:
            gutter = "*" if marked else ">" if self.has_focus else "-"
            base = self.style_of("cursor" if self.has_focus else "mark")
        elif marked:
            base = self.style_of("mark")
        runs: list[tuple[str, Style]] = [(gutter, base)]
        for placed, cell in zip(self._placed, cells, strict=False):
            text = fit(cell.text, placed.width, cut=look.cut, right=placed.column.right)
            runs += [(text, base if cursor or not cell.tone else self.style_of(cell.tone)), (" ", base)]
        return self.strip(y, runs)

    def _head(self, look: Look) -> Strip:
        style = self.style_of("head")
        titles = [" "]
        for placed in self._placed:
            title = placed.column.title(look.language)
            if placed.column.sort and placed.column.sort == self.sort.lstrip("-"):
                title = fit(title, min(cell_len(title), placed.width - 1), cut=look.cut)
                title += "-" if self.sort.startswith("-") else "+"
            titles.append(fit(title, placed.width, cut=look.cut, right=placed.column.right) + " ")
        return self.strip(0, [("".join(titles), style)])

    def _note(self, y: int, look: Look) -> str:
        """What stands in an empty table: what would be here, and the next step."""
        if self.window.total:
            return ""
        lines = self._empty()
        return fit("  " + lines[y - 1], self.room, cut=look.cut) if y - 1 < len(lines) else ""

    # ---- moving and marking

    def by_hand(self) -> None:
        self.touch()
        self.following = False

    def go(self, index: int) -> None:
        """Puts the cursor on a row by its place in the list."""
        index = max(0, min(self.window.total - 1, index))
        before, self.at = self.at, index
        self.cursor_id = self.window.id_at(index)
        if index < self.top:
            self.scroll_lines(index)
        elif index >= self.top + self.page:
            self.scroll_lines(index - self.page + 1)
        for line in (before, index):
            if 0 <= line - self.top < self.page:
                self.refresh_row(line - self.top + 1)
        self.post_message(self.Moved(self))

    def go_to_id(self, identity: str) -> bool:
        found = self.window.index(identity)
        if found is not None:
            self.go(found)
        return found is not None

    def action_move(self, step: int) -> None:
        self.by_hand()
        self.go(self.at + step)
        self._mark_range()

    def action_page(self, step: int) -> None:
        self.by_hand()
        self.go(self.at + step * max(1, self.page - 1))
        self._mark_range()

    def action_goto(self, index: int) -> None:
        self.by_hand()
        self.go(self.window.total - 1 if index < 0 else index)
        self._mark_range()

    def action_open(self) -> None:
        self.touch()
        if self.row is not None:
            self.post_message(self.Opened(self))

    def action_mark(self) -> None:
        self.by_hand()
        row = self.row
        if row is None or self.cursor_id is None:
            return
        if self.marks.pop(self.cursor_id, None) is None and len(self.marks) < MAX_MARKS:
            self.marks[self.cursor_id] = row
        self.go(self.at + 1)

    def action_mark_range(self) -> None:
        """Begins a range at the cursor, or ends the one begun."""
        self.touch()
        if self._range_from is not None:
            self._range_from = None
        elif self.cursor_id is not None:
            self._range_from = self.at
            self._mark_range()
        self.post_message(self.Moved(self))

    def _mark_range(self) -> None:
        if self._range_from is None:
            return
        lo, hi = sorted((self._range_from, self.at))
        found = [self.window.row_at(index) for index in range(lo, min(hi + 1, lo + MAX_MARKS))]
        self.marks = {str(row["id"]): row for row in found if row is not None}
        self.flush()

    def action_mark_none(self) -> None:
        self.unmark()

    def unmark(self) -> bool:
        """Takes all marks off; whether there were some."""
        had = bool(self.marks) or self._range_from is not None
        self.marks, self._range_from = {}, None
        self.flush()
        if had:
            self.post_message(self.Moved(self))
        return had

    def mark_rows(self, rows: Sequence[Row]) -> None:
        self.touch()
        self.marks = {str(row["id"]): row for row in rows[:MAX_MARKS]}
        self.flush()
        self.post_message(self.Moved(self))

    def follow(self, on: bool) -> None:
        """Keeps the cursor on the newest row."""
        self.following = on and self.can_follow
        if self.following:
            self.scroll_lines(0)
            self.go(0)

    def on_focus(self) -> None:
        self._painted.clear()
        self.refresh()
        self.post_message(self.Moved(self))

    def on_blur(self) -> None:
        self._painted.clear()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            for placed in self._placed:
                if placed.x <= at.x < placed.x + placed.width and placed.column.sort:
                    self.post_message(self.Titled(self, placed.column))
            return
        index = self.top + at.y - 1
        if index < self.window.total:
            self.by_hand()
            self.go(index)
            if event.chain == 2:
                self.action_open()
