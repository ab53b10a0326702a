"""The pause and drain dialogs: what they affect, a reason, and a duration after which they end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict

from textual.widget import Widget

from common.api import verbs
from common.api.actions import DrainArgs, PauseArgs, ResumeArgs, UndrainArgs
from common.api.agents import AgentView
from common.catalogue import Sentence, translate
from common.values import parse_duration
from tui.dialogs.dialog import Dialog, TextField
from tui.model.actions import Undo
from tui.model.context import ConsoleContext
from tui.text.format import PaneLine, format_age, format_number, one_line
from tui.view.detail import agent_lines, fact_line
from tui.widgets.text import TextPane

UNDO_FOR: Final = 8.0  # seconds
MAX_FIELD: Final = 16  # characters of a duration
MIN_DURATION: Final = 0.001  # seconds
MAX_DURATION: Final = 30 * 86_400.0


def seconds_of(text: str) -> float | None:
    """30m, 2h, 1h30m as seconds, at most thirty days; None where it is no such duration."""
    try:
        return float(parse_duration(text.strip(), low=MIN_DURATION, high=MAX_DURATION))
    except ValueError:
        return None


class TargetNames(TypedDict, total=False):
    """How the hub takes machines: one by its name, several as a selection."""

    agent: str
    selector: str


def target_args(names: str) -> TargetNames:
    """One machine, several by comma, or "" for the whole queue, as the hub's arguments."""
    return {"selector": names} if "," in names else {"agent": names}


class PauseDialog(Dialog):
    """`agent` "" is the whole queue; `row` is what is known of the machine."""

    def __init__(self, console: ConsoleContext, agent: str, row: AgentView | None) -> None:
        title = Sentence("console_pause_title", {"what": agent or Sentence("console_whole_queue")})
        super().__init__(console, title)
        self.agent = agent
        self.row = row

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field(
            "console_field_why", TextField(id="why", placeholder=translate(language, "console_optional"))
        )
        yield self.labeled_field(
            "console_field_until",
            TextField(id="until", placeholder=translate(language, "console_until_hint"), max_length=MAX_FIELD),
        )
        yield self.button_row("pause", "console_choice_pause", "warn")

    def fill(self) -> None:
        look = self.console.render_context()
        lines = agent_lines(self.row, look)[:4] if self.row is not None else []
        if not self.agent:
            overview = self.console.overview
            lane = overview.lane("queued") if overview is not None else None
            oldest = lane.oldest if lane is not None else None
            values = {"count": format_number(lane.count if lane is not None else None), "age": format_age(oldest)}
            key = "console_queue_idle" if oldest is None else "console_queue_waits"
            lines.append(fact_line(look, "queue", translate(look.language, key, **values)))
        lines.append(PaneLine(translate(look.language, "console_pause_means"), "warn"))
        self.set_facts(lines)
        self.query_one("#why").focus()

    def send(self) -> None:
        if not self.can_send():
            return
        typed = self.query_one("#until", TextField).value.strip()
        seconds = seconds_of(typed) if typed else None
        if typed and seconds is None:
            self.show_note(Sentence("console_until_wrong"), "warn")
            self.query_one("#until").focus()
            return
        until = None if seconds is None else self.console.now() + seconds
        why = self.query_one("#why", TextField).value.strip()
        args = PauseArgs(**target_args(self.agent), reason=why, until=until)
        self.run_worker(self._send(args), exclusive=True, group="ask")

    async def _send(self, args: PauseArgs) -> None:
        answer = await self.call_hub(verbs.PAUSE, args)
        if answer.disposition == "done":
            what = self.agent or Sentence("console_whole_queue")
            self.console.notify(answer.text or Sentence("console_paused", {"what": what}), "ok")
            undo, back = Sentence("console_undo_pause", {"what": what}), ResumeArgs(**target_args(self.agent))
            self.console.undo = Undo(undo, verbs.RESUME, back, self.console.now() + UNDO_FOR)
            self.dismiss("paused")
            return
        self.finished = answer.disposition == "over"
        self.show_note(answer.text, answer.tone)


class DrainDialog(Dialog):
    """The machine gets no new jobs; those that run finish, or are cancelled after the given duration."""

    def __init__(self, console: ConsoleContext, agent: AgentView) -> None:
        super().__init__(console, Sentence("console_drain_title", {"what": one_line(agent.name, 64)}))
        self.agent = agent

    def body(self) -> Iterable[Widget]:
        language = self.console.language
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field(
            "console_field_cancel_after",
            TextField(id="after", placeholder=translate(language, "console_drain_hint"), max_length=MAX_FIELD),
        )
        yield self.button_row("drain", "console_choice_drain", "warn")

    def fill(self) -> None:
        look = self.console.render_context()
        self.set_facts(
            [*agent_lines(self.agent, look)[:4], PaneLine(translate(look.language, "console_drain_means"), "warn")]
        )
        self.query_one("#after").focus()

    def send(self) -> None:
        if not self.can_send():
            return
        typed = self.query_one("#after", TextField).value.strip()
        seconds = seconds_of(typed) if typed else None
        if typed and seconds is None:
            self.show_note(Sentence("console_until_wrong"), "warn")
            return
        args = DrainArgs(agent=self.agent.name, cancel_after=seconds)
        self.run_worker(self._send(args), exclusive=True, group="ask")

    async def _send(self, args: DrainArgs) -> None:
        answer = await self.call_hub(verbs.DRAIN, args)
        if answer.disposition == "done":
            what = {"what": args.agent}
            self.console.notify(answer.text or Sentence("console_draining_now", what), "ok")
            undo, back = Sentence("console_undo_drain", what), UndrainArgs(agent=args.agent)
            self.console.undo = Undo(undo, verbs.UNDRAIN, back, self.console.now() + UNDO_FOR)
            self.dismiss("draining")
            return
        self.finished = answer.disposition == "over"
        self.show_note(answer.text, answer.tone)
