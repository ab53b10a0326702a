"""Whatever fails in the console itself: it is told in a line, it is in the log, and the console goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from common.api import verbs
from common.api.actions import ResumeArgs
from common.catalogue import Sentence
from tests.tui.fake_source import NOW, ConsoleDriver, FakeSource, console_driver, job_row, request_row
from tests.tui.rows import agent, job, request
from tui.client.errors import CallRefused
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import TextField
from tui.dialogs.flows import ActionFlows
from tui.dialogs.stop import StopDialog
from tui.model.actions import ACTION_BY_ID, Undo
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.model.window import Row
from tui.widgets.detail import TABS
from tui.widgets.digits import CodeInput, NumberInput

BROKEN = RuntimeError("broken 123456")
ROWS: dict[str, Row] = {
    "approve": request(41),
    "reject": request(41),
    "edit": request(41),
    "cancel": job(1, "running", argv=None),
    "kill": job(1, "running", argv=None),
    "settle": job(1, "unknown", argv=None),
    "pause": agent("web-1", paused_by="bob"),
    "drain": agent("web-1", draining={"by": "bob", "at": NOW, "left": 1, "of": 2}),
    "wake": agent("web-1", online=False),
}
KINDS: dict[str, Any] = {
    "approve": "request",
    "reject": "request",
    "edit": "request",
    "pause": "agent",
    "drain": "agent",
    "wake": "agent",
}
OPEN_FIRST = {"priority", "pause_all", "run", "broadcast", "copy"}
"""ActionFlows that ask nothing of the hub before their dialog is there."""


async def told(stage: ConsoleDriver, what: str) -> None:
    """The fault is on the screen with what failed, without its secrets, and the console lives."""
    await stage.wait_until(lambda: "console itself failed" in stage.status_line, what)
    assert what in stage.status_line
    assert "RuntimeError: broken ******" in stage.status_line
    assert "123456" not in stage.status_line
    assert "Traceback" not in stage.text
    assert stage.app.is_running
    await stage.press("question_mark")
    await stage.wait_until(lambda: stage.in_dialog)


@pytest.mark.parametrize("act", sorted(ActionFlows(None, ConsoleContext(FakeSource(), ConsoleSettings())).handlers))  # type: ignore[arg-type]
async def test_a_flow_that_fails(act: str, tmp_path: Path) -> None:
    """Every act's flow: told by the act's name, logged, and the next key works."""
    async with console_driver(faults=True, log=tmp_path / "log") as stage:
        if act in OPEN_FIRST:
            stage.app.push_screen_wait = lambda *_: (_ for _ in ()).throw(BROKEN)  # type: ignore[method-assign,assignment]
        stage.source.call = lambda *_, **__: (_ for _ in ()).throw(BROKEN)  # type: ignore[method-assign,assignment]
        stage.console.undo = Undo(Sentence("console_settled"), verbs.RESUME, ResumeArgs(), stage.console.now() + 60)
        row = ROWS.get(act, job(1, "failed"))
        stage.app.flows.start(ACTION_BY_ID[act], KINDS.get(act, "job"), [row])
        await told(stage, ACTION_BY_ID[act].label("en"))
        assert "RuntimeError: broken ******" in (tmp_path / "log").read_text()
        assert "flows.py" in (tmp_path / "log").read_text() or act in OPEN_FIRST


async def test_a_dialog_whose_worker_fails_can_be_used_again() -> None:
    """Its note says so, what was typed is there, and sending works once the cause is gone."""
    async with console_driver(faults=True) as stage:
        stage.source.answers["approve"] = [BROKEN]
        dialog = ApproveDialog(stage.console, request(41))
        await stage.push_dialog(dialog)
        dialog.query_one("#reason", TextField).value = "as agreed"
        dialog.query_one("#code", CodeInput).value = "111111"
        await stage.press("enter")
        await stage.wait_until(lambda: "console itself failed" in dialog.note_text)
        assert "RuntimeError" in stage.text
        assert dialog.query_one("#reason", TextField).value == "as agreed"
        stage.source.answers["approve"] = {}
        dialog.query_one("#code", CodeInput).value = "222222"
        await stage.press("enter")
        await stage.wait_closed()


async def test_many_that_fail_at_once_leave_the_dialog_usable() -> None:
    """A fault among many calls: nothing hangs in "sending"."""
    async with console_driver(faults=True) as stage:
        stage.source.answers["cancel"] = BROKEN
        dialog = StopDialog(stage.console, "job", [job(1), job(2)], kill=False)
        await stage.push_dialog(dialog)
        dialog.query_one("#count", NumberInput).value = "2"
        await stage.press("enter")
        await stage.wait_until(lambda: "console itself failed" in dialog.note_text)
        assert not dialog.sending
        assert stage.app.is_running


@pytest.mark.parametrize("tab", ["audit", "output"])
async def test_a_detail_that_cannot_be_had(tab: str) -> None:
    """It says so in its place, and the list beside it lives."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1), job_row(2)]
    source.answers["audit" if tab == "audit" else "job"] = BROKEN
    async with console_driver(source, "jobs", size=(120, 36), faults=True) as stage:
        stage.app.screen.select_tab(tab)  # type: ignore[attr-defined]
        await stage.wait_until(lambda: "console itself failed" in stage.text.split("[Output]")[-1] or tab == "audit")
        await stage.wait_until(lambda: "RuntimeError" in stage.text)
        await stage.press("down")
        assert stage.app.is_running
        assert tab in TABS["job"]


