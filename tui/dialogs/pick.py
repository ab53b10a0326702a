"""One of a list, narrowed by typing: the help that runs the act, the copy menu, the choice of a theme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from tui.commands import Entry, key_signs, twin_of
from tui.console import Console
from tui.dialogs.dialog import Dialog, Field
from tui.format import fit
from tui.model import Row
from tui.widgets.choices import Choice, Choices


class PickDialog(Dialog):
    """Gives the id of what was taken; what is off says why and stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "step(1)", show=False, priority=True),
        Binding("up", "step(-1)", show=False, priority=True),
        Binding("pagedown", "step(10)", show=False, priority=True),
        Binding("pageup", "step(-10)", show=False, priority=True),
    ]

    def __init__(self, console: Console, title: Sentence, choices: Sequence[Choice], *, search: bool = False) -> None:
        super().__init__(console, title)
        self.choices = list(choices)
        self.why: dict[str, str] = {}
        self._search = search

    def body(self) -> Iterable[Widget]:
        if self._search:
            yield self.labelled("console_field_search", Field(id="search"))
        yield Choices(self.console.look, self.choices, id="choices")

    def keys(self) -> str:
        return say(self.console.language, "console_pick_keys")

    def opened(self) -> None:
        self.query_one("#search" if self._search else "#choices").focus()
        self._stood()

    def lines_of(self, choices: Choices) -> int:
        return len(self.choices)  # while it is narrowed by typing the box stays as it is

    def action_step(self, step: int) -> None:
        choices = self.query_one("#choices", Choices)
        if choices.choices:
            target = choices.at + step
            choices.action_step(
                (target % len(choices.choices) if abs(step) == 1 else max(0, min(len(choices.choices) - 1, target)))
                - choices.at
            )

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        wanted = event.value.casefold().split()
        found = [
            choice
            for choice in self.choices
            if all(part in f"{choice.id} {choice.text} {choice.note}".casefold() for part in wanted)
        ]
        self.query_one("#choices", Choices).set_choices(found)
        self._stood()

    @on(Input.Submitted, "#search")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#choices", Choices).action_take()

    @on(Choices.Stood, "#choices")
    def _moved(self, event: Choices.Stood) -> None:
        event.stop()
        self._stood()

    def _stood(self) -> None:
        choice = self.query_one("#choices", Choices).choice
        self.note(self.why.get(choice.id, "") if choice else "", "warn")

    @on(Choices.Taken, "#choices")
    def _taken(self, event: Choices.Taken) -> None:
        event.stop()
        if why := self.why.get(event.choice.id):
            self.note(why, "bad")
            return
        self.dismiss(event.choice.id)


def help_dialog(console: Console, entries: Sequence[Entry], row: Row | None) -> PickDialog:
    """Every act that is here, with its keys and its command line; enter runs it, one that is off says why."""
    language = console.language
    choices, why = [], {}
    for entry in entries:
        act = entry.act
        twin = twin_of(act, row)
        text = (
            f"{fit(key_signs(act.keys), 12)} {fit(act.name(language), 34, cut='~' if console.settings.ascii else '…')}"
        )
        choices.append(Choice(act.id, text, "dim" if entry.off else "", twin))
        if entry.off is not None:
            why[act.id] = say(language, "console_off_because", act=act.name(language), why=entry.off)
    dialog = PickDialog(console, Sentence("console_help_title"), choices, search=True)
    dialog.why = why
    return dialog
