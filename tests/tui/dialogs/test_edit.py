"""Editing a plan in three steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.widgets import TextArea

from common.plan import Plan, Step
from tests.tui.scripted_source import ScriptedSource, Stage, request_row, staged
from tui.client import CallRefused, LinkLost
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import Field
from tui.dialogs.edit import DRAFTS, MAX_DRAFTS, EditDialog
from tui.widgets.digits import Digits

OLD = request_row(41)
ALLOWED = {"verdict": "allow", "reason": "fine", "plan_hash": "cd" * 32}


@pytest.fixture(autouse=True)
def no_drafts() -> Iterator[None]:
    """Drafts live as long as the console; each test begins with none."""
    DRAFTS.clear()
    yield
    DRAFTS.clear()


def write(dialog: EditDialog, text: str) -> None:
    dialog.query_one("#text", TextArea).text = text


async def shown(stage: Stage, answer: Any = ALLOWED) -> tuple[EditDialog, list[Any]]:
    stage.source.rows["requests"] = [OLD]
    stage.source.answers["edit"] = answer
    dialog = EditDialog(stage.console, OLD)
    return dialog, await stage.show(dialog)


async def test_written_checked_and_sent() -> None:
    """By keys: what changes and what policy says is shown before anything is sent; then a reason goes with it."""
    source = ScriptedSource()
    source.rows["requests"] = [OLD]
    source.answers["edit"] = lambda args: ALLOWED if args.get("dry_run") else {"number": 43}
    async with staged(source, "approve") as stage:
        dialog = await stage.open("e", EditDialog)
        text = dialog.query_one("#text", TextArea).text
        assert "run: systemctl reload nginx" in text
        write(dialog, text.replace("reload", "restart"))
        await stage.press("f2")
        await stage.until(lambda: dialog.step == 2)
        await stage.settle()
        assert "-run: systemctl reload nginx" in stage.text
        assert "+run: systemctl restart nginx" in stage.text
        await stage.until(lambda: "cdcd cdcd" in stage.text)
        await stage.press("enter")
        await stage.until(lambda: dialog.step == 3)
        await stage.press("enter")
        assert dialog.noted
        dialog.query_one("#why", Field).value = "reload is not enough"
        await stage.press("enter")
        await stage.closed()
        check, sent = source.asked("edit")
        assert (check["dry_run"], "why" in check) == (True, False)
        assert (sent["number"], sent["base_hash"], sent["why"]) == (41, OLD["plan_hash"], "reload is not enough")
        assert sent["steps"] == check["steps"]
        assert sent["steps"][0]["argv"] == ["systemctl", "restart", "nginx"]
        assert "43" in stage.said


async def test_what_is_no_plan_or_no_change_is_not_asked() -> None:
    """A line that is wrong is named; the same plan again is not sent."""
    async with staged() as stage:
        dialog, _ = await shown(stage)
        await stage.press("f2")
        assert dialog.noted
        write(dialog, "on: web-1\nfoo: bar\n")
        await stage.press("f2")
        assert "2" in dialog.noted
        assert dialog.query_one("#text", TextArea).cursor_location[0] == 1
        assert (dialog.step, stage.source.asked("edit")) == (1, [])


async def test_a_code_where_the_own_yes_counts() -> None:
    """Six digits are needed then, and they are kept nowhere after a wrong one."""
    async with staged() as stage:
        dialog, came_to = await shown(stage, ALLOWED | {"code_now": True})
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.press("f2")
        await stage.until(lambda: dialog.step == 2)
        await stage.press("f2")
        dialog.query_one("#why", Field).value = "why not"
        await stage.press("enter", "enter")
        assert dialog.noted
        code = dialog.query_one("#code", Digits)
        stage.source.answers["edit"] = CallRefused("bad_code", "that code is not right")
        code.value = "123456"
        await stage.press("enter")
        await stage.answered("edit", 2)
        assert (code.value, dialog.over, came_to) == ("", False, [])
        assert "that code is not right" in stage.text
        stage.source.answers["edit"] = {"number": 44}
        code.value = "654321"
        await stage.press("f2")
        await stage.closed()
        assert [told.get("code") for told in stage.source.asked("edit")] == [None, "123456", "654321"]


async def test_a_base_that_has_changed_keeps_the_operators_text() -> None:
    """It shows what the plan has become, keeps what was written, and the next try is on the new base."""
    new = request_row(41, made=Plan((Step(("id",), ("web-41",)),), "explicit"))
    async with staged() as stage:
        dialog, _ = await shown(stage, CallRefused("plan_changed", "the plan is another one now"))
        stage.source.rows["requests"] = [new]
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.press("f2")
        await stage.until(lambda: "another one now" in dialog.noted)
        await stage.settle()
        assert dialog.query_one("#text", TextArea).text == "on: web-41\nrun: uptime\n"
        assert "+run: id" in stage.text
        stage.source.answers["edit"] = ALLOWED
        await stage.press("f2")
        await stage.until(lambda: dialog.step == 2)
        assert [told["base_hash"] for told in stage.source.asked("edit")] == [OLD["plan_hash"], new["plan_hash"]]


async def test_nothing_written_is_dropped_by_one_slip() -> None:
    """Escape must be pressed twice where something was written; the draft is there when it is opened again."""
    async with staged() as stage:
        dialog, came_to = await shown(stage)
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.settle()
        await stage.press("escape")
        assert (came_to, bool(dialog.noted)) == ([], True)
        await stage.press("escape")
        await stage.closed()
        dialog, came_to = await shown(stage)
        assert dialog.query_one("#text", TextArea).text == "on: web-41\nrun: uptime\n"
        for index in range(MAX_DRAFTS + 5):
            DRAFTS[f"other {index}"] = "x"
        await stage.press("escape", "escape")
        await stage.closed()
        assert len(DRAFTS) == MAX_DRAFTS


async def test_refused_lost_and_small() -> None:
    """Who may not is told; no answer is told; without a link nothing goes out; small screens do."""
    async with staged(size=(60, 16)) as stage:
        dialog, _ = await shown(stage, CallRefused("no_right", "alice may not edit this"))
        write(dialog, "on: web-41\nrun: uptime\n")
        for width, height in ((60, 16), (80, 24), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.settle()
            assert 0 <= dialog.query_one("#choices").region.y < height
        await stage.press("f2")
        await stage.answered("edit")
        assert "alice may not edit this" in stage.text
        assert dialog.over
        dialog.dismiss(None)
        await stage.closed()
        dialog, _ = await shown(stage, LinkLost("the hub did not answer", "try again"))
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.press("f2")
        await stage.answered("edit", 2)
        assert "the hub did not answer" in stage.text
        stage.source.lose()
        await stage.press("f2")
        assert len(stage.source.asked("edit")) == 2
        assert dialog.query_one("#text", TextArea).text == "on: web-41\nrun: uptime\n"


async def test_from_approving() -> None:
    """`e` in the approve dialog edits the same request."""
    source = ScriptedSource()
    source.rows["requests"] = [OLD, request_row(42)]
    async with staged(source, "approve") as stage:
        await stage.open("a", ApproveDialog)
        dialog = await stage.open("e", EditDialog)
        assert dialog.request["number"] == 41


async def test_what_changes_is_what_would_run() -> None:
    """The plan as the hub would run it, with what a rule inserts and without what another one had inserted."""
    async with staged() as stage:
        old = request_row(41, made=Plan((Step(("ls",), ("web-1",), env=(("LANG", "C"),)),), "explicit"))
        would = {"steps": [{"argv": ["/usr/bin/df", "-h"], "targets": ["web-1"], "env": {}, "time_limit": 60}]}
        stage.source.answers["edit"] = {**ALLOWED, "new": would}
        dialog = EditDialog(stage.console, old)
        await stage.show(dialog)
        text = dialog.query_one("#text", TextArea).text
        assert "env: LANG=C" in text
        write(dialog, text.replace("run: ls", "run: df -h"))
        await stage.press("f2")
        await stage.until(lambda: dialog.step == 2)
        await stage.settle()
        assert "-env: LANG=C" in stage.text
        assert "+run: /usr/bin/df -h" in stage.text
