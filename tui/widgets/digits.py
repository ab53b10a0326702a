"""Fields for numbers and codes. They take digits alone, so that letter keys still reach the dialog around them."""

from __future__ import annotations

from textual import events
from textual.widgets import Input


class NumberInput(Input):
    """An `Input` swallows every printable key, even from bindings with priority; this one lets go of those it has no
    use for."""

    EXTRA_CHARACTERS = ","  # as large numbers are shown

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - as every widget has it
        max_length: int = 7,
        hidden: bool = False,
        placeholder: str = "",
    ) -> None:
        super().__init__(
            id=id,
            max_length=max_length,
            restrict=rf"[0-9{self.EXTRA_CHARACTERS}]*",
            password=hidden,
            compact=True,
            select_on_focus=False,
            placeholder=placeholder,
        )
        self.cursor_blink = False

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and self._takes(character)

    async def _on_key(self, event: events.Key) -> None:
        # Every class up to Input gets the key, so it is kept from Input's own handler and goes on to the dialog's
        # bindings.
        if event.is_printable and not self._takes(event.character or ""):
            event.prevent_default()

    def _takes(self, character: str) -> bool:
        return character.isascii() and (character.isdigit() or character in self.EXTRA_CHARACTERS)


class CodeInput(NumberInput):
    """Six digits."""

    CODE_LENGTH = 6
    EXTRA_CHARACTERS = ""

    def __init__(self, *, id: str | None = None, hidden: bool = False) -> None:  # noqa: A002 - as every widget has it
        super().__init__(id=id, max_length=self.CODE_LENGTH, hidden=hidden, placeholder="_ " * self.CODE_LENGTH)

    @property
    def complete(self) -> bool:
        return len(self.value) == self.CODE_LENGTH
