"""The place of waiting jobs in the queue: 0 to 9, higher goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textual import events, on
from textual.widget import Widget

from common.catalogue import Sentence, say
from tui.answers import ask
from tui.commands import Undo
from tui.console import Console
from tui.dialogs.dialog import Dialog
from tui.format import Line, command, number, one_line, short_id
from tui.model import Row
from tui.rows import number_or_none
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

SHOWN = 6
UNDO_FOR = 8.0
SETTLE = 0.15
"""Seconds that a choice must stand before it is looked ahead."""


class PriorityDialog(Dialog):
    def __init__(self, console: Console, jobs: Sequence[Row]) -> None:
        super().__init__(console, Sentence("console_priority_title", {"count": number(len(jobs))}))
        self.jobs = list(jobs)
        self._lines: list[Line] = []
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
        self._lines = lines
        self.set_facts(lines)
        self.query_one("#choices").focus()

    def _look_ahead(self) -> None:
        """Shows the places that the jobs would have, when the choice has stood for a moment."""
        self.run_worker(self._ask_places(), exclusive=True, group="preview")

    async def _ask_places(self) -> None:
        await asyncio.sleep(SETTLE)
        choice = self.query_one("#choices", Choices).choice
        if choice is None or not self.console.link.live or self.sending or self.over:
            return
        args = {"jobs": [job["id"] for job in self.jobs], "priority": int(choice.id), "dry_run": True}
        answer = await ask(self.console.source.call, "priority", **args)
        places = answer.data.get("order") if answer.next == "done" and isinstance(answer.data, dict) else None
        if isinstance(places, list | tuple):
            found = [self._place(place) for place in places[:SHOWN] if isinstance(place, Mapping)]
            self.set_facts([*self._lines, *found], keep_place=True)

    def _place(self, place: Mapping[str, Any]) -> Line:
        values = {name: one_line(place.get(name, "?"), 12) for name in ("was", "now", "of")}
        values |= {"agent": one_line(place.get("agent", "?"), 64), "job": short_id(place.get("job", "?"))}
        return Line(say(self.console.language, "console_priority_place", **values), "busy")

    @on(Choices.Stood, "#choices")
    def _stood(self, event: Choices.Stood) -> None:
        event.stop()
        self._look_ahead()

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character.isascii() and event.character.isdigit():
            event.stop()
            choices = self.query_one("#choices", Choices)
            choices.set_choices(choices.choices, at=9 - int(event.character))
            self._look_ahead()

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
