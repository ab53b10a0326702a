"""What acts do from key to hub: one question, one answer, and nothing that was not asked for."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.demo_console import demo_console
from tests.tui.fake_source import FakeSource, agent_row, console_driver
from tui.client.errors import CallRefused, LinkLost
from tui.dialogs import flows


async def test_retry_asks_once_however_often_the_key_is_pressed() -> None:
    """While the first answer is awaited the same act on the same row is not begun again."""
    async with demo_console() as d:
        await d.open_mode("2", "jobs")
        await d.select_row(lambda row: row.state in ("failed", "succeeded"))
        d.source.gate = asyncio.Event()
        await d.press("r", "r", "r")
        await d.wait_until(lambda: bool(d.source.calls_of("retry")))
        d.source.gate.set()
        await d.flush()
        assert len(d.source.calls_of("retry")) == 1


async def test_pause_of_a_machine_and_the_way_back() -> None:
    """The hub is asked by name; what can be undone is offered, and u takes it back."""
    async with demo_console() as d:
        await d.open_mode("4", "agents")
        row = await d.select_row(lambda row: row.online and not row.is_paused and not row.is_draining)
        await d.press("P")
        await d.wait_for_text("[Pause]")
        y, line = next((at, text) for at, text in enumerate(d.lines) if "[Pause]" in text)
        await d.pilot.click(offset=(line.index("[Pause]") + 2, y))
        await d.wait_until(lambda: bool(d.source.calls_of("pause")))
        assert d.source.calls_of("pause")[0]["agent"] == row.name
        await d.wait_no_dialog()
        await d.press("u")
        await d.wait_until(lambda: bool(d.source.calls_of("resume")))
        assert d.source.calls_of("resume")[0]["agent"] == row.name


@pytest.mark.parametrize("error", [CallRefused("no_right", "needs the role approver"), LinkLost("the hub is gone")])
async def test_a_refused_retry_is_told_and_changes_nothing(error: Exception) -> None:
    """The hub's words are on the status line; the row is as it was."""
    async with demo_console() as d:
        await d.open_mode("2", "jobs")
        row = await d.select_row(lambda row: row.state in ("failed", "succeeded"))
        d.source.queue_answers("retry", error)
        await d.press("r")
        await d.wait_for_text(str(error)[:20])
        assert d.table.window.row(row.id).state == row.state


async def test_copy_sends_the_text_to_the_terminal() -> None:
    """y offers what a row has; nothing that acts is asked of the hub."""
    async with demo_console() as d:
        await d.open_mode("2", "jobs")
        await d.select_row(lambda row: True)
        await d.press("y")
        await d.press("enter")
        await d.wait_no_dialog()
        assert {verb for verb, _ in d.source.calls} <= {"job", "request"}  # looks, and nothing that acts


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([{"state": "waking", "text": "-"}, {"state": "woke", "text": "nas woke after 14 s"}], "nas woke after 14 s"),
        ([{"state": "late", "text": "nas did not come within 120 s"}], "nas did not come within 120 s"),
        ([LinkLost("the hub is gone")], "the hub is gone"),
    ],
)
async def test_waking_a_machine_tells_how_it_ended(
    ends: list[object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U asks for it, and looks until the hub knows; a machine that is online has no such act."""
    monkeypatch.setattr(flows, "WAKE_LOOK", 0.0)
    source = FakeSource(roles=("operator",))
    source.rows["agents"] = [agent_row("nas", online=False), agent_row("web-1")]
    answers = iter(ends)
    source.answers["wake"] = {"code": "ok", "text": "nas is being woken", "waking": True}
    source.answers["waking"] = lambda args: next(answers)
    async with console_driver(source, "agents") as stage:
        await stage.press("U")
        await stage.wait_until(lambda: told in stage.text)
        assert [args["agent"] for args in source.calls_of("waking")] == ["nas"] * len(ends)
        await stage.press("down", "U")
        await stage.wait_until(lambda: "it is online" in stage.text)
        assert len(source.calls_of("wake")) == 1
