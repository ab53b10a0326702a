"""What hands do by accident: keys held down, double clicks, marks that were forgotten, rows that go away just then."""

from __future__ import annotations

import time
from typing import Any

import pytest
from textual import events

from tests.tui.fake_source import NOW, ConsoleDriver, FakeSource, agent_row, console_driver, job_row, request_row
from tui.client.errors import LinkLost
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.count import CountDialog
from tui.dialogs.dialog import Dialog
from tui.dialogs.hold import DrainDialog, PauseDialog
from tui.dialogs.reject import RejectDialog
from tui.dialogs.settle import ReconcileDialog
from tui.dialogs.stop import StopDialog
from tui.model.actions import ACTION_BY_ID
from tui.screens.place import REPLACED_GRACE

HOUR = 3_600.0


def source_of(**rows: list[dict[str, Any]]) -> FakeSource:
    source = FakeSource()
    source.rows.update(rows)
    return source


def acting(source: FakeSource) -> list[str]:
    """What the hub was asked that is no mere look."""
    return [verb for verb, _ in source.calls if verb not in ("job", "request", "audit", "jobs", "targets")]


def rested(stage: ConsoleDriver) -> None:
    """As if the keys had rested for a while, and the last act were long ago."""
    stage.app._key_repeat.reset()
    name, _ = stage.app.flows._recently_done
    stage.app.flows._recently_done = name, time.monotonic() - HOUR


# ---- keys held down


async def test_a_held_key_acts_once() -> None:
    """The retry is answered at once, and the key goes on coming: it is asked for once, and the operator is told."""
    source = source_of(jobs=[job_row(1, "failed")])
    source.answers["retry"] = {"number": 50, "state": "working"}
    async with console_driver(source, "jobs", key_repeat=HOUR) as stage:
        for _ in range(8):
            await stage.press("r")
            await stage.flush()
        assert len(source.calls_of("retry")) == 1
        assert "held down" in stage.status_line
        rested(stage)
        await stage.press("r")
        await stage.wait_until(lambda: len(source.calls_of("retry")) == 2)


async def test_the_same_act_on_the_same_row_is_not_asked_for_again_at_once() -> None:
    """By whatever way it comes: the palette after the key, with other keys in between. On another row it is another."""
    source = source_of(jobs=[job_row(1, "failed"), job_row(2, "failed")])
    source.answers["retry"] = {"number": 50, "state": "working"}
    async with console_driver(source, "jobs") as stage:
        await stage.press("r")
        await stage.wait_until(lambda: "50" in stage.status_line)
        stage.app.perform_action("retry")
        await stage.wait_until(lambda: "a moment ago" in stage.status_line)
        assert len(source.calls_of("retry")) == 1
        await stage.press("down", "r")
        await stage.wait_until(lambda: len(source.calls_of("retry")) == 2)
        rested(stage)
        await stage.press("up", "r")
        await stage.wait_until(lambda: len(source.calls_of("retry")) == 3)


async def test_keys_that_only_look_repeat() -> None:
    """A held arrow moves on and on, and letters typed twice into a line are two."""
    source = source_of(jobs=[job_row(index) for index in range(9)])
    async with console_driver(source, "jobs", key_repeat=HOUR) as stage:
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        await stage.press("home", "j", "j", "j")
        assert table.cursor_index == 3
        await stage.press("slash", "r", "r", "r")
        assert stage.app.screen.prompt.value == "rrr"  # type: ignore[attr-defined]


async def test_a_key_held_since_before_a_dialog_does_not_count_in_it() -> None:
    """Enter in the palette opens the reject dialog and stays down: no reason is taken until it was let go."""
    source = source_of(requests=[request_row(41)])
    async with console_driver(source, "approve", key_repeat=HOUR, guard=0.0) as stage:
        await stage.press("ctrl+p")
        await stage.wait_until(lambda: stage.in_dialog and stage.dialog.is_mounted)
        await stage.type("reject")
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, RejectDialog) and stage.dialog.is_mounted)
        for _ in range(5):
            await stage.press("enter")
            await stage.flush()
        assert source.calls_of("reject") == []
        stage.app._key_repeat.reset()
        await stage.press("enter")
        await stage.wait_answered("reject")


async def test_a_key_held_in_a_dialog_does_not_send_again_after_an_answer() -> None:
    """No answer came: the command may be running. The next try takes a key pressed for it."""
    source = source_of(agents=[agent_row("web-1")])
    source.answers["run"] = LinkLost("the hub did not answer within 60 s", "try again")
    async with console_driver(source, "agents", key_repeat=HOUR) as stage:
        dialog = await stage.open_dialog("n")
        dialog.query_one("#command").value = "uptime"
        for _ in range(6):
            await stage.press("enter")
            await stage.flush()
        assert len(source.calls_of("run")) == 1
        assert "did not answer" in stage.text


# ---- the mouse


