"""What stands on the terminal, cell by cell, and the fewest bytes that turn it into what should stand there. Pure.

Textual sends a changed region again from its widget's left edge, changed or not, and whole panels where one line was
added. Here its updates go into a `ScreenFrame`, and only cells that differ from what the terminal shows are written:
runs of them, with the pen changed by what differs, and lines that moved up or down moved by the terminal itself.

A wide character is one cell with its text and one with "". A cell that is not known is None, other than any text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.segment import Segment

from tui.terminal.sanitize import sanitize
from tui.terminal.style import DEFAULT_STYLE, SgrStyle, sgr_transition, to_sgr
from tui.terminal.textual_private import ChopsUpdate, LayoutUpdate

MAX_GAP: Final = 4
"""Cells that are written again rather than passed over, where the pen need not change: a move takes as many bytes."""
MIN_MOVED_LINES: Final = 3
"""Lines that must have moved together before the terminal is asked to move them."""
MAX_CELL_CHARS: Final = 8
"""Characters of one cell; more marks upon a letter are no writing."""
Chars = list[str | None]
Styles = list[SgrStyle | None]


class ScreenFrame:
    """Cells by line. Lines are replaced, never changed, so that copies may share them."""

    __slots__ = ("chars", "height", "styles", "width")

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.chars: list[Chars] = [[None] * width for _ in range(height)]
        self.styles: list[Styles] = [[None] * width for _ in range(height)]

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    def write(self, x: int, y: int, segments: Iterable[Segment], system: ColorSystem) -> None:
        """Writes segments into line `y` from cell `x` on; what is beyond the line's end is cut off."""
        if not 0 <= y < self.height:
            return
        chars: Chars = []
        inks: Styles = []
        for text, style, control in segments:
            if not control:
                _cells(text, to_sgr(style, system), chars, inks)
        room = max(0, self.width - x)
        if len(chars) > room:
            del chars[room:], inks[room:]
        if chars and chars[-1] and len(chars) == room and _width(chars[-1]) > 1:
            chars[-1] = " "  # its second half is beyond the end
        line, pens = self.chars[y].copy(), self.styles[y].copy()
        line[x : x + len(chars)], pens[x : x + len(inks)] = chars, inks
        self.chars[y], self.styles[y] = line, pens

    def apply(self, update: LayoutUpdate | ChopsUpdate, system: ColorSystem) -> set[int]:
        """Applies what Textual would have written; which lines it touches."""
        if isinstance(update, LayoutUpdate):
            for y, strips in enumerate(update.strips, update.region.y):
                self.write(update.region.x, y, (segment for strip in strips for segment in strip), system)
            return set(range(update.region.y, min(self.height, update.region.y + len(update.strips))))
        touched = set()
        for y, first, end in update.spans:
            touched.add(y)
            for chop_end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x < end and chop_end > first:
                    self.write(x, y, strip, system)
        return touched

    def line_text(self, y: int, first: int = 0, end: int | None = None) -> str | None:
        """What can be read in a line; None where some of it is not known."""
        cells = self.chars[y][first:end]
        return None if None in cells else "".join(cell or "" for cell in cells)


def _cells(text: str, pen: SgrStyle, chars: Chars, inks: Styles) -> None:
    """Adds the cells of a text; a character of no width belongs to the one before it."""
    blank = pen.blank
    if text.isascii() and text.isprintable():
        chars.extend(text)
        inks.extend([blank if char == " " else pen for char in text] if blank is not pen else [pen] * len(text))
        return
    for char in sanitize(text):
        width = _width(char)
        if width:
            chars.append(char)
            inks.append(blank if char == " " else pen)
            if width > 1:
                chars.append("")
                inks.append(pen)
        elif chars and len(cell := chars[at := -1 if chars[-1] else -2] or "") < MAX_CELL_CHARS:
            chars[at], inks[at] = cell + char, pen  # no blank any more, if it was one


def _width(cell: str) -> int:
    return get_character_cell_size(cell[0])


class _Run(NamedTuple):
    """Cells `first` to `end` of a line, all to be written in one ink; blanks look alike in several."""

    y: int
    first: int
    end: int
    style: SgrStyle


def _runs(y: int, before: tuple[Chars, Styles], after: tuple[Chars, Styles]) -> Iterator[_Run]:
    """The cells of a line that differ, and the few between them that are cheaper to write again than to pass over."""
    (old, old_inks), (new, new_inks) = before, after
    if old == new and old_inks == new_inks:
        return
    cells = zip(old, old_inks, new, new_inks, strict=True)
    differ = [x for x, (char, pen, wanted, ink) in enumerate(cells) if char != wanted or pen is not ink]
    first = end = -1
    ink: SgrStyle | None = None
    for x in differ:
        if new[x] == "" and x:
            x -= 1  # the second half of a character is written with the first
        cell_ink = new_inks[x]
        if x < end or new[x] is None or cell_ink is None:
            continue
        if ink is not None and x - end <= MAX_GAP:
            joined: SgrStyle | None = ink
            for at in range(end, x + 1):
                joined = joined and _merge_style(joined, new[at], new_inks[at], certain=at == x)
            if joined is not None:
                ink, end = joined, _next_cell(x, new)
                continue
        if ink is not None:
            yield _Run(y, first, end, ink)
        first, end, ink = x, _next_cell(x, new), cell_ink
    if ink is not None:
        yield _Run(y, first, end, ink)


