"""What is allowed for a while: who lets whom run what again, until when; and taken back, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from textual import on
from textual.widget import Widget

from common.api import verbs
from common.api.standing import DisallowArgs, StandingView
from common.catalogue import Sentence, translate
from tui.dialogs.dialog import Dialog
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, format_age, format_moment, one_line
from tui.view.detail import fact_line, group_hash
from tui.widgets.choices import ChoiceItem, ChoiceList
from tui.widgets.text import TextPane

MAX_NAMED: Final = 20
"""Machines that the facts name."""


class StandingDialog(Dialog):
    def __init__(self, console: ConsoleContext, found: Sequence[StandingView]) -> None:
        super().__init__(console, Sentence("console_allowed_title"))
        self.found = list(found)

    def body(self) -> Iterable[Widget]:
        yield ChoiceList(self.console.render_context, (), id="choices")
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.button_row("disallow", "console_choice_disallow", "warn")

    def fill(self) -> None:
        self.query_one("#choices").focus()
        self._show()

    def list_height(self, choices: ChoiceList) -> int:
        return max(1, len(self.found))

    def _show(self) -> None:
        choices = self.query_one("#choices", ChoiceList)
        choices.set_items([ChoiceItem(str(one.number), self._line(one)) for one in self.found], choices.index)
        self._show_facts()
        if not self.found:
            self.finished = True
            self.show_note(Sentence("console_allowed_none"))
            self.set_close_only()

    def _line(self, one: StandingView) -> str:
        left = format_age(max(0.0, one.expires_at - self.console.now()))
        what = one_line(one.command or one.plan_hash[:8], 200)
        return f"a{one.number}  {left:>6}  {one.uses}/{one.max_uses}  {one_line(one.person, 40)}  {what}"

    @property
    def chosen(self) -> StandingView | None:
        choices = self.query_one("#choices", ChoiceList)
        return self.found[choices.index] if self.found else None

    def _show_facts(self) -> None:
        one, ctx = self.chosen, self.console.render_context()
        if one is None:
            self.set_facts([])
            return
        names = ", ".join(one_line(name, 64) for name in one.targets[:MAX_NAMED])
        if one.target_count > min(len(one.targets), MAX_NAMED):
            names += "  " + translate(ctx.language, "console_machines", count=one.target_count)
        values = {"by": one_line(one.granted_by, 64), "person": one_line(one.person, 64), "uses": one.uses}
        until = format_moment(one.expires_at, ctx.now, ctx.zone)
        said = translate(ctx.language, "console_allowed_one", **values, most=one.max_uses, until=until)
        lines = [
            PaneLine(said),
            PaneLine(one_line(one.command or "-", 1_000), "key", "|"),
            fact_line(ctx, "runs_on", names),
            fact_line(ctx, "plan", f"sha256 {group_hash(one.plan_hash)}"),
        ]
        self.set_facts(lines)

    @on(ChoiceList.Highlighted, "#choices")
    def _highlighted(self, event: ChoiceList.Highlighted) -> None:
        event.stop()
        self._show_facts()

    @on(ChoiceList.Selected, "#choices")
    def _selected(self, event: ChoiceList.Selected) -> None:
        event.stop()
        self.buttons.focus()  # which asks: the first one changes nothing

    def send(self) -> None:
        one = self.chosen
        if one is not None and self.can_send():
            self.run_worker(self._send(one), exclusive=True, group="ask")

    async def _send(self, one: StandingView) -> None:
        answer = await self.call_hub(verbs.DISALLOW, DisallowArgs(number=one.number))
        if answer.is_done or answer.code == "unknown":  # which has ended meanwhile
            self.found = [other for other in self.found if other.number != one.number]
            self._show()
        if answer.is_done:
            self.console.notify(answer.text or Sentence("console_disallowed", {"number": one.number}), "ok")
        if self.found or not answer.is_done:
            self.show_note(answer.text, answer.tone)
