"""Edit a plan: write it, see what changes and what policy says to it, give a reason. It becomes a new
plan with a new approval.

The base's hash is sent along. Where the plan has changed meanwhile, what changed is shown and the operator's text is
kept. A draft is kept for this request until it is sent, dropped, or the console ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import TextArea

from common.api import verbs
from common.api.actions import EditArgs, EditResult, StepEdit
from common.api.arguments import RequestArgs
from common.api.requests import RequestDetails
from common.catalogue import Sentence, translate
from common.errors import UserError
from common.text import clean
from tui.dialogs.dialog import Dialog, TextField
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.model.plan_text import InvalidPlanText, parse_plan, render_plan
from tui.terminal.editor import edit_in_editor
from tui.text.format import PaneLine, one_line
from tui.view.detail import diff_lines, fact_line, group_hash
from tui.widgets.choices import ChoiceItem, ChoiceList
from tui.widgets.text import TextPane

PAGES = 3
SAVED_DRAFTS: dict[str, str] = {}
"""Request and base hash -> text; of this console's run alone."""
MAX_DRAFTS = 20


class EditDialog(Dialog):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+g", "onward", show=False, id="edit_onward"),
        Binding("f3,ctrl+r", "backward", show=False, id="edit_backward"),
        Binding("f4", "editor", show=False, id="edit_editor"),
    ]

    def __init__(self, console: ConsoleContext, request: RequestDetails) -> None:
        self.request = request
        self.page = 1
        super().__init__(console, self._page_title())
        self.steps: tuple[StepEdit, ...] = ()
        self.verdict: EditResult | None = None
        self._discard_asked = False

    def _page_title(self) -> Sentence:
        values = {"number": self.request.number, "step": self.page, "steps": PAGES}
        return Sentence("console_edit_title", values)

    @property
    def _draft(self) -> str:
        return f"{self.request.id} {self.request.plan_hash}"

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        text = SAVED_DRAFTS.get(self._draft) or render_plan(
            self.request.steps, translate(language, "console_edit_note")
        )
        area = TextArea(text, id="text", soft_wrap=True, show_line_numbers=False, compact=True, tab_behavior="focus")
        area.cursor_blink = False
        yield area
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field(
            "console_field_why", TextField(id="why", placeholder=translate(language, "console_why_edit"))
        )
        yield ChoiceList(self.console.render_context, (), horizontal=True, id="buttons")

    def key_hints(self) -> str:
        if self.page == 1:
            key = "console_edit_keys_1" if self.takes_letters else "console_edit_keys_1_yn"
            return translate(self.console.language, key)
        return translate(self.console.language, "console_edit_keys_2" if self.takes_letters else "console_edit_keys_yn")

    def fill(self) -> None:
        self._show_page(1)
        area = self.query_one("#text", TextArea)
        lines = area.text.split("\n")
        line = next((number for number, text in enumerate(lines) if text.startswith("run:")), 0)
        area.move_cursor((line, len(lines[line])))

    def _show_page(self, page: int) -> None:
        language, self.page = self.console.language, page
        self.set_title(self._page_title())
        self.update_key_hints()
        self.query_one("#text").display = page == 1
        self.query_one("#facts").display = page > 1
        self.query_one("#why").parent.display = page == 3  # type: ignore[union-attr]
        first = (
            ChoiceItem("drop", translate(language, "console_choice_drop"), answer="no")
            if page == 1
            else ChoiceItem("back", translate(language, "console_choice_back"), answer="no")
        )
        last = (
            ChoiceItem("send", translate(language, "console_choice_send_plan"), "warn", answer="yes")
            if page == 3
            else ChoiceItem("on", translate(language, "console_choice_check"), answer="yes")
        )
        if page == 2:
            last = ChoiceItem("on", translate(language, "console_choice_go_on"), answer="yes")
        self.buttons.set_items([first, last], index=1 if page < 3 else 0)
        self.query_one({1: "#text", 2: "#buttons", 3: "#why"}[page]).focus()
        self.resize_panes()

    def resize_panes(self) -> None:
        if self._widgets_ready:
            self.query_one("#text").styles.height = max(4, min(18, self.size.height - 8))
        super().resize_panes()

    # ---- moving through it

    def action_onward(self) -> None:
        if self.page == 1:
            self._check()
        elif self.page == 2:
            self._show_page(3)
        else:
            self.send()

    def action_backward(self) -> None:
        if self.page > 1 and not self.finished:
            self.show_note("")
            self._show_page(self.page - 1)

    def action_editor(self) -> None:
        if self.page == 1 and not self.finished and not self.sending:
            self.run_worker(self._edit_in_editor(), exclusive=True, group="editor")

    async def _edit_in_editor(self) -> None:
        area = self.query_one("#text", TextArea)
        try:
            text = await edit_in_editor(self.app, area.text)
        except UserError as error:
            self.show_note(clean(str(error), limit=300), "bad")
            return
        if text is not None:
            area.text = text
        self.show_note(Sentence("console_edit_saved" if text is not None else "console_edit_unsaved"))
        area.focus()

    def action_close(self) -> None:
        if self._may_drop():
            self.dismiss(None)

    def _may_drop(self) -> bool:
        """Drops nothing by one slip: with something written it must be said twice; a draft of it is kept."""
        text = self.query_one("#text", TextArea).text
        base = render_plan(self.request.steps, translate(self.console.language, "console_edit_note"))
        if text == base or self._discard_asked or self.finished:
            return True
        self._discard_asked = True
        SAVED_DRAFTS[self._draft] = text
        while len(SAVED_DRAFTS) > MAX_DRAFTS:
            SAVED_DRAFTS.pop(next(iter(SAVED_DRAFTS)))
        self.show_note(Sentence("console_edit_drop"), "warn")
        return False

    @on(TextArea.Changed, "#text")
    def _text_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._discard_asked = False

    def take_button(self, choice: ChoiceItem) -> None:
        match choice.id:
            case "drop":
                if self._may_drop():
                    SAVED_DRAFTS.pop(self._draft, None)
                    self.dismiss(None)
            case "back":
                self.action_backward()
            case _:
                self.action_onward()

    # ---- step 2: what changes, and what policy says

    def _check(self) -> None:
        base = self.request.steps
        try:
            self.steps = parse_plan(self.query_one("#text", TextArea).text, base)
        except InvalidPlanText as error:
            self.show_note(Sentence("console_edit_line", {"line": error.line, "why": error.sentence}), "bad")
            area = self.query_one("#text", TextArea)
            area.move_cursor((max(0, error.line - 1), 0))
            return
        if render_plan(self.steps) == render_plan(base):
            self.show_note(Sentence("console_edit_same"), "warn")
            return
        if self.can_send():
            self.run_worker(self._fetch_check(), exclusive=True, group="ask")

    def _args(self) -> EditArgs:
        return EditArgs(number=self.request.number, base_hash=self.request.plan_hash, steps=self.steps)

    async def _fetch_check(self) -> None:
        answer = await self.call_hub(verbs.EDIT, replace(self._args(), dry_run=True))
        if answer.disposition == "look":
            await self._conflict(answer)
            return
        if answer.disposition != "done":
            self.finished = answer.disposition == "over"
            self.show_note(answer.text, answer.tone)
            return
        self.verdict = answer.result
        self.show_note("")
        self._show_page(2)
        if self.verdict is not None:
            self.set_facts(self._changes(self.verdict))

    def _changes(self, verdict: EditResult) -> list[PaneLine]:
        """What would run against what waits now: with what policy inserts, which nobody wrote."""
        look = self.console.render_context()
        would = verdict.new.steps if verdict.new is not None else self.steps
        lines = diff_lines(render_plan(self.request.steps), render_plan(would))
        said = verdict.verdict or "?"
        known = ("allow", "ask", "deny")
        words = translate(look.language, f"console_verdict_{said}") if said in known else one_line(said, 20)
        tone: Any = {"allow": "ok", "ask": "warn"}.get(said, "bad")
        reason = one_line(verdict.reason or "", 600)
        lines.append(fact_line(look, "policy", f"{words}  {reason}".rstrip(), tone))
        if said == "ask":
            count = "?" if verdict.approvers is None else verdict.approvers
            lines.append(fact_line(look, "needs", translate(look.language, "console_needs", count=count)))
        who = [one_line(name, 64) for name in (verdict.who or ())[:8]]
        if who:
            lines.append(fact_line(look, "who_can", ", ".join(who)))
        lines.append(fact_line(look, "base", group_hash(self.request.plan_hash)))
        lines.append(fact_line(look, "new", group_hash(verdict.plan_hash or "")))
        asker = one_line(self.request.person or "?", 64)
        lines.append(PaneLine(translate(look.language, "console_edit_told", person=asker), "dim"))
        return lines

    # ---- step 3

    def send(self) -> None:
        if not self.can_send():
            return
        if not self.query_one("#why", TextField).value.strip():
            self.show_note(Sentence("console_why_needed"), "warn")
            self.query_one("#why").focus()
            return
        self.run_worker(self._send(), exclusive=True, group="ask")

    async def _send(self) -> None:
        why = self.query_one("#why", TextField).value.strip()
        answer = await self.call_hub(verbs.EDIT, replace(self._args(), why=why))
        if answer.disposition == "done":
            SAVED_DRAFTS.pop(self._draft, None)
            number = answer.result.number if answer.result is not None else None
            self.console.notify(Sentence("console_edited", {"number": "?" if number is None else number}), "ok")
            self.dismiss(answer.result)
        elif answer.disposition == "look":
            await self._conflict(answer)
        else:
            self.finished = answer.disposition == "over"
            self.show_note(answer.text, answer.tone)

    async def _conflict(self, answer: CallOutcome[EditResult]) -> None:
        """The base has changed: shows what it has become; the operator's own text stays as it is."""
        fresh = (await call_hub(self.console.source, verbs.REQUEST, RequestArgs(number=self.request.number))).result
        if fresh is None:
            self.show_note(answer.text, "bad")
            return
        changed = diff_lines(render_plan(self.request.steps), render_plan(fresh.steps))
        self.request = fresh
        self._show_page(1)
        self.query_one("#facts").display = True
        self.set_facts([PaneLine(translate(self.console.language, "console_plan_changed"), "warn"), *changed])
        self.show_note(answer.text, "warn")
