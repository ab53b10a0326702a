"""Approve: exactly what will run, who needs it, until when; then six digits and enter.

Built from a frozen copy of the request. The hash on the screen is sent along: where the plan has become another one,
the hub says so and
the dialog shows what changed. A request that got no answer is sent again with the same nonce, so it cannot count twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from tui.answers import Answered, ask
from tui.console import Console
from tui.detail_text import approve_lines, diff_lines
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, age, one_line
from tui.headline import URGENT, Span
from tui.plan_text import to_text
from tui.rows import number_or_none, request_state, steps_of
from tui.widgets.bars import Bar
from tui.widgets.choices import Choice, Choices
from tui.widgets.digits import Digits
from tui.widgets.text import TextPane

COMMAND = "|"
"""The mark of the lines that are what runs: nobody approves what was not on the screen."""


def is_readable(request: Mapping[str, Any]) -> bool:
    """Whether all that would run can be shown: each step's words and machines are such."""
    steps = steps_of(request)
    said = request.get("plan", {}).get("steps", ()) if isinstance(request.get("plan"), Mapping) else ()
    parts = [step.get(key) for step in steps for key in ("argv", "targets")]
    return (
        bool(steps)
        and len(steps) == len(said)
        and all(
            isinstance(part, list | tuple) and part and all(isinstance(word, str) for word in part) for part in parts
        )
    )


