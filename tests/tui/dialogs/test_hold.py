"""Pause and drain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.api import verbs
from common.api.actions import UndrainArgs
from tests.each import each_of
from tests.tui.fake_source import NOW, FakeSource, agent_row, console_driver
from tests.tui.rows import agent
from tui.client.errors import CallRefused
from tui.dialogs.dialog import TextField
from tui.dialogs.hold import MAX_DURATION, DrainDialog, PauseDialog, seconds_of


@each_of(
    ("text", "seconds"),
    [("30m", 1800), (" 2 H ", 7200), ("1d", 86_400), ("90s", 90), ("30d", 2_592_000), ("31d", None), ("0s", None)]
    + [("1h30m", 5400), ("1.5h", 5400), ("1w", 604_800), ("999999s", 999_999)]
    + [(text, None) for text in ("", "m", "5", "-5m", "２h", "5m5", "9999999s", "m5")],
)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    """A duration up to thirty days, in the spellings of every other entrance; all else is none."""
    assert seconds_of(text) == seconds


@given(st.text(max_size=12))
def test_a_span_is_within_bounds_or_none(text: str) -> None:
    """Whatever is typed, what comes out can be added to a time."""
    seconds = seconds_of(text)
    assert seconds is None or 0 < seconds <= MAX_DURATION


async def test_a_machine_is_paused_with_a_reason_until_a_time() -> None:
    """By keys: what is typed goes out, a wrong time does not, and `u` takes it back for some seconds."""
    source = FakeSource()
    source.rows["agents"] = [agent_row("web-1"), agent_row("web-2")]
    async with console_driver(source, "agents") as stage:
        await stage.press("down")
        dialog = await stage.open_dialog("P", PauseDialog)
        assert "web-2" in stage.text
        dialog.query_one("#why", TextField).value = "disk swap"
        dialog.query_one("#until", TextField).value = "soon"
        await stage.press("enter", "enter")
        assert (source.calls_of("pause"), bool(dialog.note_text)) == ([], True)
        dialog.query_one("#until", TextField).value = "2h"
        await stage.press("enter")
        await stage.wait_closed()
        assert source.calls_of("pause") == [{"agent": "web-2", "reason": "disk swap", "until": NOW + 7200}]
        await stage.press("u")
        await stage.wait_until(lambda: source.calls_of("resume"))
        assert source.calls_of("resume") == [{"agent": "web-2"}]
        await stage.press("u")
        await stage.flush()
        assert len(source.calls_of("resume")) == 1


async def test_a_paused_machine_goes_on_at_once() -> None:
    """That can be taken back, so it asks nothing; the way back is the same pause with its reason."""
    source = FakeSource()
    source.rows["agents"] = [agent_row("web-1", paused_by="bob", paused_at=NOW - 60, pause_reason="disk")]
    async with console_driver(source, "agents") as stage:
        await stage.press("P")
        await stage.wait_until(lambda: source.calls_of("resume"))
        assert not stage.in_dialog
        await stage.press("u")
        await stage.wait_until(lambda: source.calls_of("pause"))
        assert source.calls_of("pause") == [{"agent": "web-1", "reason": "disk"}]


async def test_the_whole_queue() -> None:
    """Enter alone goes through the fields; the first choice closes; refused, it says why and stays."""
    async with console_driver() as stage:
        stage.source.overview = {"lanes": [{"stage": "queued", "count": 12, "oldest": 61.0}], "counts": {}}
        stage.source.answers["pause"] = CallRefused("no_right", "only an admin may")
        dialog = PauseDialog(stage.console, "", None)
        came_to = await stage.push_dialog(dialog)
        assert "12" in stage.text
        await stage.press("enter", "enter")
        await stage.wait_answered("pause")
        assert stage.source.calls_of("pause") == [{}]
        assert "only an admin may" in stage.text
        stage.source.disconnect()
        dialog.send()
        await stage.press("escape")
        await stage.wait_closed()
        assert (came_to, len(stage.source.calls_of("pause")), stage.console.undo) == ([None], 1, None)


async def test_a_machine_is_drained_and_taken_back() -> None:
    """The first button closes; the other one drains, and so does enter in the field, with the time after which what
    runs is cancelled: it can be taken back.
    """
    async with console_driver() as stage:
        for keys, value, sent in (
            (("tab", "enter"), "", None),
            (("tab", "tab", "enter"), "", {"agent": "web-1"}),
            (("enter",), "10m", {"agent": "web-1", "cancel_after": 600.0}),
        ):
            stage.source.calls.clear()
            dialog = DrainDialog(stage.console, agent("web-1"))
            await stage.push_dialog(dialog)
            dialog.query_one("#after", TextField).value = value
            await stage.press(*keys)
            await stage.wait_closed()
            assert stage.source.calls_of("drain") == ([] if sent is None else [sent])
        assert stage.console.undo is not None
        assert (stage.console.undo.verb, stage.console.undo.args) == (verbs.UNDRAIN, UndrainArgs(agent="web-1"))
        stage.source.answers["drain"] = CallRefused("state", "it is gone")
        dialog = DrainDialog(stage.console, agent("web-1"))
        await stage.push_dialog(dialog)
        dialog.query_one("#after", TextField).value = "never"
        await stage.press("enter", "right", "enter")
        assert len(stage.source.calls_of("drain")) == 1
        dialog.query_one("#after", TextField).value = ""
        await stage.press("enter")
        await stage.wait_answered("drain", 2)
        assert "it is gone" in stage.text
