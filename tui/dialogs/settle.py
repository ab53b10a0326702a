"""A person's word on a job whose outcome nobody knows. It is never run again by itself, whatever is said here."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget

from common.catalogue import Sentence, say
from tui.console import Console
from tui.detail_text import job_lines
from tui.dialogs.dialog import Dialog
from tui.format import Line, short_id
from tui.model import Row
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane


class SettleDialog(Dialog):
    def __init__(self, console: Console, job: Row) -> None:
        super().__init__(console, Sentence("console_settle_title", {"job": short_id(job["id"])}))
        self.job = dict(job)

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.look, id="facts", classes="facts")
        choices = [
            Choice("leave", say(language, "console_choice_leave")),
            Choice("done", say(language, "console_choice_was_done"), "ok"),
            Choice("failed", say(language, "console_choice_failed"), "bad"),
        ]
        yield Choices(self.console.look, choices, row=True, id="choices")

    def opened(self) -> None:
        look = self.console.look()
        self.set_facts([*job_lines(self.job, look), Line(say(look.language, "console_settle_means"), "warn")])
        self.query_one("#choices").focus()

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "leave":
            self.action_close()
        elif self.may_send():
            self.run_worker(self._send(event.choice.id == "done"), exclusive=True, group="ask")

    async def _send(self, done: bool) -> None:
        answer = await self.ask("settle", job=self.job["id"], done=done)
        if answer.next == "done":
            self.console.tell(answer.text or Sentence("console_settled"), "ok")
            self.dismiss("settled")
            return
        self.over = answer.next == "over"
        self.note(answer.text, answer.tone)
