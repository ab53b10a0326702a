"""Every act that has a flow, from its key or its word on the screen to what the hub is asked, by keys and by the mouse
alone (what is a text is typed). An act that is added is tested by its line in `FLOWS`, and without one the first test
here fails.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from textual.widgets import Input, TextArea

from common.api import verbs
from common.api.actions import ResumeArgs
from common.catalogue import Sentence
from tests.tui.fake_source import (
    ConsoleDriver,
    FakeSource,
    agent_row,
    console_driver,
    job_row,
    request_row,
    standing_row,
)
from tui.dialogs.dialog import Dialog
from tui.dialogs.edit import SAVED_DRAFTS
from tui.dialogs.flows import ActionFlows
from tui.dialogs.run import HOLD_SECONDS
from tui.model.actions import ACTION_BY_ID, Undo, first_key
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.widgets.bars import Bar
from tui.widgets.choices import ChoiceList

CHECKED = {"verdict": "ask", "approvers": 1, "reason": "r", "plan_hash": "cd" * 32}
Step = Callable[[ConsoleDriver], Coroutine[Any, Any, None]]


def types(**texts: str) -> Step:
    """Puts texts into fields, as typed."""

    async def step(stage: ConsoleDriver) -> None:
        for name, text in texts.items():
            stage.dialog.query_one(f"#{name}", Input).value = text
        await stage.flush()

    return step


async def writes(stage: ConsoleDriver) -> None:
    area = stage.dialog.query_one("#text", TextArea)
    area.text = area.text.replace("reload", "restart")


async def counted(stage: ConsoleDriver) -> None:
    await stage.wait_until(lambda: stage.dialog.target_summary is not None)


def presses(*keys: str) -> Step:
    async def step(stage: ConsoleDriver) -> None:
        await stage.press(*keys)
        await stage.flush()

    return step


def at_step(number: int) -> Step:
    async def step(stage: ConsoleDriver) -> None:
        await stage.wait_until(lambda: stage.dialog.page == number and not stage.dialog.sending)

    return step


def clicks(choice: str) -> Step:
    """A click on a choice where it stands; in a list one to stand there and one to take it."""

    async def step(stage: ConsoleDriver) -> None:
        lists = stage.dialog.query(ChoiceList)
        choices = next(one for one in lists if any(known.id == choice for known in one.items))
        if choices.has_class("-list"):
            at = next(index for index, known in enumerate(choices.items) if known.id == choice)
            choices.scroll_lines(max(0, at - choices.page_height + 1))
            y = at - choices.top
            times = 1 if choices.index == at else 2
            for _ in range(times):
                await stage.pilot.click(choices, offset=(4, y))
        else:
            x = 0
            for known in choices.items:
                if known.id == choice:
                    break
                x += len(known.text) + 5
            await stage.pilot.click(choices, offset=(x + 2, 0))
        await stage.flush()

    return step


@dataclass(frozen=True)
class Flow:
    """On which rows of which screen, how it is answered, and what the hub is asked."""

    mode: str
    keys: tuple[Step, ...]
    mouse: tuple[Step, ...]
    verb: str
    args: dict[str, Any] = field(default_factory=dict)
    state: str = "running"  # of the job
    online: bool = True  # the machine


REQUEST = {"number": 41}
FLOWS: dict[str, Flow] = {
    "approve": Flow(
        "approve", (presses(*"123456", "enter"),), (types(code="123456"), clicks("approve")), "approve", REQUEST
    ),
    "reject": Flow("approve", (presses("down", "enter"),), (clicks("too_broad"),), "reject", REQUEST),
    "edit": Flow(
        "approve",
        (writes, presses("f2"), at_step(2), presses("enter"), at_step(3), types(why="so"), presses("enter")),
        (writes, clicks("on"), at_step(2), clicks("on"), at_step(3), types(why="so"), clicks("send")),
        "edit",
        {"number": 41, "why": "so"},
    ),
    "cancel": Flow("jobs", (presses("right", "enter"),), (clicks("stop"),), "cancel"),
    "kill": Flow("jobs", (presses("right", "enter"),), (clicks("stop"),), "cancel", {"kill": True}),
    "retry": Flow("jobs", (), (), "retry", {}, "failed"),
    "priority": Flow("jobs", (presses("9", "enter"),), (clicks("9"),), "priority", {"priority": 9}, "queued"),
    "settle": Flow("jobs", (presses("right", "enter"),), (clicks("done"),), "settle", {"done": True}, "unknown"),
    "pause": Flow("agents", (presses("enter", "enter"),), (clicks("pause"),), "pause", {"agent": "web-1"}),
    "pause_all": Flow("agents", (presses("enter", "enter"),), (clicks("pause"),), "pause"),
    "drain": Flow("agents", (presses("enter", "right", "enter"),), (clicks("drain"),), "drain", {"agent": "web-1"}),
    "wake": Flow("agents", (), (), "wake", {"agent": "web-1"}, online=False),
    "allowed": Flow("agents", (presses("enter", "right", "enter"),), (clicks("disallow"),), "disallow", {"number": 3}),
    "run": Flow(
        "agents",
        (types(command="uptime -p"), presses("enter")),
        (types(command="uptime -p"), clicks("send")),
        "run",
        {"target": "web-1", "argv": ["uptime", "-p"]},
    ),
    "broadcast": Flow(
        "agents",
        (types(target="role=web", command="uptime"), counted, types(count="61"), presses("enter", "enter", "enter")),
        (types(target="role=web", command="uptime"), counted, types(count="61"), clicks("send")),
        "run",
        {"target": "role=web", "argv": ["uptime"], "expect": 61, "hold": HOLD_SECONDS},
    ),
    "undo": Flow("agents", (), (), "resume", {"agent": "web-1"}),
    "copy": Flow("jobs", (presses("enter"),), (clicks("id"),), ""),
}


@pytest.fixture(autouse=True)
def no_drafts() -> Iterator[None]:
    """Drafts live as long as the console; each test begins with none."""
    SAVED_DRAFTS.clear()
    yield
    SAVED_DRAFTS.clear()


def test_every_flow_is_here() -> None:
    """An act with a new flow is tried by keys and by mouse."""
    handlers = ActionFlows(None, ConsoleContext(FakeSource(), ConsoleSettings())).handlers  # type: ignore[arg-type]
    assert set(FLOWS) == set(handlers)
    assert set(handlers) <= set(ACTION_BY_ID)


def source_of(flow: Flow) -> FakeSource:
    source = FakeSource(roles=("admin",))
    source.rows["requests"], source.rows["agents"] = [request_row(41)], [agent_row("web-1", online=flow.online)]
    source.rows["jobs"] = [job_row(1, flow.state)]
    source.answers |= {
        "targets": {"count": 61, "online": 60},
        "allowed": [standing_row(3)],
        "edit": lambda args: CHECKED if args.get("dry_run") else {"number": 43},
        "run": {"number": 50, "state": "asking"},
        "retry": {"number": 50, "state": "working"},
    }
    return source


async def by_key(stage: ConsoleDriver, act: str) -> None:
    """The act's own key; one that has none by its id on the line after `:`."""
    if ACTION_BY_ID[act].keys:
        await stage.press(ACTION_BY_ID[act].keys.split(",")[0])
        return
    await stage.press("colon")
    await stage.type(act)
    await stage.press("enter")


