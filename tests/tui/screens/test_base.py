"""What all screens have: the lines that never hide, acts with their reasons, the prompt, the sizes."""

from __future__ import annotations

import asyncio

from tests.tui.fake_source import FakeSource, agent_row, console_driver, job_row, request_row
from tui.dialogs.approve import ApproveDialog
from tui.screens.base import ConsoleScreen
from tui.view.bars import SCREEN_MODES
from tui.widgets.bars import Bar


def full_source() -> FakeSource:
    source = FakeSource()
    source.rows["jobs"] = [job_row(1), job_row(2, "queued")]
    source.rows["requests"] = [request_row(41), request_row(42)]
    source.rows["agents"] = [agent_row("web-1"), agent_row("网-2", online=False)]
    return source


async def test_a_key_that_is_off_says_why() -> None:
    """On the wrong row, read only, and without a link: nothing is asked of the hub and the reason is on the screen."""
    async with console_driver(full_source(), "jobs") as stage:
        await stage.press("S")
        await stage.flush()
        first = stage.status_line
        assert first
        assert first[:30] in stage.text
        await stage.press("u")
        assert stage.status_line != first
        stage.console.update_settings(read_only=True)
        await stage.press("c")
        read_only = stage.status_line
        stage.console.update_settings(read_only=False)
        stage.source.disconnect()
        await stage.flush()
        await stage.press("c")
        assert len({first, read_only, stage.status_line}) == 3
        assert not stage.in_dialog
        assert [verb for verb, _ in stage.source.calls if verb not in ("job", "audit")] == []


async def test_every_screen_at_every_size() -> None:
    """From very small to very wide and back, in both languages: nothing breaks, and the first and last line stay."""
    async with console_driver(full_source(), size=(80, 24)) as stage:
        for language in ("en", "zh"):
            stage.app.set_setting("language", language)
            for mode in SCREEN_MODES:
                await stage.open_mode(mode)
                for width, height in ((60, 16), (20, 4), (200, 50)) if language == "en" else ((60, 16),):
                    await stage.pilot.resize_terminal(width, height)
                    await stage.flush()
                    screen = stage.app.screen
                    if width >= 60:
                        bars = [screen.query_one(f"#{name}", Bar) for name in ("top", "status", "keys")]
                        assert [bar.region.y for bar in bars] == [0, height - 2, height - 1], (mode, width, height)
                        assert "prod-1" in stage.text.split("\n")[0]
                    else:
                        assert screen.has_class("-tiny")


async def test_a_click_on_the_keys_and_tabs() -> None:
    """What a word says is done by a click on it: a screen, an act with its reason."""
    async with console_driver(full_source(), "approve") as stage:
        keys = stage.app.screen.query_one("#keys", Bar)
        at = keys.text.index("a Approve")
        await stage.pilot.click(keys, offset=(at + 3, 0))
        await stage.wait_until(lambda: isinstance(stage.app.screen, ApproveDialog))
        await stage.press("escape")
        await stage.wait_closed()
        top = stage.app.screen.query_one("#top", Bar)
        await stage.pilot.click(top, offset=(top.text.index("2 Jobs") + 1, 0))
        await stage.wait_until(lambda: stage.app.current_mode == "jobs")


async def test_the_command_line_and_its_mistakes() -> None:
    """`:` takes a line; what is none is told by name; escape leaves it and the table has the keys again."""
    async with console_driver(full_source(), "jobs") as stage:
        await stage.press("colon")
        prompt = stage.app.screen.query_one("#prompt")
        assert prompt.display
        await stage.type("zzz")
        await stage.press("enter")
        await stage.flush()
        assert "zzz" in stage.status_line
        assert stage.app.focused is stage.app.screen.query_one("#list")
        await stage.press("colon", "k", "escape")
        await stage.flush()
        assert not prompt.display
        await stage.press("colon")
        await stage.type("agents name:web-1")
        await stage.press("enter")
        await stage.wait_until(lambda: stage.source.subscriptions.get("agents", {}).get("filter") == "name:web-1")


async def test_a_mode_gone_to_twice_at_once_is_shown() -> None:
    """Two quick presses of a screen's key, or of two screens' keys, end on the last one with its rows."""
    async with console_driver(full_source()) as stage:
        stage.app.navigate("jobs")
        stage.app.navigate("jobs")
        await stage.wait_until(lambda: "sleep 1" in stage.text, "rows after a double press")
        stage.app.navigate("agents")
        stage.app.navigate("approve")
        await stage.wait_until(lambda: "systemctl reload" in stage.text, "rows of the last one")
        stage.app.navigate("jobs")
        await stage.wait_until(lambda: "sleep 1" in stage.text)
        assert isinstance(stage.app.screen, ConsoleScreen)


async def test_a_key_pressed_twice_before_its_answer_means_it_once() -> None:
    """No second dialog on the first, and nothing done twice, however slow the hub is."""
    source = full_source()
    source.rows["jobs"] = [job_row(1, "failed")]
    async with console_driver(source, "jobs") as stage:
        loop = asyncio.get_running_loop()
        late: list[asyncio.Future[object]] = [loop.create_future(), loop.create_future()]
        source.answers["retry"], source.answers["request"] = lambda args: late[0], lambda args: late[1]
        await stage.press("r", "r", "r")
        assert len(source.calls_of("retry")) == 1
        late[0].set_result({"number": 50, "state": "working"})
        await stage.wait_until(lambda: "50" in stage.status_line)
        await stage.open_mode("approve")
        await stage.press("a", "a")
        late[1].set_result(request_row(41))
        await stage.wait_until(lambda: stage.in_dialog)
        await stage.flush()
        assert len(stage.app.screen_stack) == 2


async def test_connecting_again_by_key() -> None:
    """`R` without a link tries at once."""
    async with console_driver(full_source(), "jobs") as stage:
        stage.source.disconnect()
        await stage.press("R")
        assert stage.source.retries == 1
