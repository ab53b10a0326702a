"""The lines at the top and at the bottom of every screen; a click on a word does what the word says."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.message import Message
from textual.strip import Strip

from tui.view.bars import BarSpan, action_at, spans_width, wrap_spans
from tui.widgets.line_widget import LineWidget


class Bar(LineWidget):
    """A line of spans, made anew on `flush` and repainted where it differs. Spans that are wider than the line take up
    to `max_lines`.
    """

    class Clicked(Message):
        def __init__(self, act: str) -> None:
            super().__init__()
            self.action_id = act

    def __init__(self, spans: Callable[[int], list[BarSpan]], *, id: str, max_lines: int = 1) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id)
        self._build_spans = spans
        self._spans: list[BarSpan] = []
        self._lines: list[list[BarSpan]] = [[]]
        self._max_lines = max_lines
        self._built_width = 0

    def flush(self) -> None:
        if self.size.width <= 0:
            return
        spans = self._build_spans(self.size.width)
        if spans != self._spans:
            self._spans, self._built_width = spans, self.size.width
            fits = self._max_lines == 1 or spans_width(spans) <= self.size.width
            self._lines = [spans] if fits else wrap_spans(spans, self.size.width, self._max_lines)
            if self._max_lines > 1 and self.size.height != len(self._lines):
                self.styles.height = len(self._lines)
            self.refresh()

    @property
    def text(self) -> str:
        return "".join(span.text for span in self._spans)

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._built_width:
            self._spans = []
        self.flush()

    def render_line(self, y: int) -> Strip:
        runs = [(span.text, self.style_of(span.tone)) for span in (self._lines[y] if y < len(self._lines) else ())]
        return self.make_strip(y, [*runs, (" ", self.style_of(""))])

    def on_click(self, event: events.Click) -> None:
        # The second half of a double click means nothing more: an act is done once.
        at = event.get_content_offset(self)
        if event.chain == 1 and at is not None and (act := action_at(self._lines[at.y], at.x)):
            self.post_message(self.Clicked(act))
