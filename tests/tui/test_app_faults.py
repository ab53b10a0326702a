"""Whatever fails in the console itself: it is told in a line, it is in the log, and the console goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from common.catalogue import Sentence
from tests.tui.scripted_source import ScriptedSource, Stage, agent_row, job_row, request_row, staged
from tui.client import CallRefused
from tui.commands import BY_ID, Undo
from tui.console import Console, Settings
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import Field
from tui.dialogs.stop import StopDialog
from tui.flows import Flows
from tui.widgets.detail import TABS
from tui.widgets.digits import Digits

BROKEN = RuntimeError("broken 123456")
ROWS: dict[str, dict[str, Any]] = {
    "approve": request_row(41),
    "reject": request_row(41),
    "edit": request_row(41),
    "cancel": {"id": "x", "agent": "web-1", "state": "running"},
    "kill": {"id": "x", "agent": "web-1", "state": "running"},
    "settle": {"id": "x", "agent": "web-1", "state": "unknown"},
    "pause": agent_row("web-1", paused_by="bob"),
    "drain": agent_row("web-1", draining={"by": "bob"}),
}
KINDS: dict[str, Any] = {
    "approve": "request",
    "reject": "request",
    "edit": "request",
    "pause": "agent",
    "drain": "agent",
}
OPEN_FIRST = {"priority", "pause_all", "run", "broadcast", "copy"}
"""Flows that ask nothing of the hub before their dialog is there."""


async def told(stage: Stage, what: str) -> None:
    """The fault is on the screen with what failed, without its secrets, and the console lives."""
    await stage.until(lambda: "console itself failed" in stage.said, what)
    assert what in stage.said
    assert "RuntimeError: broken ******" in stage.said
    assert "123456" not in stage.said
    assert "Traceback" not in stage.text
    assert stage.app.is_running
    await stage.press("question_mark")
    await stage.until(lambda: stage.in_dialog)


@pytest.mark.parametrize("act", sorted(Flows(None, Console(ScriptedSource(), Settings())).handlers))  # type: ignore[arg-type]
async def test_a_flow_that_fails(act: str, tmp_path: Path) -> None:
    """Every act's flow: told by the act's name, logged, and the next key works."""
    async with staged(faults=True, log=tmp_path / "log") as stage:
        if act in OPEN_FIRST:
            stage.app.push_screen_wait = lambda *_: (_ for _ in ()).throw(BROKEN)  # type: ignore[method-assign,assignment]
        stage.source.call = lambda *_, **__: (_ for _ in ()).throw(BROKEN)  # type: ignore[method-assign,assignment]
        stage.console.undo = Undo(Sentence("console_settled"), "resume", {}, stage.console.now() + 60)
        row = ROWS.get(act, job_row(1, "failed"))
        stage.app.flows.start(BY_ID[act], KINDS.get(act, "job"), [row])
        await told(stage, BY_ID[act].name("en"))
        assert "RuntimeError: broken ******" in (tmp_path / "log").read_text()
        assert "flows.py" in (tmp_path / "log").read_text() or act in OPEN_FIRST


async def test_a_dialog_whose_worker_fails_can_be_used_again() -> None:
    """Its note says so, what was typed is there, and sending works once the cause is gone."""
    async with staged(faults=True) as stage:
        stage.source.answers["approve"] = [BROKEN]
        dialog = ApproveDialog(stage.console, request_row(41))
        await stage.show(dialog)
        dialog.query_one("#reason", Field).value = "as agreed"
        dialog.query_one("#code", Digits).value = "111111"
        await stage.press("enter")
        await stage.until(lambda: "console itself failed" in dialog.noted)
        assert "RuntimeError" in stage.text
        assert dialog.query_one("#reason", Field).value == "as agreed"
        stage.source.answers["approve"] = {}
        dialog.query_one("#code", Digits).value = "222222"
        await stage.press("enter")
        await stage.closed()


async def test_many_that_fail_at_once_leave_the_dialog_usable() -> None:
    """A fault among many calls: nothing hangs in "sending"."""
    async with staged(faults=True) as stage:
        stage.source.answers["cancel"] = BROKEN
        dialog = StopDialog(stage.console, "job", [job_row(1), job_row(2)], kill=False)
        await stage.show(dialog)
        dialog.query_one("#count", Field).value = "2"
        await stage.press("enter")
        await stage.until(lambda: "console itself failed" in dialog.noted)
        assert not dialog.sending
        assert stage.app.is_running


@pytest.mark.parametrize("tab", ["audit", "output"])
async def test_a_detail_that_cannot_be_had(tab: str) -> None:
    """It says so in its place, and the list beside it lives."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1), job_row(2)]
    source.answers["audit" if tab == "audit" else "job"] = BROKEN
    async with staged(source, "jobs", size=(120, 36), faults=True) as stage:
        stage.app.screen.tab_clicked(tab)  # type: ignore[attr-defined]
        await stage.until(lambda: "console itself failed" in stage.text.split("[Output]")[-1] or tab == "audit")
        await stage.until(lambda: "RuntimeError" in stage.text)
        await stage.press("down")
        assert stage.app.is_running
        assert tab in TABS["job"]


