"""What a command prints, while it prints it: follow, search, both streams told apart, a reader is never moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from common.catalogue import say
from tui import show
from tui.bindings import bindings
from tui.format import Look, clock, fit, number, wrap
from tui.lines import STDERR, OutLine, OutputLines
from tui.widgets.painted import Painted

Place = tuple[int, int]  # the number of a line and which part of it, where lines are wrapped


class OutputPane(Painted, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("output"), *bindings("text")]

    class SearchWanted(Message):
        """The operator wants to type what to look for."""

        def __init__(self, pane: OutputPane) -> None:
            super().__init__()
            self.pane = pane

    class MoreWanted(Message):
        """The operator wants what is before what is kept (`step` -1), or behind it (1)."""

        def __init__(self, pane: OutputPane, step: int) -> None:
            super().__init__()
            self.pane = pane
            self.step = step

    class FindWanted(Message):
        """What is looked for is not in what is kept, and there is more elsewhere."""

        def __init__(self, pane: OutputPane, step: int) -> None:
            super().__init__()
            self.pane = pane
            self.step = step

    def __init__(self, look: Callable[[], Look], *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id, classes=classes)
        self.lines = self.newest = OutputLines()  # what is shown, and what comes; the same but where older is read
        self.following = True
        self.wrapped = False
        self.stamps = False
        self.ended = False
        self.wanted = ""
        self.found: int | None = None
        self._look = look
        self._first: int | None = None  # number of the line at the top, where not following
        self._seen = -1
        self._note = ""
        self._folded: list[Place] = []

    # ---- data in

    def start(self, note: str = "") -> None:
        """Begins anew, for another job; `note` is shown while there is nothing."""
        self.lines = self.newest = OutputLines()
        self.following, self.ended, self.found, self._first, self._note = True, False, None, None, note
        self._seen = -1
        self.top = self.total = 0
        self.refresh()

    def note(self, text: str) -> None:
        if text != self._note:
            self._note = text
            self.refresh()

    def show(self, lines: OutputLines, at: int) -> None:
        """Shows other lines from number `at` on: older ones, or the newest again."""
        self.lines, self.following, self._first, self._seen = lines, False, at, -1
        self.flush()

    @property
    def top_number(self) -> int:
        """The number of the line at the top."""
        return self._place(self.top)[0]

    @property
    def complete(self) -> bool:
        """Whether what is shown is all that there is."""
        return self.lines is self.newest and self.lines.first == 0 and not self.lines.missed

    def flush(self) -> None:
        """Takes up what has come."""
        self.ascii = self._look().ascii
        if self._seen == self.lines.version:
            return
        self._seen = self.lines.version
        self._fold()
        self.refresh()

    def _fold(self) -> None:
        lines = self.lines
        if self.wrapped:
            room = max(4, self.size.width - 1 - self._gutter)
            self._folded = [
                (lines.first + index, part)
                for index, line in enumerate(lines.all())
                for part in range(len(wrap(line.text, room)))
            ]
            self.total = len(self._folded)
        else:
            self.total = lines.end - lines.first
        if self.following:
            self.top = self.furthest
        elif self._first is not None:
            self.top = max(0, min(self.furthest, self._index_of(self._first)))

    def _index_of(self, number: int) -> int:
        if not self.wrapped:
            return number - self.lines.first
        return next((index for index, place in enumerate(self._folded) if place[0] >= number), 0)

    def _place(self, index: int) -> Place:
        if not self.wrapped:
            return self.lines.first + index, 0
        return self._folded[index] if index < len(self._folded) else (self.lines.end, 0)

    @property
    def _gutter(self) -> int:
        return 2 + (9 if self.stamps else 0)

    def summary(self, look: Look) -> str:
        """How much there is, whether it is followed, and what is missing."""
        lines = self.lines
        values = {"lines": number(lines.end), "size": show.size(lines.bytes)}
        if lines is not self.newest:
            return say(look.language, "console_output_older", first=number(lines.first), last=number(lines.end))
        if lines.missed:
            text = say(look.language, "console_output_missed", count=lines.missed, **values)
        elif lines.first:
            text = say(look.language, "console_output_from", first=number(lines.first), **values)
        else:
            text = say(look.language, "console_output_all", **values)
        if self.ended:
            return text
        state = say(look.language, "console_output_following" if self.following else "console_output_waiting")
        return f"{state}  {text}"

    # ---- painting

    def on_resize(self, event: events.Resize) -> None:
        self._fold()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        look = self._look()
        if self.total == 0:
            return self.strip(y, [(fit(self._note if y == 0 else "", self.room, cut=look.cut), self.style_of("dim"))])
        index = self.top + y
        if index >= self.total:
            return self.strip(y, [("", self.style_of(""))])
        place, part = self._place(index)
        line = self.lines.line(place)
        if line is None:
            return self.strip(y, [("", self.style_of(""))])
        return self.strip(y, self._runs(line, place, part, look))

    def _runs(self, line: OutLine, place: int, part: int, look: Look) -> list[tuple[str, Style]]:
        error = line.stream == STDERR
        gutter = "! " if error else "| "
        if self.stamps:
            gutter = f"{clock(line.at) if part == 0 else '':8} {gutter}"
        room = self.room - self._gutter
        if self.wrapped:
            parts = wrap(line.text, max(4, self.size.width - 1 - self._gutter))
            text = parts[part] if part < len(parts) else ""
        else:
            text = line.text
        style = self.style_of("found" if place == self.found else "warn" if error else "")
        return [(gutter, self.style_of("dim")), (fit(text, max(1, room), cut=look.cut), style)]

    # ---- moving

    def by_hand(self) -> None:
        self.following = False

    def scrolled(self) -> None:
        is_end = self.lines is self.newest and not self.ended and self.top >= self.furthest
        self.following = self.following or is_end
        self._first = None if self.following else self._place(self.top)[0]

    def action_scroll_by(self, lines: int) -> None:
        self.by_hand()
        if not self.scroll_lines(self.top + lines):
            self._at_the_end(-1 if lines < 0 else 1)
        self.scrolled()

    def _at_the_end(self, step: int) -> None:
        """The operator goes on where what is kept ends."""
        if self.lines is not self.newest or (step < 0 and self.lines.first > 0):
            self.post_message(self.MoreWanted(self, step))

    def action_page(self, step: int) -> None:
        self.action_scroll_by(step * max(1, self.page - 1))

    def action_to_top(self) -> None:
        self.by_hand()
        if not self.scroll_lines(0):
            self._at_the_end(-1)
        self._first = self._place(0)[0]
        self.following = False

    def action_to_bottom(self) -> None:
        self.follow(True)

    def follow(self, on: bool) -> None:
        self.following = on
        if on and self.lines is not self.newest:
            self.lines, self._seen = self.newest, self.newest.version
            self._fold()
        if on:
            self._first = None
            self.scroll_lines(self.furthest)
        else:
            self._first = self._place(self.top)[0]
        self.refresh()

    def action_wrap(self) -> None:
        self._first = None if self.following else self._place(self.top)[0]
        self.wrapped = not self.wrapped
        self._fold()
        self.refresh()

    def action_stamps(self) -> None:
        self.stamps = not self.stamps
        self._fold()
        self.refresh()

    # ---- searching

    def action_search(self) -> None:
        self.post_message(self.SearchWanted(self))

    def search(self, text: str) -> bool:
        """Goes to the next line with `text` from the one at the top on; whether there is one. Where there is more than
        what is shown, that is looked through next."""
        self.wanted = text
        return self._go_found(self.found if self.found is not None else self._place(self.top)[0], 1)

    def action_next(self, step: int) -> None:
        if self.wanted:
            start = self.found if self.found is not None else self._place(self.top)[0]
            self._go_found(start + step, step)

    def _go_found(self, start: int, step: int) -> bool:
        found = self.lines.find(self.wanted, start, step, around=self.complete)
        if found is None and not self.complete:
            self.post_message(self.FindWanted(self, step))
            return True
        self.go_line(found)
        return found is not None

    def go_line(self, place: int | None) -> None:
        """Puts a found line in sight."""
        self.found = place
        if place is not None:
            self.by_hand()
            self.scroll_lines(self._index_of(place) - self.page // 3)
            self._first = self._place(self.top)[0]
            self.following = False
        self.refresh()
