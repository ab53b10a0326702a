"""Edit a plan: write it, see what changes and what policy says to it, give a reason and a code. It becomes a new
plan with a new approval.

The base's hash is sent along. Where the plan has changed meanwhile, what changed is shown and the operator's text is
kept. A draft is kept for this request until it is sent, dropped, or the console ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, TextArea

from common.catalogue import Sentence, say
from common.errors import UserError
from common.text import clean
from tui.answers import Answered, ask
from tui.console import Console
from tui.detail_text import diff_lines, fact, hash_words
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, one_line
from tui.outside import edit_outside
from tui.plan_text import BadText, Steps, from_text, to_text
from tui.rows import steps_of
from tui.widgets.choices import Choice, Choices
from tui.widgets.digits import Digits
from tui.widgets.text import TextPane

STEPS = 3
DRAFTS: dict[str, str] = {}
"""Request and base hash -> text; of this console's run alone."""
MAX_DRAFTS = 20


class EditDialog(Dialog):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+g", "onward", show=False, id="edit_onward"),
        Binding("f3,ctrl+r", "backward", show=False, id="edit_backward"),
        Binding("f4", "editor", show=False, id="edit_editor"),
    ]

    def __init__(self, console: Console, request: Mapping[str, Any]) -> None:
        self.request = dict(request)
        self.step = 1
        super().__init__(console, self._titled())
        self.steps: Steps = []
        self.verdict: dict[str, Any] = {}
        self._asked_to_drop = False

    def _titled(self) -> Sentence:
        values = {"number": one_line(self.request.get("number", "?"), 12), "step": self.step, "steps": STEPS}
        return Sentence("console_edit_title", values)

    @property
    def _draft(self) -> str:
        return f"{self.request.get('id')} {self.request.get('plan_hash')}"

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        text = DRAFTS.get(self._draft) or to_text(steps_of(self.request), say(language, "console_edit_note"))
        area = TextArea(text, id="text", soft_wrap=True, show_line_numbers=False, compact=True, tab_behavior="focus")
        area.cursor_blink = False
        yield area
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_why", Field(id="why", placeholder=say(language, "console_why_edit")))
        yield self.labelled("console_field_code", Digits(id="code", hidden=self.console.settings.hide_codes))
        yield Choices(self.console.look, (), row=True, id="choices")

    def keys(self) -> str:
        return say(self.console.language, "console_edit_keys_1" if self.step == 1 else "console_edit_keys_2")

    def opened(self) -> None:
        self._show(1)
        area = self.query_one("#text", TextArea)
        lines = area.text.split("\n")
        line = next((number for number, text in enumerate(lines) if text.startswith("run:")), 0)
        area.move_cursor((line, len(lines[line])))

    def _show(self, step: int) -> None:
        language, self.step = self.console.language, step
        self.retitle(self._titled())
        self.rekey()
        self.query_one("#text").display = step == 1
        self.query_one("#facts").display = step > 1
        self.query_one("#why").parent.display = step == 3  # type: ignore[union-attr]
        self.query_one("#code").parent.display = step == 3 and self._with_code  # type: ignore[union-attr]
        first = (
            Choice("drop", say(language, "console_choice_drop"))
            if step == 1
            else Choice("back", say(language, "console_choice_back"))
        )
        last = (
            Choice("send", say(language, "console_choice_send_plan"), "warn")
            if step == 3
            else Choice("on", say(language, "console_choice_check"))
        )
        if step == 2:
            last = Choice("on", say(language, "console_choice_go_on"))
        self.query_one("#choices", Choices).set_choices([first, last], at=1 if step < 3 else 0)
        self.query_one({1: "#text", 2: "#choices", 3: "#why"}[step]).focus()
        self.fit()

    @property
    def _with_code(self) -> bool:
        """Whether sending it needs a code: only where this person's own yes counts with it."""
        return bool(self.verdict.get("code_now"))

    def fit(self) -> None:
        if self._formed:
            self.query_one("#text").styles.height = max(4, min(18, self.size.height - 8))
        super().fit()

    # ---- moving through it

    def action_onward(self) -> None:
        if self.step == 1:
            self._check()
        elif self.step == 2:
            self._show(3)
        else:
            self.send()

    def action_backward(self) -> None:
        if self.step > 1 and not self.over:
            self.note("")
            self._show(self.step - 1)

    def action_editor(self) -> None:
        if self.step == 1 and not self.over and not self.sending:
            self.run_worker(self._in_editor(), exclusive=True, group="editor")

    async def _in_editor(self) -> None:
        area = self.query_one("#text", TextArea)
        try:
            text = await edit_outside(self.app, area.text)
        except UserError as error:
            self.note(clean(str(error), limit=300), "bad")
            return
        if text is not None:
            area.text = text
        self.note(Sentence("console_edit_saved" if text is not None else "console_edit_unsaved"))
        area.focus()

    def action_close(self) -> None:
        """Drops nothing by one slip: with something written it must be said twice."""
        text = self.query_one("#text", TextArea).text
        base = to_text(steps_of(self.request), say(self.console.language, "console_edit_note"))
        if text != base and not self._asked_to_drop and not self.over:
            self._asked_to_drop = True
            DRAFTS[self._draft] = text
            while len(DRAFTS) > MAX_DRAFTS:
                DRAFTS.pop(next(iter(DRAFTS)))
            self.note(Sentence("console_edit_drop"), "warn")
            return
        self.dismiss(None)

    @on(TextArea.Changed, "#text")
    def _typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._asked_to_drop = False

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        match event.choice.id:
            case "drop":
                DRAFTS.pop(self._draft, None)
                self.dismiss(None)
            case "back":
                self.action_backward()
            case _:
                self.action_onward()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "why" and self._with_code:
            self.query_one("#code").focus()
        else:
            self.send()

    # ---- step 2: what changes, and what policy says

    def _check(self) -> None:
        base = steps_of(self.request)
        try:
            self.steps = from_text(self.query_one("#text", TextArea).text, base)
        except BadText as error:
            self.note(Sentence("console_edit_line", {"line": error.line, "why": error.sentence}), "bad")
            area = self.query_one("#text", TextArea)
            area.move_cursor((max(0, error.line - 1), 0))
            return
        if to_text(self.steps) == to_text(base):
            self.note(Sentence("console_edit_same"), "warn")
            return
        if self.may_send():
            self.run_worker(self._ask_check(), exclusive=True, group="ask")

    def _args(self) -> dict[str, Any]:
        return {
            "number": self.request.get("number"),
            "base_hash": self.request.get("plan_hash", ""),
            "steps": self.steps,
        }

    async def _ask_check(self) -> None:
        answer = await self.ask("edit", dry_run=True, **self._args())
        if answer.next == "look":
            await self._conflict(answer)
            return
        if answer.next != "done":
            self.over = answer.next == "over"
            self.note(answer.text, answer.tone)
            return
        self.verdict = answer.data if isinstance(answer.data, dict) else {}
        self.note("")
        self._show(2)
        self.set_facts(self._changes())

    def _changes(self) -> list[Line]:
        """What would run against what waits now: with what policy inserts, which nobody wrote."""
        look, verdict = self.console.look(), self.verdict
        would = steps_of({"plan": verdict.get("new")}) or self.steps
        lines = diff_lines(to_text(steps_of(self.request)), to_text(would))
        said = str(verdict.get("verdict", "?"))
        known = ("allow", "ask", "deny")
        words = say(look.language, f"console_verdict_{said}") if said in known else one_line(said, 20)
        tone: Any = {"allow": "ok", "ask": "warn"}.get(said, "bad")
        reason = one_line(verdict.get("reason") or "", 600)
        lines.append(fact(look, "policy", f"{words}  {reason}".rstrip(), tone))
        if said == "ask":
            lines.append(
                fact(
                    look, "needs", say(look.language, "console_needs", count=one_line(verdict.get("approvers", "?"), 4))
                )
            )
        who = [one_line(name, 64) for name in list(verdict.get("who") or ())[:8]]
        if who:
            lines.append(fact(look, "who_can", ", ".join(who)))
        lines.append(fact(look, "base", f"{hash_words(self.request.get('plan_hash'))}"))
        lines.append(fact(look, "new", f"{hash_words(verdict.get('plan_hash'))}"))
        asker = one_line(self.request.get("person") or "?", 64)
        lines.append(Line(say(look.language, "console_edit_told", person=asker), "dim"))
        return lines

    # ---- step 3

    def send(self) -> None:
        if not self.may_send():
            return
        if not self.query_one("#why", Field).value.strip():
            self.note(Sentence("console_why_needed"), "warn")
            self.query_one("#why").focus()
            return
        if self._with_code and not self.query_one("#code", Digits).complete:
            self.note(Sentence("console_code_six"), "warn")
            self.query_one("#code").focus()
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        args = {**self._args(), "why": self.query_one("#why", Field).value.strip()}
        digits = self.query_one("#code", Digits)
        if self._with_code:
            args["code"] = digits.value
        digits.value = ""
        answer = await self.ask("edit", **args)
        if answer.next == "done":
            DRAFTS.pop(self._draft, None)
            told = answer.data if isinstance(answer.data, dict) else {}
            self.console.tell(Sentence("console_edited", {"number": one_line(told.get("number", "?"), 12)}), "ok")
            self.dismiss(told)
        elif answer.next == "look":
            await self._conflict(answer)
        else:
            self.over = answer.next == "over"
            self.note(answer.text, answer.tone)

    async def _conflict(self, answer: Answered) -> None:
        """The base has changed: shows what it has become; the operator's own text stays as it is."""
        fresh = await ask(self.console.source.call, "request", number=self.request.get("number"))
        if fresh.next != "done" or not isinstance(fresh.data, dict):
            self.note(answer.text, "bad")
            return
        changed = diff_lines(to_text(steps_of(self.request)), to_text(steps_of(fresh.data)))
        self.request = fresh.data
        self._show(1)
        self.query_one("#facts").display = True
        self.set_facts([Line(say(self.console.language, "console_plan_changed"), "warn"), *changed])
        self.note(answer.text, "warn")
