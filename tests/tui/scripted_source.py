"""A source of facts that a test plays by hand, and the real console over it, without a terminal."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

import tui.app
from common.catalogue import Language
from common.plan import Plan, Step, plan_hash, plan_to_json
from common.version import VERSION
from tui.app import ConsoleApp
from tui.client import BadCall, LinkLost
from tui.commands import ACTS
from tui.console import Console, Settings
from tui.dialogs.dialog import Dialog
from tui.held import Held
from tui.source import Link, Who

NOW = 1_790_000_000.0
VERBS = frozenset({act.verb or act.needs for act in ACTS} - {""})
"""A hub that has all that the console knows."""
KEYS = {"overview": "1", "jobs": "2", "approve": "3", "agents": "4", "audit": "5", "models": "6"}
Row = dict[str, Any]

HOSTILE = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[31mred",
    "\x9b31mC1",
    "[@click=app.perform('quit')]press me[/]",
    "[bold]b[/bold][/red]",
    "[link=file:///etc/passwd]x[/link]",
    "a\u202egpj.exe",
    "nul\x00del\x7f",
    "汉字\u2066宽\u2069字",
    "line one\nline two\r\nline three\ttab",
    "\ud800lone",
    "x" * 5_000,
)
"""What a machine or a chat may send: escape sequences, markup, direction marks, controls, halves of characters,
much."""


def request_row(number: int, **more: Any) -> Row:
    """A request that waits for a yes."""
    steps = (Step(("systemctl", "reload", "nginx"), (f"web-{number}",)),)
    plan = more.pop("made", Plan(steps, "explicit"))
    row: Row = {
        "id": f"01J0000000000000000000R{number:03d}",
        "number": number,
        "state": "asking",
        "person": "bob",
        "inlet": "slack",
        "text": f"reload nginx on web-{number}",
        "plan": plan_to_json(plan),
        "plan_hash": plan_hash(plan),
        "rule": "ask-production",
        "reason": "changes production",
        "approvers": 1,
        "given": 0,
        "second_factor": True,
        "own_approval": False,
        "decide_by": NOW + 600,
        "received_at": NOW - 30,
        "approvals": [],
    }
    return row | more


def job_row(number: int, state: str = "running", **more: Any) -> Row:
    row: Row = {
        "id": f"01J0000000000000000000J{number:03d}",
        "number": number,
        "agent": f"web-{number}",
        "person": "bob",
        "inlet": "slack",
        "state": state,
        "argv": ["sleep", str(number)],
        "priority": 5,
        "time_limit": 600,
        "queued_at": NOW - 60,
        "leased_at": NOW - 59,
        "started_at": NOW - 58,
        "plan_hash": "4b" * 32,
        "output_bytes": 0,
    }
    return row | more


def agent_row(name: str, **more: Any) -> Row:
    row: Row = {
        "id": name,
        "name": name,
        "state": "active",
        "online": True,
        "labels": {"role": "web"},
        "version": "1.0",
        "rtt": 0.012,
        "vitals": {"load1": 0.5, "memory": 40.0, "disk": 50.0},
        "facts": {"os": "Debian"},
        "queued": 0,
        "running": 1,
        "paused_by": "",
        "draining": None,
        "last_seen": NOW,
    }
    return row | more


def event_row(seq: int, **more: Any) -> Row:
    row: Row = {
        "id": str(seq),
        "seq": seq,
        "at": NOW - seq,
        "kind": "request.approved",
        "actor": "carol",
        "subject": f"S{seq}",
    }
    return row | {"data": {"reason": "fine"}, "hash": "ab" * 32} | more


def node_row(name: str, **more: Any) -> Row:
    """A server of a language model."""
    row: Row = {
        "id": name,
        "name": name,
        "kind": "ollama",
        "model": "qwen3:8b",
        "priority": 1,
        "up": True,
        "problem": "",
        "breaker": "closed",
        "running": 1,
        "parallel": 2,
        "tokens_per_second": 41.5,
        "first_p50": 0.2,
        "first_p95": 1.4,
        "ok": 120,
        "failed": 3,
    }
    return row | more


class ScriptedSource:
    """See `tui.source.Source`. `rows` are its lists; `answers` what it says to a verb: data, an error, or a function
    of the call."""

    def __init__(self, **who: Any) -> None:
        self.link = Link("live", NOW)
        told = {"person": "alice", "roles": ("approver",), "hub": "prod-1", "version": VERSION, "verbs": VERBS}
        self.who: Who | None = Who(**{**told, **who})
        self.overview: Mapping[str, Any] = {"counts": {"asking": 2}, "lanes": [], "needs_you": [], "fleet": {}}
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.output: list[Mapping[str, Any]] = []
        self.language: Language = "en"
        self.retries = 0
        self.ended: list[str] = []
        self.clock = NOW
        self._pushes: dict[str, asyncio.Queue[Any]] = {}
        self._seqs: dict[str, int] = {}
        self._changed: Callable[[], None] = lambda: None

    # ---- the interface

    def now(self) -> float:
        return self.clock

    def retry(self) -> None:
        self.retries += 1

    async def keep(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        changed()
        await asyncio.Event().wait()

    async def call(self, verb: str, **args: Any) -> Any:
        self.calls.append((verb, args))
        if not self.link.live:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")
        answer = self.answers[verb] if verb in self.answers else self._usual(verb, args)
        if isinstance(answer, list) and answer and isinstance(answer[0], Exception | asyncio.Future):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(args)
        if isinstance(answer, asyncio.Future):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _usual(self, verb: str, args: Mapping[str, Any]) -> Any:
        if verb in ("request", "job"):
            rows = self.rows["requests" if verb == "request" else "jobs"]
            wanted = {key: args[key] for key in ("id", "number") if key in args}
            found = [row for row in rows if wanted.items() <= row.items()]
            return found[0] if found else BadCall(f"there is no such {verb}")
        if verb == "models":
            cache = {"memory": 34, "disk": 120, "lookups": 90, "hit_ratio": 0.41}
            return {"nodes": self.rows["models"], "waiting": 2, "cache": cache}
        return [] if verb in ("audit", "jobs") else {}

    async def unsubscribe(self, slot: str) -> None:
        self.ended.append(slot)

    async def subscribe(self, verb: str, slot: str, **args: Any) -> AsyncIterator[Any]:
        if not self.link.live:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")
        if verb == "output":
            yield {"chunks": self.output, "ended": True}
            return
        queue = self._pushes[slot] = asyncio.Queue()
        self.views[slot], self._seqs[slot] = args, 1
        refusal = self.answers.get("view")
        if isinstance(refusal, Exception):
            raise refusal
        yield self._snapshot(args)
        while True:
            push = await queue.get()
            if isinstance(push, Exception):
                raise push
            yield push

    def _snapshot(self, args: Mapping[str, Any]) -> Row:
        rows, lo = self.rows[str(args["view"])], int(args["lo"])
        return {"seq": 1, "total": len(rows), "all": len(rows), "lo": lo, "rows": rows[lo : lo + int(args["n"])]}

    # ---- what a test plays

    def push(self, slot: str, **delta: Any) -> None:
        """The next delta of a view that is followed."""
        self._seqs[slot] += 1
        self._pushes[slot].put_nowait({"seq": self._seqs[slot], **delta})

    def reorder(self, slot: str, rows: Sequence[Row]) -> None:
        """The list behind a view is now these rows in this order; what is not in them is gone."""
        name = str(self.views[slot]["view"])
        gone = [row["id"] for row in self.rows[name] if row["id"] not in {row["id"] for row in rows}]
        self.rows[name] = list(rows)
        order = [row["id"] for row in rows]
        self.push(slot, upsert=list(rows), gone=gone, order=order, lo=0, total=len(rows), all=len(rows))

    def lose(self, reason: str = "the hub closed the link") -> None:
        self.link = Link("lost", self.clock, self.clock + 5, reason)
        for queue in self._pushes.values():
            queue.put_nowait(LinkLost(reason, "try again"))
        self._changed()

    def come_back(self) -> None:
        self.link = Link("live", self.clock)
        self._changed()

    def asked(self, verb: str) -> list[dict[str, Any]]:
        """The arguments of every call of a verb."""
        return [args for name, args in self.calls if name == verb]


class Stage:
    """A console on a stage: its app, its pilot, its source, and what stands on the screen."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None], source: ScriptedSource) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source

    @property
    def console(self) -> Console:
        return self.app.context

    @property
    def text(self) -> str:
        """The screen as a person reads it."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def said(self) -> str:
        """What the status line was last told."""
        return self.console.said[-1].text if self.console.said else ""

    @property
    def dialog(self) -> Any:
        assert isinstance(self.app.screen, Dialog), f"no dialog but {self.app.screen}"
        return self.app.screen

    @property
    def in_dialog(self) -> bool:
        return isinstance(self.app.screen, Dialog)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        names = {
            " ": "space",
            "-": "minus",
            ",": "comma",
            ":": "colon",
            "/": "slash",
            "=": "equals_sign",
            ".": "full_stop",
            "*": "asterisk",
        }
        await self.pilot.press(*(names.get(char, char) for char in text))

    async def settle(self) -> None:
        self.app.flush()
        await self.pilot.pause()

    async def until(self, come: Callable[[], Any], what: str = "") -> None:
        """Lets the console work until something has come about."""
        for _ in range(400):
            if come():
                return
            await self.settle()
        raise AssertionError(f"never came about: {what or come}\n{self.text}")

    async def go(self, mode: str) -> None:
        await self.press(KEYS[mode])
        await self.until(lambda: self.app.current_mode == mode, mode)
        if mode != "overview":
            await self.until(lambda: self.app._screen().table().window.loaded, f"{mode} loaded")  # type: ignore[union-attr]
            self.app._screen().table().by_hand()  # type: ignore[union-attr]
        await self.settle()

    async def open(self, key: str, dialog: type[Dialog] = Dialog) -> Any:
        """Presses a key and waits for its dialog."""
        await self.press(key)
        await self.until(lambda: isinstance(self.app.screen, dialog) and self.app.screen.is_mounted, dialog.__name__)
        await self.settle()
        return self.app.screen

    async def show(self, dialog: Dialog) -> list[Any]:
        """Puts up a dialog; what it comes to will stand in the list."""
        came_to: list[Any] = []
        await self.app.push_screen(dialog, came_to.append)
        await self.settle()
        return came_to

    async def answered(self, verb: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits until the hub has been asked so often and the dialog has taken up the answer."""
        await self.until(lambda: len(self.source.asked(verb)) >= count, f"{verb} asked {count} times")
        await self.until(lambda: not (self.in_dialog and self.dialog.sending), "an answer")
        await self.settle()
        return self.source.asked(verb)

    async def closed(self) -> None:
        await self.until(lambda: not self.in_dialog, "the dialog closed")