def _merge_style(ink: SgrStyle, char: str | None, cell: SgrStyle | None, *, certain: bool) -> SgrStyle | None:
    """The ink in which both a run in `style` and the cell can be written. A cell that need not be written is taken
    along only where it is ASCII: on its width terminals agree.
    """
    if char is None or cell is None or (not certain and not char.isascii()):
        return None
    if cell is ink or (char == " " and ink.blank is cell):
        return ink
    return cell if ink.blank is ink and cell.blank is ink else None


def _next_cell(x: int, chars: Chars) -> int:
    return x + (2 if x + 1 < len(chars) and chars[x + 1] == "" else 1)


class _Writer:
    """Where a terminal's cursor is, how it writes, and what it was sent."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.style = DEFAULT_STYLE
        self.x: int | None = None  # None: not known
        self.y = -1

    def run(self, run: _Run, chars: Chars) -> None:
        if self.y == run.y and self.x is not None and self.x <= run.first:
            if self.x < run.first:
                self.out.append(f"\x1b[{run.first - self.x}C")
        else:
            self.out.append(f"\x1b[{run.y + 1};{run.first + 1}H" if run.first else f"\x1b[{run.y + 1}H")
        if not (self.style.blank is run.style and run.style.blank is run.style and self._blank(run, chars)):
            self.out.append(sgr_transition(self.style, run.style))
            self.style = run.style
        self.y, self.x = run.y, run.first
        for x in range(run.first, run.end):
            cell = chars[x] or ""
            if cell and self.x is None:
                self.out.append(f"\x1b[{x + 1}G")
            self.out.append(cell)
            # After a composed character terminals differ on where they are.
            self.x = None if len(cell) > 1 or (self.x is None and not cell) else x + 1
        if run.end == len(chars):
            self.x = None  # a terminal waits there, or wraps

    @staticmethod
    def _blank(run: _Run, chars: Chars) -> bool:
        return all(chars[x] == " " for x in range(run.first, run.end))

    def move(self, top: int, bottom: int, by: int) -> None:
        """Lines `top` to `bottom` (inclusive) go down by so many, up where `by` is negative (DECSTBM, IL, DL)."""
        sign = "L" if by > 0 else "M"
        self.out.append(f"\x1b[{top + 1};{bottom + 1}r\x1b[{top + 1}H\x1b[{abs(by)}{sign}\x1b[r")
        self.x = None

    def finish(self) -> str:
        """All that was written; the pen is put back as it was found."""
        self.out.append(sgr_transition(self.style, DEFAULT_STYLE))
        return "".join(self.out)


def render_diff(shown: ScreenFrame, wanted: ScreenFrame, lines: Iterable[int]) -> str:
    """What to write so that `shown` becomes `wanted` in these lines; "" where it is so already. `shown` becomes it."""
    changed = sorted(y for y in lines if shown.chars[y] != wanted.chars[y] or shown.styles[y] != wanted.styles[y])
    written = _encode_runs(shown, wanted, changed)
    moved = _find_scroll(shown, wanted, changed)
    if moved is not None:
        top, bottom, by = moved
        there = _scrolled(shown, top, bottom, by)
        pen = _Writer()
        pen.move(top, bottom, by)
        shorter = _encode_runs(there, wanted, sorted({*changed, *range(top, bottom + 1)}), pen)
        written = min(written, shorter, key=len)
    for y in changed:
        shown.chars[y], shown.styles[y] = wanted.chars[y], wanted.styles[y]
    return written


def _encode_runs(shown: ScreenFrame, wanted: ScreenFrame, lines: Iterable[int], pen: _Writer | None = None) -> str:
    """The runs that differ, one ink after the other: a change of colour takes more bytes than a move."""
    pen = pen or _Writer()
    runs = [
        run for y in lines for run in _runs(y, (shown.chars[y], shown.styles[y]), (wanted.chars[y], wanted.styles[y]))
    ]
    order: dict[SgrStyle, int] = {}
    for run in runs:
        order.setdefault(run.style, len(order))
    rank = {
        ink: (min(at for other, at in order.items() if other.background == ink.background), at)
        for ink, at in order.items()
    }
    for run in sorted(runs, key=lambda run: rank[run.style]):
        pen.run(run, wanted.chars[run.y])
    return pen.finish()


def _find_scroll(shown: ScreenFrame, wanted: ScreenFrame, lines: Sequence[int]) -> tuple[int, int, int] | None:
    """Which lines have moved together (first, last, by how many), where enough have. Only the middle of a line tells:
    at its left stand ages and the cursor's sign, at its right the bar and frames.
    """
    if len(lines) < MIN_MOVED_LINES + 1:
        return None
    first, end = shown.width // 4, shown.width * 9 // 10
    before: dict[str, int] = {}
    for y in lines:
        text = shown.line_text(y, first, end)
        if text and not text.isspace():
            before[text] = y if text not in before else -1
    places = [
        (y, before[text]) for y in lines if (text := wanted.line_text(y, first, end)) and before.get(text, -1) >= 0
    ]
    shifts = Counter(y - was for y, was in places if y != was)
    if not shifts:
        return None
    by, count = shifts.most_common(1)[0]
    if count < MIN_MOVED_LINES:
        return None
    ends = [at for y, was in places if y - was == by for at in (y, was)]
    return min(ends), max(ends), by


def _scrolled(frame: ScreenFrame, top: int, bottom: int, by: int) -> ScreenFrame:
    """The frame after the terminal has moved lines; those that came in are not known."""
    made = ScreenFrame(*frame.size)
    for y in range(frame.height):
        source = y - by if top <= y <= bottom else y
        if not top <= y <= bottom or top <= source <= bottom:
            made.chars[y], made.styles[y] = frame.chars[source], frame.styles[source]
    return made
