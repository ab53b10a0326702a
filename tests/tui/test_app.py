"""The whole console on the demo world: screens, help, language, links that are lost, terminals of every size."""

from __future__ import annotations

import asyncio

import pytest

from tests.pairs import name_of, pairwise_params
from tests.tui.demo_console import demo_console
from tui.terminal.sanitize import is_safe

SIZES = ((80, 24), (120, 36), (60, 16), (200, 60))


async def test_number_keys_go_to_the_screens_and_back() -> None:
    """1 to 6, and 0 for the one before."""
    async with demo_console() as d:
        for key, mode in (
            ("2", "jobs"),
            ("3", "approve"),
            ("4", "agents"),
            ("5", "audit"),
            ("6", "models"),
            ("1", "overview"),
        ):
            await d.open_mode(key, mode)
        await d.open_mode("0", "models")


HALVES = (
    (("1", "overview"), ("2", "jobs"), ("3", "approve")),
    (("4", "agents"), ("5", "audit"), ("6", "models")),
)
"""The screens by their keys, in two runs."""


@pytest.mark.parametrize(("size", "language", "screens"), pairwise_params(SIZES, ("en", "zh"), HALVES), ids=name_of)
async def test_every_screen_at_every_size(
    size: tuple[int, int], language: str, screens: tuple[tuple[str, str], ...]
) -> None:
    """The top line is there, no line is wider than the screen, no control character reaches it."""
    async with demo_console(size, language=language) as d:
        for key, mode in screens:
            await d.open_mode(key, mode)
            assert "demo" in d.lines[0]
            assert all(is_safe(line) for line in d.lines)


async def test_too_small_says_what_is_needed() -> None:
    """Below 60x16 one line tells the size that is."""
    async with demo_console((40, 10)) as d:
        assert "60" in d.text
        assert "16" in d.text


@pytest.mark.parametrize(
    "mode", [("1", "overview"), ("2", "jobs"), ("3", "approve"), ("4", "agents"), ("5", "audit"), ("6", "models")]
)
async def test_a_screen_is_resized_while_it_is_open(mode: tuple[str, str]) -> None:
    """Small, wide and back, with rows and cursor."""
    async with demo_console() as d:
        await d.open_mode(*mode)
        for size in (*SIZES, (30, 8), (120, 36)):
            await d.pilot.resize_terminal(*size)
            await d.flush()
        assert "demo" in d.lines[0]


async def test_help_tells_what_can_be_done_here() -> None:
    """? lists the acts with their keys, and escape leaves it."""
    async with demo_console() as d:
        await d.open_mode("2", "jobs")
        await d.press("question_mark")
        await d.wait_for_text("Cancel")
        await d.press("escape")
        await d.wait_no_dialog()


async def test_an_act_that_is_off_says_why() -> None:
    """Read-only: the key does nothing to the hub, and the status line has the reason."""
    async with demo_console(read_only=True) as d:
        await d.open_mode("2", "jobs")
        await d.select_row(lambda row: row.is_running)
        await d.press("c")
        await d.wait_for_text("read-only")
        assert not d.source.calls_of("cancel")


async def test_a_viewer_is_told_who_may() -> None:
    """No right: greyed, and the reason names it."""
    async with demo_console(roles=("viewer",)) as d:
        await d.open_mode("3", "approve")
        await d.select_row(lambda row: True)
        await d.press("a")
        assert not d.source.calls_of("approve")
        assert "approver" in d.text


async def test_the_link_is_lost_and_comes_back() -> None:
    """Data stays with its age, acts are off with the reason, and all is well again after it."""
    async with demo_console() as d:
        await d.open_mode("2", "jobs")
        await d.select_row(lambda row: row.is_running)
        d.source.lose_link("the hub went away")
        await d.wait_for_text("LOST")
        await d.press("c")
        assert not d.source.calls_of("cancel")
        d.source.retry()
        await d.wait_for_text("LIVE")
        await d.wait_for_text("link is back")  # and no longer why the act was off


async def test_the_screen_follows_by_itself() -> None:
    """Nobody presses a key, and what has changed is shown at the next tick."""
    async with demo_console(ticks=True) as d:
        shown, flush = asyncio.Event(), d.app.flush

        def flush_and_tell() -> None:
            flush()
            shown.set()

        d.app.flush = flush_and_tell  # type: ignore[method-assign]
        d.source.lose_link("the hub went away")
        assert "LOST" not in d.text
        await asyncio.wait_for(shown.wait(), 30)
        await d.pilot.pause()
        assert "LOST" in d.text


async def test_ctrl_q_ends_it() -> None:
    """From any screen."""
    async with demo_console() as d:
        await d.open_mode("4", "agents")
        await d.press("ctrl+q")
        assert not d.app.is_running or d.app._exit
