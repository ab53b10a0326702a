"""What reaches the terminal: what the screens show and nothing else, little of it, and never more than it takes."""

from __future__ import annotations

import asyncio

import pytest
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tests.tui.emulated import seen
from tui.terminal import Terminal

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
    async with seen(size, language, theme) as stage:
        await stage.same("begin")
        for key in WALK:
            stage.source.step(0.7)
            await stage.press(key)
        before = list(stage.app.screen_sent.display)
        stage.app.repaint()
        await stage.settle()
        assert stage.app.screen_sent.display == before


async def test_redraw_heals_what_others_wrote() -> None:
    """Another program wrote on the terminal: ctrl+l sends all of it, and it is as it was."""
    async with seen((80, 24)) as stage:
        stage.app._stream.feed("\x1b[H\x1b[Jgarbage")
        await stage.press("ctrl+l")
        await stage.same("ctrl+l")


async def test_back_from_the_background_all_is_sent() -> None:
    """A shell has written on the terminal meanwhile."""
    async with seen((80, 24)) as stage:
        stage.app._stream.feed("\x1b[H\x1b[J$ fg")
        stage.app._resume_signal()
        await stage.same("fg")


async def test_a_slow_terminal_slows_the_console() -> None:
    """While it has not taken the last frame the screens are left alone and the rhythm goes down; then it is shown what
    is true by then, in one frame.
    """
    async with seen((80, 24)) as stage:
        await stage.press("2")
        stage.app.waiting = 2
        stage.source.step(1.0)
        stage.app.flush()
        await stage.pilot.pause()
        assert stage.app.terminal.owed
        sent, flushed = len(stage.app.texts), stage.app._flushes
        for _ in range(5):
            stage.source.step(1.0)
            stage.app.beat()
        assert len(stage.app.texts) == sent
        assert stage.app._flushes - flushed <= 1  # the count begins anew now and then
        assert stage.app._pace.interval > 0.1
        stage.app.waiting = 0
        await stage.same("taken")


async def test_a_new_size_is_sent_whole() -> None:
    """A terminal that has been resized has moved its lines about."""
    async with seen((80, 24)) as stage:
        stage.app.screen_sent.resize(20, 70)
        stage.app.screen_sent.erase_in_display(2)
        await stage.pilot.resize_terminal(70, 20)
        for _ in range(100):
            await stage.settle()
            if stage.app.screen.size == (70, 20):
                break
            await asyncio.sleep(0.01)
        await stage.settle()
        await stage.same("resized")


async def test_a_changed_cell_writes_little() -> None:
    """One second of the clock and of a screenful of ages, and a cursor that moves: bytes, not lines."""
    async with seen((120, 36)) as stage:
        await stage.press("4", "j")
        stage.source.step(1.0)
        await stage.settle()
        before = stage.app.written
        stage.source.step(1.0)
        await stage.settle()
        await stage.same("a second")
        assert stage.app.written - before < 1_000
        before = stage.app.written
        await stage.press("j")
        assert 0 < stage.app.written - before < 1_500
        before = stage.app.written
        stage.app.refresh(layout=True)
        await stage.settle()
        assert stage.app.written == before


def update(text: str) -> LayoutUpdate:
    return LayoutUpdate([[Strip([Segment(text.ljust(20), STYLE)])]], Region(0, 0, 20, 1))


def test_a_terminal_that_is_behind_gets_the_newest_only() -> None:
    """What it has not taken is replaced by what is true by then; there is never a backlog."""
    texts: list[str] = []
    waiting = [0]
    terminal = Terminal(texts.append, lambda: waiting[0])
    terminal.take(update("first"), (20, 1), (0, 0))
    assert terminal.send()
    waiting[0] = 2
    for index in range(1_000):
        terminal.take(update(f"frame {index}"), (20, 1), (0, 0))
        assert not terminal.send()
    assert len(texts) == 1
    waiting[0] = 0
    assert terminal.send()
    assert len(texts) == 2
    assert "999" in texts[1]
    assert "998" not in texts[1]
    assert terminal.send()
    assert len(texts) == 2


def test_the_place_of_typing_is_told() -> None:
    """Where nothing but the cursor's place has changed that is sent, once."""
    texts: list[str] = []
    terminal = Terminal(texts.append, lambda: 0)
    terminal.take(update("same"), (20, 1), (0, 0))
    terminal.send()
    terminal.take(update("same"), (20, 1), (7, 0))
    terminal.send()
    terminal.take(update("same"), (20, 1), (7, 0))
    terminal.send()
    assert texts[1:] == ["\x1b[1;8H"]


def test_a_large_frame_is_marked_as_one() -> None:
    """A terminal that can draws it in one piece; small ones are not worth the marks."""
    texts: list[str] = []
    terminal = Terminal(texts.append, lambda: 0)
    wide = LayoutUpdate([[Strip([Segment("x" * 200, STYLE)])] for _ in range(10)], Region(0, 0, 200, 10))
    terminal.take(wide, (200, 10), (0, 0))
    terminal.send(synchronized=True)
    assert texts[0].startswith("\x1b[?2026h")
    assert texts[0].endswith("\x1b[?2026l")
