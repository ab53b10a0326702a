"""The place of waiting jobs in the queue: 0 to 9, higher goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from textual import events, on
from textual.widget import Widget

from common.api import verbs
from common.api.actions import PriorityArgs, QueuePlace
from common.api.jobs import JobView
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog
from tui.model.actions import Undo
from tui.model.answers import call_hub
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, format_command, format_number, one_line, short_id
from tui.view.columns import row_title, rows_title
from tui.widgets.choices import ChoiceItem, ChoiceList
from tui.widgets.text import TextPane

MAX_SHOWN = 6
UNDO_FOR = 8.0
DEBOUNCE = 0.15
"""Seconds that a choice must stand before it is looked ahead."""


class PriorityDialog(Dialog):
    def __init__(self, console: ConsoleContext, jobs: Sequence[JobView]) -> None:
        super().__init__(console, Sentence("console_priority_title", {"count": rows_title(jobs)}))
        self.jobs = list(jobs)
        self._lines: list[PaneLine] = []
        self.previous = jobs[0].priority if jobs else 0

    def body(self) -> Iterable[Widget]:
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        language = self.console.language
        notes = {9: "console_priority_first", 5: "console_priority_usual", 0: "console_priority_last"}
        choices = [
            ChoiceItem(str(n), str(n), note=translate(language, notes[n]) if n in notes else "")
            for n in range(9, -1, -1)
        ]
        yield ChoiceList(self.console.render_context, choices, index=9 - max(0, min(9, self.previous)), id="choices")
        yield self.button_row("set", "console_choice_set_priority")

    def fill(self) -> None:
        lines = [
            PaneLine(f"{one_line(job.agent, 64)}  {format_command(job.argv, job.filters)}", "key", "|")
            for job in self.jobs[:MAX_SHOWN]
        ]
        if len(self.jobs) > MAX_SHOWN:
            lines.append(
                PaneLine(
                    translate(
                        self.console.language, "console_and_more", count=format_number(len(self.jobs) - MAX_SHOWN)
                    ),
                    "dim",
                )
            )
        self._lines = lines
        self.set_facts(lines)
        self.query_one("#choices").focus()

    def _preview_soon(self) -> None:
        """Shows the places that the jobs would have, when the choice has stood for a moment."""
        self.run_worker(self._fetch_preview(), exclusive=True, group="preview")

    async def _fetch_preview(self) -> None:
        await asyncio.sleep(DEBOUNCE)
        choice = self.query_one("#choices", ChoiceList).highlighted
        if choice is None or not self.console.link.live or self.sending or self.finished:
            return
        args = PriorityArgs(jobs=self._job_ids, priority=int(choice.id), dry_run=True)
        found = (await call_hub(self.console.source, verbs.PRIORITY, args)).result
        if found is not None and found.is_ok and found.order is not None:
            places = [self._preview_line(place) for place in found.order[:MAX_SHOWN]]
            self.set_facts([*self._lines, *places], keep_place=True)

    @property
    def _job_ids(self) -> tuple[str, ...]:
        return tuple(job.id for job in self.jobs)

    def _preview_line(self, place: QueuePlace) -> PaneLine:
        values = {"was": place.was, "now": place.now, "of": place.of}
        names = {"agent": one_line(place.agent, 64), "job": short_id(place.job)}
        return PaneLine(translate(self.console.language, "console_priority_place", **values, **names), "busy")

    @on(ChoiceList.Highlighted, "#choices")
    def _highlighted(self, event: ChoiceList.Highlighted) -> None:
        event.stop()
        self._preview_soon()

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character.isascii() and event.character.isdigit():
            event.stop()
            choices = self.query_one("#choices", ChoiceList)
            choices.set_items(choices.items, index=9 - int(event.character))
            self._preview_soon()

    @on(ChoiceList.Selected, "#choices")
    def _chosen(self, event: ChoiceList.Selected) -> None:
        event.stop()
        self.send()

    def send(self) -> None:
        choice = self.query_one("#choices", ChoiceList).highlighted
        if choice is not None and self.can_send():
            self.run_worker(self._send(int(choice.id)), exclusive=True, group="ask")

    async def _send(self, priority: int) -> None:
        jobs = self._job_ids
        answer = await self.call_hub(verbs.PRIORITY, PriorityArgs(jobs=jobs, priority=priority))
        if answer.disposition == "done":
            about = row_title(self.jobs[0]) if len(self.jobs) == 1 else ""
            self.console.notify(
                answer.text or Sentence("console_priority_set", {"priority": priority}), "ok", about=about
            )
            undo = Sentence("console_undo_priority", {"priority": self.previous})
            back = PriorityArgs(jobs=jobs, priority=self.previous)
            self.console.undo = Undo(undo, verbs.PRIORITY, back, self.console.now() + UNDO_FOR)
            self.dismiss("set")
            return
        self.finished = answer.disposition == "over"
        self.show_note(answer.text, answer.tone)
