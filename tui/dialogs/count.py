"""For an act on many rows that needs nothing but a yes: their number must be typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from tui.console import Console
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, command, number, one_line
from tui.model import Row
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

SHOWN = 8


class CountDialog(Dialog):
    def __init__(self, console: Console, title: Sentence, rows: Sequence[Row]) -> None:
        super().__init__(console, title)
        self.rows = list(rows)

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_count", Field(id="count", max_length=6))
        choices = [
            Choice("close", say(language, "console_choice_close")),
            Choice("go", say(language, "console_choice_go_on"), "warn"),
        ]
        yield Choices(self.console.look, choices, row=True, id="choices")

    def opened(self) -> None:
        lines = [
            Line(f"{one_line(row.get('agent') or row.get('name') or '', 64)}  {command(row.get('argv'))}", "key", "|")
            for row in self.rows[:SHOWN]
        ]
        if len(self.rows) > SHOWN:
            lines.append(
                Line(say(self.console.language, "console_and_more", count=number(len(self.rows) - SHOWN)), "dim")
            )
        self.set_facts(lines)
        self.note(Sentence("console_type_count", {"count": number(len(self.rows))}))
        self.query_one("#count").focus()

    @on(Input.Submitted, "#count")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._go()

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "close":
            self.action_close()
        else:
            self._go()

    def _go(self) -> None:
        if not self.may_send():
            return
        if self.query_one("#count", Field).value.strip().replace(",", "") == str(len(self.rows)):
            self.dismiss(True)
        else:
            self.note(Sentence("console_count_wrong", {"count": number(len(self.rows))}), "warn")