@asynccontextmanager
async def staged(
    source: ScriptedSource | None = None,
    mode: str = "overview",
    size: tuple[int, int] = (110, 32),
    guard: float = 0.0,
    held: float = 0.0,
    faults: bool = False,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """The real console over a scripted source, with no pauses but those that a test is about: `guard` after a dialog
    has opened, `held` within which the same key again may be one that is held down. The console must have had no
    fault of its own in it, but where the test is about `faults`.
    """
    source = source or ScriptedSource()
    app = ConsoleApp(Console(source, Settings(still=True, **settings)))
    with ExitStack() as stack:
        for name in (
            "tui.live.SETTLE",
            "tui.widgets.detail.SETTLE",
            "tui.dialogs.run.TYPING",
            "tui.dialogs.palette.TYPING",
        ):
            stack.enter_context(patch(name, 0.0))
        stack.enter_context(patch("tui.screens.listing.TYPING", 0.001))
        stack.enter_context(patch.object(Dialog, "GUARD", guard))
        stack.enter_context(patch.object(Held, "WITHIN", held))
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot, source)
            await stage.until(
                lambda: app.screen_stack and app.current_mode == "overview" and app._screen().is_mounted,
                "the first screen",
            )
            if mode != "overview":
                await stage.go(mode)
            yield stage
            assert faults or not stage.console.last_fault


