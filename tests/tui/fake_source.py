"""A source of data that a test plays by hand, and the real console over it, without a terminal.

Tests give rows, answers and pushes in the form of the wire; they are decoded where the console's real source decodes
them, with the same errors.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

import tui.app
from common.api.outcome import Outcome, SubscriptionEnded
from common.api.overview import Overview
from common.api.subscriptions import OutputArgs, ViewArgs
from common.api.verb import A, R, Verb
from common.api.verbs import VERBS as VERBS_BY_NAME
from common.api.versions import Push, read_push, read_result, version_of
from common.api.whoami import VerbRight, WhoAmI
from common.catalogue import Language
from common.errors import UserError
from common.filter.fields import ViewName
from common.plan import Plan, Step, plan_hash, plan_to_json
from common.version import VERSION
from tui.app import ConsoleApp
from tui.client.approval_key import ApprovalSigner
from tui.client.errors import CallRefused, InvalidCall, LinkLost
from tui.client.source import LinkStatus
from tui.dialogs.dialog import Dialog
from tui.model.actions import ACTIONS
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.terminal.key_repeat import KeyRepeat

NOW = 1_790_000_000.0
VERBS = frozenset({act.verb or act.required_verb for act in ACTIONS} - {""})
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


def plan_json(plan: Plan) -> Row:
    """A plan in full, with what a row of a list says besides."""
    return with_counts(plan_to_json(plan))


def with_counts(plan: Any) -> Any:
    """A plan's JSON with the counts that a row of a list has, where it is one."""
    if not isinstance(plan, dict) or not isinstance(plan.get("steps"), list | tuple):
        return plan
    steps = [
        {"target_count": len(step["targets"]), **step} if isinstance(step, dict) and "targets" in step else step
        for step in plan["steps"]
    ]
    return {"step_count": len(steps), **plan, "steps": steps}


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
        "plan": plan_json(plan),
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
        "request": f"01J0000000000000000000R{number:03d}",
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


def standing_row(number: int, **more: Any) -> Row:
    """A yes that holds for an hour."""
    row: Row = {"number": number, "person": "bob", "granted_by": "carol", "command": "systemctl reload nginx"}
    row |= {"targets": ["web-1"], "target_count": 1, "granted_at": NOW - 60, "expires_at": NOW + 3_600}
    return row | {"uses": 1, "max_uses": 20, "plan_hash": "4b" * 32} | more


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


def inlet_row(name: str, **more: Any) -> Row:
    """A chat that posts to the hub, and did so lately."""
    return {"name": name, "platform": "made-up", "way": "webhook", "delivered_at": NOW - 30} | more


def complete_answer(verb: str, answer: Any) -> Any:
    """An answer with what the hub never leaves out, so that a test need not say what it is not about."""
    if isinstance(answer, list | tuple):
        return [complete_answer("job" if verb == "jobs" else "", row) for row in answer]
    if not isinstance(answer, Mapping):
        return answer
    hint = VERBS_BY_NAME[verb].result.hint if verb else None
    if isinstance(hint, type) and issubclass(hint, Outcome):
        if verb in ("run", "retry") and "number" in answer:
            answer = {**request_row(answer["number"]), "text": "", **answer}
        return {"code": "ok", "text": "", **answer}
    if verb == "job" and "output" in answer:
        chunks = [{"at": NOW, **chunk} for chunk in answer["output"]]
        return {**job_row(1), **answer, "output": chunks}
    return answer


