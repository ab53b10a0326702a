"""The line at the bottom where a filter, a command or a search is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

Use = Literal["filter", "command", "search"]
MAX_LENGTH = 500


class Completer(Suggester):
    """Asks a function for whole lines that begin with what is typed."""

    def __init__(self, complete: Callable[[str], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return next((line for line in self._complete(value) if line.startswith(value) and line != value), None)


class Prompt(Input):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False, id="prompt_leave")]

    class Typed(Message):
        """The text is another one."""

        def __init__(self, use: Use, text: str) -> None:
            super().__init__()
            self.use = use
            self.text = text

    class Done(Message):
        """Entered, or left: then `text` is None."""

        def __init__(self, use: Use, text: str | None) -> None:
            super().__init__()
            self.use = use
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="prompt", compact=True, max_length=MAX_LENGTH, select_on_focus=False)
        self.cursor_blink = False
        self.use: Use = "filter"
        self.display = False

    def open(self, use: Use, text: str, hint: str, complete: Callable[[str], Sequence[str]] | None) -> None:
        self.use = use
        self.suggester = Completer(complete) if complete else None
        self.placeholder = hint
        with self.prevent(Input.Changed):
            self.value = text
        self.cursor_position = len(text)
        self.display = True
        self.focus()

    def close(self) -> None:
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(self.use, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Done(self.use, event.value))

    def action_leave(self) -> None:
        self.post_message(self.Done(self.use, None))