class Bench(App[None]):
    """Widgets alone, with the console's styles; what they post is kept."""

    CSS_PATH = Path(tui.app.__file__).parent / "tui.tcss"

    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self.widgets = widgets
        self.posted: list[Message] = []

    def get_css_variables(self) -> dict[str, str]:
        return {**super().get_css_variables(), "tone-dim": "#888888"}

    def compose(self) -> ComposeResult:
        yield from self.widgets

    def posts(self, kind: type[Message]) -> list[Any]:
        """Each once, however many of its parents it came by."""
        found = {id(message): message for message in self.posted if isinstance(message, kind)}
        return list(found.values())

    def text(self, widget: Widget) -> list[str]:
        """The lines of a widget as they are drawn."""
        return [widget.render_line(y).text for y in range(widget.size.height)]


@asynccontextmanager
async def benched(*widgets: Widget, size: tuple[int, int] = (40, 8)) -> AsyncIterator[tuple[Bench, Pilot[None]]]:
    """The widgets in a small app, the first one with the focus; `posted` has every message of theirs."""
    bench = Bench(*widgets)
    async with bench.run_test(size=size, message_hook=bench.posted.append) as pilot:
        if widgets[0].can_focus:
            widgets[0].focus()
        for widget in widgets:
            getattr(widget, "flush", lambda: None)()
        await pilot.pause()
        yield bench, pilot
