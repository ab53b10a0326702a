"""The line at the bottom where a filter, a command or a search is typed, and above it what can be typed: all of it at
first, then what begins with the text. Tab takes the marked one, up and down mark another, which Enter then takes too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from tui.text.format import RenderContext
from tui.widgets.choices import ChoiceItem, ChoiceList

PromptPurpose = Literal["filter", "command", "search"]
MAX_LENGTH = 500
MAX_OFFERS = 200
MAX_OFFER_LINES = 8
LINES_LEFT = 14
"""Lines of the screen that the offers leave to what they are about."""


class Completer(Suggester):
    """Asks a function for whole lines that begin with what is typed."""

    def __init__(self, complete: Callable[[str], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return next((line for line in self._complete(value) if line.startswith(value) and line != value), None)


class OfferList(ChoiceList, can_focus=False):
    """What can be typed now."""

    def __init__(self, ctx: Callable[[], RenderContext]) -> None:
        super().__init__(ctx, (), id="offers")
        self.display = False

    def show_offers(self, lines: Sequence[str], describe: Callable[[str], str]) -> None:
        width = max((len(line) for line in lines[:MAX_OFFERS]), default=0)
        self.set_items([ChoiceItem(line, line.ljust(width), note=describe(line)) for line in lines[:MAX_OFFERS]])
        self.styles.height = max(1, min(len(self.items), MAX_OFFER_LINES, self.screen.size.height - LINES_LEFT))
        self.display = bool(self.items)


class PromptLine(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, id="prompt_leave"),
        Binding("tab", "complete", show=False, priority=True),
        Binding("down", "offer(1)", show=False),
        Binding("up", "offer(-1)", show=False),
    ]

    class Edited(Message):
        """The text is another one."""

        def __init__(self, use: PromptPurpose, text: str) -> None:
            super().__init__()
            self.use = use
            self.text = text

    class Finished(Message):
        """Entered, or left: then `text` is None."""

        def __init__(self, use: PromptPurpose, text: str | None) -> None:
            super().__init__()
            self.use = use
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="prompt", compact=True, max_length=MAX_LENGTH, select_on_focus=False)
        self.cursor_blink = False
        self.purpose: PromptPurpose = "filter"
        self.display = False
        self._complete: Callable[[str], Sequence[str]] | None = None
        self._describe: Callable[[str], str] = lambda line: ""
        self._marked = False  # whether another offer was marked by hand

    def show_prompt(
        self,
        purpose: PromptPurpose,
        text: str,
        hint: str,
        complete: Callable[[str], Sequence[str]] | None,
        describe: Callable[[str], str] = lambda line: "",
    ) -> None:
        """`complete` gives whole lines that begin with what is typed, `describe` says what such a line is."""
        self.purpose, self._complete, self._describe = purpose, complete, describe
        self.suggester = Completer(complete) if complete else None
        self.placeholder = hint
        with self.prevent(Input.Changed):
            self.value = text
        self.cursor_position = len(text)
        self.display = True
        self.focus()
        self._show_offers()

    def hide_prompt(self) -> None:
        self.display = False
        if (offers := self._offers) is not None:
            offers.display = False

    @property
    def _offers(self) -> OfferList | None:
        """The list above it; None where the screen has none."""
        return self.screen.query_one_optional(OfferList)

    @property
    def _marked_offer(self) -> ChoiceItem | None:
        offers = self._offers
        return offers.highlighted if offers is not None and offers.display else None

    def _show_offers(self) -> None:
        self._marked = False
        if (offers := self._offers) is not None:
            offers.show_offers(self._complete(self.value) if self._complete is not None else (), self._describe)

    def action_offer(self, step: int) -> None:
        offers = self._offers
        if offers is not None and offers.display:
            self._marked = True
            offers.action_step(step)

    def action_complete(self) -> None:
        """Takes the marked offer into the line."""
        choice = self._marked_offer
        if choice is not None:
            self.value = choice.id
            self.cursor_position = len(self.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._show_offers()
        self.post_message(self.Edited(self.purpose, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        choice = self._marked_offer if self._marked else None
        self.post_message(self.Finished(self.purpose, event.value if choice is None else choice.id))

    def action_leave(self) -> None:
        self.post_message(self.Finished(self.purpose, None))
