"""What a command prints, while it prints it: follow, search, both streams told apart, a reader is never moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from common.catalogue import translate
from tui.model.output_lines import STDERR, OutputLine, OutputLines
from tui.text import tables as show
from tui.text.format import RenderContext, fit_cells, format_clock, format_number, wrap
from tui.widgets.bindings import bindings_for
from tui.widgets.line_widget import LineWidget

LinePart = tuple[int, int]  # the number of a line and which part of it, where lines are wrapped


class OutputPane(LineWidget, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_for("output"), *bindings_for("text")]

    class SearchRequested(Message):
        """The operator wants to type what to look for."""

        def __init__(self, pane: OutputPane) -> None:
            super().__init__()
            self.pane = pane

    class PageRequested(Message):
        """The operator wants what is before what is kept (`step` -1), or behind it (1)."""

        def __init__(self, pane: OutputPane, step: int) -> None:
            super().__init__()
            self.pane = pane
            self.step = step

    class StoredSearchRequested(Message):
        """What is looked for is not in what is kept, and there is more elsewhere."""

        def __init__(self, pane: OutputPane, step: int) -> None:
            super().__init__()
            self.pane = pane
            self.step = step

    def __init__(self, ctx: Callable[[], RenderContext], *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id, classes=classes)
        self.lines = self.live_lines = OutputLines()  # what is shown, and what comes; the same but where older is read
        self.following = True
        self.wrapped = False
        self.timestamps = False
        self.ended = False
        self.search_text = ""
        self.match_line: int | None = None
        self._render_context = ctx
        self._top_line: int | None = None  # number of the line at the top, where not following
        self._painted_version = -1
        self._placeholder = ""
        self._wrapped_parts: list[LinePart] = []

    # ---- data in

    def reset(self, note: str = "") -> None:
        """Begins anew, for another job; `set_placeholder` is shown while there is nothing."""
        self.lines = self.live_lines = OutputLines()
        self.following, self.ended, self.match_line, self._top_line, self._placeholder = True, False, None, None, note
        self._painted_version = -1
        self.top = self.total_lines = 0
        self.refresh()

    def set_placeholder(self, text: str) -> None:
        if text != self._placeholder:
            self._placeholder = text
            self.refresh()

    def show_lines(self, lines: OutputLines, at: int) -> None:
        """Shows other lines from number `at` on: older ones, or the newest again."""
        self.lines, self.following, self._top_line, self._painted_version = lines, False, at, -1
        self.flush()

    @property
    def top_number(self) -> int:
        """The number of the line at the top."""
        return self._part_at(self.top)[0]

    @property
    def is_complete(self) -> bool:
        """Whether what is shown is all that there is."""
        return self.lines is self.live_lines and self.lines.first == 0 and not self.lines.missed_chunks

    def flush(self) -> None:
        """Takes up what has come."""
        self.ascii = self._render_context().ascii
        if self._painted_version == self.lines.version:
            return
        self._painted_version = self.lines.version
        self._layout_lines()
        self.refresh()

    def _layout_lines(self) -> None:
        lines = self.lines
        if self.wrapped:
            room = max(4, self.size.width - 1 - self._gutter)
            self._wrapped_parts = [
                (lines.first + index, part)
                for index, line in enumerate(lines.to_list())
                for part in range(len(wrap(line.text, room)))
            ]
            self.total_lines = len(self._wrapped_parts)
        else:
            self.total_lines = lines.end - lines.first
        if self.following:
            self.top = self.max_top
        elif self._top_line is not None:
            self.top = max(0, min(self.max_top, self._index_of(self._top_line)))

    def _index_of(self, number: int) -> int:
        if not self.wrapped:
            return number - self.lines.first
        return next((index for index, place in enumerate(self._wrapped_parts) if place[0] >= number), 0)

    def _part_at(self, index: int) -> LinePart:
        if not self.wrapped:
            return self.lines.first + index, 0
        return self._wrapped_parts[index] if index < len(self._wrapped_parts) else (self.lines.end, 0)

    @property
    def _gutter(self) -> int:
        return 2 + (9 if self.timestamps else 0)

    def summary(self, ctx: RenderContext) -> str:
        """How much there is, whether it is followed, and what is missing."""
        lines = self.lines
        values = {"lines": format_number(lines.end), "size": show.format_size(lines.bytes)}
        if lines is not self.live_lines:
            return translate(
                ctx.language, "console_output_older", first=format_number(lines.first), last=format_number(lines.end)
            )
        if lines.missed_chunks:
            text = translate(ctx.language, "console_output_missed", count=lines.missed_chunks, **values)
        elif lines.first:
            text = translate(ctx.language, "console_output_from", first=format_number(lines.first), **values)
        else:
            text = translate(ctx.language, "console_output_all", **values)
        if self.ended:
            return text
        state = translate(ctx.language, "console_output_following" if self.following else "console_output_waiting")
        return f"{state}  {text}"

    # ---- painting

    def on_resize(self, event: events.Resize) -> None:
        self._layout_lines()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        look = self._render_context()
        if self.total_lines == 0:
            return self.make_strip(
                y,
                [
                    (
                        fit_cells(self._placeholder if y == 0 else "", self.line_width, ellipsis=look.ellipsis),
                        self.style_of("dim"),
                    )
                ],
            )
        index = self.top + y
        if index >= self.total_lines:
            return self.make_strip(y, [("", self.style_of(""))])
        place, part = self._part_at(index)
        line = self.lines.line(place)
        if line is None:
            return self.make_strip(y, [("", self.style_of(""))])
        return self.make_strip(y, self._runs(line, place, part, look))

    def _runs(self, line: OutputLine, place: int, part: int, ctx: RenderContext) -> list[tuple[str, Style]]:
        error = line.stream == STDERR
        gutter = "! " if error else "| "
        if self.timestamps:
            gutter = f"{format_clock(line.at, ctx.zone) if part == 0 else '':8} {gutter}"
        room = self.line_width - self._gutter
        if self.wrapped:
            parts = wrap(line.text, max(4, self.size.width - 1 - self._gutter))
            text = parts[part] if part < len(parts) else ""
        else:
            text = line.text
        style = self.style_of("found" if place == self.match_line else "warn" if error else "")
        return [(gutter, self.style_of("dim")), (fit_cells(text, max(1, room), ellipsis=ctx.ellipsis), style)]

    # ---- moving

    def user_moved(self) -> None:
        self.following = False

    def after_scroll(self) -> None:
        is_end = self.lines is self.live_lines and not self.ended and self.top >= self.max_top
        self.following = self.following or is_end
        self._top_line = None if self.following else self._part_at(self.top)[0]

    def action_scroll_by(self, lines: int) -> None:
        self.user_moved()
        if not self.scroll_lines(self.top + lines):
            self._request_page(-1 if lines < 0 else 1)
        self.after_scroll()

    def _request_page(self, step: int) -> None:
        """The operator goes on where what is kept ends."""
        if self.lines is not self.live_lines or (step < 0 and self.lines.first > 0):
            self.post_message(self.PageRequested(self, step))

    def action_page(self, step: int) -> None:
        self.action_scroll_by(step * max(1, self.page_height - 1))

    def action_to_top(self) -> None:
        self.user_moved()
        if not self.scroll_lines(0):
            self._request_page(-1)
        self._top_line = self._part_at(0)[0]
        self.following = False

    def action_to_bottom(self) -> None:
        self.follow(True)

    def follow(self, on: bool) -> None:
        self.following = on
        if on and self.lines is not self.live_lines:
            self.lines, self._painted_version = self.live_lines, self.live_lines.version
            self._layout_lines()
        if on:
            self._top_line = None
            self.scroll_lines(self.max_top)
        else:
            self._top_line = self._part_at(self.top)[0]
        self.refresh()

    def action_wrap(self) -> None:
        self._top_line = None if self.following else self._part_at(self.top)[0]
        self.wrapped = not self.wrapped
        self._layout_lines()
        self.refresh()

    def action_stamps(self) -> None:
        self.timestamps = not self.timestamps
        self._layout_lines()
        self.refresh()

    # ---- searching

    def action_search(self) -> None:
        self.post_message(self.SearchRequested(self))

    def search(self, text: str) -> bool:
        """Goes to the next line with `text` from the one at the top on; whether there is one. Where there is more than
        what is shown, that is looked through next."""
        self.search_text = text
        return self._go_to_match(self.match_line if self.match_line is not None else self._part_at(self.top)[0], 1)

    def action_next(self, step: int) -> None:
        if self.search_text:
            start = self.match_line if self.match_line is not None else self._part_at(self.top)[0]
            self._go_to_match(start + step, step)

    def _go_to_match(self, start: int, step: int) -> bool:
        found = self.lines.find(self.search_text, start, step, wrap_around=self.is_complete)
        if found is None and not self.is_complete:
            self.post_message(self.StoredSearchRequested(self, step))
            return True
        self.go_to_match(found)
        return found is not None

    def go_to_match(self, place: int | None) -> None:
        """Puts a found line in sight."""
        self.match_line = place
        if place is not None:
            self.user_moved()
            self.scroll_lines(self._index_of(place) - self.page_height // 3)
            self._top_line = self._part_at(self.top)[0]
            self.following = False
        self.refresh()