class FakeSource:
    """See `tui.client.source.Source`. `rows` are its lists; `answers` what it says to a verb: data, an error, or a
    function of the arguments as they are sent.
    """

    def __init__(self, *, verbs: Iterable[str] = VERBS, denied: Mapping[str, str] | None = None, **who: Any) -> None:
        self.link = LinkStatus("live", NOW)
        told = {"person": "alice", "roles": ("approver",), "hub": "prod-1", "version": VERSION}
        rights = {verb: VerbRight() for verb in verbs}
        rights |= {verb: VerbRight(may=False, role=role) for verb, role in (denied or {}).items()}
        self.who: WhoAmI | None = WhoAmI(**{**told, **who}, verbs=rights)
        self.demo_code = ""
        self._overview: Overview | None = None
        self.overview = {"counts": {"asking": 2}, "lanes": [{"stage": "received"}], "needs_you": [], "fleet": {}}
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.output: list[Mapping[str, Any]] = []
        self.language: Language = "en"
        self.retries = 0
        self.unsubscribed: list[str] = []
        self.clock = NOW
        self._pushes: dict[str, asyncio.Queue[Any]] = {}
        self._seqs: dict[str, int] = {}
        self._changed: Callable[[], None] = lambda: None

    # ---- the interface

    @property
    def overview(self) -> Overview | None:
        return self._overview

    @overview.setter
    def overview(self, data: Overview | Mapping[str, Any] | None) -> None:
        """Takes what a hub pushes; what is none is a warning, and the last good one stays."""
        try:
            push = data if isinstance(data, Overview) else read_push("overview", data) if data else None
        except UserError as error:
            self.link.warning = str(error)
            return
        self._overview = push if isinstance(push, Overview) else None

    def now(self) -> float:
        return self.clock

    def retry(self) -> None:
        self.retries += 1

    async def maintain_link(self, on_change: Callable[[], None]) -> None:
        self._changed = on_change
        on_change()
        await asyncio.Event().wait()

    async def call(self, verb: Verb[A, R], args: A) -> R:
        sent = verb.encode_args(args)
        self.calls.append((verb.name, sent))
        if not self.link.live:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")
        answer = self.answers[verb.name] if verb.name in self.answers else self._default_answer(verb.name, sent)
        if isinstance(answer, list) and answer and isinstance(answer[0], Exception | asyncio.Future):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(sent)
        if isinstance(answer, asyncio.Future):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return read_result(verb, complete_answer(verb.name, answer))

    def _default_answer(self, verb: str, args: Mapping[str, Any]) -> Any:
        if verb in ("request", "job"):
            rows = self.rows["requests" if verb == "request" else "jobs"]
            wanted = {key: args[key] for key in ("id", "number") if key in args}
            found = [row for row in rows if wanted.items() <= row.items()]
            return found[0] if found else InvalidCall(f"there is no such {verb}")
        if verb == "models":
            cache = {"memory": 34, "disk": 120, "lookups": 90, "hit_ratio": 0.41}
            return {"nodes": self.rows["models"], "waiting": 2, "cache": cache}
        if verb == "inlets":
            return self.rows["inlets"]
        if verb == "targets":
            return {"count": 0}
        return [] if verb in ("audit", "jobs", "allowed") else {}

    async def unsubscribe(self, slot: str) -> None:
        self.unsubscribed.append(slot)

    async def subscribe(self, verb: Verb[A, R], slot: str, args: A) -> AsyncIterator[Push]:
        if not self.link.live:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")
        if isinstance(args, OutputArgs):
            yield self._read(verb, {"chunks": [{"at": NOW, **chunk} for chunk in self.output], "ended": True}, None)
            return
        assert isinstance(args, ViewArgs)
        queue = self._pushes[slot] = asyncio.Queue()
        self.subscriptions[slot] = {field.name: getattr(args, field.name) for field in fields(args)}
        self._seqs[slot] = 1
        refusal = self.answers.get("view")
        if isinstance(refusal, Exception):
            raise refusal
        yield self._read(verb, self._snapshot(args), args.view)
        while True:
            push = await queue.get()
            if isinstance(push, Exception):
                raise push
            yield self._read(verb, push, args.view)

    def _read(self, verb: Verb[Any, Any], data: Any, view: ViewName | None) -> Push:
        """As `tui.client.client` reads it."""
        if isinstance(data, dict):
            for key in {"rows", "upsert"} & data.keys() if view == "requests" else ():
                data = {**data, key: [{**row, "plan": with_counts(row.get("plan"))} for row in data[key]]}
        push = read_push(verb.name, data, view, version_of(data))
        if isinstance(push, SubscriptionEnded):
            raise CallRefused("no_right", push.error)
        return push

    def _snapshot(self, args: ViewArgs) -> Row:
        rows, lo = self.rows[args.view], args.lo
        return {"seq": 1, "total": len(rows), "all": len(rows), "lo": lo, "rows": rows[lo : lo + (args.n or 100)]}

    # ---- what a test plays

    def push(self, slot: str, **delta: Any) -> None:
        """The next delta of a view that is followed."""
        self._seqs[slot] += 1
        count = len(self.rows[str(self.subscriptions[slot]["view"])])
        whole = {"seq": self._seqs[slot], "total": count, "all": count, "lo": 0}
        self._pushes[slot].put_nowait({**whole, **delta})

    def reorder(self, slot: str, rows: Sequence[Row]) -> None:
        """The list behind a view is now these rows in this order; what is not in them is gone."""
        name = str(self.subscriptions[slot]["view"])
        gone = [row["id"] for row in self.rows[name] if row["id"] not in {row["id"] for row in rows}]
        self.rows[name] = list(rows)
        order = [row["id"] for row in rows]
        self.push(slot, upsert=list(rows), gone=gone, order=order, lo=0, total=len(rows), all=len(rows))

    def disconnect(self, reason: str = "the hub closed the link") -> None:
        self.link = LinkStatus("lost", self.clock, self.clock + 5, reason)
        for queue in self._pushes.values():
            queue.put_nowait(LinkLost(reason, "try again"))
        self._changed()

    def reconnect(self) -> None:
        self.link = LinkStatus("live", self.clock)
        self._changed()

    def calls_of(self, verb: str) -> list[dict[str, Any]]:
        """The arguments of every call of a verb."""
        return [args for name, args in self.calls if name == verb]


