"""Recognised pieces become lines in reading order, as the picture shows them, and safe to show. Pure.

Rows downwards, from left to right (`hub.ocr.rows` knows about slanted pictures). Where the picture is a terminal, which
shows by all its pieces having one width of character, columns and indentation are kept as spaces; elsewhere pieces on
one row are two spaces apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from common.text import clean_output
from hub.ocr.rows import Box, box_of, rows
from hub.ocr.spaces import full_width_sign, han
from hub.ocr.wire import Piece
from hub.ocr.words import mended

LEAST: Final = 0.5  # confidence below which a piece is noise
MAX_LINES: Final = 400
MAX_LINE: Final = 400
MAX_TEXT: Final = 16_000
MAX_COLUMN: Final = 240
_DECORATION: Final = frozenset("xX×✕✖✗□○●◯▢—–-_·•|¦>›<‹^vV")
_ALIKE: Final = 0.05  # how much widths of characters differ on a terminal


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the picture."""

    text: str
    confidence: float  # 0 to 1, of its least certain piece
    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    confidence: float
    box: Box

    @property
    def cell(self) -> float:
        return (self.box.right - self.box.left) / max(1, cells(self.text))


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if han(char) or full_width_sign(char) else 1 for char in text)


def lines_of(pieces: Sequence[Piece]) -> tuple[Line, ...]:
    """At most MAX_LINES lines of MAX_LINE characters, MAX_TEXT in all."""
    parts = [part for piece in pieces if (part := _part(piece)) is not None]
    found = rows([part.box for part in parts])
    ordered = [[parts[index] for index in row] for row in found]
    ordered = [row for row in map(_without_decoration, ordered) if row]
    grid = _grid(ordered)
    edge = min((row[0].box.left for row in ordered), default=0.0)
    lines: list[Line] = []
    room = MAX_TEXT
    for row in ordered[:MAX_LINES]:
        text = mended(_columns(row, grid, edge) if grid else "  ".join(part.text for part in row))
        text = text[: max(0, min(MAX_LINE, room))].rstrip()
        if not text:
            continue
        room -= len(text) + 1
        lines.append(Line(text, min(part.confidence for part in row), _around(row)))
    return tuple(lines)


def cleaned(text: str) -> str:
    """One line without anything that is not seen: controls, direction marks, invisible characters; composed (NFC)."""
    flat = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    return clean_output(unicodedata.normalize("NFC", flat), limit=MAX_LINE).strip()


def _part(piece: Piece) -> _Part | None:
    text = cleaned(piece.text)
    if not text or piece.confidence < LEAST:
        return None
    return _Part(text, piece.confidence, box_of(piece.quad))


def _without_decoration(row: list[_Part]) -> list[_Part]:
    """Window buttons and icons read as letters: a lone sign that nothing stands beside."""
    kept = []
    for index, part in enumerate(row):
        if len(part.text) == 1 and part.text in _DECORATION:
            before = part.box.left - row[index - 1].box.right if index else float("inf")
            after = row[index + 1].box.left - part.box.right if index + 1 < len(row) else float("inf")
            if min(before, after) > 1.5 * part.box.height:
                continue
        kept.append(part)
    return kept


def _grid(ordered: Sequence[Sequence[_Part]]) -> float:
    """The width of a terminal's column; 0 where this is no terminal."""
    widths = [part.cell for row in ordered for part in row if cells(part.text) >= 6]
    if len(widths) < 3:
        return 0.0
    usual = median(widths)
    spread = median(abs(width - usual) for width in widths)
    return usual if spread < _ALIKE * usual else 0.0


def _columns(row: Sequence[_Part], grid: float, edge: float) -> str:
    texts: list[str] = []
    taken = 0
    for part in row:
        column = min(MAX_COLUMN, round((part.box.left - edge) / grid))
        room = max(column - taken, 1 if texts else 0)
        texts += [" " * room, part.text]
        taken += room + cells(part.text)
    return "".join(texts)


def _around(row: Sequence[_Part]) -> tuple[int, int, int, int]:
    points = [point for part in row for point in part.box.quad]
    across, down = [x for x, _ in points], [y for _, y in points]
    return round(min(across)), round(min(down)), round(max(across)), round(max(down))
