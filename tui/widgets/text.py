"""Lines of text to read: details, plans, diffs, timelines. Wrapped by cells; nothing in them is parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.text.format import PaneLine, RenderContext, fit_cells, wrap
from tui.widgets.bindings import bindings_for
from tui.widgets.line_widget import LineWidget


class TextPane(LineWidget, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("text")

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, pane: TextPane, index: int) -> None:
            super().__init__()
            self.pane = pane
            self.index = index

    def __init__(self, ctx: Callable[[], RenderContext], *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id, classes=classes)
        self._render_context = ctx
        self._lines: list[PaneLine] = []
        self._laid_out: list[tuple[int, PaneLine]] = []  # lines as wrapped, each with the index of its line
        self._width = 0
        self._read_lines: set[int] = set()  # lines that have been on the screen to their end
        self.wrapped = True

    def set_lines(self, lines: Sequence[PaneLine], *, keep_place: bool = False) -> None:
        """Shows these lines, from the top unless it is the same text with a change in it."""
        if self._lines == list(lines):
            return
        before = self._laid_out
        self._lines = list(lines)
        self._layout_lines()
        if not keep_place:
            self.top = 0
            self._read_lines.clear()
        self.top = min(self.top, self.max_top)
        if not keep_place or len(before) != len(self._laid_out):
            self.refresh()
            return
        for index, (old, new) in enumerate(zip(before, self._laid_out, strict=True)):
            if old != new and 0 <= index - self.top < self.page_height:
                self.refresh_row(index - self.top)

    def _layout_lines(self) -> None:
        self.ascii = self._render_context().ascii
        self._width = self.size.width
        room = max(4, self._width - 1)
        self._laid_out = []
        for index, line in enumerate(self._lines):
            mark = f"{line.gutter} " if line.gutter else ""
            if not self.wrapped:
                self._laid_out.append((index, PaneLine(mark + line.text, line.tone)))
                continue
            for part in wrap(line.text, room - len(mark), line.indent):
                self._laid_out.append((index, PaneLine(mark + part, line.tone)))
                mark = " " * len(mark)
        self.total_lines = len(self._laid_out)

    def unread_lines(self, gutter: str) -> list[int]:
        """Which lines with this mark have not been on the screen to their end."""
        return [
            index for index, line in enumerate(self._lines) if line.gutter == gutter and index not in self._read_lines
        ]

    def scroll_to_line(self, index: int) -> None:
        """Scrolls so that a line begins at the top."""
        self.scroll_lines(next((at for at, shown in enumerate(self._laid_out) if shown[0] == index), 0))

    @property
    def lines(self) -> list[PaneLine]:
        return self._lines

    def height_for(self, width: int) -> int:
        """Lines that the text takes in `width` cells."""
        return sum(
            len(wrap(line.text, width - 1 - (len(line.gutter) + 1 if line.gutter else 0), line.indent))
            for line in self._lines
        )

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, self.height_for(width))

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._width:
            self._layout_lines()
        self.top = min(self.top, self.max_top)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index = self.top + y
        if index >= len(self._laid_out):
            return self.make_strip(y, [("", self.style_of(""))])
        number, line = self._laid_out[index]
        if index + 1 == len(self._laid_out) or self._laid_out[index + 1][0] != number:
            self._read_lines.add(number)
        style: Style = self.style_of(line.tone)
        return self.make_strip(
            y, [(fit_cells(line.text, self.line_width, ellipsis=self._render_context().ellipsis), style)]
        )

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and self.top + at.y < len(self._laid_out):
            self.post_message(self.Clicked(self, self._laid_out[self.top + at.y][0]))

    def on_focus(self) -> None:
        self.refresh()

    def action_scroll_by(self, lines: int) -> None:
        self.scroll_lines(self.top + lines)

    def action_page(self, step: int) -> None:
        self.scroll_lines(self.top + step * max(1, self.page_height - 1))

    def action_to_top(self) -> None:
        self.scroll_lines(0)

    def action_to_bottom(self) -> None:
        self.scroll_lines(self.max_top)

    def action_wrap(self) -> None:
        self.wrapped = not self.wrapped
        self._layout_lines()
        self.top = min(self.top, self.max_top)
        self.refresh()