class ConsoleDriver:
    """A console on a stage: its app, its pilot, its source, and what stands on the screen."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None], source: FakeSource) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source

    @property
    def console(self) -> ConsoleContext:
        return self.app.context

    @property
    def text(self) -> str:
        """The screen as a person reads it."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def status_line(self) -> str:
        """What the status line was last told."""
        return self.console.messages[-1].text if self.console.messages else ""

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

    async def flush(self) -> None:
        self.app.flush()
        await self.pilot.pause()

    async def wait_until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Lets the console work until something has come about."""
        for _ in range(400):
            if condition():
                return
            await self.flush()
        raise AssertionError(f"never came about: {what or condition}\n{self.text}")

    async def open_mode(self, mode: str) -> None:
        await self.press(KEYS[mode])
        await self.wait_until(lambda: self.app.current_mode == mode, mode)
        if mode != "overview":
            await self.wait_until(lambda: self.app._mode_screen().table().window.loaded, f"{mode} loaded")  # type: ignore[union-attr]
            self.app._mode_screen().table().user_moved()  # type: ignore[union-attr]
        await self.flush()

    async def open_dialog(self, key: str, dialog: type[Dialog] = Dialog) -> Any:
        """Presses a key and waits for its dialog."""
        await self.press(key)
        await self.wait_until(
            lambda: isinstance(self.app.screen, dialog) and self.app.screen.is_mounted, dialog.__name__
        )
        await self.flush()
        return self.app.screen

    async def push_dialog(self, dialog: Dialog) -> list[Any]:
        """Puts up a dialog; what it comes to will stand in the list."""
        came_to: list[Any] = []
        await self.app.push_screen(dialog, came_to.append)
        await self.flush()
        return came_to

    async def wait_answered(self, verb: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits until the hub has been asked so often and the dialog has taken up the answer."""
        await self.wait_until(lambda: len(self.source.calls_of(verb)) >= count, f"{verb} asked {count} times")
        await self.wait_until(lambda: not (self.in_dialog and self.dialog.sending), "an answer")
        await self.flush()
        return self.source.calls_of(verb)

    async def wait_closed(self) -> None:
        await self.wait_until(lambda: not self.in_dialog, "the dialog closed")


@asynccontextmanager
async def console_driver(
    source: FakeSource | None = None,
    mode: str = "overview",
    size: tuple[int, int] = (110, 32),
    guard: float = 0.0,
    key_repeat: float = 0.0,
    faults: bool = False,
    ticks: bool = False,
    signer: ApprovalSigner | None = None,
    **settings: Any,
) -> AsyncIterator[ConsoleDriver]:
    """The real console over a scripted source, with no pauses but those that a test is about: `guard` after a dialog
    has opened, `held` within which the same key again may be one that is held down. The console must have had no
    fault of its own in it, but where the test is about `faults`. It brings its screens up to date when the test does
    (`flush`), as often on a busy machine as on an idle one; with `ticks` by itself too.
    """
    source = source or FakeSource()
    app = ConsoleApp(ConsoleContext(source, ConsoleSettings(static=True, **settings), signer=signer))
    with ExitStack() as stack:
        if not ticks:
            stack.enter_context(patch.object(app, "tick", lambda: None))
        for name in (
            "tui.model.live_view.DEBOUNCE",
            "tui.widgets.detail.DEBOUNCE",
            "tui.dialogs.run.TYPING_DEBOUNCE",
            "tui.dialogs.palette.TYPING_DEBOUNCE",
        ):
            stack.enter_context(patch(name, 0.0))
        stack.enter_context(patch("tui.screens.listing.TYPING_DEBOUNCE", 0.001))
        stack.enter_context(patch.object(Dialog, "GUARD_SECONDS", guard))
        stack.enter_context(patch.object(KeyRepeat, "REPEAT_WITHIN", key_repeat))
        async with app.run_test(size=size) as pilot:
            stage = ConsoleDriver(app, pilot, source)
            await stage.wait_until(
                lambda: app.screen_stack and app.current_mode == "overview" and app._mode_screen().is_mounted,
                "the first screen",
            )
            if mode != "overview":
                await stage.open_mode(mode)
            yield stage
            assert faults or not stage.console.last_fault


class WidgetApp(App[None]):
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

    def posted_of(self, kind: type[Message]) -> list[Any]:
        """Each once, however many of its parents it came by."""
        found = {id(message): message for message in self.posted if isinstance(message, kind)}
        return list(found.values())

    def text(self, widget: Widget) -> list[str]:
        """The lines of a widget as they are drawn."""
        return [widget.render_line(y).text for y in range(widget.size.height)]


@asynccontextmanager
async def widget_app(*widgets: Widget, size: tuple[int, int] = (40, 8)) -> AsyncIterator[tuple[WidgetApp, Pilot[None]]]:
    """The widgets in a small app, the first one with the focus; `posted` has every message of theirs."""
    bench = WidgetApp(*widgets)
    async with bench.run_test(size=size, message_hook=bench.posted.append) as pilot:
        if widgets[0].can_focus:
            widgets[0].focus()
        for widget in widgets:
            getattr(widget, "flush", lambda: None)()
        await pilot.pause()
        yield bench, pilot
