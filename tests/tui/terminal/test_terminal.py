"""What reaches the terminal: what the screens show and nothing else, little of it, and never more than it takes."""

from __future__ import annotations

import asyncio

import pytest
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tests.tui.emulated_terminal import emulated_console
from tui.terminal.terminal import Terminal

STYLE = Style.parse("white on black")


WALK = (
    "2",
    "j",
    "j",
    "j",
    "k",
    "space",
    "G",
    "g",
    "4",
    "j",
    "J",
    "3",
    "a",
    "escape",
    "5",
    "question_mark",
    "escape",
    "1",
)


@pytest.mark.parametrize(
    ("size", "language", "theme"), [((80, 24), "zh", "light"), ((120, 36), "en", "dark"), ((60, 16), "en", "ansi")]
)
async def test_the_terminal_shows_what_the_screens_show(size: tuple[int, int], language: str, theme: str) -> None:
    """On every screen and dialog, while the world goes on under it; a repaint of all of it changes nothing."""
    async with emulated_console(size, language, theme) as stage:
        await stage.check_same("begin")
        for key in WALK:
            stage.source.advance(0.7)
            await stage.press(key)
        for attempt in reversed(range(10)):  # a figure of the world may have moved on between the two
            before = list(stage.app.emulator.display)
            stage.app.repaint()
            await stage.flush()
            if stage.app.emulator.display == before:
                break
            assert attempt, "a repaint changes what is shown"


async def test_redraw_heals_what_others_wrote() -> None:
    """Another program wrote on the terminal: ctrl+l sends all of it, and it is as it was."""
    async with emulated_console((80, 24)) as stage:
        stage.app._stream.feed("\x1b[H\x1b[Jgarbage")
        await stage.press("ctrl+l")
        await stage.check_same("ctrl+l")


async def test_back_from_the_background_all_is_sent() -> None:
    """A shell has written on the terminal meanwhile."""
    async with emulated_console((80, 24)) as stage:
        stage.app._stream.feed("\x1b[H\x1b[J$ fg")
        stage.app._resume_signal()
        await stage.check_same("fg")


async def test_a_slow_terminal_slows_the_console() -> None:
    """While it has not taken the last frame the screens are left alone and the rhythm goes down; then it is shown what
    is true by then, in one frame.
    """
    async with emulated_console((80, 24)) as stage:
        await stage.press("2")
        stage.app.pending_writes = 2
        stage.source.advance(1.0)
        stage.app.flush()
        await stage.pilot.pause()
        assert stage.app.terminal.pending
        sent, flushed = len(stage.app.writes), stage.app._flush_count
        for _ in range(5):
            stage.source.advance(1.0)
            stage.app.tick()
        assert len(stage.app.writes) == sent
        assert stage.app._flush_count - flushed <= 1  # the count begins anew now and then
        assert stage.app._frame_rate.interval > 0.1
        stage.app.pending_writes = 0
        await stage.check_same("taken")


async def test_a_new_size_is_sent_whole() -> None:
    """A terminal that has been resized has moved its lines about."""
    async with emulated_console((80, 24)) as stage:
        stage.app.emulator.resize(20, 70)
        stage.app.emulator.erase_in_display(2)
        await stage.pilot.resize_terminal(70, 20)
        for _ in range(100):
            await stage.flush()
            if stage.app.screen.size == (70, 20):
                break
            await asyncio.sleep(0.01)
        await stage.flush()
        await stage.check_same("resized")


async def test_a_changed_cell_writes_little() -> None:
    """One second of the clock and of a screenful of ages, and a cursor that moves: bytes, not lines."""
    async with emulated_console((120, 36)) as stage:
        await stage.press("4", "j")
        stage.source.advance(1.0)
        await stage.flush()
        before = stage.app.chars_written
        stage.source.advance(1.0)
        await stage.flush()
        await stage.check_same("a second")
        assert stage.app.chars_written - before < 1_000
        before = stage.app.chars_written
        await stage.press("j")
        async with asyncio.timeout(30):
            while stage.app.chars_written == before:  # only the colours of two lines change, which `press` does not see
                await stage.flush()
        assert stage.app.chars_written - before < 1_500
        for _ in range(20):  # the first ones may meet what the key before them still owes; none writes by itself
            before = stage.app.chars_written
            stage.app.refresh(layout=True)
            await stage.flush()
            if stage.app.chars_written == before:
                break
        assert stage.app.chars_written == before


def update(text: str) -> LayoutUpdate:
    return LayoutUpdate([[Strip([Segment(text.ljust(20), STYLE)])]], Region(0, 0, 20, 1))


def test_a_terminal_that_is_behind_gets_the_newest_only() -> None:
    """What it has not taken is replaced by what is true by then; there is never a backlog."""
    texts: list[str] = []
    waiting = [0]
    terminal = Terminal(texts.append, lambda: waiting[0])
    terminal.update(update("first"), (20, 1), (0, 0))
    assert terminal.flush()
    waiting[0] = 2
    for index in range(1_000):
        terminal.update(update(f"frame {index}"), (20, 1), (0, 0))
        assert not terminal.flush()
    assert len(texts) == 1
    waiting[0] = 0
    assert terminal.flush()
    assert len(texts) == 2
    assert "999" in texts[1]
    assert "998" not in texts[1]
    assert terminal.flush()
    assert len(texts) == 2


def test_the_place_of_typing_is_told() -> None:
    """Where nothing but the cursor's place has changed that is sent, once."""
    texts: list[str] = []
    terminal = Terminal(texts.append, lambda: 0)
    terminal.update(update("same"), (20, 1), (0, 0))
    terminal.flush()
    terminal.update(update("same"), (20, 1), (7, 0))
    terminal.flush()
    terminal.update(update("same"), (20, 1), (7, 0))
    terminal.flush()
    assert texts[1:] == ["\x1b[1;8H"]


def test_a_large_frame_is_marked_as_one() -> None:
    """A terminal that can draws it in one piece; small ones are not worth the marks."""
    texts: list[str] = []
    terminal = Terminal(texts.append, lambda: 0)
    wide = LayoutUpdate([[Strip([Segment("x" * 200, STYLE)])] for _ in range(10)], Region(0, 0, 200, 10))
    terminal.update(wide, (200, 10), (0, 0))
    terminal.flush(synchronized=True)
    assert texts[0].startswith("\x1b[?2026h")
    assert texts[0].endswith("\x1b[?2026l")
