"""A person's word on a job whose outcome nobody knows. It is never run again by itself, whatever is said here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from common.api import verbs
from common.api.actions import SettleArgs
from common.api.jobs import JobView
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, short_id
from tui.view.columns import row_title
from tui.view.detail import job_lines
from tui.widgets.choices import ChoiceItem, ChoiceList
from tui.widgets.text import TextPane


class ReconcileDialog(Dialog):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f,F", "failed", show=False, id="settle_failed")]

    def __init__(self, console: ConsoleContext, job: JobView) -> None:
        super().__init__(console, Sentence("console_settle_title", {"job": short_id(job.id)}))
        self.job = job

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        choices = [
            ChoiceItem("leave", translate(language, "console_choice_leave"), answer="no"),
            ChoiceItem("done", translate(language, "console_choice_was_done"), "ok", answer="yes"),
            ChoiceItem("failed", translate(language, "console_choice_failed"), "bad"),
        ]
        yield ChoiceList(self.console.render_context, choices, horizontal=True, id="buttons")

    def fill(self) -> None:
        look = self.console.render_context()
        self.set_facts([*job_lines(self.job, look), PaneLine(translate(look.language, "console_settle_means"), "warn")])
        self.buttons.focus()

    def key_hints(self) -> str:
        return translate(self.console.language, "console_settle_keys")

    def action_failed(self) -> None:
        self._say(done=False)

    def take_button(self, choice: ChoiceItem) -> None:
        if choice.id == "leave":
            self.action_close()
        else:
            self._say(done=choice.id == "done")

    def _say(self, *, done: bool) -> None:
        if self.can_send():
            self.run_worker(self._send(done), exclusive=True, group="ask")

    async def _send(self, done: bool) -> None:
        answer = await self.call_hub(verbs.SETTLE, SettleArgs(job=self.job.id, done=done))
        if answer.disposition == "done":
            self.console.notify(answer.text or Sentence("console_settled"), "ok", about=row_title(self.job))
            self.dismiss("settled")
            return
        self.finished = answer.disposition == "over"
        self.show_note(answer.text, answer.tone)
