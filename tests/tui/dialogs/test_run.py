"""A new command, for one machine or for many."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from textual.widgets import Input

from common.plan import MAX_TIME_LIMIT
from tests.tui.fake_source import FakeSource, agent_row, console_driver
from tui.client.errors import CallRefused, LinkLost
from tui.dialogs.run import RunDialog
from tui.widgets.choices import ChoiceList
from tui.widgets.digits import NumberInput


def fill(dialog: RunDialog, **values: str) -> None:
    for name, value in values.items():
        dialog.query_one(f"#{name}", Input).value = value


async def test_the_words_that_are_shown_are_the_words_that_are_sent() -> None:
    """By keys on a machine: the line is read by the grammar, shown as its words, and sent as these."""
    source = FakeSource()
    source.rows["agents"] = [agent_row("web-1")]
    source.answers["run"] = {"number": 50, "state": "working"}
    async with console_driver(source, "agents") as stage:
        dialog = await stage.open_dialog("n", RunDialog)
        await stage.type("echo a")
        await stage.wait_until(lambda: "| echo a" in stage.text)
        fill(dialog, command="echo 'a  b' c", timeout="30")
        await stage.wait_until(lambda: r'| ["echo", "a \u0020b", "c"]' in stage.text)
        await stage.press("enter")
        await stage.wait_closed()
        assert source.calls_of("run") == [{"target": "web-1", "argv": ["echo", "a  b", "c"], "timeout": 30}]
        assert "50" in stage.status_line


async def test_what_is_no_command_is_not_sent() -> None:
    """An open quote, no machine, or a time that is none: it says which and sends nothing."""
    async with console_driver() as stage:
        dialog = RunDialog(stage.console, "")
        await stage.push_dialog(dialog)
        for values in (
            {"target": "web-1", "command": "echo 'a"},
            {"target": "web-1", "command": ""},
            {"target": "", "command": "uptime"},
            {"target": "web-1", "command": "uptime", "timeout": "0"},
            {"target": "web-1", "command": "uptime", "timeout": str(MAX_TIME_LIMIT + 1)[:6]},
            {"target": "web-1", "command": "uptime", "timeout": "３"},
            {"target": "web-1", "command": "uptime", "timeout": "1.5"},
        ):
            fill(dialog, **values)
            dialog.show_note("")
            dialog.send()
            await stage.flush()
            assert dialog.note_text, values
            assert stage.source.calls_of("run") == []


async def test_what_became_of_it_is_told() -> None:
    """Refused by policy, waiting for a yes, refused by the hub, unanswered: four different things."""
    async with console_driver() as stage:
        for told, tone in (
            ({"number": 50, "state": "refused", "reason": "no rm"}, "bad"),
            ({"number": 51, "state": "asking"}, "warn"),
        ):
            stage.source.answers["run"] = told
            dialog = RunDialog(stage.console, "web-1", command="uptime")
            await stage.push_dialog(dialog)
            dialog.send()
            await stage.wait_closed()
            assert stage.console.messages[-1].tone == tone
            assert str(told["number"]) in stage.status_line
        for error in (CallRefused("no_right", "alice may not"), LinkLost("no answer came", "try again")):
            stage.source.calls.clear()
            stage.source.answers["run"] = error
            dialog = RunDialog(stage.console, "web-1", command="uptime")
            await stage.push_dialog(dialog)
            dialog.send()
            await stage.wait_answered("run")
            assert error.problem in stage.text
            dialog.dismiss(None)
            await stage.wait_closed()
        stage.source.disconnect()
        dialog = RunDialog(stage.console, "web-1", command="uptime")
        await stage.push_dialog(dialog)
        dialog.send()
        assert len(stage.source.calls_of("run")) == 1


async def test_a_broadcast_needs_the_number_of_machines() -> None:
    """The hub counts; the number must be typed; where it has changed meanwhile it is asked and typed anew."""
    async with console_driver() as stage:
        stage.source.answers["targets"] = {"count": 61, "online": 60, "sample": ["web-1", "web-2"]}
        stage.source.answers["run"] = CallRefused("selection_changed", "it is 62 machines now")
        dialog = RunDialog(stage.console, "role=web", many=True, command="uptime")
        await stage.push_dialog(dialog)
        await stage.wait_until(lambda: dialog.target_summary is not None)
        await stage.flush()
        assert "61" in stage.text
        for typed in ("", "60"):
            fill(dialog, count=typed)
            dialog.send()
            await stage.flush()
            assert stage.source.calls_of("run") == []
        fill(dialog, count="61")
        stage.source.answers["targets"] = {"count": 62, "online": 60, "sample": []}
        dialog.send()
        await stage.wait_until(lambda: dialog.target_count == 62)
        await stage.flush()
        assert (stage.source.calls_of("run")[0]["expect"], dialog.query_one("#count", NumberInput).value) == (61, "")
        assert not dialog.finished


async def test_a_broadcast_can_be_taken_back() -> None:
    """For some seconds it is held at the hub; escape takes it back and tells; after them it is on its way."""
    async with console_driver() as stage:
        stage.source.answers["targets"] = {"count": 2, "online": 2, "sample": []}
        stage.source.answers["run"] = {"number": 60, "state": "working"}
        for hold, back in ((5, True), (0, False)):
            with patch("tui.dialogs.run.HOLD_SECONDS", hold):
                stage.source.calls.clear()
                dialog = RunDialog(stage.console, "role=web", many=True, command="uptime")
                came_to = await stage.push_dialog(dialog)
                await stage.wait_until(lambda dialog=dialog: dialog.target_count == 2)
                fill(dialog, count="2")
                dialog.send()
                if back:
                    await stage.wait_until(lambda dialog=dialog: dialog.number == 60)
                    await stage.press("escape")
                await stage.wait_closed()
                assert stage.source.calls_of("take_back") == ([{"number": 60}] if back else [])
                assert (came_to == [None]) is back
                assert "60" in stage.status_line


@pytest.mark.parametrize("lost", [False, True], ids=["too late", "link lost"])
async def test_a_broadcast_that_cannot_be_taken_back_can_be_left(lost: bool) -> None:
    """It says why; too late it can only be closed, without an answer it can be tried again or left; whoever leaves is
    told that it was not taken back.
    """
    async with console_driver() as stage:
        stage.source.answers["targets"] = {"count": 2, "online": 2, "sample": []}
        stage.source.answers["run"] = {"number": 60, "state": "working"}
        stage.source.answers["take_back"] = {"code": "too_late", "text": "one has it already"}
        dialog = RunDialog(stage.console, "role=web", many=True, command="uptime")
        came_to = await stage.push_dialog(dialog)
        await stage.wait_until(lambda: dialog.target_count == 2)
        fill(dialog, count="2")
        dialog.send()
        await stage.wait_until(lambda: dialog.number == 60)
        if lost:
            stage.source.disconnect()
            await stage.flush()
        await stage.press("escape")
        await stage.wait_answered("take_back")
        assert stage.app.screen is dialog
        assert ("there is no link" if lost else "one has it already") in stage.text
        ids = [choice.id for choice in dialog.query_one("#buttons", ChoiceList).items]
        assert ids == (["close", "back"] if lost else ["close"])
        if lost:
            stage.source.reconnect()
            stage.source.answers["take_back"] = {"code": "ok", "text": "r60 is taken back"}
            await stage.press("right", "enter")
            await stage.wait_closed()
            assert "r60 is taken back" in stage.status_line
            assert len(stage.source.calls_of("take_back")) == 2
            return
        await stage.press("escape")
        await stage.wait_closed()
        assert came_to == [None]
        assert "r60 was not taken back" in stage.status_line
        assert len(stage.source.calls_of("take_back")) == 1


async def test_small_screens() -> None:
    """All fields and the choices are on a small screen, also in Chinese and while it is resized."""
    async with console_driver(size=(60, 16), language="zh") as stage:
        stage.source.answers["targets"] = {"count": 2, "online": 2, "sample": ["网-1"] * 8}
        dialog = RunDialog(stage.console, "role=web", many=True, command="echo " + "汉" * 200)
        await stage.push_dialog(dialog)
        await stage.wait_until(lambda: dialog.target_summary is not None)
        for width, height in ((60, 16), (120, 40), (80, 24), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.flush()
            for name in ("#target", "#command", "#count", "#buttons"):
                assert 0 <= dialog.query_one(name).region.y < height, (name, width, height)
