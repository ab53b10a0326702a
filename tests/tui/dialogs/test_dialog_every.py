"""Every dialog there is: the link is lost while it is open, and the terminal becomes another size. A dialog that is
added is tested by its line in `OPENINGS`, and without one the first test here fails.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from textual.widgets import Input, TextArea

import tui.dialogs
from common.api.codec import decode
from common.api.standing import StandingView
from common.catalogue import Sentence
from tests.pairs import name_of, pairwise_params
from tests.tui.fake_source import ConsoleDriver, FakeSource, console_driver, job_row, request_row, standing_row
from tests.tui.rows import agent, job, request
from tui.client.errors import LinkLost
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.count import CountDialog
from tui.dialogs.dialog import Dialog
from tui.dialogs.edit import SAVED_DRAFTS, EditDialog
from tui.dialogs.hold import DrainDialog, PauseDialog
from tui.dialogs.palette import PaletteDialog
from tui.dialogs.pick import PickDialog, help_dialog
from tui.dialogs.priority import PriorityDialog
from tui.dialogs.reject import RejectDialog
from tui.dialogs.run import RunDialog
from tui.dialogs.settle import ReconcileDialog
from tui.dialogs.standing import StandingDialog
from tui.dialogs.stop import StopDialog
from tui.model.actions import ACTIONS, ActionEntry
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.widgets.choices import ChoiceItem, ChoiceList

MANY = {"count": 61, "online": 60, "sample": [f"web-{index:02}" for index in range(8)]}
CHECKED = {"verdict": "ask", "approvers": 2, "reason": "changes production", "plan_hash": "cd" * 32}
LOOKS = frozenset({"request", "job", "targets"})
"""What a dialog may ask of the hub without changing anything."""


async def nothing(stage: ConsoleDriver) -> None:
    """It is ready as it opens."""


async def write_plan(stage: ConsoleDriver) -> None:
    area = stage.dialog.query_one("#text", TextArea)
    area.text = area.text.replace("reload", "restart")


async def on_to_the_last_step(stage: ConsoleDriver) -> None:
    await write_plan(stage)
    for step in (2, 3):
        await stage.press("f2")
        await stage.wait_until(lambda step=step: stage.dialog.page == step and not stage.dialog.sending)  # type: ignore[misc]
    await stage.flush()


async def counted(stage: ConsoleDriver) -> None:
    await stage.wait_until(lambda: stage.dialog.target_summary is not None)


@dataclass(frozen=True)
class Opening:
    """How a dialog is opened and filled in, which keys answer it and which choice does, what the hub is asked then."""

    make: Callable[[ConsoleContext], Dialog]
    keys: tuple[str, ...]
    verb: str = ""  # "": nothing is asked of the hub, the dialog gives a value
    choice: str = ""  # what a click on does the same
    typed: dict[str, str] = field(default_factory=dict)
    before: Callable[[ConsoleDriver], Coroutine[Any, Any, None]] = nothing
    look: str = ""  # the verb is asked for a look first: the dialog goes on to another step


OPENINGS: dict[str, Opening] = {
    "approve": Opening(
        lambda console: ApproveDialog(console, request(41)),
        ("enter",),
        "approve",
        "approve",
        {"code": "123456", "reason": "as agreed"},
    ),
    "approve without a code": Opening(
        lambda console: ApproveDialog(console, request(41, second_factor=False)),
        ("right", "enter"),
        "approve",
        "approve",
        {"reason": "as agreed"},
    ),
    "reject": Opening(
        lambda console: RejectDialog(console, request(41)), ("enter",), "reject", typed={"why": "not today"}
    ),
    "edit, writing": Opening(
        lambda console: EditDialog(console, request(41)), ("f2",), "edit", "on", before=write_plan, look="page"
    ),
    "edit, sending": Opening(
        lambda console: EditDialog(console, request(41)),
        ("f2",),
        "edit",
        "send",
        {"why": "reload is not enough"},
        on_to_the_last_step,
    ),
    "cancel": Opening(
        lambda console: StopDialog(console, "job", [job(1)], kill=False), ("right", "enter"), "cancel", "stop"
    ),
    "kill many": Opening(
        lambda console: StopDialog(console, "job", [job(n) for n in range(12)], kill=True),
        ("enter",),
        "cancel",
        "stop",
        {"count": "12"},
    ),
    "retry many": Opening(
        lambda console: CountDialog(console, Sentence("console_settled"), [job(n) for n in range(12)]),
        ("enter",),
        "",
        "go",
        {"count": "12"},
    ),
    "settle": Opening(
        lambda console: ReconcileDialog(console, job(1, "unknown")), ("right", "enter"), "settle", "done"
    ),
    "priority": Opening(
        lambda console: PriorityDialog(console, [job(1, "queued"), job(2, "queued")]), ("enter",), "priority"
    ),
    "run": Opening(
        lambda console: RunDialog(console, "web-1"), ("enter",), "run", "send", {"command": "uptime --pretty"}
    ),
    "broadcast": Opening(
        lambda console: RunDialog(console, "role=web", many=True),
        ("enter", "enter"),
        "run",
        "send",
        {"command": "uptime", "count": "61"},
        counted,
    ),
    "pause": Opening(
        lambda console: PauseDialog(console, "web-1", agent("web-1")),
        ("enter", "enter"),
        "pause",
        "pause",
        {"why": "disk swap", "until": "2h"},
    ),
    "pause all": Opening(lambda console: PauseDialog(console, "", None), ("enter", "enter"), "pause", "pause"),
    "drain": Opening(
        lambda console: DrainDialog(console, agent("web-1")),
        ("enter", "right", "enter"),
        "drain",
        "drain",
        {"after": "10m"},
    ),
    "allowed": Opening(
        lambda console: StandingDialog(console, [decode(StandingView, standing_row(number)) for number in (3, 4)]),
        ("enter", "right", "enter"),
        "disallow",
        "disallow",
    ),
    "pick": Opening(
        lambda console: PickDialog(
            console, Sentence("console_copy_title"), [ChoiceItem("a", "A"), ChoiceItem("b", "B")]
        ),
        ("enter",),
    ),
    "help": Opening(
        lambda console: help_dialog(console, [ActionEntry(act, None) for act in ACTIONS], job(1)),
        ("enter",),
        typed={"search": "retry"},
    ),
    "palette": Opening(
        lambda console: PaletteDialog(console, [ActionEntry(act, None) for act in ACTIONS]),
        ("enter",),
        typed={"search": "retry"},
    ),
}


@pytest.fixture(autouse=True)
def no_drafts() -> Iterator[None]:
    """Drafts live as long as the console; each test begins with none."""
    SAVED_DRAFTS.clear()
    yield
    SAVED_DRAFTS.clear()


def source_of() -> FakeSource:
    source = FakeSource()
    source.rows["requests"], source.rows["jobs"] = [request_row(41)], [job_row(1, "cancelled")]
    source.answers["targets"] = MANY
    source.answers["edit"] = lambda args: CHECKED if args.get("dry_run") else {"number": 43}
    source.answers["run"] = {"number": 50, "state": "asking"}
    source.answers["cancel"] = {"code": "ok", "text": "told to stop"}
    return source


def acts(stage: ConsoleDriver) -> list[str]:
    """What was asked of the hub that is no mere look."""
    return [verb for verb, args in stage.source.calls if verb not in LOOKS and not args.get("dry_run")]


def texts(dialog: Dialog) -> dict[str, str]:
    """What stands in every field."""
    fields = {field.id or "": field.value for field in dialog.query(Input)}
    return fields | {area.id or "": area.text for area in dialog.query(TextArea)}


async def opened(stage: ConsoleDriver, opening: Opening) -> tuple[Any, list[Any]]:
    dialog = opening.make(stage.console)
    came_to = await stage.push_dialog(dialog)
    await opening.before(stage)
    for name, text in opening.typed.items():
        dialog.query_one(f"#{name}", Input).value = text
    await stage.flush()
    return dialog, came_to


async def clicked(stage: ConsoleDriver, choice: str) -> None:
    """A click on a choice of the dialog's row."""
    choices = stage.dialog.query_one("#buttons", ChoiceList)
    x = 0
    for known in choices.items:
        if known.id == choice:
            await stage.pilot.click(choices, offset=(x + 2, 0))
            return
        x += len(known.text) + 5
    raise AssertionError(f"no choice {choice}: {choices.items}")


