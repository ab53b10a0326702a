"""The field for a code of six digits. It takes digits alone, so that letter keys still reach the dialog around it."""

from __future__ import annotations

from textual import events
from textual.widgets import Input


class Digits(Input):
    """An `Input` swallows every printable key, even from bindings with priority; this one lets go of those it has no
    use for."""

    LENGTH = 6

    def __init__(self, *, id: str | None = None, hidden: bool = False) -> None:  # noqa: A002 - as every widget has it
        super().__init__(
            id=id,
            max_length=self.LENGTH,
            restrict=r"[0-9]*",
            password=hidden,
            compact=True,
            select_on_focus=False,
            placeholder="_ " * self.LENGTH,
        )
        self.cursor_blink = False

    @property
    def complete(self) -> bool:
        return len(self.value) == self.LENGTH

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and _is_digit(character)

    async def _on_key(self, event: events.Key) -> None:
        # Every class up to Input gets the key, so it is kept from Input's own handler and goes on to the dialog's
        # bindings.
        if event.is_printable and not _is_digit(event.character or ""):
            event.prevent_default()


def _is_digit(character: str) -> bool:
    return character.isascii() and character.isdigit()
