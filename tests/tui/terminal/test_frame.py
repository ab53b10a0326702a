"""What is written so that a terminal shows one frame after another; the terminal here is a VT emulator (pyte)."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from tui.terminal.frame import MAX_CELL_CHARS, ScreenFrame, render_diff
from tui.terminal.sanitize import is_safe

WIDTH, HEIGHT = 30, 8
STYLES = [
    Style.parse(text)
    for text in (
        "white on black",
        "bold red on black",
        "white on blue",
        "reverse",
        "underline red",
        "dim white on black",
    )
]
Piece = tuple[int, int, str, int]  # x, y, text, which style


def frame(lines: Sequence[str], width: int = WIDTH, style: Style = STYLES[0]) -> ScreenFrame:
    made = ScreenFrame(width, len(lines))
    for y, line in enumerate(lines):
        made.write(0, y, [Segment(line.ljust(width), style)], ColorSystem.TRUECOLOR)
    return made


def copy(of: ScreenFrame) -> ScreenFrame:
    made = ScreenFrame(*of.size)
    made.chars, made.styles = list(of.chars), list(of.styles)
    return made


class Screen:
    """A terminal that is sent what turns one frame into the next."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.Stream(self.screen)
        self.shown = ScreenFrame(width, height)

    def show(self, wanted: ScreenFrame, lines: Sequence[int] | None = None) -> str:
        written = render_diff(self.shown, wanted, range(wanted.height) if lines is None else lines)
        self.stream.feed(written)
        return written

    def looks(self) -> list[list[tuple[str, ...]]]:
        """Every cell with all that can be seen of it."""
        found = []
        for y in range(self.screen.lines):
            line = []
            for x in range(self.screen.columns):
                cell = self.screen.buffer[y][x]
                marks = (cell.reverse, cell.underscore, cell.strikethrough)
                fore = () if cell.data == " " and not any(marks) else (cell.fg, cell.bold)
                line.append((cell.data, cell.bg, *map(str, marks), *map(str, fore)))
            found.append(line)
        return found


pieces = st.tuples(
    st.integers(0, WIDTH - 1),
    st.integers(0, HEIGHT - 1),
    st.text("ab c汉字e\u0301…│", min_size=1, max_size=20),
    st.integers(0, len(STYLES) - 1),
)


def apply(to: ScreenFrame, some: Sequence[Piece]) -> None:
    """Writes pieces, no character halved, as Textual's strips never are."""
    for x, y, text, style in some:
        while to.chars[y][x] == "" and x:
            x -= 1
        room, kept = WIDTH - x, ""
        for char in text.lstrip("\u0301") or "x":
            cells = 2 if char in "汉字" else 0 if char == "\u0301" else 1
            if cells > room:
                break
            kept, room = kept + char, room - cells
        end = WIDTH - room
        if end == WIDTH:
            kept = kept.rstrip("\u0301")  # the emulator would wrap before such a mark, as no terminal does
        if end < WIDTH and to.chars[y][end] == "":
            kept += " "
        to.write(x, y, [Segment(kept, STYLES[style])], ColorSystem.TRUECOLOR)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(pieces, min_size=1, max_size=6), min_size=1, max_size=5))
def test_the_terminal_shows_what_is_wanted(steps: list[list[Piece]]) -> None:
    """Whatever changes, step by step, it looks the same as on a terminal that was sent all of it at once."""
    mine, wanted = Screen(), frame([""] * HEIGHT)
    mine.show(wanted)
    for step in steps:
        wanted = copy(wanted)
        apply(wanted, step)
        mine.show(wanted, sorted({y for _, y, _, _ in step}))
        whole = Screen()
        whole.show(wanted)
        assert mine.looks() == whole.looks()
        assert mine.show(wanted) == ""


@settings(max_examples=100, deadline=None)
@given(st.integers(-7, 7), st.integers(0, 5), st.integers(0, 1000))
def test_lines_that_moved(by: int, top: int, seed: int) -> None:
    """Lists that go up and down, with ages and frames beside them that do not, look as they should."""
    chance = random.Random(seed)
    rows = [f"{'abcdefghijklmnopqrstuvwxyz'[index]}{chance.random():.9f} x" for index in range(24)]
    mine = Screen()

    def wanted(first: int, tick: int) -> ScreenFrame:
        lines = [f"{'top' if y < top else f'{tick + y:3} ' + rows[8 + first + y]:28}│" for y in range(HEIGHT)]
        return frame(lines)

    mine.show(wanted(0, 0))
    last = wanted(by, chance.randrange(3))
    mine.show(last)
    whole = Screen()
    whole.show(last)
    assert mine.looks() == whole.looks()


