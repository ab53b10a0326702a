"""The table: a window of a server's list, by columns. The cursor is a row's id, and the row under it never moves by
itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.model.actions import Kind
from tui.model.window import Row, RowWindow
from tui.text.format import Cell, RenderContext, fit_cells
from tui.view.column import Column, PlacedColumn, fitted_columns, layout_columns, measure_content
from tui.widgets.bindings import bindings_for
from tui.widgets.line_widget import LineWidget

FOLLOW_INTERVAL: Final = 1.0
IDLE_AFTER: Final = 2.0
"""Seconds after a key in which rows keep their places."""
MAX_MARKS: Final = 10_000
LineState = tuple[bool, bool, bool, tuple[Cell, ...]]


class RowTable(LineWidget, can_focus=True):
    HEADER_LINES = 1
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("table")

    class TableMessage(Message):
        """Of one table; `control` is it."""

        def __init__(self, table: RowTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Widget:
            return self.table

    class RowOpened(TableMessage):
        """Enter or a double click on the row under the cursor."""

    class CursorMoved(TableMessage):
        """The cursor stands on another row, or marks have changed."""

    class RowsNeeded(TableMessage):
        """Rows of the window shown are not known yet."""

    class HeaderClicked(TableMessage):
        """A column's title was clicked."""

        def __init__(self, table: RowTable, column: Column[Any]) -> None:
            super().__init__(table)
            self.column = column

    def __init__(
        self,
        kind: Kind,
        columns: Sequence[Column[Any]],
        ctx: Callable[[], RenderContext],
        *,
        window: RowWindow | None = None,
        empty: Callable[[], Sequence[str]] = tuple,
        follow: bool = False,
        id: str | None = None,  # noqa: A002 - as every widget has it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.kind: Kind = kind
        self.columns = tuple(columns)
        self.window = RowWindow() if window is None else window
        self.marks: dict[str, Row] = {}  # as they were when marked; they stay marked beyond the window
        self.cursor_id: str | None = None
        self.cursor_index = 0
        self.can_follow = follow
        self.following = follow
        self.sort = ""
        self._render_context = ctx
        self._empty = empty
        self._placed: list[PlacedColumn] = []
        self._fitted = fitted_columns(self.columns)
        self._content: dict[str, int] = {}  # the widest cell seen in a column that fits what is in it
        self._measured_list = -1  # in which list
        self._painted_lines: dict[int, LineState] = {}
        self._painted_version = -1
        self._list_generation = self.window.list_generation
        self._cursor_outside = False
        self._last_activity = -IDLE_AFTER
        self._released_at = 0.0
        self.frozen = False  # for the operator's sake
        self._painted_handle = (0, 0)
        self._range_start: int | None = None
        self._painted_note: tuple[str, ...] = ()  # what stood in it while it was empty

    # ---- what is under the cursor

    @property
    def row(self) -> Row | None:
        return None if self.cursor_id is None else self.window.row(self.cursor_id)

    def marked_rows(self) -> list[Row]:
        """Marked rows as they are now as far as is known, the one under the cursor first; without marks that one
        alone."""
        found = [self.window.row(identity) or row for identity, row in self.marks.items()]
        found.sort(key=lambda row: row.id != self.cursor_id)
        return found or ([self.row] if self.row is not None else [])

    def note_activity(self) -> None:
        """The operator has just done something here."""
        self._last_activity = time.monotonic()

    @property
    def in_use(self) -> bool:
        """Whether rows should keep their places now."""
        return bool(self.marks) or time.monotonic() - self._last_activity < IDLE_AFTER

    def update_freeze(self, *, behind_dialog: bool = False) -> None:
        """Lets a new order in, or holds it: while the operator is at it, while a dialog stands before it (`apart`), and
        between two scrolls of a list that follows what is newest, since each repaints it whole.
        """
        now = time.monotonic()
        self.frozen = behind_dialog or self.in_use
        if self.frozen:
            self.window.freeze()
        elif not self.following:
            self.window.release()
        elif now - self._released_at >= FOLLOW_INTERVAL or not self.window.frozen:
            self._released_at = now
            self.window.release()
            self.window.freeze()

    @property
    def pending_moves(self) -> int:
        """How many rows wait to move because of what the operator does."""
        return self.window.pending_moves if self.frozen else 0

    def visible_range(self) -> tuple[int, int]:
        """Indexes of the rows shown."""
        return self.top, min(self.window.total, self.top + self.page_height)

    # ---- data in

    def flush(self) -> None:
        """Takes up what the window has become and repaints what differs from the screen."""
        look = self._render_context()
        self.ascii = look.ascii
        if self._painted_version != self.window.version:
            self._reposition()
        elif self.cursor_id is None:
            self._adopt_row()
        if not self.window.total and (note := tuple(self._empty())) != self._painted_note:
            self._painted_note = note
            self.refresh()
        states = [self._line_state(y, look) for y in range(1, self.size.height)]
        if self._measure(states, look):
            self._layout_columns()
            return
        for y, state in enumerate(states, 1):
            self._repaint_line(y, state)

    def _reposition(self) -> None:
        """The order or the size has changed: the cursor's row stays on its line of the screen where it can."""
        window = self.window
        self._painted_version = window.version
        before_room, known = self.line_width, self.cursor_id
        self.total_lines = window.total
        found = None if known is None else window.index(known)
        if self.following:
            self.top = self.cursor_index = 0
            self.cursor_id = window.id_at(0)
        elif found is not None:
            shift, self.cursor_index = found - self.cursor_index, found
            if shift and not self._cursor_outside:
                self.top = max(0, min(self.max_top, self.top + shift))
        else:
            self.cursor_index = max(0, min(self.cursor_index, window.total - 1))
            if known is None or self._list_generation != window.list_generation or window.is_removed(known):
                self.cursor_id = window.id_at(self.cursor_index)
        # A row beyond the window keeps the cursor: none is under it until a key takes one, never another by itself.
        self._cursor_outside = self.cursor_id is not None and window.index(self.cursor_id) is None
        self._list_generation = window.list_generation
        if not self.following or self.top > self.max_top:
            self.top = max(0, min(self.max_top, self.top))
        if before_room != self.line_width:
            self._layout_columns()
        bar = self.scrollbar_handle()
        if bar != self._painted_handle or not self.total_lines:  # else the lines that differ are found one by one
            self._painted_handle = bar
            self._painted_lines.clear()
            self.refresh()
        self.after_scroll()
        if self.cursor_id != known:
            self.post_message(self.CursorMoved(self))

    def _adopt_row(self) -> None:
        self.cursor_id = self.window.id_at(self.cursor_index)
        if self.cursor_id is not None:
            self.post_message(self.CursorMoved(self))

    def _repaint_line(self, y: int, new: LineState) -> None:
        old = self._painted_lines.get(y)
        if new == old:
            return
        if old is None or new[:3] != old[:3] or len(new[3]) != len(old[3]):
            self.refresh_row(y)
            return
        changed = [placed for placed, cell, before in zip(self._placed, new[3], old[3], strict=False) if cell != before]
        # One region a line: it is rendered once, from the left edge on.
        first, last = changed[0], changed[-1]
        self.refresh(Region(first.x, y, last.x + last.width - first.x, 1))

    def invalidate_lines(self) -> None:
        self._painted_lines.clear()

    # ---- layout and painting

    def on_resize(self, event: events.Resize) -> None:
        self.total_lines = self.window.total
        self.top = max(0, min(self.max_top, self.top))
        if self.cursor_index >= self.top + self.page_height > 0:
            self.top = max(0, self.cursor_index - self.page_height + 1)
        self._layout_columns()
        self.after_scroll()

    def _measure(self, states: Sequence[LineState], ctx: RenderContext) -> bool:
        """Takes note of how wide names are; whether that asks for other columns."""
        if self._measured_list != self.window.list_generation:
            self._measured_list, self._content = self.window.list_generation, {}
        rows = [cells for *_, cells in states if cells]
        before = self._content
        self._content = measure_content(self._placed, self._fitted, rows, before, ctx.language)
        return before != self._content

    def _layout_columns(self) -> None:
        look = self._render_context()
        self._placed = layout_columns(self.columns, self.line_width, self._content)
        if self._measure([self._line_state(y, look) for y in range(1, self.size.height)], look):
            self._placed = layout_columns(self.columns, self.line_width, self._content)
        self._painted_lines.clear()
        self.refresh()

    def redraw_labels(self) -> None:
        """Language or glyphs have changed."""
        self._measured_list = -1
        self._painted_lines.clear()
        self.refresh()

    def after_scroll(self) -> None:
        lo, hi = self.visible_range()
        if self.is_mounted and (not self.window.covers(lo, hi) or self.window.loaded):
            self.post_message(self.RowsNeeded(self))

    def _line_state(self, y: int, ctx: RenderContext) -> LineState:
        index = self.top + y - 1
        identity = self.window.id_at(index)
        row = None if identity is None else self.window.row(identity)
        if identity is None or row is None:
            return (index < self.window.total, False, False, ())
        cells = tuple(placed.render(row, ctx) for placed in self._placed)
        if identity in self.window.removed and not self.following:  # there, rows go because newer ones came
            cells = tuple(Cell(cell.text, "dim") for cell in cells)
        return (True, identity == self.cursor_id, identity in self.marks, cells)

    def render_line(self, y: int) -> Strip:
        look = self._render_context()
        if y == 0:
            return self._render_header(look)
        painting = self._painted_lines[y] = self._line_state(y, look)
        there, cursor, marked, cells = painting
        base = self.style_of("")
        if not cells:
            if there:
                return self.make_strip(
                    y, [("  " + (look.ellipsis * 2 if look.ascii else look.ellipsis), self.style_of("dim"))]
                )
            return self.make_strip(y, [(self._empty_line(y, look), self.style_of("dim"))])
        gutter = "*" if marked else " "
        if cursor:
            gutter = "*" if marked else ">" if self.has_focus else "-"
            base = self.style_of("cursor" if self.has_focus else "mark")
        elif marked:
            base = self.style_of("mark")
        runs: list[tuple[str, Style]] = [(gutter, base)]
        for placed, cell in zip(self._placed, cells, strict=False):
            text = fit_cells(cell.text, placed.width, ellipsis=look.ellipsis, right=placed.column.align_right)
            style = (
                base
                if not cell.tone
                else self.style_of(f"cursor {cell.tone}" if cursor and self.has_focus else cell.tone)
            )
            runs += [(text, style), (" ", base)]
        return self.make_strip(y, runs)

    def _render_header(self, ctx: RenderContext) -> Strip:
        style = self.style_of("head")
        titles = [" "]
        for placed in self._placed:
            title = placed.column.title(ctx.language)
            if placed.column.sort_key and placed.column.sort_key == self.sort.lstrip("-"):
                title = fit_cells(title, min(cell_len(title), placed.width - 1), ellipsis=ctx.ellipsis)
                title += "-" if self.sort.startswith("-") else "+"
            titles.append(fit_cells(title, placed.width, ellipsis=ctx.ellipsis, right=placed.column.align_right) + " ")
        return self.make_strip(0, [("".join(titles), style)])

    def _empty_line(self, y: int, ctx: RenderContext) -> str:
        """What stands in an empty table: what would be here, and the next step."""
        if self.window.total:
            return ""
        lines = self._empty()
        return fit_cells("  " + lines[y - 1], self.line_width, ellipsis=ctx.ellipsis) if y - 1 < len(lines) else ""

    # ---- moving and marking

    def user_moved(self) -> None:
        self.note_activity()
        self.following = False

    def move_to(self, index: int) -> None:
        """Puts the cursor on a row by its place in the list."""
        index = max(0, min(self.window.total - 1, index))
        before, self.cursor_index = self.cursor_index, index
        self.cursor_id = self.window.id_at(index)
        if index < self.top:
            self.scroll_lines(index)
        elif index >= self.top + self.page_height:
            self.scroll_lines(index - self.page_height + 1)
        for line in (before, index):
            if 0 <= line - self.top < self.page_height:
                self.refresh_row(line - self.top + 1)
        self.post_message(self.CursorMoved(self))

    def move_to_id(self, identity: str) -> bool:
        found = self.window.index(identity)
        if found is not None:
            self.move_to(found)
        return found is not None

    def action_move(self, step: int) -> None:
        self.user_moved()
        self.move_to(self.cursor_index + step)
        self._mark_range()

    def action_page(self, step: int) -> None:
        self.user_moved()
        self.move_to(self.cursor_index + step * max(1, self.page_height - 1))
        self._mark_range()

    def action_goto(self, index: int) -> None:
        self.user_moved()
        self.move_to(self.window.total - 1 if index < 0 else index)
        self._mark_range()

    def action_open(self) -> None:
        self.note_activity()
        if self.row is not None:
            self.post_message(self.RowOpened(self))

    def action_mark(self) -> None:
        self.user_moved()
        row = self.row
        if row is None or self.cursor_id is None:
            return
        if self.marks.pop(self.cursor_id, None) is None and len(self.marks) < MAX_MARKS:
            self.marks[self.cursor_id] = row
        self.move_to(self.cursor_index + 1)

    def action_mark_range(self) -> None:
        """Begins a range at the cursor, or ends the one begun."""
        self.note_activity()
        if self._range_start is not None:
            self._range_start = None
        elif self.cursor_id is not None:
            self._range_start = self.cursor_index
            self._mark_range()
        self.post_message(self.CursorMoved(self))

    def _mark_range(self) -> None:
        if self._range_start is None:
            return
        lo, hi = sorted((self._range_start, self.cursor_index))
        found = [self.window.row_at(index) for index in range(lo, min(hi + 1, lo + MAX_MARKS))]
        self.marks = {row.id: row for row in found if row is not None}
        self.flush()

    def action_mark_none(self) -> None:
        self.clear_marks()

    def clear_marks(self) -> bool:
        """Takes all marks off; whether there were some."""
        had = bool(self.marks) or self._range_start is not None
        self.marks, self._range_start = {}, None
        self.flush()
        if had:
            self.post_message(self.CursorMoved(self))
        return had

    def mark_rows(self, rows: Sequence[Row]) -> None:
        self.note_activity()
        self.marks = {row.id: row for row in rows[:MAX_MARKS]}
        self.flush()
        self.post_message(self.CursorMoved(self))

    def follow(self, on: bool) -> None:
        """Keeps the cursor on the newest row."""
        self.following = on and self.can_follow
        if self.following:
            self.scroll_lines(0)
            self.move_to(0)

    def on_focus(self) -> None:
        self._painted_lines.clear()
        self.refresh()
        self.post_message(self.CursorMoved(self))

    def on_blur(self) -> None:
        self._painted_lines.clear()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            for placed in self._placed:
                if placed.x <= at.x < placed.x + placed.width and placed.column.sort_key:
                    self.post_message(self.HeaderClicked(self, placed.column))
            return
        index = self.top + at.y - 1
        if index < self.window.total:
            self.user_moved()
            self.move_to(index)
            if event.chain == 2:
                self.action_open()
