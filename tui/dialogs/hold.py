"""Pause and drain: what will wait because of it, why, and until when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from common.catalogue import Sentence, say
from tui.commands import Undo
from tui.console import Console
from tui.detail_text import agent_lines, fact
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line, age, number, one_line
from tui.model import Row
from tui.rows import number_or_none
from tui.widgets.choices import Choice, Choices
from tui.widgets.text import TextPane

UNDO_FOR: Final = 8.0
_SPAN: Final = re.compile(r"(\d{1,5})\s*([smhd])", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_SPAN: Final = 30 * 86_400


def seconds_of(text: str) -> float | None:
    """30m, 2h, 1d as seconds; None where it is no such span."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        return None
    seconds = int(found[1]) * _UNITS[found[2]]
    return float(seconds) if 0 < seconds <= MAX_SPAN else None


def chosen(names: str) -> dict[str, str]:
    """One machine, several by comma, or "" for the whole queue, as the hub's arguments."""
    return {"selector": names} if "," in names else {"agent": names}


class PauseDialog(Dialog):
    """`agent` "" is the whole queue; `row` is what is known of the machine."""

    def __init__(self, console: Console, agent: str, row: Row | None) -> None:
        title = Sentence("console_pause_title", {"what": agent or Sentence("console_whole_queue")})
        super().__init__(console, title)
        self.agent = agent
        self.row = row

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_why", Field(id="why", placeholder=say(language, "console_optional")))
        yield self.labelled(
            "console_field_until", Field(id="until", placeholder=say(language, "console_until_hint"), max_length=8)
        )
        choices = [
            Choice("close", say(language, "console_choice_close")),
            Choice("pause", say(language, "console_choice_pause"), "warn"),
        ]
        yield Choices(self.console.look, choices, row=True, id="choices")

    def opened(self) -> None:
        look = self.console.look()
        lines = agent_lines(self.row, look)[:4] if self.row is not None else []
        if not self.agent:
            lane: Row = next(
                (row for row in self.console.overview.get("lanes", ()) if row.get("stage") == "queued"), {}
            )
            oldest = number_or_none(lane.get("oldest"))
            values = {"count": number(number_or_none(lane.get("count"))), "age": age(oldest)}
            key = "console_queue_idle" if oldest is None else "console_queue_waits"
            lines.append(fact(look, "queue", say(look.language, key, **values)))
        lines.append(Line(say(look.language, "console_pause_means"), "warn"))
        self.set_facts(lines)
        self.query_one("#why").focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "why":
            self.query_one("#until").focus()
        else:
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
        typed = self.query_one("#until", Field).value.strip()
        args: dict[str, Any] = {**chosen(self.agent), "reason": self.query_one("#why", Field).value.strip()}
        if typed:
            seconds = seconds_of(typed)
            if seconds is None:
                self.note(Sentence("console_until_wrong"), "warn")
                self.query_one("#until").focus()
                return
            args["until"] = self.console.now() + seconds
        self.run_worker(self._send(args), exclusive=True, group="ask")

    async def _send(self, args: dict[str, Any]) -> None:
        answer = await self.ask("pause", **args)
        if answer.next == "done":
            what = self.agent or Sentence("console_whole_queue")
            self.console.tell(answer.text or Sentence("console_paused", {"what": what}), "ok")
            undo = Sentence("console_undo_pause", {"what": what})
            self.console.undo = Undo(undo, "resume", chosen(self.agent), self.console.now() + UNDO_FOR)
            self.dismiss("paused")
            return
        self.over = answer.next == "over"
        self.note(answer.text, answer.tone)


class DrainDialog(Dialog):
    """Nothing new goes to the machine; what runs may end, or is cancelled after a while."""

    def __init__(self, console: Console, agent: Row) -> None:
        super().__init__(console, Sentence("console_drain_title", {"what": one_line(agent.get("name", "?"), 64)}))
        self.agent = dict(agent)

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled(
            "console_field_cancel_after",
            Field(id="after", placeholder=say(language, "console_drain_hint"), max_length=8),
        )
        choices = [
            Choice("close", say(language, "console_choice_close")),
            Choice("drain", say(language, "console_choice_drain"), "warn"),
        ]
        yield Choices(self.console.look, choices, row=True, id="choices")

    def opened(self) -> None:
        look = self.console.look()
        self.set_facts([*agent_lines(self.agent, look)[:4], Line(say(look.language, "console_drain_means"), "warn")])
        self.query_one("#after").focus()

    @on(Input.Submitted, "#after")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#choices", Choices).focus()

    @on(Choices.Taken, "#choices")
    def _chosen(self, event: Choices.Taken) -> None:
        event.stop()
        if event.choice.id == "close":
            self.action_close()
            return
        if not self.may_send():
            return
        args: dict[str, Any] = {"agent": self.agent["name"]}
        typed = self.query_one("#after", Field).value.strip()
        if typed:
            seconds = seconds_of(typed)
            if seconds is None:
                self.note(Sentence("console_until_wrong"), "warn")
                return
            args["cancel_after"] = seconds
        self.run_worker(self._send(args), exclusive=True, group="ask")

    async def _send(self, args: dict[str, Any]) -> None:
        answer = await self.ask("drain", **args)
        if answer.next == "done":
            name = args["agent"]
            self.console.tell(answer.text or Sentence("console_draining_now", {"what": name}), "ok")
            undo = Sentence("console_undo_drain", {"what": name})
            self.console.undo = Undo(undo, "undrain", {"agent": name}, self.console.now() + UNDO_FOR)
            self.dismiss("draining")
            return
        self.over = answer.next == "over"
        self.note(answer.text, answer.tone)
