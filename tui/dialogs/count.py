"""For an act on many rows that needs nothing but a yes: their number must be typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from common.api.agents import AgentView
from common.api.jobs import JobView
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.text.format import PaneLine, format_command, format_number, one_line
from tui.widgets.digits import NumberInput
from tui.widgets.text import TextPane

MAX_SHOWN = 8


class CountDialog(Dialog):
    def __init__(self, console: ConsoleContext, title: Sentence, rows: Sequence[Row]) -> None:
        super().__init__(console, title)
        self.rows = list(rows)

    def body(self) -> Iterable[Widget]:
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field("console_field_count", NumberInput(id="count"))
        yield self.button_row("go", "console_choice_go_on", "warn")

    def fill(self) -> None:
        lines = [PaneLine(_describe_row(row), "key", "|") for row in self.rows[:MAX_SHOWN]]
        if len(self.rows) > MAX_SHOWN:
            lines.append(
                PaneLine(
                    translate(
                        self.console.language, "console_and_more", count=format_number(len(self.rows) - MAX_SHOWN)
                    ),
                    "dim",
                )
            )
        self.set_facts(lines)
        self.show_note(Sentence("console_type_count", {"count": format_number(len(self.rows))}))
        self.query_one("#count").focus()

    def send(self) -> None:
        if not self.can_send():
            return
        if self.query_one("#count", NumberInput).value.strip().replace(",", "") == str(len(self.rows)):
            self.dismiss(True)
        else:
            self.show_note(Sentence("console_count_wrong", {"count": format_number(len(self.rows))}), "warn")


def _describe_row(row: Row) -> str:
    """Its machine and its command, where it has such."""
    if isinstance(row, JobView):
        return f"{one_line(row.agent, 64)}  {format_command(row.argv, row.filters)}"
    return f"{one_line(row.name, 64) if isinstance(row, AgentView) else ''}  {format_command(None)}"