def test_one_changed_cell() -> None:
    """It takes a move and the cell; its colour too where it has another than the terminal's own."""
    mine = Screen()
    lines = [f"line {y} with words in it" for y in range(HEIGHT)]
    mine.show(frame(lines, style=Style()))
    lines[3] = "line 3 with worms in it"
    assert mine.show(frame(lines, style=Style())) == "\x1b[4;16Hm"
    coloured = Screen()
    coloured.show(frame(lines))
    lines[3] = "line 3 with words in it"
    assert len(coloured.show(frame(lines))) < 8 + 20 + 3 + 1


def test_what_did_not_change_is_not_written() -> None:
    """Lines written over with the same, as Textual does on every focus and layout, cost nothing."""
    mine, lines = Screen(), [f"line {y}" for y in range(HEIGHT)]
    mine.show(frame(lines))
    assert mine.show(frame(list(lines))) == ""


def test_a_line_added_to_a_list_is_written_alone() -> None:
    """The others are moved by the terminal: far less than what they say is sent."""
    mine, rows = Screen(100, 30), [f"{index:04}" * 20 for index in range(40)]
    mine.show(frame(rows[10:40], 100))
    written = mine.show(frame(rows[9:39], 100))
    assert len(written) < 150
    assert mine.screen.display[0].startswith("0009" * 20)
    assert mine.screen.display[29].startswith("0038" * 20)
    back = mine.show(frame(rows[10:40], 100))
    assert len(back) < 150
    assert mine.screen.display[29].startswith("0039" * 20)


def test_a_list_moves_within_its_panel() -> None:
    """What stands above and below it stays, and so does the frame at its sides."""
    rows = [f"{index:04}" * 5 for index in range(40)]

    def panel(first: int) -> ScreenFrame:
        return frame(["above" * 5, *(f"│ {row} │" for row in rows[first : first + 6]), "below" * 5])

    mine = Screen()
    mine.show(panel(4))
    written = mine.show(panel(3))
    assert "r" in written
    assert len(written) < 120
    assert [line.rstrip() for line in mine.screen.display] == [
        "above" * 5, *(f"│ {row} │" for row in rows[3:9]), "below" * 5,
    ]  # fmt: skip


def test_colours_are_changed_once_an_update_not_once_a_line() -> None:
    """Two colours in each of twenty lines: as many changes of the pen as there are colours."""
    mine = Screen(30, 20)

    def coloured(one: str, two: str) -> ScreenFrame:
        made = ScreenFrame(30, 20)
        for y in range(20):
            made.write(0, y, [Segment(f"{one} ", STYLES[0]), Segment(f"{two:<28}", STYLES[1])], ColorSystem.TRUECOLOR)
        return made

    mine.show(coloured("1", "first"))
    assert mine.show(coloured("2", "other")).count("m") == 3


@pytest.mark.parametrize("bad", ["\x1b[31m", "\x9b2J", "\x07", "a\u202eb", "\x1b]52;c;eA==\x07", "\ud800", "\u200bz"])
def test_no_control_passes(bad: str) -> None:
    """Whatever a widget and the gate before it have let through."""
    made = ScreenFrame(WIDTH, 1)
    made.write(0, 0, [Segment(bad, STYLES[0])], ColorSystem.TRUECOLOR)
    assert all(is_safe(cell) for cell in made.chars[0] if cell)
    assert len(made.chars[0]) == WIDTH


def test_a_flood_of_marks_is_bounded() -> None:
    """A letter with thousands of marks upon it is a letter with a few."""
    made = ScreenFrame(WIDTH, 1)
    made.write(0, 0, [Segment("z" + "\u0301" * 5_000 + "y", STYLES[0])], ColorSystem.TRUECOLOR)
    assert [len(cell) for cell in made.chars[0][:2] if cell] == [MAX_CELL_CHARS, 1]


def test_links_and_what_is_beyond_the_screen() -> None:
    """A link's address never reaches the terminal; text beyond the line's end is cut, no character in halves."""
    made = ScreenFrame(6, 1)
    made.write(0, 0, [Segment("a网址网址", Style(link="https://example.org"))], ColorSystem.TRUECOLOR)
    made.write(0, 1, [Segment("below", STYLES[0])], ColorSystem.TRUECOLOR)
    mine = Screen(6, 1)
    written = mine.show(made)
    assert "example" not in written
    assert mine.screen.display[0].replace(" ", "") == "a网址"
