"""A new command: read by the grammar while it is typed, sent as exactly these words. Policy at the hub decides.

For many machines it is a broadcast: the hub says how many there are, that number is typed, and for some seconds it
can be taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from common.api import verbs
from common.api.arguments import RequestArgs
from common.api.queries import Targets, TargetsArgs
from common.api.requests import RequestDetails
from common.api.work import RunArgs
from common.catalogue import Sentence, translate
from common.command.grammar import BadLine
from common.command.line import parse_command, quote_command
from common.command.output_filters import BadFilter, FilterWords
from common.plan import DEFAULT_TIME_LIMIT, MAX_TIME_LIMIT
from common.values import parse_whole_seconds
from tui.dialogs.dialog import Dialog, TextField
from tui.model.answers import call_hub
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, Tone, format_number, one_line
from tui.view.detail import fact_line
from tui.widgets.choices import ChoiceItem
from tui.widgets.digits import NumberInput
from tui.widgets.text import TextPane

HOLD_SECONDS: Final = 5
"""Seconds in which a broadcast can be taken back."""
TYPING_DEBOUNCE: Final = 0.3
MAX_COMMAND: Final = 8_000


class RunDialog(Dialog):
    """`target` is a machine, several by comma, or a selector; with `is_broadcast` its reach is asked and the number
    must be typed.
    """

    def __init__(self, console: ConsoleContext, target: str, *, many: bool = False, command: str = "") -> None:
        super().__init__(console, Sentence("console_broadcast_title" if many else "console_run_title"))
        self.is_broadcast = many
        self.target_summary: Targets | None = None
        self.number: int | None = None  # of the request, while it can be taken back
        self._first = (target, command)
        self._taken_back = False
        self._can_close = False  # taking back did not work, so that closing is all that is left

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        target, command = self._first
        hint = translate(language, "console_selector_hint")
        yield self.labeled_field(
            "console_field_target", TextField(target, id="target", placeholder=hint, max_length=2_000)
        )
        yield self.labeled_field("console_field_command", TextField(command, id="command", max_length=MAX_COMMAND))
        yield self.labeled_field(
            "console_field_timeout", TextField(str(DEFAULT_TIME_LIMIT), id="timeout", max_length=16)
        )
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field("console_field_count", NumberInput(id="count"))
        yield self.button_row("send", "console_choice_send", "warn")

    def key_hints(self) -> str:
        if not self.is_broadcast:
            return super().key_hints()
        return translate(
            self.console.language, "console_broadcast_keys" if self.takes_letters else "console_broadcast_keys_yn"
        )

    def fill(self) -> None:
        self.query_one("#count").parent.display = False  # type: ignore[union-attr]
        self.query_one("#command" if self._first[0] else "#target").focus()
        self._preview()
        if self.is_broadcast:
            self._schedule_count()

    # ---- while it is typed

    @on(Input.Changed, "#target")
    def _target_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.target_summary = None
        self._preview()
        if self.is_broadcast:
            self._schedule_count()

    @on(Input.Changed, "#command")
    @on(Input.Changed, "#timeout")
    def _command_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._preview()

    def _schedule_count(self) -> None:
        self.run_worker(self._fetch_count(), exclusive=True, group="count")

    async def _fetch_count(self) -> None:
        await asyncio.sleep(TYPING_DEBOUNCE)
        selector = self._value("target")
        if not selector:
            return
        answer = await call_hub(self.console.source, verbs.TARGETS, TargetsArgs(selector=selector))
        self.target_summary = answer.result
        if answer.result is not None:
            self.show_note("")
        else:
            self.show_note(answer.text, "warn")
        self._preview()

    def _value(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    def command(self) -> tuple[tuple[str, ...], tuple[FilterWords, ...]] | Sentence:
        """The words and filters that were typed, or what is wrong with them."""
        try:
            return parse_command(self._value("command"))
        except (BadLine, BadFilter) as error:
            return error.sentence

    def _preview(self) -> None:
        look = self.console.render_context()
        command, lines = self.command(), []
        if not self._value("command"):
            lines.append(PaneLine(translate(look.language, "console_run_no_shell"), "dim"))
        elif isinstance(command, Sentence):
            lines.append(PaneLine(command.render(look.language), "warn"))
        else:
            lines.append(PaneLine(quote_command(*command), "key", "|"))
        if self.target_summary is not None:
            found = self.target_summary
            values = {
                "count": format_number(found.count),
                "online": format_number(found.online),
                "offline": format_number(found.count - found.online),
            }
            lines.append(PaneLine(translate(look.language, "console_reach", **values)))
            sample = ", ".join(one_line(name, 64) for name in found.sample[:8])
            if sample:
                lines.append(fact_line(look, "first", sample))
        self.query_one("#count").parent.display = self.target_count > 1  # type: ignore[union-attr]
        self.set_facts(lines)

    @property
    def target_count(self) -> int:
        """How many machines the hub says it is for; 1 where it was not asked."""
        if not self.is_broadcast:
            return 1
        return self.target_summary.count if self.target_summary is not None else 0

    # ---- sending

    def field_entered(self, field: Input) -> None:
        """On to what has to be filled in; the time limit need not."""
        order = ["target", "command", "count"] if self.is_broadcast else ["target", "command"]
        here = field.id or ""
        later = order[order.index(here) + 1 :] if here in order else []
        follow = next((name for name in later if self.query_one(f"#{name}").parent.display), None)  # type: ignore[union-attr]
        if follow is not None:
            self.query_one(f"#{follow}").focus()
        else:
            self.send()

    def take_button(self, choice: ChoiceItem) -> None:
        if choice.id == "back":
            self.take_back()
        else:
            super().take_button(choice)

    def send(self) -> None:
        if not self.can_send():
            return
        command, timeout = self.command(), self._value("timeout")
        if isinstance(command, Sentence):
            self.show_note(command, "warn")
            self.query_one("#command").focus()
            return
        time_limit = parse_whole_seconds(timeout, 1, MAX_TIME_LIMIT)
        if time_limit is None:
            self.show_note(Sentence("console_timeout_wrong", {"most": MAX_TIME_LIMIT}), "warn")
            self.query_one("#timeout").focus()
            return
        if not self._value("target"):
            self.show_note(Sentence("console_target_needed"), "warn")
            self.query_one("#target").focus()
            return
        argv, filters = command
        args = RunArgs(target=self._value("target"), argv=argv, timeout=time_limit, filters=filters)
        if self.is_broadcast:
            if self.target_summary is None or not self.target_count:
                self.show_note(Sentence("console_reach_needed"), "warn")
                return
            if self.target_count > 1 and self._value("count").replace(",", "") != str(self.target_count):
                self.show_note(Sentence("console_count_wrong", {"count": format_number(self.target_count)}), "warn")
                self.query_one("#count").focus()
                return
            args = replace(args, expect=self.target_count, hold=HOLD_SECONDS)
        self.run_worker(self._send(args), exclusive=True, group="ask")

    async def _send(self, args: RunArgs) -> None:
        answer = await self.call_hub(verbs.RUN, args)
        if answer.disposition != "done":
            if answer.code == "selection_changed":
                self.query_one("#count", NumberInput).value = ""
                self._schedule_count()
            self.finished = answer.disposition == "over" and not self.is_broadcast
            self.show_note(answer.text, answer.tone)
            return
        request = answer.result.request if answer.result is not None else None
        if self.is_broadcast and request is not None and request.state in ("working", "received"):
            await self._wait_held(request)
        else:
            self._show_result(request, answer.text)
            self.dismiss(request)

    def _show_result(self, request: RequestDetails | None, said: str = "") -> None:
        """What became of it: refused, waiting for approval, or on its way."""
        self.console.notify(*result_message(request, said), sticky=request is not None and request.is_refused)

    async def _wait_held(self, request: RequestDetails) -> None:
        """The seconds in which nothing has gone out yet."""
        self.number, self.finished = request.number, True
        back = ChoiceItem("back", translate(self.console.language, "console_choice_take_back"), "warn", answer="no")
        self.buttons.set_items([back])
        self.buttons.focus()
        for left in range(HOLD_SECONDS, 0, -1):
            if self._taken_back or self._can_close:
                return
            self.show_note(
                Sentence("console_hold", {"seconds": left, "count": format_number(self.target_count)}), "warn"
            )
            await asyncio.sleep(1)
        if not (self._taken_back or self._can_close):
            self._show_result(request)
            self.dismiss(request)

    def take_back(self) -> None:
        if self.number is not None and not self._taken_back:
            self._taken_back = True
            self.run_worker(self._take_back(self.number), exclusive=True, group="back")

    async def _take_back(self, request: int) -> None:
        answer = await self.call_hub(verbs.TAKE_BACK, RequestArgs(number=request))
        if answer.disposition == "done":
            self.console.notify(answer.text or Sentence("console_taken_back", {"number": request}), "ok")
            self.dismiss(None)
            return
        language = self.console.language
        self._can_close = True
        self._taken_back = answer.disposition == "over"  # too late; else it can be tried again
        close = ChoiceItem("close", translate(language, "console_choice_close"), answer="no")
        again = ChoiceItem("back", translate(language, "console_choice_take_back"), "warn")
        self.buttons.set_items([close] if self._taken_back else [close, again])
        self.show_note(answer.text, answer.tone)

    def action_close(self) -> None:
        if self.number is None or self._can_close:
            if self.number is not None:
                self.console.notify(Sentence("console_not_taken_back", {"number": self.number}), "warn", sticky=True)
            self.dismiss(None)
        else:
            self.take_back()


def result_message(request: RequestDetails | None, said: str) -> tuple[Sentence | str, Tone]:
    """What to say of a request that was made; `said` is the hub's sentence, "" where it has none."""
    values: dict[str, object] = {"number": "?", "why": "-"}
    if request is not None:
        values = {"number": request.number, "why": one_line(request.reason or "-", 300)}
        if request.is_refused:
            return Sentence("console_run_refused", values), "bad"
        if request.is_asking:
            return said or Sentence("console_run_asking", values), "warn"
    return said or Sentence("console_run_sent", values), "ok"
