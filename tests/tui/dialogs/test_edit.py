"""Editing a plan in three steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.widgets import TextArea

from common.api.codec import decode
from common.api.requests import RequestDetails
from common.plan import Plan, Step
from tests.tui.fake_source import ConsoleDriver, FakeSource, console_driver, request_row
from tests.tui.rows import request
from tui.client.errors import CallRefused, LinkLost
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import TextField
from tui.dialogs.edit import MAX_DRAFTS, SAVED_DRAFTS, EditDialog

OLD = request_row(41)
ALLOWED = {"verdict": "allow", "reason": "fine", "plan_hash": "cd" * 32}


@pytest.fixture(autouse=True)
def no_drafts() -> Iterator[None]:
    """Drafts live as long as the console; each test begins with none."""
    SAVED_DRAFTS.clear()
    yield
    SAVED_DRAFTS.clear()


def write(dialog: EditDialog, text: str) -> None:
    dialog.query_one("#text", TextArea).text = text


async def shown(stage: ConsoleDriver, answer: Any = ALLOWED) -> tuple[EditDialog, list[Any]]:
    stage.source.rows["requests"] = [OLD]
    stage.source.answers["edit"] = answer
    dialog = EditDialog(stage.console, decode(RequestDetails, OLD))
    return dialog, await stage.push_dialog(dialog)


async def test_written_checked_and_sent() -> None:
    """By keys: what changes and what policy says is shown before anything is sent; then a reason goes with it."""
    source = FakeSource()
    source.rows["requests"] = [OLD]
    source.answers["edit"] = lambda args: ALLOWED if args.get("dry_run") else {"number": 43}
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("e", EditDialog)
        text = dialog.query_one("#text", TextArea).text
        assert "run: systemctl reload nginx" in text
        write(dialog, text.replace("reload", "restart"))
        await stage.press("f2")
        await stage.wait_until(lambda: dialog.page == 2)
        await stage.flush()
        assert "-run: systemctl reload nginx" in stage.text
        assert "+run: systemctl restart nginx" in stage.text
        await stage.wait_until(lambda: "cdcd cdcd" in stage.text)
        await stage.press("enter")
        await stage.wait_until(lambda: dialog.page == 3)
        await stage.press("enter")
        assert dialog.note_text
        dialog.query_one("#why", TextField).value = "reload is not enough"
        await stage.press("enter")
        await stage.wait_closed()
        check, sent = source.calls_of("edit")
        assert (check["dry_run"], "why" in check) == (True, False)
        assert (sent["number"], sent["base_hash"], sent["why"]) == (41, OLD["plan_hash"], "reload is not enough")
        assert sent["steps"] == check["steps"]
        assert sent["steps"][0]["argv"] == ["systemctl", "restart", "nginx"]
        assert "43" in stage.status_line


async def test_what_is_no_plan_or_no_change_is_not_asked() -> None:
    """A line that is wrong is named; the same plan again is not sent."""
    async with console_driver() as stage:
        dialog, _ = await shown(stage)
        await stage.press("f2")
        assert dialog.note_text
        write(dialog, "on: web-1\nfoo: bar\n")
        await stage.press("f2")
        assert "2" in dialog.note_text
        assert dialog.query_one("#text", TextArea).cursor_location[0] == 1
        assert (dialog.page, stage.source.calls_of("edit")) == (1, [])


async def test_a_base_that_has_changed_keeps_the_operators_text() -> None:
    """It shows what the plan has become, keeps what was written, and the next try is on the new base."""
    new = request_row(41, made=Plan((Step(("id",), ("web-41",)),), "explicit"))
    async with console_driver() as stage:
        dialog, _ = await shown(stage, CallRefused("plan_changed", "the plan is another one now"))
        stage.source.rows["requests"] = [new]
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.press("f2")
        await stage.wait_until(lambda: "another one now" in dialog.note_text)
        await stage.flush()
        assert dialog.query_one("#text", TextArea).text == "on: web-41\nrun: uptime\n"
        assert "+run: id" in stage.text
        stage.source.answers["edit"] = ALLOWED
        await stage.press("f2")
        await stage.wait_until(lambda: dialog.page == 2)
        assert [told["base_hash"] for told in stage.source.calls_of("edit")] == [OLD["plan_hash"], new["plan_hash"]]


async def test_nothing_written_is_dropped_by_one_slip() -> None:
    """Escape must be pressed twice where something was written; the draft is there when it is opened again."""
    async with console_driver() as stage:
        dialog, came_to = await shown(stage)
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.flush()
        await stage.press("escape")
        assert (came_to, bool(dialog.note_text)) == ([], True)
        await stage.press("escape")
        await stage.wait_closed()
        dialog, came_to = await shown(stage)
        assert dialog.query_one("#text", TextArea).text == "on: web-41\nrun: uptime\n"
        for index in range(MAX_DRAFTS + 5):
            SAVED_DRAFTS[f"other {index}"] = "x"
        await stage.press("escape", "escape")
        await stage.wait_closed()
        assert len(SAVED_DRAFTS) == MAX_DRAFTS


async def test_refused_lost_and_small() -> None:
    """Who may not is told; no answer is told; without a link nothing goes out; small screens do."""
    async with console_driver(size=(60, 16)) as stage:
        dialog, _ = await shown(stage, CallRefused("no_right", "alice may not edit this"))
        write(dialog, "on: web-41\nrun: uptime\n")
        for width, height in ((60, 16), (80, 24), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.flush()
            assert 0 <= dialog.query_one("#buttons").region.y < height
        await stage.press("f2")
        await stage.wait_answered("edit")
        assert "alice may not edit this" in stage.text
        assert dialog.finished
        dialog.dismiss(None)
        await stage.wait_closed()
        dialog, _ = await shown(stage, LinkLost("the hub did not answer", "try again"))
        write(dialog, "on: web-41\nrun: uptime\n")
        await stage.press("f2")
        await stage.wait_answered("edit", 2)
        assert "the hub did not answer" in stage.text
        stage.source.disconnect()
        await stage.press("f2")
        assert len(stage.source.calls_of("edit")) == 2
        assert dialog.query_one("#text", TextArea).text == "on: web-41\nrun: uptime\n"


async def test_from_approving() -> None:
    """`e` in the approve dialog edits the same request."""
    source = FakeSource()
    source.rows["requests"] = [OLD, request_row(42)]
    async with console_driver(source, "approve") as stage:
        await stage.open_dialog("a", ApproveDialog)
        dialog = await stage.open_dialog("e", EditDialog)
        assert dialog.request.number == 41


async def test_what_changes_is_what_would_run() -> None:
    """The plan as the hub would run it, with what a rule inserts and without what another one had inserted."""
    async with console_driver() as stage:
        old = request(41, made=Plan((Step(("ls",), ("web-1",), env=(("LANG", "C"),)),), "explicit"))
        would = {
            "steps": [{"argv": ["/usr/bin/df", "-h"], "targets": ["web-1"], "env": {}, "time_limit": 60}],
            "ttl": 60,
            "tainted": False,
        }
        stage.source.answers["edit"] = {**ALLOWED, "new": would}
        dialog = EditDialog(stage.console, old)
        await stage.push_dialog(dialog)
        text = dialog.query_one("#text", TextArea).text
        assert "env: LANG=C" in text
        write(dialog, text.replace("run: ls", "run: df -h"))
        await stage.press("f2")
        await stage.wait_until(lambda: dialog.page == 2)
        await stage.flush()
        assert "-env: LANG=C" in stage.text
        assert "+run: /usr/bin/df -h" in stage.text