def test_every_dialog_has_its_opening() -> None:
    """A new dialog is lost, found and resized here too."""
    for module in pkgutil.walk_packages(tui.dialogs.__path__, "tui.dialogs."):
        importlib.import_module(module.name)
    console = ConsoleContext(FakeSource(), ConsoleSettings())
    opened = {type(opening.make(console)) for opening in OPENINGS.values()}
    assert all_of(Dialog) - opened == set()


def all_of(kind: type[Dialog]) -> set[type[Dialog]]:
    """Every class of the console's below it."""
    found = {one for one in kind.__subclasses__() if one.__module__.startswith("tui.")}
    return found.union(*map(all_of, found))


BY_HAND = [(name, False) for name in OPENINGS] + [(name, True) for name, opening in OPENINGS.items() if opening.choice]
"""Each by keys, and by the mouse where a choice stands in a row."""


@pytest.mark.parametrize(("name", "mouse"), BY_HAND)
async def test_the_link_is_lost_while_it_is_open(name: str, mouse: bool) -> None:
    """Answered then, nothing is sent, it says why, and what was typed stays; when the link is back it says so, and the
    same answer is sent.
    """
    opening = OPENINGS[name]

    async def answer() -> None:
        await (clicked(stage, opening.choice) if mouse else stage.press(*opening.keys))

    async with console_driver(source_of()) as stage:
        dialog, came_to = await opened(stage, opening)
        step, typed = getattr(dialog, "page", 0), texts(dialog)
        stage.source.disconnect()
        await stage.flush()
        assert "link is lost" in dialog.note_text
        asked = len(stage.source.calls)
        if not opening.verb and not opening.choice:  # it only picks: that needs no hub
            await answer()
            await stage.wait_closed()
            assert len(stage.source.calls) == asked
            assert came_to[0]
            return
        dialog.show_note("")
        focused = stage.app.focused
        await answer()
        await stage.flush()
        assert stage.app.screen is dialog
        assert "link is lost" in dialog.note_text
        assert stage.text.count("link is lost") == 1
        assert len(stage.source.calls) == asked
        assert texts(dialog) == typed
        assert (came_to, dialog.finished, dialog.sending) == ([], False, False)
        stage.source.reconnect()
        await stage.flush()
        assert "link is back" in dialog.note_text
        if focused is not None:
            focused.focus()
        for choices in dialog.query(ChoiceList):
            choices.index = min(choices.index, 0) if choices.has_class("-row") and not opening.look else choices.index
        await answer()
        if opening.look:
            await stage.wait_until(lambda: dialog.page != step)
            return
        if opening.verb:
            await stage.wait_answered(opening.verb)
            assert acts(stage)[0] == opening.verb
        else:
            await stage.wait_closed()
            assert came_to == [True]


