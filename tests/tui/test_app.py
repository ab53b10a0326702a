"""The whole console on the demo world: screens, help, language, links that are lost, terminals of every size."""

from __future__ import annotations

import pytest

from tests.tui.drive import drive
from tui.safety import is_safe

SIZES = ((80, 24), (120, 36), (60, 16), (200, 60))


async def test_number_keys_go_to_the_screens_and_back() -> None:
    """1 to 6, and 0 for the one before."""
    async with drive() as d:
        for key, mode in (
            ("2", "jobs"),
            ("3", "approve"),
            ("4", "agents"),
            ("5", "audit"),
            ("6", "models"),
            ("1", "overview"),
        ):
            await d.go(key, mode)
        await d.go("0", "models")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_at_every_size(size: tuple[int, int], language: str) -> None:
    """The top line is there, no line is wider than the screen, no control character reaches it."""
    async with drive(size, language=language) as d:
        for key, mode in (
            ("1", "overview"),
            ("2", "jobs"),
            ("3", "approve"),
            ("4", "agents"),
            ("5", "audit"),
            ("6", "models"),
        ):
            await d.go(key, mode)
            assert "demo" in d.lines[0]
            assert all(is_safe(line) for line in d.lines)


async def test_too_small_says_what_is_needed() -> None:
    """Below 60x16 one line tells the size that is."""
    async with drive((40, 10)) as d:
        assert "60" in d.text
        assert "16" in d.text


@pytest.mark.parametrize(
    "mode", [("1", "overview"), ("2", "jobs"), ("3", "approve"), ("4", "agents"), ("5", "audit"), ("6", "models")]
)
async def test_a_screen_is_resized_while_it_is_open(mode: tuple[str, str]) -> None:
    """Small, wide and back, with rows and cursor."""
    async with drive() as d:
        await d.go(*mode)
        for size in (*SIZES, (30, 8), (120, 36)):
            await d.pilot.resize_terminal(*size)
            await d.settle()
        assert "demo" in d.lines[0]


async def test_help_tells_what_can_be_done_here() -> None:
    """? lists the acts with their keys, and escape leaves it."""
    async with drive() as d:
        await d.go("2", "jobs")
        await d.press("question_mark")
        await d.sees("Cancel")
        await d.press("escape")
        await d.no_dialog()


async def test_an_act_that_is_off_says_why() -> None:
    """Read-only: the key does nothing to the hub, and the status line has the reason."""
    async with drive(read_only=True) as d:
        await d.go("2", "jobs")
        await d.row(lambda row: row["state"] == "running")
        await d.press("c")
        await d.sees("read-only")
        assert not d.source.made("cancel")


async def test_a_viewer_is_told_who_may() -> None:
    """No right: greyed, and the reason names it."""
    async with drive(roles=("viewer",)) as d:
        await d.go("3", "approve")
        await d.row(lambda row: True)
        await d.press("a")
        assert not d.source.made("approve")
        assert "approver" in d.text


async def test_the_link_is_lost_and_comes_back() -> None:
    """Data stays with its age, acts are off with the reason, and all is well again after it."""
    async with drive() as d:
        await d.go("2", "jobs")
        await d.row(lambda row: row["state"] == "running")
        d.source.drop("the hub went away")
        await d.sees("LOST")
        await d.press("c")
        assert not d.source.made("cancel")
        d.source.retry()
        await d.sees("LIVE")
        await d.sees("link is back")  # and no longer why the act was off


async def test_ctrl_q_ends_it() -> None:
    """From any screen."""
    async with drive() as d:
        await d.go("4", "agents")
        await d.press("ctrl+q")
        assert not d.app.is_running or d.app._exit