class ApproveDialog(Dialog):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "leave('reject')", show=False, id="approve_reject"),
        Binding("e", "leave('edit')", show=False, id="approve_edit"),
        Binding("pagedown,ctrl+d", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
        Binding("down,j", "lines(1)", show=False),
        Binding("up,k", "lines(-1)", show=False),
    ]

    def __init__(self, console: Console, request: Mapping[str, Any], *, row: str = "") -> None:
        """`row` is the id under which the list behind has the request; "" is none."""
        super().__init__(
            console, Sentence("console_approve_title", {"number": one_line(request.get("number", "?"), 12)})
        )
        self.request = dict(request)
        self._row = row
        self._left = False  # the list behind has it no more
        self.nonce = secrets.token_hex(8)
        self._expired = False

    @property
    def with_code(self) -> bool:
        return bool(self.request.get("second_factor"))

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield Bar(self._head, id="head")
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_code", Digits(id="code", hidden=self.console.settings.hide_codes))
        yield self.labelled("console_field_reason", Field(id="reason", placeholder=say(language, "console_optional")))
        choices = [
            Choice("close", say(language, "console_choice_close")),
            Choice("approve", say(language, "console_choice_approve"), "ok"),
        ]
        yield Choices(self.console.look, choices, row=True, id="choices")

    def keys(self) -> str:
        if self.over:
            return super().keys()
        return say(self.console.language, "console_approve_keys" if self.with_code else "console_approve_keys_plain")

    def opened(self) -> None:
        self._fill()
        if who := self.console.source.who:
            self.note(Sentence("console_demo_code", {"code": who.demo}) if who.demo and self.with_code else "")
        if not self.console.link.live:
            self.note(Sentence("console_dialog_lost"), "bad")
        if not is_readable(self.request):
            self.end(Answered("over", say(self.console.language, "console_approve_unreadable")))

    def _facts(self, request: Mapping[str, Any]) -> list[Line]:
        who = self.console.source.who
        return approve_lines(request, self.console.look(), who.person if who else "")

    def _fill(self, lines: list[Line] | None = None) -> None:
        self.query_one("#code").parent.display = self.with_code  # type: ignore[union-attr]
        self.set_facts(self._facts(self.request) if lines is None else lines)
        self._focus_first()
        choices = self.query_one("#choices", Choices)
        choices.set_choices(choices.choices)  # back on the one that does nothing

    def _focus_first(self) -> None:
        self.query_one("#code" if self.with_code else "#choices").focus()

    def _head(self, cells: int) -> list[Span]:
        language = self.console.language
        until = number_or_none(self.request.get("decide_by"))
        if until is None:
            return [Span("")]
        left = until - self.console.now()
        if left <= 0:
            return [Span(say(language, "console_expired"), "bad")]
        return [Span(say(language, "console_expires_in", age=age(left)), "bad" if left < URGENT else "")]

    def flush(self) -> None:
        super().flush()
        self.query_one("#head", Bar).flush()
        until = number_or_none(self.request.get("decide_by"))
        if until is not None and until <= self.console.now() and not (self._expired or self.over or self.sending):
            self._expired = True
            self.end(Answered("over", say(self.console.language, "console_expired_note")))
        elif self._row and not self._left and self.console.link.live and self.console.has_left(self._row):
            self._left = True
            self.run_worker(self._look_why(), exclusive=True, group="look")

    async def _look_why(self) -> None:
        """It has left the list of those that wait: decided by somebody else, or asked of the list otherwise."""
        fresh = await ask(self.console.source.call, "request", number=self.request.get("number"))
        if fresh.next != "done" or not isinstance(fresh.data, dict) or self.over or self.sending:
            return  # who sends now hears it from the hub
        if str(fresh.data.get("state", "asking")) != "asking":
            state = request_state(fresh.data, self.console.look())
            values = {"number": one_line(self.request.get("number", "?"), 12), "state": state.text}
            self.end(Answered("over", say(self.console.language, "console_decided_meanwhile", **values)))

    # ---- sending

    @on(Input.Submitted, "#code")
    @on(Input.Submitted, "#reason")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "reason" and not self.with_code:
            self.query_one("#choices").focus()
            return
        self.send()

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "close":
            self.action_close()
        else:
            self.send()

    def send(self) -> None:
        if not self.may_send():
            return
        facts = self.query_one("#facts", TextPane)
        if unseen := facts.unseen(COMMAND):
            facts.show_line(unseen[0])
            self.note(Sentence("console_see_first"), "warn")
            return
        digits = self.query_one("#code", Digits)
        if self.with_code and not digits.complete:
            self.note(Sentence("console_code_six"), "warn")
            digits.focus()
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        digits = self.query_one("#code", Digits)
        args: dict[str, Any] = {
            "number": self.request.get("number"),
            "plan_hash": self.request.get("plan_hash", ""),
            "reason": self.query_one("#reason", Field).value.strip(),
            "nonce": self.nonce,
        }
        if self.with_code:
            args["code"] = digits.value
        digits.value = ""  # a code is used once and kept nowhere
        await self.answered(await self.ask("approve", **args))

    async def answered(self, answer: Answered) -> None:
        match answer.next:
            case "done":
                self.console.tell(
                    answer.text or Sentence("console_approved", {"number": self.request.get("number")}), "ok"
                )
                self.dismiss("approved")
            case "again":
                self.note(answer.text, "bad")
                self._focus_first()
            case "look":
                await self._look_again(answer)
            case "unsure":
                self.note(Sentence("console_approve_unsure", {"number": self.request.get("number")}), "warn")
                self._focus_first()
            case "over":
                self.end(answer)

    def end(self, answer: Answered) -> None:
        """Nothing more can be decided here: it says why and offers to close."""
        self.over = True
        self.note(answer.text, answer.tone)
        self.query_one("#code").parent.display = False  # type: ignore[union-attr]
        self.query_one("#reason").parent.display = False  # type: ignore[union-attr]
        choices = self.query_one("#choices", Choices)
        choices.set_choices([Choice("close", say(self.console.language, "console_choice_close"))])
        choices.focus()
        self.rekey()
        self.fit()

    async def _look_again(self, answer: Answered) -> None:
        """The plan is another one now: shows what changed; the code must be typed anew."""
        before = to_text(steps_of(self.request))
        fresh = await ask(self.console.source.call, "request", number=self.request.get("number"))
        if fresh.next != "done" or not isinstance(fresh.data, dict):
            self.end(answer)
            return
        changed = [
            Line(say(self.console.language, "console_plan_changed"), "warn"),
            *diff_lines(before, to_text(steps_of(fresh.data))),
        ]
        lines = [*changed, *self._facts(fresh.data)]  # first: what cannot be shown cannot be approved
        if not is_readable(fresh.data):
            self.end(Answered("over", say(self.console.language, "console_approve_unreadable")))
            return
        self.request, self.nonce = fresh.data, secrets.token_hex(8)
        self.guard_again()
        self._fill(lines)
        self.note(answer.text, "warn")

    # ---- keys

    def action_leave(self, to: str) -> None:
        """To another decision on the same request, where there is still one to make and a way to ask for it."""
        if self.over:
            self.note(Sentence("console_decide_over"), "warn")
        elif self.sending:
            self.note(Sentence("console_sending_wait"), "warn")
        elif self.may_send():
            self.dismiss(to)

    def action_page(self, step: int) -> None:
        self.query_one("#facts", TextPane).action_page(step)

    def action_lines(self, step: int) -> None:
        self.query_one("#facts", TextPane).action_scroll_by(step)
