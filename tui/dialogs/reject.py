"""Reject: the reason goes back to whoever asked, so it is picked or written, never empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from tui.console import Console
from tui.detail_text import fact
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, command, one_line
from tui.rows import steps_of
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

REASONS: Final = ("wrong_target", "too_broad", "not_now", "other")


class RejectDialog(Dialog):
    def __init__(self, console: Console, request: Mapping[str, Any]) -> None:
        super().__init__(
            console, Sentence("console_reject_title", {"number": one_line(request.get("number", "?"), 12)})
        )
        self.request = dict(request)

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.look, id="facts", classes="facts")
        reasons = [Choice(reason, say(language, f"console_reject_{reason}")) for reason in REASONS]
        yield Choices(self.console.look, reasons, id="reasons")
        yield self.labelled("console_field_why", Field(id="why", placeholder=say(language, "console_why_hint")))

    def keys(self) -> str:
        return say(self.console.language, "console_reject_keys")

    def opened(self) -> None:
        look = self.console.look()
        steps = steps_of(self.request)
        lines = [fact(look, "asked_by", one_line(self.request.get("person") or "?", 64))]
        lines += [Line(command(step.get("argv")), "key", "|") for step in steps]
        self.set_facts(lines)
        self.query_one("#reasons").focus()

    @on(Choices.Taken, "#reasons")
    def _picked(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "other":
            self.query_one("#why").focus()
        else:
            self.send()

    @on(Input.Submitted, "#why")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.send()

    def send(self) -> None:
        if not self.may_send():
            return
        reason = self.query_one("#reasons", Choices).choice
        words = self.query_one("#why", Field).value.strip()
        if reason is None or (reason.id == "other" and not words):
            self.note(Sentence("console_why_needed"), "warn")
            self.query_one("#why").focus()
            return
        why = words if reason.id == "other" else f"{reason.text}: {words}" if words else reason.text
        self.run_worker(self._send(why), exclusive=True, group="ask")

    async def _send(self, why: str) -> None:
        answer = await self.ask("reject", number=self.request.get("number"), why=why)
        if answer.next == "done":
            self.console.tell(answer.text or Sentence("console_rejected", {"number": self.request.get("number")}), "ok")
            self.dismiss("rejected")
            return
        self.over = answer.next == "over"
        self.note(answer.text, answer.tone)
