"""One of a list, narrowed by typing: the help that runs the act, the copy menu, the choice of a theme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog, TextField
from tui.model.actions import ActionEntry, cli_command_for, format_keys
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.text.format import fit_cells
from tui.widgets.choices import ChoiceItem, ChoiceList


class PickDialog(Dialog):
    """Gives the id of what was taken; what is off says why and stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "step(1)", show=False, priority=True),
        Binding("up", "step(-1)", show=False, priority=True),
        Binding("pagedown", "step(10)", show=False, priority=True),
        Binding("pageup", "step(-10)", show=False, priority=True),
    ]

    def __init__(
        self, console: ConsoleContext, title: Sentence, choices: Sequence[ChoiceItem], *, search: bool = False
    ) -> None:
        super().__init__(console, title)
        self.choices = list(choices)
        self.disabled_reasons: dict[str, str] = {}
        self._search = search

    def body(self) -> Iterable[Widget]:
        if self._search:
            yield self.labeled_field("console_field_search", TextField(id="search"))
        yield ChoiceList(self.console.render_context, self.choices, id="choices")
        yield self.button_row("take", "console_choice_take")

    def key_hints(self) -> str:
        if not self._search:
            return super().key_hints()
        return translate(self.console.language, "console_pick_keys" if self.takes_letters else "console_pick_keys_yn")

    def fill(self) -> None:
        self.query_one("#search" if self._search else "#choices").focus()
        self._highlight_changed()

    def list_height(self, choices: ChoiceList) -> int:
        return len(self.choices)  # while it is narrowed by typing the box stays as it is

    def action_step(self, step: int) -> None:
        choices = self.query_one("#choices", ChoiceList)
        if choices.items:
            target = choices.index + step
            choices.action_step(
                (target % len(choices.items) if abs(step) == 1 else max(0, min(len(choices.items) - 1, target)))
                - choices.index
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
        self.query_one("#choices", ChoiceList).set_items(found)
        self._highlight_changed()

    def send(self) -> None:
        self.query_one("#choices", ChoiceList).action_take()

    @on(ChoiceList.Highlighted, "#choices")
    def _highlighted(self, event: ChoiceList.Highlighted) -> None:
        event.stop()
        self._highlight_changed()

    def _highlight_changed(self) -> None:
        choice = self.query_one("#choices", ChoiceList).highlighted
        self.show_note(self.disabled_reasons.get(choice.id, "") if choice else "", "warn")

    @on(ChoiceList.Selected, "#choices")
    def _selected(self, event: ChoiceList.Selected) -> None:
        event.stop()
        if why := self.disabled_reasons.get(event.choice.id):
            self.show_note(why, "bad")
            return
        self.dismiss(event.choice.id)


def help_dialog(console: ConsoleContext, entries: Sequence[ActionEntry], row: Row | None) -> PickDialog:
    """Every act that is here, with its keys and its command line; enter runs it, one that is off says why."""
    language = console.language
    choices, why = [], {}
    for entry in entries:
        act = entry.action
        twin = cli_command_for(act, row)
        ellipsis = "~" if console.settings.ascii else "…"
        text = f"{fit_cells(format_keys(act.keys), 12)} {fit_cells(act.label(language), 34, ellipsis=ellipsis)}"
        choices.append(ChoiceItem(act.id, text, "dim" if entry.disabled_reason else "", twin))
        if entry.disabled_reason is not None:
            why[act.id] = translate(language, "console_off_because", act=act.label(language), why=entry.disabled_reason)
    dialog = PickDialog(console, Sentence("console_help_title"), choices, search=True)
    dialog.disabled_reasons = why
    return dialog