async def test_a_double_click_on_a_key_means_it_once() -> None:
    """The second half of it is dropped, on the line of keys and on a dialog's choices."""
    source = source_of(jobs=[job_row(1, "failed")])
    source.answers["retry"] = {"number": 50, "state": "working"}
    async with console_driver(source, "jobs") as stage:
        keys = stage.app.screen.query_one("#keys")
        at = keys.text.index("r Retry")  # type: ignore[attr-defined]
        await stage.pilot.click(keys, offset=(at, 0), times=2)
        await stage.wait_until(lambda: "50" in stage.status_line)
        rested(stage)
        await stage.flush()
        assert len(source.calls_of("retry")) == 1


async def test_a_click_ahead_of_a_dialog_does_not_count() -> None:
    """A press of the mouse in the first moment was meant for what stood there before."""
    async with console_driver(source_of(jobs=[job_row(1)]), "jobs", guard=HOUR) as stage:
        dialog = await stage.open_dialog("c", StopDialog)
        choices = dialog.query_one("#buttons")
        x, y = choices.region.x + choices.size.width // 4, choices.region.y
        seen: list[Any] = []
        dialog._forward_event = seen.append
        for kind in (events.MouseDown, events.MouseUp):
            await stage.app.on_event(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
        assert seen == []
        dialog._opened_at -= 2 * HOUR
        for kind in (events.MouseDown, events.MouseUp):
            await stage.app.on_event(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
        assert [type(event) for event in seen] == [events.MouseDown, events.MouseUp, events.Click]


# ---- marks


SINGLE: list[tuple[str, str, type[Dialog], str]] = [
    ("approve", "requests", ApproveDialog, "approve"),
    ("reject", "requests", RejectDialog, "approve"),
    ("settle", "jobs", ReconcileDialog, "jobs"),
    ("drain", "agents", DrainDialog, "agents"),
]


@pytest.mark.parametrize(("act", "view", "dialog", "mode"), SINGLE)
async def test_an_act_on_one_row_is_about_the_cursors_whatever_is_marked(
    act: str, view: str, dialog: type[Dialog], mode: str
) -> None:
    """Marks elsewhere change nothing: the dialog is about the row that the operator stands on."""
    rows = {
        "requests": [request_row(number) for number in (41, 42, 43)],
        "jobs": [job_row(number, "unknown") for number in (1, 2, 3)],
        "agents": [agent_row(f"web-{number}") for number in (1, 2, 3)],
    }[view]
    source = source_of(**{view: rows})
    async with console_driver(source, mode) as stage:
        await stage.press("space", "space")
        opened = await stage.open_dialog(ACTION_BY_ID[act].keys, dialog)
        about = getattr(opened, "request", None) or getattr(opened, "job", None) or opened.agent
        assert about.id == rows[2]["id"]
        assert not ACTION_BY_ID[act].multiple


async def test_which_rows_are_meant_is_said() -> None:
    """The status line names the marked ones and says where the cursor's is none of them; keys say how many."""
    source = source_of(jobs=[job_row(number) for number in range(1, 7)])
    async with console_driver(source, "jobs", size=(160, 36)) as stage:
        await stage.press("space", "space", "space", "space")
        await stage.flush()
        status = stage.text.splitlines()[-2]
        for part in ("4 marked", "web-1 ", "web-2 ", "web-3 ", "+1", "the row under the cursor is none of them"):
            assert part in status, part
        assert "c Cancel 4" in stage.text.splitlines()[-1]
        await stage.press("up")
        await stage.flush()
        assert "none of them" not in stage.text.splitlines()[-2]
        dialog = await stage.open_dialog("c", StopDialog)
        assert {row.agent for row in dialog.rows} == {"web-1", "web-2", "web-3", "web-4"}


async def test_a_forgotten_mark_is_told_before_an_act_without_a_dialog() -> None:
    """One mark elsewhere and the cursor on another row: the first press says which is meant, the second does it."""
    jobs = [job_row(number, "failed") for number in range(1, 4)]
    source = source_of(jobs=jobs)
    source.answers["retry"] = {"number": 50, "state": "working"}
    async with console_driver(source, "jobs") as stage:
        await stage.press("space", "down", "r")
        await stage.flush()
        assert source.calls_of("retry") == []
        assert "web-1" in stage.status_line
        assert "Press it again" in stage.status_line
        await stage.press("r")
        await stage.wait_until(lambda: source.calls_of("retry"))
        assert source.calls_of("retry") == [{"job": jobs[0]["id"]}]


async def test_many_marked_are_counted_before_an_act_without_a_dialog() -> None:
    """Their number is typed."""
    source = source_of(jobs=[job_row(number, "failed") for number in range(1, 4)])
    async with console_driver(source, "jobs") as stage:
        await stage.press("space", "space")
        dialog = await stage.open_dialog("r", CountDialog)
        assert len(dialog.rows) == 2
        await stage.press("1", "enter")
        await stage.flush()
        assert acting(source) == []


async def test_marked_machines_are_paused_those_that_are_not_yet() -> None:
    """Some paused already: the others are; all paused: they go on."""
    agents = [agent_row("web-1", paused_by="bob"), agent_row("web-2"), agent_row("web-3")]
    source = source_of(agents=agents)
    async with console_driver(source, "agents") as stage:
        await stage.press("space", "space", "space")
        dialog = await stage.open_dialog("P", PauseDialog)
        assert dialog.agent == "web-2,web-3"
        await stage.press("escape")
        await stage.wait_closed()
        assert acting(source) == []


# ---- rows that go away


async def test_the_row_that_goes_away_does_not_hand_its_act_to_the_next() -> None:
    """A key pressed at that moment is told which row is gone and which stands there; the next press is about that."""
    jobs = [job_row(1, "failed"), job_row(2, "failed"), job_row(3, "failed")]
    source = source_of(jobs=jobs)
    source.answers["retry"] = {"number": 50, "state": "working"}
    async with console_driver(source, "jobs") as stage:
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        await stage.press("home", "down")
        table._last_activity = -HOUR
        source.reorder("jobs", [jobs[0], jobs[2]])
        await stage.wait_until(lambda: table.cursor_id == jobs[2]["id"])
        stage.console.messages.clear()
        await stage.flush()
        assert "web-2" in stage.text.splitlines()[-2]
        assert "has just left the list" in stage.text.splitlines()[-2]
        await stage.press("r")
        await stage.flush()
        assert source.calls_of("retry") == []
        assert "web-2" in stage.status_line
        assert "web-3" in stage.status_line
        await stage.press("r")
        await stage.wait_until(lambda: source.calls_of("retry"))
        assert source.calls_of("retry") == [{"job": jobs[2]["id"]}]


async def test_after_a_while_the_row_that_stands_there_is_known() -> None:
    """An operator who comes back later sees what is under the cursor: one press does it."""
    jobs = [job_row(1, "failed"), job_row(2, "failed")]
    source = source_of(jobs=jobs)
    async with console_driver(source, "jobs") as stage:
        screen: Any = stage.app.screen
        table = screen.table()
        await stage.press("home")
        table._last_activity = -HOUR
        source.reorder("jobs", [jobs[1]])
        await stage.wait_until(lambda: table.cursor_id == jobs[1]["id"])
        screen._clock = lambda: time.monotonic() + REPLACED_GRACE
        await stage.press("r")
        await stage.wait_until(lambda: source.calls_of("retry"))


async def test_a_row_of_what_needs_you_that_goes_away() -> None:
    """On the first screen too: decided by somebody else just then, the key is not for the next request."""
    source = source_of(requests=[request_row(41), request_row(42)])
    needs = [
        {"kind": "approve", "since": NOW, "number": number, "who": "bob", "expires": source.clock + 90}
        for number in (41, 42)
    ]
    source.overview = {"needs_you": needs, "counts": {"asking": 2}}
    async with console_driver(source) as stage:
        await stage.wait_until(lambda: "r41" in stage.text)
        await stage.press("home")
        stage.app.screen.query_one("#needs")._last_activity = -HOUR  # type: ignore[attr-defined]
        source.overview = {"needs_you": needs[1:], "counts": {"asking": 1}}
        await stage.flush()
        await stage.press("a")
        await stage.flush()
        assert not stage.in_dialog
        assert "r41" in stage.status_line
        dialog = await stage.open_dialog("a", ApproveDialog)
        assert dialog.request.number == 42


async def test_the_only_row_goes_away() -> None:
    """Nothing stands there: the act is off, and says which row is gone."""
    source = source_of(jobs=[job_row(1, "failed")])
    async with console_driver(source, "jobs") as stage:
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        await stage.press("home")
        table._last_activity = -HOUR
        source.reorder("jobs", [])
        await stage.wait_until(lambda: table.row is None)
        await stage.press("r")
        await stage.flush()
        assert source.calls_of("retry") == []
        assert stage.status_line


async def test_a_row_that_is_going_is_said_so_while_it_is_still_shown() -> None:
    """While the operator is busy rows keep their places; that this one has left is said, and acts are about it."""
    jobs = [job_row(1), job_row(2)]
    source = source_of(jobs=jobs)
    async with console_driver(source, "jobs") as stage:
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        await stage.press("home")
        table._last_activity += HOUR
        source.reorder("jobs", [jobs[1]])
        await stage.wait_until(lambda: jobs[0]["id"] in table.window.removed)
        stage.console.messages.clear()
        stage.app.flush()
        assert "no longer in this list" in stage.app.screen.query_one("#status").text  # type: ignore[attr-defined]
        dialog = await stage.open_dialog("c", StopDialog)
        assert dialog.rows[0].id == jobs[0]["id"]
