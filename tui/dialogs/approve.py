"""Approve: exactly what will run, who needs it, until when; then six digits and enter.

Built from a frozen copy of the request. The hash on the screen is sent along: where the plan has become another one,
the hub says so and
the dialog shows what changed. A request that got no answer is sent again with the same nonce, so it cannot count twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from common.api import verbs
from common.api.actions import ApproveArgs, ApproveResult
from common.api.arguments import RequestArgs
from common.api.requests import RequestDetails, RequestFields
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog, TextField
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.model.plan_text import render_plan
from tui.text.format import PaneLine, format_age
from tui.view.bars import URGENT_SECONDS, BarSpan
from tui.view.columns import request_state
from tui.view.detail import approval_lines, diff_lines
from tui.widgets.bars import Bar
from tui.widgets.digits import CodeInput
from tui.widgets.text import TextPane

COMMAND_GUTTER = "|"
"""The mark of the lines that are what runs: nobody approves what was not on the screen."""


def is_displayable(request: RequestFields) -> bool:
    """Whether all that would run can be shown: there are steps, each with a command and machines, none of them cut."""
    return bool(request.steps) and not request.is_cut and all(step.argv and step.targets for step in request.steps)


class ApproveDialog(Dialog):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "leave('reject')", show=False, id="approve_reject"),
        Binding("e", "leave('edit')", show=False, id="approve_edit"),
    ]

    def __init__(self, console: ConsoleContext, request: RequestDetails, *, row: str = "") -> None:
        """`row` is the id under which the list behind has the request; "" is none."""
        super().__init__(console, Sentence("console_approve_title", {"number": request.number}))
        self.request = request
        self._row_id = row
        self._removed = False  # the list behind has it no more
        self.nonce = secrets.token_hex(8)
        self._expired = False

    @property
    def needs_code(self) -> bool:
        return self.request.second_factor

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield Bar(self._head, id="head")
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field("console_field_code", CodeInput(id="code", hidden=self.console.settings.hide_codes))
        yield self.labeled_field(
            "console_field_reason", TextField(id="reason", placeholder=translate(language, "console_optional"))
        )
        yield self.button_row("approve", "console_choice_approve", "ok")

    def key_hints(self) -> str:
        if self.finished:
            return super().key_hints()
        if self.takes_letters:
            return translate(self.console.language, "console_approve_keys_text")
        return translate(
            self.console.language, "console_approve_keys" if self.needs_code else "console_approve_keys_plain"
        )

    def fill(self) -> None:
        self._show_facts()
        if code := self.console.source.demo_code if self.needs_code else "":
            self.show_note(Sentence("console_demo_code", {"code": code}))
        if not self.console.link.live:
            self.show_note(Sentence("console_dialog_lost"), "bad")
        if not is_displayable(self.request):
            self.finish_with(CallOutcome("over", translate(self.console.language, "console_approve_unreadable")))

    def _facts(self, request: RequestDetails) -> list[PaneLine]:
        who = self.console.source.who
        return approval_lines(request, self.console.render_context(), who.person if who else "")

    def _show_facts(self, lines: list[PaneLine] | None = None) -> None:
        self.query_one("#code").parent.display = self.needs_code  # type: ignore[union-attr]
        self.set_facts(self._facts(self.request) if lines is None else lines)
        self._focus_first()
        self.buttons.set_items(self.buttons.items)  # back on the one that does nothing

    def _focus_first(self) -> None:
        self.query_one("#code" if self.needs_code else "#buttons").focus()

    def _head(self, cells: int) -> list[BarSpan]:
        language = self.console.language
        until = self.request.decide_by
        if until is None:
            return [BarSpan("")]
        left = until - self.console.now()
        if left <= 0:
            return [BarSpan(translate(language, "console_expired"), "bad")]
        return [
            BarSpan(
                translate(language, "console_expires_in", age=format_age(left)), "bad" if left < URGENT_SECONDS else ""
            )
        ]

    def flush(self) -> None:
        super().flush()
        self.query_one("#head", Bar).flush()
        until = self.request.decide_by
        if until is not None and until <= self.console.now() and not (self._expired or self.finished or self.sending):
            self._expired = True
            self.finish_with(CallOutcome("over", translate(self.console.language, "console_expired_note")))
        elif self._row_id and not self._removed and self.console.link.live and self.console.row_removed(self._row_id):
            self._removed = True
            self.run_worker(self._fetch_decision(), exclusive=True, group="look")

    async def _fetch_decision(self) -> None:
        """It has left the list of those that wait: decided by somebody else, or asked of the list otherwise."""
        fresh = (await self._fetch_fresh()).result
        if fresh is None or self.finished or self.sending:
            return  # who sends now is answered by the hub
        if not fresh.is_asking:
            state = request_state(fresh, self.console.render_context())
            values = {"number": self.request.number, "state": state.text}
            self.finish_with(
                CallOutcome("over", translate(self.console.language, "console_decided_meanwhile", **values))
            )

    async def _fetch_fresh(self) -> CallOutcome[RequestDetails]:
        return await call_hub(self.console.source, verbs.REQUEST, RequestArgs(number=self.request.number))

    # ---- sending

    def field_entered(self, field: Input) -> None:
        """A code says it; a reason alone does not."""
        if self.needs_code:
            self.send()
        else:
            self.buttons.focus()

    def send(self) -> None:
        if not self.can_send():
            return
        facts = self.query_one("#facts", TextPane)
        if unseen := facts.unread_lines(COMMAND_GUTTER):
            facts.scroll_to_line(unseen[0])
            self.show_note(Sentence("console_see_first"), "warn")
            return
        digits = self.query_one("#code", CodeInput)
        if self.needs_code and not digits.complete:
            self.show_note(Sentence("console_code_six"), "warn")
            digits.focus()
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        digits = self.query_one("#code", CodeInput)
        args = ApproveArgs(
            number=self.request.number,
            plan_hash=self.request.plan_hash,
            reason=self.query_one("#reason", TextField).value.strip(),
            nonce=self.nonce,
            code=digits.value if self.needs_code else "",
        )
        digits.value = ""  # a code is used once and kept nowhere
        await self.handle_outcome(await self.call_hub(verbs.APPROVE, args))

    async def handle_outcome(self, answer: CallOutcome[ApproveResult]) -> None:
        match answer.disposition:
            case "done":
                self.console.notify(answer.text or Sentence("console_approved", {"number": self.request.number}), "ok")
                self.dismiss("approved")
            case "again":
                self.show_note(answer.text, "bad")
                self._focus_first()
            case "look":
                await self._show_changed_plan(answer)
            case "unsure":
                self.show_note(Sentence("console_approve_unsure", {"number": self.request.number}), "warn")
                self._focus_first()
            case "over":
                self.finish_with(answer)

    def finish_with(self, answer: CallOutcome[Any]) -> None:
        """Nothing more can be decided here: it says why and offers to close."""
        self.finished = True
        self.show_note(answer.text, answer.tone)
        self.query_one("#code").parent.display = False  # type: ignore[union-attr]
        self.query_one("#reason").parent.display = False  # type: ignore[union-attr]
        self.set_close_only()
        self.update_key_hints()
        self.resize_panes()

    async def _show_changed_plan(self, answer: CallOutcome[ApproveResult]) -> None:
        """The plan is another one now: shows what changed; the code must be typed anew."""
        before = render_plan(self.request.steps)
        fresh = (await self._fetch_fresh()).result
        if fresh is None:
            self.finish_with(answer)
            return
        changed = [
            PaneLine(translate(self.console.language, "console_plan_changed"), "warn"),
            *diff_lines(before, render_plan(fresh.steps)),
        ]
        lines = [*changed, *self._facts(fresh)]  # first: what cannot be shown cannot be approved
        if not is_displayable(fresh):
            self.finish_with(CallOutcome("over", translate(self.console.language, "console_approve_unreadable")))
            return
        self.request, self.nonce = fresh, secrets.token_hex(8)
        self.restart_guard()
        self._show_facts(lines)
        self.show_note(answer.text, "warn")

    # ---- keys

    def action_leave(self, to: str) -> None:
        """To another decision on the same request, where there is still one to make and a way to ask for it."""
        if self.finished:
            self.show_note(Sentence("console_decide_over"), "warn")
        elif self.sending:
            self.show_note(Sentence("console_sending_wait"), "warn")
        elif self.can_send():
            self.dismiss(to)
