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

from tui.bindings import bindings
from tui.format import Line, Look, fit, wrap
from tui.widgets.painted import Painted


class TextPane(Painted, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = bindings("text")

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, pane: TextPane, index: int) -> None:
            super().__init__()
            self.pane = pane
            self.index = index

    def __init__(self, look: Callable[[], Look], *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id, classes=classes)
        self._look = look
        self._lines: list[Line] = []
        self._shown: list[tuple[int, Line]] = []  # lines as wrapped, each with the index of its line
        self._width = 0
        self._seen: set[int] = set()  # lines that have been on the screen to their end
        self.wrapped = True

    def set_lines(self, lines: Sequence[Line], *, keep_place: bool = False) -> None:
        """Shows these lines, from the top unless it is the same text with a change in it."""
        if self._lines == list(lines):
            return
        before = self._shown
        self._lines = list(lines)
        self._fold()
        if not keep_place:
            self.top = 0
            self._seen.clear()
        self.top = min(self.top, self.furthest)
        if not keep_place or len(before) != len(self._shown):
            self.refresh()
            return
        for index, (old, new) in enumerate(zip(before, self._shown, strict=True)):
            if old != new and 0 <= index - self.top < self.page:
                self.refresh_row(index - self.top)

    def _fold(self) -> None:
        self.ascii = self._look().ascii
        self._width = self.size.width
        room = max(4, self._width - 1)
        self._shown = []
        for index, line in enumerate(self._lines):
            mark = f"{line.mark} " if line.mark else ""
            if not self.wrapped:
                self._shown.append((index, Line(mark + line.text, line.tone)))
                continue
            for part in wrap(line.text, room - len(mark), line.indent):
                self._shown.append((index, Line(mark + part, line.tone)))
                mark = " " * len(mark)
        self.total = len(self._shown)

    def unseen(self, mark: str) -> list[int]:
        """Which lines with this mark have not been on the screen to their end."""
        return [index for index, line in enumerate(self._lines) if line.mark == mark and index not in self._seen]

    def show_line(self, index: int) -> None:
        """Scrolls so that a line begins at the top."""
        self.scroll_lines(next((at for at, shown in enumerate(self._shown) if shown[0] == index), 0))

    @property
    def lines(self) -> list[Line]:
        return self._lines

    def height_for(self, width: int) -> int:
        """Lines that the text takes in `width` cells."""
        return sum(
            len(wrap(line.text, width - 1 - (len(line.mark) + 1 if line.mark else 0), line.indent))
            for line in self._lines
        )

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, self.height_for(width))

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._width:
            self._fold()
        self.top = min(self.top, self.furthest)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index = self.top + y
        if index >= len(self._shown):
            return self.strip(y, [("", self.style_of(""))])
        number, line = self._shown[index]
        if index + 1 == len(self._shown) or self._shown[index + 1][0] != number:
            self._seen.add(number)
        style: Style = self.style_of(line.tone)
        return self.strip(y, [(fit(line.text, self.room, cut=self._look().cut), style)])

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and self.top + at.y < len(self._shown):
            self.post_message(self.Clicked(self, self._shown[self.top + at.y][0]))

    def on_focus(self) -> None:
        self.refresh()

    def action_scroll_by(self, lines: int) -> None:
        self.scroll_lines(self.top + lines)

    def action_page(self, step: int) -> None:
        self.scroll_lines(self.top + step * max(1, self.page - 1))

    def action_to_top(self) -> None:
        self.scroll_lines(0)

    def action_to_bottom(self) -> None:
        self.scroll_lines(self.furthest)

    def action_wrap(self) -> None:
        self.wrapped = not self.wrapped
        self._fold()
        self.top = min(self.top, self.furthest)
        self.refresh()
