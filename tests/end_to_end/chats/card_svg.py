"""Blocks of a chat message as a plain SVG: no fonts, no scripts, nothing loaded from elsewhere. Pure.

720 units wide, with letters that can still be read where a phone shows it at half of that. The widths of letters are
estimated, on the wide side: whoever looks has fonts of their own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.sax.saxutils import escape

WIDTH: Final = 720
MARGIN: Final = 24
PADDING: Final = 22
ROOM: Final = WIDTH - 2 * (MARGIN + PADDING)
SIZE: Final = 24
SMALL: Final = 21
MONO: Final = 21
LEADING: Final = 1.4
_CODE_PADDING: Final = 14
_MONO_WIDTH: Final = 0.61
_STYLE: Final = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Helvetica,Arial,sans-serif;fill:#1d2127}"
    ".c{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#8a2a4b}"
    ".k{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
    ".b{font-weight:600}.s{fill:#5b6470}.w{fill:#fff}.d{fill:#b3261e}"
)
_TINTS: Final = {"orange": "#fde7cf", "blue": "#dbe8fd", "green": "#d8f0de", "red": "#fadcda", "grey": "#e8eaed"}


@dataclass(frozen=True, slots=True)
class Run:
    text: str
    look: Literal["plain", "code", "bold"] = "plain"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, wrapped where it is too long."""

    runs: tuple[Run, ...]
    quote: bool = False
    small: bool = False


@dataclass(frozen=True, slots=True)
class CodeBlock:
    text: str


@dataclass(frozen=True, slots=True)
class ButtonLabel:
    label: str
    look: Literal["primary", "danger", "plain", "off"] = "plain"


@dataclass(frozen=True, slots=True)
class Buttons:
    row: tuple[ButtonLabel, ...]
    wide: bool = False  # they share the whole width


@dataclass(frozen=True, slots=True)
class Header:
    title: str
    tint: str


Block = Line | CodeBlock | Buttons | Header


@dataclass(frozen=True, slots=True)
class State:
    caption: str
    messages: tuple[tuple[Block, ...], ...]


def picture(title: str, states: Sequence[State]) -> str:
    """The states one below the other; the same text for the same states."""
    parts: list[str] = []
    y = MARGIN
    for state in states:
        parts.append(_text(MARGIN, y + SMALL, SMALL, (Run(state.caption, "bold"),), "s"))
        y += round(SMALL * LEADING) + 8
        for message in state.messages:
            inner, bottom = _message(message, y)
            parts.append(f'<rect x="{MARGIN}" y="{y}" width="{WIDTH - 2 * MARGIN}" height="{bottom - y}" rx="10"')
            parts[-1] += ' fill="#fff" stroke="#d3d7dc"/>'
            parts += inner
            y = bottom + 12
        y += 16
    height = y - 28 + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#f4f5f7"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", ground, *parts, "</svg>\n"])


def _message(blocks: Sequence[Block], top: int) -> tuple[list[str], int]:
    """A message's elements from `top` down, and where it ends."""
    parts: list[str] = []
    x, y = MARGIN + PADDING, top + PADDING - 6
    for block in blocks:
        match block:
            case Header(title, tint):
                parts.append(
                    f'<path d="M{MARGIN + 0.5} {top + 54}v-44a10 10 0 0 1 10 -10h{WIDTH - 2 * MARGIN - 21}'
                    f'a10 10 0 0 1 10 10v44z" fill="{_TINTS[tint]}"/>'
                )
                parts.append(_text(x, top + 36, SIZE, (Run(title, "bold"),)))
                y = top + 54 + 10
            case CodeBlock(text):
                lines = [piece for line in text.split("\n") for piece in _pieces(line)]
                height = len(lines) * round(MONO * LEADING) + 2 * _CODE_PADDING - 6
                y += 6
                parts.append(f'<rect x="{x}" y="{y}" width="{ROOM}" height="{height}" rx="6" fill="#f0f1f3"/>')
                for index, line in enumerate(lines):
                    at = y + _CODE_PADDING + MONO - 4 + index * round(MONO * LEADING)
                    shown = line.replace(" ", "\u00a0")
                    parts.append(f'<text class="k" x="{x + _CODE_PADDING}" y="{at}" font-size="{MONO}">')
                    parts[-1] += f"{escape(shown)}</text>"
                y += height + 8
            case Buttons(row, wide):
                drawn, y = _buttons(row, wide, x, y + 10)
                parts += drawn
            case Line(runs, quote, small):
                size = SMALL if small else SIZE
                start = y
                indent = 18 if quote else 0
                for line in wrap(runs, size, ROOM - indent):
                    parts.append(_text(x + indent, y + size, size, line, "s" if small or quote else ""))
                    y += round(size * LEADING)
                if quote:
                    parts.append(f'<rect x="{x}" y="{start + 4}" width="4" height="{y - start - 4}" fill="#c3c8ce"/>')
    return parts, y + PADDING - 6


