"""Approve: exactly what will run, who needs it, until when; then six digits and enter.

What is critical is signed (`tui.client.approval_key`): the hash is computed here from the plan on the screen, a second
yes signs it, with the key's passphrase where it has one. What may be allowed for a while has a row for it, which says
no until another is chosen.

Built from a frozen copy of the request. The hash on the screen is sent along: where the plan has become another one,
the hub says so and
the dialog shows what changed. A request that got no answer is sent again with the same nonce, so it cannot count twice.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from common.api import verbs
from common.api.actions import ApproveArgs, ApproveResult, OwnSignature
from common.api.arguments import RequestArgs
from common.api.requests import RequestDetails, RequestFields
from common.catalogue import Sentence, translate
from common.errors import UserError
from common.text import clean
from common.values import format_duration
from tui.client.approval_key import shown_hash
from tui.dialogs.dialog import Dialog, TextField
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.model.plan_text import render_plan
from tui.text.format import PaneLine, format_age, one_line
from tui.view.bars import URGENT_SECONDS, BarSpan
from tui.view.columns import request_state
from tui.view.detail import approval_lines, diff_lines, fact_line, group_hash
from tui.widgets.bars import Bar
from tui.widgets.choices import ChoiceItem, ChoiceList, OptionRow
from tui.widgets.digits import CodeInput
from tui.widgets.text import TextPane

COMMAND_GUTTER = "|"
"""The mark of the lines that are what runs: nobody approves what was not on the screen."""
MAX_PASSPHRASE: Final = 1_024
ALLOWANCES: Final = (900, 3_600, 4 * 3_600, 86_400)
"""Seconds for which an approval may be given for a while, as far as the hub lets it, beside the longest it lets."""


def is_displayable(request: RequestFields) -> bool:
    """Whether all that would run can be shown: there are steps, each with a command and machines, none of them cut."""
    return bool(request.steps) and not request.is_cut and all(step.argv and step.targets for step in request.steps)


def allowances(longest: float) -> list[int]:
    """The choices of a hub that allows up to `longest` seconds, shortest first; none where it allows nothing."""
    return sorted({*(one for one in ALLOWANCES if one < longest), int(longest)}) if longest >= 1 else []


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
        self._critical = request.critical
        self._asked_to_sign = False  # the first yes was given; the next one signs

    @property
    def needs_code(self) -> bool:
        return self.request.second_factor

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield Bar(self._head, id="head")
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field("console_field_code", CodeInput(id="code", hidden=self.console.settings.hide_codes))
        yield self.labeled_field(
            "console_field_passphrase", TextField(id="passphrase", max_length=MAX_PASSPHRASE, hidden=True)
        )
        yield self.labeled_field("console_field_allow", OptionRow(self.console.render_context, (), id="allow"))
        yield TextPane(self.console.render_context, id="allow-means")
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
        if self._critical and not self._has_key:
            self.show_note(self._no_key(), "bad")
        if not self.console.link.live:
            self.show_note(Sentence("console_dialog_lost"), "bad")
        if not is_displayable(self.request):
            self.finish_with(CallOutcome("over", translate(self.console.language, "console_approve_unreadable")))

    def _facts(self, request: RequestDetails) -> list[PaneLine]:
        who, ctx = self.console.source.who, self.console.render_context()
        lines = approval_lines(request, ctx, who.person if who else "")
        if self._critical:
            lines.append(fact_line(ctx, "signature", translate(ctx.language, "console_sign_wanted"), "warn"))
        return lines

    def _show_facts(self, lines: list[PaneLine] | None = None) -> None:
        self._show_field("code", self.needs_code)
        self._show_field("passphrase", self._critical and self._is_locked)
        self._show_allowances()
        self.set_facts(self._facts(self.request) if lines is None else lines)
        self._focus_first()
        self.buttons.set_items(self.buttons.items)  # back on the one that does nothing

    def _focus_first(self) -> None:
        self.query_one("#code" if self.needs_code else "#buttons").focus()

    def _show_field(self, name: str, shown: bool) -> None:
        field = self.query_one(f"#{name}").parent
        assert isinstance(field, Widget)  # noqa: S101 - its row
        field.display = shown

    # ---- for a while

    def _show_allowances(self) -> None:
        """The row is there where the hub lets this plan be allowed for a while; nothing is chosen."""
        longest = 0.0 if self._critical else self.request.allow_for
        no = translate(self.console.language, "console_allow_no")
        choices = [ChoiceItem("", no), *(ChoiceItem(str(one), format_duration(one)) for one in allowances(longest))]
        self.query_one("#allow", OptionRow).set_items(choices)
        self._show_field("allow", bool(longest))
        self._show_what_is_allowed()

    @property
    def _allow_for(self) -> float | None:
        """Seconds that were chosen; None for no."""
        chosen = self.query_one("#allow", OptionRow).highlighted
        return float(chosen.id) if chosen is not None and chosen.id else None

    def _show_what_is_allowed(self) -> None:
        pane, seconds = self.query_one("#allow-means", TextPane), self._allow_for
        pane.display = seconds is not None
        if seconds is not None:
            person, uses = one_line(self.request.person or "?", 64), self.request.allow_uses
            values = {"person": person, "time": format_duration(seconds), "uses": uses}
            means = Sentence("console_allow_means", values).render(self.console.language)
            pane.set_lines([PaneLine(means, "warn")])
            pane.styles.height = 2
        self.resize_panes()

    @on(ChoiceList.Highlighted, "#allow")
    def _allowance_chosen(self, event: ChoiceList.Highlighted) -> None:
        event.stop()
        self._show_what_is_allowed()

    @on(OptionRow.Left)
    def _allowance_left(self, event: OptionRow.Left) -> None:
        event.stop()
        self.action_walk(1)

    # ---- signing

    @property
    def _has_key(self) -> bool:
        signer = self.console.signer
        return signer is not None and signer.has_key

    @property
    def _is_locked(self) -> bool:
        """Whether the key takes a passphrase; one that does not read says so when it signs."""
        try:
            return self.console.signer is not None and self.console.signer.is_locked
        except UserError:
            return False

    def _no_key(self) -> Sentence:
        return Sentence("console_sign_no_key", {"number": self.request.number})

    def _may_sign(self) -> bool:
        """Whether the plan is signed now: there is a key, its hash is that of what is shown, and that was asked."""
        if not self._has_key:
            self.show_note(self._no_key(), "bad")
            return False
        try:
            digest = shown_hash(self.request)
        except UserError as error:
            self.finish_with(CallOutcome("over", clean(str(error), limit=500)))
            return False
        if not self._asked_to_sign:
            self._asked_to_sign = True
            language = self.console.language
            sign = ChoiceItem("approve", translate(language, "console_choice_sign"), "warn", answer="yes")
            self.buttons.set_items([self.buttons.items[0], sign])
            self.show_note(
                Sentence(
                    "console_sign_asked_locked" if self._is_locked else "console_sign_asked",
                    {"hash": group_hash(digest)},
                ),
                "warn",
            )
            self.query_one("#passphrase" if self._is_locked else "#buttons").focus()
            self.restart_guard()
            return False
        if self._is_locked and not self.query_one("#passphrase", TextField).value:
            self.show_note(Sentence("console_sign_passphrase"), "warn")
            self.query_one("#passphrase").focus()
            return False
        return True

    async def _signed(self, second_factor: bool) -> OwnSignature | None:
        """The signature of what is shown, None where there is none to be had; the note says why."""
        signer, field = self.console.signer, self.query_one("#passphrase", TextField)
        passphrase, field.value = field.value, ""
        assert signer is not None  # noqa: S101 - `_may_sign` looked
        try:
            signed, _ = await asyncio.to_thread(
                signer.sign, self.request, passphrase, second_factor=second_factor, now=time.time()
            )
        except UserError as error:
            self.show_note(clean(str(error), limit=500), "bad")
            if self._is_locked:
                field.focus()
            return None
        return signed

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
        """A code says it, and a passphrase; a reason alone does not."""
        if field.id == "passphrase" or (self.needs_code and not self._asked_to_sign):
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
        if self._critical and not self._may_sign():
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        signed = None
        if self._critical and (signed := await self._signed(self.needs_code)) is None:
            return
        digits = self.query_one("#code", CodeInput)
        args = ApproveArgs(
            number=self.request.number,
            plan_hash=self.request.plan_hash,
            reason=self.query_one("#reason", TextField).value.strip(),
            nonce=self.nonce,
            code=digits.value if self.needs_code else "",
            allow_for=self._allow_for,
            signed=signed,
        )
        digits.value = ""  # a code is used once and kept nowhere
        await self.handle_outcome(await self.call_hub(verbs.APPROVE, args))

    async def handle_outcome(self, answer: CallOutcome[ApproveResult]) -> None:
        if answer.code == "signature_needed" and not self._critical:  # the policy is another now, or the hub older
            self._critical = True
            self._show_facts()
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
        for name in ("code", "passphrase", "allow", "reason"):
            self._show_field(name, shown=False)
        self.query_one("#allow-means").display = False
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
        self._critical, self._asked_to_sign = fresh.critical or self._critical, False
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
