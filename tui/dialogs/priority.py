"""The place of waiting jobs in the queue: 0 to 9, higher goes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events, on
from textual.widget import Widget

from common.catalogue import Sentence, say
from tui.commands import Undo
from tui.console import Console
from tui.dialogs.dialog import Dialog
from tui.format import Line, command, number, one_line
from tui.model import Row
from tui.rows import number_or_none
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

SHOWN = 6
UNDO_FOR = 8.0


class PriorityDialog(Dialog):
    def __init__(self, console: Console, jobs: Sequence[Row]) -> None:
        super().__init__(console, Sentence("console_priority_title", {"count": number(len(jobs))}))
        self.jobs = list(jobs)
        self.before = int(number_or_none(jobs[0].get("priority")) or 0) if jobs else 0

    def body(self) -> Iterable[Widget]:
        yield TextPane(self.console.look, id="facts", classes="facts")
        language = self.console.language
        notes = {9: "console_priority_first", 5: "console_priority_usual", 0: "console_priority_last"}
        choices = [Choice(str(n), str(n), note=say(language, notes[n]) if n in notes else "") for n in range(9, -1, -1)]
        yield Choices(self.console.look, choices, at=9 - max(0, min(9, self.before)), id="choices")

    def opened(self) -> None:
        lines = [
            Line(f"{one_line(job.get('agent', '?'), 64)}  {command(job.get('argv'))}", "key", "|")
            for job in self.jobs[:SHOWN]
        ]
        if len(self.jobs) > SHOWN:
            lines.append(
                Line(say(self.console.language, "console_and_more", count=number(len(self.jobs) - SHOWN)), "dim")
            )
        self.set_facts(lines)
        self.query_one("#choices").focus()

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character.isascii() and event.character.isdigit():
            event.stop()
            choices = self.query_one("#choices", Choices)
            choices.set_choices(choices.choices, at=9 - int(event.character))

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if self.may_send():
            self.run_worker(self._send(int(event.choice.id)), exclusive=True, group="ask")

    async def _send(self, priority: int) -> None:
        jobs = [job["id"] for job in self.jobs]
        answer = await self.ask("priority", jobs=jobs, priority=priority)
        if answer.next == "done":
            self.console.tell(answer.text or Sentence("console_priority_set", {"priority": priority}), "ok")
            undo = Sentence("console_undo_priority", {"priority": self.before})
            self.console.undo = Undo(
                undo, "priority", {"jobs": jobs, "priority": self.before}, self.console.now() + UNDO_FOR
            )
            self.dismiss("set")
            return
        self.over = answer.next == "over"
        self.note(answer.text, answer.tone)