def _buttons(row: Sequence[ButtonLabel], wide: bool, left: int, top: int) -> tuple[list[str], int]:
    parts: list[str] = []
    x, y, height = left, top, 50
    for button in row:
        width = (ROOM - 12 * (len(row) - 1)) // len(row) if wide else round(text_width(button.label, SIZE)) + 44
        if x + width > left + ROOM and x > left:
            x, y = left, y + height + 12
        fill, edge, look = {
            "primary": ("#2563c9", "#2563c9", "w"),
            "danger": ("#fff", "#b3261e", "d"),
            "plain": ("#fff", "#9aa1aa", ""),
            "off": ("#e8eaed", "#e8eaed", "s"),
        }[button.look]
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{edge}"/>'
            f'<text class="b {look}" x="{x + width // 2}" y="{y + 33}" font-size="{SIZE}" text-anchor="middle">'
            f"{escape(button.label)}</text>"
        )
        x += width + 12
    return parts, y + height + 8


def _text(x: int, y: int, size: int, runs: Sequence[Run], look: str = "") -> str:
    marks = {"plain": "", "code": "c", "bold": "b"}
    spans = "".join(
        f'<tspan class="{marks[run.look]}">{_shown(run.text)}</tspan>' if marks[run.look] else _shown(run.text)
        for run in runs
    )
    named = f' class="{look}"' if look else ""
    return f'<text{named} x="{x}" y="{y}" font-size="{size}">{spans}</text>'


def _shown(text: str) -> str:
    """Spaces that SVG would fold stay."""
    return escape(re.sub(r"(?m)^ +| {2,}", lambda found: "\u00a0" * len(found[0]), text))


def wrap(runs: Sequence[Run], size: int, room: int) -> list[tuple[Run, ...]]:
    """Lines no wider than `room`, broken behind spaces, or within a word that is wider by itself."""
    lines: list[list[Run]] = [[]]
    used = 0.0
    for word in _words(runs):
        width = sum(_run_width(run, size) for run in word)
        if used and used + width - _run_width(Run(" ", word[-1].look), size) * word[-1].text.endswith(" ") > room:
            lines.append([])
            used = 0.0
        for run in word if width <= room else _letters(word):
            if used and width > room and used + _run_width(run, size) > room:
                lines.append([])
                used = 0.0
            lines[-1].append(run)
            used += _run_width(run, size)
    return [tuple(_joined(line)) for line in lines]


def _letters(word: Sequence[Run]) -> Iterator[Run]:
    for run in word:
        yield from (Run(char, run.look) for char in run.text)


def _words(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Each word with the space behind it; one that changes its look within is one word of several runs."""
    word: list[Run] = []
    for run in runs:
        text = run.text
        while text:
            head, space, text = text.partition(" ")
            word.append(Run(head + space, run.look))
            if space:
                yield word
                word = []
    if word:
        yield word


def _run_width(run: Run, size: int) -> float:
    return text_width(run.text, size, code=run.look == "code")


def _joined(line: Sequence[Run]) -> Iterator[Run]:
    """Neighbours of one look as one run."""
    now: Run | None = None
    for run in line:
        if now is not None and now.look == run.look:
            now = Run(now.text + run.text, run.look)
            continue
        if now is not None:
            yield now
        now = run
    if now is not None:
        yield Run(now.text.rstrip(" "), now.look)


def _pieces(line: str) -> Iterator[str]:
    """A line of a code block as a narrow window folds it."""
    most = int((ROOM - 2 * _CODE_PADDING) / (MONO * _MONO_WIDTH))
    yield line[:most]
    for at in range(most, len(line), most):
        yield line[at : at + most]


def text_width(text: str, size: int, *, code: bool = False) -> float:
    return size * sum(_width(char, code=code) for char in text)


def _width(char: str, *, code: bool) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return 1.2 if code else 1.0
    if code:
        return _MONO_WIDTH
    if char in " .,:;!'|ijl()[]ftr“”‘’·":
        return 0.37
    if char in "mwMW@%":
        return 0.95
    return 0.7 if char.isupper() else 0.6
