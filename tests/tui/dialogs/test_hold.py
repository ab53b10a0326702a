"""Pause and drain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.scripted_source import NOW, ScriptedSource, agent_row, staged
from tui.client import CallRefused
from tui.dialogs.dialog import Field
from tui.dialogs.hold import MAX_SPAN, DrainDialog, PauseDialog, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), (" 2 H ", 7200), ("1d", 86_400), ("90s", 90), ("30d", 2_592_000), ("31d", None), ("0s", None)]
    + [(text, None) for text in ("", "m", "5", "-5m", "1.5h", "２h", "5m5", "999999s", "1w", "m5")],
)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    """A number and one of s, m, h, d up to thirty days; all else is none."""
    assert seconds_of(text) == seconds


@given(st.text(max_size=12))
def test_a_span_is_within_bounds_or_none(text: str) -> None:
    """Whatever is typed, what comes out can be added to a time."""
    seconds = seconds_of(text)
    assert seconds is None or 0 < seconds <= MAX_SPAN


async def test_a_machine_is_paused_with_a_reason_until_a_time() -> None:
    """By keys: what is typed goes out, a wrong time does not, and `u` takes it back for some seconds."""
    source = ScriptedSource()
    source.rows["agents"] = [agent_row("web-1"), agent_row("web-2")]
    async with staged(source, "agents") as stage:
        await stage.press("down")
        dialog = await stage.open("P", PauseDialog)
        assert "web-2" in stage.text
        dialog.query_one("#why", Field).value = "disk swap"
        dialog.query_one("#until", Field).value = "soon"
        await stage.press("enter", "enter")
        assert (source.asked("pause"), bool(dialog.noted)) == ([], True)
        dialog.query_one("#until", Field).value = "2h"
        await stage.press("enter")
        await stage.closed()
        assert source.asked("pause") == [{"agent": "web-2", "reason": "disk swap", "until": NOW + 7200}]
        await stage.press("u")
        await stage.until(lambda: source.asked("resume"))
        assert source.asked("resume") == [{"agent": "web-2"}]
        await stage.press("u")
        await stage.settle()
        assert len(source.asked("resume")) == 1


async def test_a_paused_machine_goes_on_at_once() -> None:
    """That can be taken back, so it asks nothing; the way back is the same pause with its reason."""
    source = ScriptedSource()
    source.rows["agents"] = [agent_row("web-1", paused_by="bob", paused_at=NOW - 60, pause_reason="disk")]
    async with staged(source, "agents") as stage:
        await stage.press("P")
        await stage.until(lambda: source.asked("resume"))
        assert not stage.in_dialog
        await stage.press("u")
        await stage.until(lambda: source.asked("pause"))
        assert source.asked("pause") == [{"agent": "web-1", "reason": "disk"}]


async def test_the_whole_queue() -> None:
    """Enter alone goes through the fields; the first choice closes; refused, it says why and stays."""
    async with staged() as stage:
        stage.source.overview = {"lanes": [{"stage": "queued", "count": 12, "oldest": 61.0}], "counts": {}}
        stage.source.answers["pause"] = CallRefused("no_right", "only an admin may")
        dialog = PauseDialog(stage.console, "", None)
        came_to = await stage.show(dialog)
        assert "12" in stage.text
        await stage.press("enter", "enter")
        await stage.answered("pause")
        assert stage.source.asked("pause") == [{"agent": "", "reason": ""}]
        assert "only an admin may" in stage.text
        stage.source.lose()
        dialog.send()
        await stage.press("escape")
        await stage.closed()
        assert (came_to, len(stage.source.asked("pause")), stage.console.undo) == ([None], 1, None)


async def test_a_machine_is_drained_and_taken_back() -> None:
    """Enter alone closes; the other choice drains, with the time after which what runs is cancelled."""
    async with staged() as stage:
        for keys, value, sent in (
            (("enter", "enter"), "", None),
            (("enter", "right", "enter"), "", {"agent": "web-1"}),
            (("enter", "right", "enter"), "10m", {"agent": "web-1", "cancel_after": 600.0}),
        ):
            stage.source.calls.clear()
            dialog = DrainDialog(stage.console, agent_row("web-1"))
            await stage.show(dialog)
            dialog.query_one("#after", Field).value = value
            await stage.press(*keys)
            await stage.closed()
            assert stage.source.asked("drain") == ([] if sent is None else [sent])
        assert stage.console.undo is not None
        assert (stage.console.undo.verb, stage.console.undo.args) == ("undrain", {"agent": "web-1"})
        stage.source.answers["drain"] = CallRefused("state", "it is gone")
        dialog = DrainDialog(stage.console, agent_row("web-1"))
        await stage.show(dialog)
        dialog.query_one("#after", Field).value = "never"
        await stage.press("enter", "right", "enter")
        assert len(stage.source.asked("drain")) == 1
        dialog.query_one("#after", Field).value = ""
        await stage.press("enter")
        await stage.answered("drain", 2)
        assert "it is gone" in stage.text