@pytest.mark.parametrize("name", [name for name, opening in OPENINGS.items() if opening.verb and not opening.look])
async def test_the_link_is_lost_while_the_hub_is_asked(name: str) -> None:
    """Nobody knows whether it was done: that is what it says, it does not end or close as if it were, and what was
    typed is there for the next try, but for a code.
    """
    opening = OPENINGS[name]
    async with console_driver(source_of()) as stage:
        dialog, came_to = await opened(stage, opening)
        stage.source.answers[opening.verb] = LinkLost("the hub closed the link", "try again")
        typed = {key: "" if key == "code" else text for key, text in texts(dialog).items()}
        await stage.press(*opening.keys)
        await stage.wait_answered(opening.verb)
        if came_to:  # of many calls each had its own answer: what is told is how many came
            assert "0 of 12" in stage.status_line
            return
        assert stage.app.screen is dialog
        assert not dialog.finished
        assert "no answer came" in dialog.note_text or "the hub closed the link" in dialog.note_text
        assert texts(dialog) == typed


def focus_place(dialog: Dialog) -> tuple[str, int]:
    """What has the focus, and which button of a row."""
    here = dialog.focused
    assert here is not None
    return here.id or "", here.index if isinstance(here, ChoiceList) and here.is_row else -1


@pytest.mark.parametrize("name", OPENINGS)
async def test_the_same_keys_in_every_dialog(name: str) -> None:
    """Tab walks all that can be filled in or taken, each button by itself, and comes round; Shift-Tab goes the same
    way back; y does what the dialog is for, and n nothing.
    """
    opening = OPENINGS[name]
    async with console_driver(source_of()) as stage:
        dialog, came_to = await opened(stage, opening)
        assert dialog.buttons.items[0].answer == "no"
        assert [choice.answer for choice in dialog.buttons.items if choice.answer] == ["no", "yes"]
        start, forward = focus_place(dialog), []
        while start not in forward and len(forward) < 12:
            await stage.press("tab")
            forward.append(focus_place(dialog))
        assert forward[-1] == start
        assert [index for _, index in sorted(forward) if index >= 0] == list(range(len(dialog.buttons.items)))
        backward = []
        for _ in forward:
            await stage.press("shift+tab")
            backward.append(focus_place(dialog))
        assert backward == [*forward[-2::-1], start]
        dialog.buttons.focus()
        await stage.flush()
        assert re.search(r"\by\b", dialog.key_hints())
        step = getattr(dialog, "page", 0)
        await stage.press("y")
        if opening.look:
            await stage.wait_until(lambda: dialog.page != step)
        elif opening.verb:
            await stage.wait_answered(opening.verb)
        else:
            await stage.wait_closed()
            assert came_to[0]


