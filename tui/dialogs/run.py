"""A new command: read by the grammar while it is typed, sent as exactly these words. Policy at the hub decides.

For many machines it is a broadcast: the hub says how many there are, that number is typed, and for some seconds it
can be taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from common.grammar import BadLine, tokenize
from common.plan import DEFAULT_TIME_LIMIT, MAX_TIME_LIMIT
from common.text import escape_argv
from tui.answers import Answered, ask
from tui.console import Console
from tui.detail_text import fact
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, number, one_line
from tui.rows import number_or_none
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

HOLD: Final = 5
"""Seconds in which a broadcast can be taken back."""
TYPING: Final = 0.3
MAX_COMMAND: Final = 8_000


class RunDialog(Dialog):
    """`target` is a machine, several by comma, or a selector; with `many` its reach is asked and the number must be
    typed."""

    def __init__(self, console: Console, target: str, *, many: bool = False, command: str = "") -> None:
        super().__init__(console, Sentence("console_broadcast_title" if many else "console_run_title"))
        self.many = many
        self.reach: dict[str, Any] | None = None
        self.number: int | None = None  # of the request, while it can be taken back
        self._first = (target, command)
        self._taken_back = False
        self._may_leave = False  # taking back did not work, so that closing is all that is left

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        target, command = self._first
        hint = say(language, "console_selector_hint")
        yield self.labelled("console_field_target", Field(target, id="target", placeholder=hint, max_length=2_000))
        yield self.labelled("console_field_command", Field(command, id="command", max_length=MAX_COMMAND))
        yield self.labelled("console_field_timeout", Field(str(DEFAULT_TIME_LIMIT), id="timeout", max_length=6))
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_count", Field(id="count", max_length=7))
        choices = [
            Choice("close", say(language, "console_choice_close")),
            Choice("send", say(language, "console_choice_send"), "warn"),
        ]
        yield Choices(self.console.look, choices, row=True, id="choices")

    def keys(self) -> str:
        return say(self.console.language, "console_broadcast_keys" if self.many else "console_dialog_keys")

    def opened(self) -> None:
        self.query_one("#count").parent.display = False  # type: ignore[union-attr]
        self.query_one("#command" if self._first[0] else "#target").focus()
        self._preview()
        if self.many:
            self._count_soon()

    # ---- while it is typed

    @on(Input.Changed, "#target")
    def _target_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.reach = None
        self._preview()
        if self.many:
            self._count_soon()

    @on(Input.Changed, "#command")
    @on(Input.Changed, "#timeout")
    def _command_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._preview()

    def _count_soon(self) -> None:
        self.run_worker(self._count(), exclusive=True, group="count")

    async def _count(self) -> None:
        await asyncio.sleep(TYPING)
        selector = self._value("target")
        if not selector:
            return
        answer = await ask(self.console.source.call, "targets", selector=selector)
        if answer.next == "done" and isinstance(answer.data, dict):
            self.reach = answer.data
            self.note("")
        else:
            self.reach = None
            self.note(answer.text, "warn")
        self._preview()

    def _value(self, field: str) -> str:
        return self.query_one(f"#{field}", Field).value.strip()

    def argv(self) -> list[str] | Sentence:
        try:
            return list(tokenize(self._value("command")))
        except BadLine as error:
            return error.sentence

    def _preview(self) -> None:
        look = self.console.look()
        argv, lines = self.argv(), []
        if not self._value("command"):
            lines.append(Line(say(look.language, "console_run_no_shell"), "dim"))
        elif isinstance(argv, Sentence):
            lines.append(Line(argv.say(look.language), "warn"))
        else:
            lines.append(Line(escape_argv(argv), "key", "|"))
        if self.reach is not None:
            count, online = number_or_none(self.reach.get("count")) or 0, number_or_none(self.reach.get("online")) or 0
            values = {"count": number(count), "online": number(online), "offline": number(count - online)}
            lines.append(Line(say(look.language, "console_reach", **values)))
            sample = ", ".join(one_line(name, 64) for name in list(self.reach.get("sample") or ())[:8])
            if sample:
                lines.append(fact(look, "first", sample))
        self.query_one("#count").parent.display = self.count > 1  # type: ignore[union-attr]
        self.set_facts(lines)

    @property
    def count(self) -> int:
        """How many machines the hub says it is for; 1 where it was not asked."""
        return int(number_or_none((self.reach or {}).get("count")) or 0) if self.many else 1

    # ---- sending

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        order = ["target", "command", "count"] if self.many else ["target", "command"]
        here = event.input.id or ""
        later = order[order.index(here) + 1 :] if here in order else []
        follow = next((name for name in later if self.query_one(f"#{name}").parent.display), None)  # type: ignore[union-attr]
        if follow is not None:
            self.query_one(f"#{follow}").focus()
        else:
            self.send()

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "back":
            self.take_back()
        elif event.choice.id == "close":
            self.action_close()
        else:
            self.send()

    def send(self) -> None:
        if not self.may_send():
            return
        argv, timeout = self.argv(), self._value("timeout")
        if isinstance(argv, Sentence):
            self.note(argv, "warn")
            self.query_one("#command").focus()
            return
        if not (timeout.isascii() and timeout.isdigit() and 1 <= int(timeout) <= MAX_TIME_LIMIT):
            self.note(Sentence("console_timeout_wrong", {"most": MAX_TIME_LIMIT}), "warn")
            self.query_one("#timeout").focus()
            return
        if not self._value("target"):
            self.note(Sentence("console_target_needed"), "warn")
            self.query_one("#target").focus()
            return
        args: dict[str, Any] = {"target": self._value("target"), "argv": argv, "timeout": int(timeout)}
        if self.many:
            if self.reach is None or not self.count:
                self.note(Sentence("console_reach_needed"), "warn")
                return
            if self.count > 1 and self._value("count").replace(",", "") != str(self.count):
                self.note(Sentence("console_count_wrong", {"count": number(self.count)}), "warn")
                self.query_one("#count").focus()
                return
            args |= {"expect": self.count, "hold": HOLD}
        self.run_worker(self._send(args), exclusive=True, group="ask")

    async def _send(self, args: dict[str, Any]) -> None:
        answer = await self.ask("run", **args)
        if answer.next != "done":
            if answer.code == "selection_changed":
                self.query_one("#count", Field).value = ""
                self._count_soon()
            self.over = answer.next == "over" and not self.many
            self.note(answer.text, answer.tone)
            return
        request = answer.data if isinstance(answer.data, dict) else {}
        if self.many and request.get("state") in ("working", "received"):
            await self._hold(request)
        else:
            self._tell(request, answer.text)
            self.dismiss(request)

    def _tell(self, request: dict[str, Any], said: str = "") -> None:
        """What became of it: refused, waiting for a yes, or on its way."""
        values = {
            "number": one_line(request.get("number", "?"), 12),
            "why": one_line(request.get("reason") or "-", 300),
        }
        state = str(request.get("state"))
        if state == "refused":
            self.console.tell(Sentence("console_run_refused", values), "bad", lasting=True)
        elif state == "asking":
            self.console.tell(said or Sentence("console_run_asking", values), "warn")
        else:
            self.console.tell(said or Sentence("console_run_sent", values), "ok")

    async def _hold(self, request: dict[str, Any]) -> None:
        """The seconds in which nothing has gone out yet."""
        self.number, self.over = int(number_or_none(request.get("number")) or 0), True
        choices = self.query_one("#choices", Choices)
        choices.set_choices([Choice("back", say(self.console.language, "console_choice_take_back"), "warn")])
        choices.focus()
        for left in range(HOLD, 0, -1):
            if self._taken_back or self._may_leave:
                return
            self.note(Sentence("console_hold", {"seconds": left, "count": number(self.count)}), "warn")
            await asyncio.sleep(1)
        if not (self._taken_back or self._may_leave):
            self._tell(request)
            self.dismiss(request)

    def take_back(self) -> None:
        if self.number is not None and not self._taken_back:
            self._taken_back = True
            self.run_worker(self._take_back(self.number), exclusive=True, group="back")

    async def _take_back(self, request: int) -> None:
        answer: Answered = await self.ask("take_back", number=request)
        if answer.next == "done":
            self.console.tell(answer.text or Sentence("console_taken_back", {"number": request}), "ok")
            self.dismiss(None)
            return
        language = self.console.language
        self._may_leave = True
        self._taken_back = answer.next == "over"  # too late; else it can be tried again
        close = Choice("close", say(language, "console_choice_close"))
        again = Choice("back", say(language, "console_choice_take_back"), "warn")
        self.query_one("#choices", Choices).set_choices([close] if self._taken_back else [close, again])
        self.note(answer.text, answer.tone)

    def action_close(self) -> None:
        if self.number is None or self._may_leave:
            if self.number is not None:
                self.console.tell(Sentence("console_not_taken_back", {"number": self.number}), "warn", lasting=True)
            self.dismiss(None)
        else:
            self.take_back()