async def test_a_screen_that_cannot_be_brought_up_to_date() -> None:
    """At every beat the same fault: told once, and the keys still work."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1)]
    async with staged(source, "jobs", faults=True) as stage:
        before = len(stage.console.said)
        table = stage.app.screen.table()  # type: ignore[attr-defined]
        table.flush = lambda: (_ for _ in ()).throw(BROKEN)
        for _ in range(5):
            stage.app.flush()
        assert len(stage.console.said) == before + 1
        del table.flush
        await stage.press("question_mark")
        await stage.until(lambda: stage.in_dialog)


async def test_an_act_whose_making_fails() -> None:
    """What a key does may fail before any worker runs."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1)]
    async with staged(source, "jobs", faults=True) as stage:
        stage.app.screen.handlers["sort"] = lambda: (_ for _ in ()).throw(BROKEN)  # type: ignore[attr-defined]
        await stage.press("o")
        await told(stage, "RuntimeError")


async def test_a_handler_that_fails() -> None:
    """What a dialog, a screen or the app does on a message or a key: told, and the next one works."""
    async with staged(faults=True) as stage:
        dialog = ApproveDialog(stage.console, request_row(41))
        await stage.show(dialog)
        dialog.send = lambda: (_ for _ in ()).throw(BROKEN)  # type: ignore[method-assign,assignment]
        await stage.press(*"123456", "enter")
        await stage.until(lambda: "RuntimeError" in dialog.noted)
        dialog.action_page = lambda step: (_ for _ in ()).throw(KeyError("page"))  # type: ignore[method-assign,assignment]
        await stage.press("pagedown")
        await stage.until(lambda: "KeyError" in stage.said)
        await stage.press("escape")
        await stage.closed()
        stage.app.command = lambda command: (_ for _ in ()).throw(LookupError("command"))  # type: ignore[method-assign,assignment]
        await stage.press("colon")
        await stage.type("jobs")
        await stage.press("enter")
        await stage.until(lambda: "LookupError" in stage.said)
        await stage.press("question_mark")
        await stage.until(lambda: stage.in_dialog)


async def test_a_dialog_that_cannot_be_filled_in_does_not_stay() -> None:
    """What failed is told, nothing is sent from it, and the next one opens."""
    source = ScriptedSource()
    source.rows["requests"] = [request_row(41)]
    async with staged(source, "approve", faults=True) as stage:
        with patch("tui.dialogs.approve.approve_lines", side_effect=BROKEN):
            await stage.press("a")
            await stage.until(lambda: "console itself failed" in stage.said)
            await stage.until(lambda: not stage.in_dialog)
        assert source.asked("approve") == []
        await stage.open("a", ApproveDialog)


async def test_a_changed_plan_that_cannot_be_shown_leaves_the_one_that_is_shown() -> None:
    """The hash that goes out next is still that of what stands on the screen."""
    source = ScriptedSource()
    source.answers["approve"] = [CallRefused("plan_changed", "another one now"), CallRefused("late", "too late")]
    source.answers["request"] = {**request_row(41), "plan_hash": "f" * 64}
    async with staged(source, faults=True) as stage:
        dialog = ApproveDialog(stage.console, request_row(41))
        await stage.show(dialog)
        await stage.press(*"123456")
        with patch("tui.dialogs.approve.diff_lines", side_effect=BROKEN):
            await stage.press("enter")
            await stage.until(lambda: "console itself failed" in dialog.noted)
        await stage.press(*"123456", "enter")
        await stage.until(lambda: len(source.asked("approve")) == 2)
        assert {sent["plan_hash"] for sent in source.asked("approve")} == {request_row(41)["plan_hash"]}


async def test_beyond_help_it_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A widget that dies takes the console with it: one line says what, where more is, and no values are shown."""
    log = tmp_path / "log"
    with pytest.raises(RuntimeError):
        async with staged(faults=True, log=log) as stage:
            stage.app._handle_exception(BROKEN)
            await stage.pilot.pause()
    shown = capsys.readouterr().err.replace("\n", " ")
    assert "RuntimeError: broken ******" in shown
    assert str(log) in shown.replace(" ", "")
    assert "Traceback" not in shown
    assert stage.app.return_code == 1
    assert " crash: RuntimeError" in log.read_text()
