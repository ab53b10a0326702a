"""Reject: the reason goes back to whoever asked, so it is picked or written, never empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from textual import on
from textual.widget import Widget

from common.api import verbs
from common.api.actions import RejectArgs
from common.api.requests import RequestDetails
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog, TextField
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, format_command, one_line
from tui.view.detail import fact_line
from tui.widgets.choices import ChoiceItem, ChoiceList
from tui.widgets.text import TextPane

REASONS: Final = ("wrong_target", "too_broad", "not_now", "other")


class RejectDialog(Dialog):
    def __init__(self, console: ConsoleContext, request: RequestDetails) -> None:
        super().__init__(console, Sentence("console_reject_title", {"number": request.number}))
        self.request = request

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        reasons = [ChoiceItem(reason, translate(language, f"console_reject_{reason}")) for reason in REASONS]
        yield ChoiceList(self.console.render_context, reasons, id="reasons")
        yield self.labeled_field(
            "console_field_why", TextField(id="why", placeholder=translate(language, "console_why_hint"))
        )
        yield self.button_row("reject", "console_choice_reject", "warn")

    def key_hints(self) -> str:
        return translate(
            self.console.language, "console_reject_keys" if self.takes_letters else "console_reject_keys_yn"
        )

    def fill(self) -> None:
        look = self.console.render_context()
        lines = [fact_line(look, "asked_by", one_line(self.request.person or "?", 64))]
        lines += [PaneLine(format_command(step.argv, step.filters), "key", "|") for step in self.request.steps]
        self.set_facts(lines)
        self.query_one("#reasons").focus()

    @on(ChoiceList.Selected, "#reasons")
    def _picked(self, event: ChoiceList.Selected) -> None:
        event.stop()
        if event.choice.id == "other":
            self.query_one("#why").focus()
        else:
            self.send()

    def send(self) -> None:
        if not self.can_send():
            return
        reason = self.query_one("#reasons", ChoiceList).highlighted
        words = self.query_one("#why", TextField).value.strip()
        if reason is None or (reason.id == "other" and not words):
            self.show_note(Sentence("console_why_needed"), "warn")
            self.query_one("#why").focus()
            return
        why = words if reason.id == "other" else f"{reason.text}: {words}" if words else reason.text
        self.run_worker(self._send(why), exclusive=True, group="ask")

    async def _send(self, why: str) -> None:
        answer = await self.call_hub(verbs.REJECT, RejectArgs(number=self.request.number, why=why))
        if answer.disposition == "done":
            self.console.notify(answer.text or Sentence("console_rejected", {"number": self.request.number}), "ok")
            self.dismiss("rejected")
            return
        self.finished = answer.disposition == "over"
        self.show_note(answer.text, answer.tone)