async def test_a_screen_that_cannot_be_brought_up_to_date() -> None:
    """At every beat the same fault: told once, and the keys still work."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1)]
    async with console_driver(source, "jobs", faults=True) as stage:
        before = len(stage.console.messages)
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        table.flush = lambda: (_ for _ in ()).throw(BROKEN)
        for _ in range(5):
            stage.app.flush()
        assert len(stage.console.messages) == before + 1
        del table.flush
        await stage.press("question_mark")
        await stage.wait_until(lambda: stage.in_dialog)


async def test_an_act_whose_making_fails() -> None:
    """What a key does may fail before any worker runs."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1)]
    async with console_driver(source, "jobs", faults=True) as stage:
        stage.app.screen.handlers["sort"] = lambda: (_ for _ in ()).throw(BROKEN)  # type: ignore[attr-defined]
        await stage.press("o")
        await told(stage, "RuntimeError")


async def test_a_handler_that_fails() -> None:
    """What a dialog, a screen or the app does on a message or a key: told, and the next one works."""
    async with console_driver(faults=True) as stage:
        dialog = ApproveDialog(stage.console, request(41))
        await stage.push_dialog(dialog)
        dialog.send = lambda: (_ for _ in ()).throw(BROKEN)  # type: ignore[method-assign,assignment]
        await stage.press(*"123456", "enter")
        await stage.wait_until(lambda: "RuntimeError" in dialog.note_text)
        dialog.action_page = lambda step: (_ for _ in ()).throw(KeyError("page"))  # type: ignore[method-assign,assignment]
        await stage.press("pagedown")
        await stage.wait_until(lambda: "KeyError" in stage.status_line)
        await stage.press("escape")
        await stage.wait_closed()
        stage.app.run_command = lambda command: (_ for _ in ()).throw(LookupError("command"))  # type: ignore[method-assign,assignment]
        await stage.press("colon")
        await stage.type("jobs")
        await stage.press("enter")
        await stage.wait_until(lambda: "LookupError" in stage.status_line)
        await stage.press("question_mark")
        await stage.wait_until(lambda: stage.in_dialog)


async def test_a_dialog_that_cannot_be_filled_in_does_not_stay() -> None:
    """What failed is told, nothing is sent from it, and the next one opens."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    async with console_driver(source, "approve", faults=True) as stage:
        with patch("tui.dialogs.approve.approval_lines", side_effect=BROKEN):
            await stage.press("a")
            await stage.wait_until(lambda: "console itself failed" in stage.status_line)
            await stage.wait_until(lambda: not stage.in_dialog)
        assert source.calls_of("approve") == []
        await stage.open_dialog("a", ApproveDialog)


async def test_a_changed_plan_that_cannot_be_shown_leaves_the_one_that_is_shown() -> None:
    """The hash that goes out next is still that of what stands on the screen."""
    source = FakeSource()
    source.answers["approve"] = [CallRefused("plan_changed", "another one now"), CallRefused("late", "too late")]
    source.answers["request"] = {**request_row(41), "plan_hash": "f" * 64}
    async with console_driver(source, faults=True) as stage:
        dialog = ApproveDialog(stage.console, request(41))
        await stage.push_dialog(dialog)
        await stage.press(*"123456")
        with patch("tui.dialogs.approve.diff_lines", side_effect=BROKEN):
            await stage.press("enter")
            await stage.wait_until(lambda: "console itself failed" in dialog.note_text)
        await stage.press(*"123456", "enter")
        await stage.wait_until(lambda: len(source.calls_of("approve")) == 2)
        assert {sent["plan_hash"] for sent in source.calls_of("approve")} == {request_row(41)["plan_hash"]}


async def test_beyond_help_it_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A widget that dies takes the console with it: one line says what, where more is, and no values are shown."""
    log = tmp_path / "log"
    with pytest.raises(RuntimeError):
        async with console_driver(faults=True, log=log) as stage:
            stage.app._handle_exception(BROKEN)
            await stage.pilot.pause()
    shown = capsys.readouterr().err.replace("\n", " ")
    assert "RuntimeError: broken ******" in shown
    assert str(log) in shown.replace(" ", "")
    assert "Traceback" not in shown
    assert stage.app.return_code == 1
    assert " crash: RuntimeError" in log.read_text()