@pytest.mark.parametrize("name", OPENINGS)
async def test_n_changes_nothing(name: str) -> None:
    opening = OPENINGS[name]
    async with console_driver(source_of()) as stage:
        dialog, came_to = await opened(stage, opening)
        dialog.buttons.focus()
        step = getattr(dialog, "page", 0)
        await stage.press("n")
        if step == 1:  # what was written goes only when it is said twice
            assert stage.app.screen is dialog
            await stage.press("n")
        if step <= 1:
            await stage.wait_closed()
            assert not came_to or not came_to[0]
        else:
            assert dialog.page == step - 1
        assert acts(stage) == []


WIDE = (160, 50)
HALVES = (((60, 16), (120, 36)), ((80, 24), (20, 5), (60, 16)))
"""The sizes that follow, in two runs: the second is too small for a while."""


@pytest.mark.parametrize(("name", "language", "sizes"), pairwise_params(OPENINGS, ("en", "zh"), HALVES), ids=name_of)
async def test_the_terminal_becomes_another_size(name: str, language: Any, sizes: tuple[tuple[int, int], ...]) -> None:
    """Fields, choices, the note and the keys are within the screen at every size a console works at; a list shows the
    one it stands on; the focus stays; it can still be answered.
    """
    opening = OPENINGS[name]
    async with console_driver(source_of(), size=WIDE, language=language) as stage:
        dialog, _ = await opened(stage, opening)
        dialog.show_note("汉字 " * 60, "warn")
        focused = stage.app.focused
        assert focused is not None
        for width, height in sizes:
            await stage.pilot.resize_terminal(width, height)
            await stage.wait_until(lambda width=width, height=height: stage.app.size == (width, height))  # type: ignore[misc]
            await stage.flush()
            assert stage.app.focused is focused
            if width < 60:
                continue
            box = dialog.query_one("#box").region
            assert box.y >= 0
            assert box.bottom <= height
            shown = [one for one in dialog.query("Input, ChoiceList, #note, #dialog-keys") if on_screen(one)]
            assert shown
            for one in shown:
                assert one.region.height > 0, (name, one, width, height)
                assert box.y < one.region.y, (name, one, width, height)
                assert one.region.bottom < box.bottom, (name, one, width, height)
            for choices in dialog.query(ChoiceList):
                if on_screen(choices) and choices.items:
                    assert choices.top <= choices.index < choices.top + max(
                        1, choices.size.height
                    ) or choices.has_class("-row")
                    assert choices.items[choices.index].text[:8] in stage.text
        assert stage.app.is_running


def on_screen(widget: Any) -> bool:
    """Whether it and all it stands in are shown."""
    return bool(widget.display) and all(getattr(one, "display", True) for one in widget.ancestors)