async def by_click(stage: ConsoleDriver, act: str) -> None:
    """Its word in the line of keys; what does not stand there is in the help, which is opened by a click too."""
    keys = stage.app.screen.query_one("#keys", Bar)
    words = f"{first_key(ACTION_BY_ID[act])} {ACTION_BY_ID[act].short_label('en')}"
    if ACTION_BY_ID[act].rank and words in keys.text:
        await stage.pilot.click(keys, offset=(keys.text.index(words) + 2, 0))
        return
    await stage.pilot.click(keys, offset=(keys.text.index("? Help"), 0))
    await stage.wait_until(lambda: stage.in_dialog and stage.dialog.is_mounted)
    await clicks(act)(stage)


@pytest.mark.parametrize("mouse", [False, True], ids=["keys", "mouse"])
@pytest.mark.parametrize("act", FLOWS)
async def test_from_the_hand_to_the_hub(act: str, mouse: bool) -> None:
    """One call, about the row under the cursor, with what was typed; before the answer to its dialog nothing; after it
    the dialog is gone or tells what became of it.
    """
    flow = FLOWS[act]
    async with console_driver(source_of(flow), flow.mode, size=(200, 40)) as stage:
        copied: list[str] = []
        stage.app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        stage.console.undo = Undo(
            Sentence("console_settled"), verbs.RESUME, ResumeArgs(agent="web-1"), stage.console.now() + 60
        )
        await stage.flush()
        steps = flow.mouse if mouse else flow.keys
        await (by_click if mouse else by_key)(stage, act)
        if steps:
            await stage.wait_until(lambda: stage.in_dialog and stage.dialog.is_mounted and opened(stage.dialog))
            await stage.flush()
        for step in steps:
            assert not flow.verb or [args for args in stage.source.calls_of(flow.verb) if not args.get("dry_run")] == []
            await step(stage)
        if not flow.verb:
            await stage.wait_closed()
            assert copied == [job_row(1)["id"]]
            return
        await stage.wait_until(
            lambda: [args for args in stage.source.calls_of(flow.verb) if not args.get("dry_run")], flow.verb
        )
        await stage.wait_until(lambda: not (stage.in_dialog and stage.dialog.sending))
        (sent,) = [args for args in stage.source.calls_of(flow.verb) if not args.get("dry_run")]
        assert sent == sent | flow.args
        if flow.mode == "jobs" and flow.verb != "priority":
            assert sent["job"] == job_row(1)["id"]
        assert not stage.in_dialog or stage.dialog.finished


def opened(dialog: Dialog) -> bool:
    """Whether it is the flow's own dialog: the help and the palette, from which it may have come, are gone."""
    return not dialog.query("#search")
