"""The lines at the top and at the bottom of every screen; a click on a word does what the word says."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.message import Message
from textual.strip import Strip

from tui.headline import Span, act_at
from tui.widgets.painted import Painted


class Bar(Painted):
    """One line of spans, made anew on `flush` and repainted where it differs."""

    class Clicked(Message):
        def __init__(self, act: str) -> None:
            super().__init__()
            self.act = act

    def __init__(self, spans: Callable[[int], list[Span]], *, id: str) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id)
        self._make = spans
        self._spans: list[Span] = []

    def flush(self) -> None:
        if self.size.width <= 0:
            return
        spans = self._make(self.size.width)
        if spans != self._spans:
            self._spans = spans
            self.refresh()

    @property
    def text(self) -> str:
        return "".join(span.text for span in self._spans)

    def on_resize(self, event: events.Resize) -> None:
        self.flush()

    def render_line(self, y: int) -> Strip:
        runs = [(span.text, self.style_of(span.tone)) for span in self._spans]
        return self.strip(y, [*runs, (" ", self.style_of(""))])

    def on_click(self, event: events.Click) -> None:
        # The second half of a double click means nothing more: an act is done once.
        at = event.get_content_offset(self)
        if event.chain == 1 and at is not None and (act := act_at(self._spans, at.x)):
            self.post_message(self.Clicked(act))
