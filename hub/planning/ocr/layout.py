"""Recognised pieces become lines in reading order, as the picture shows them, and safe to show. Pure.

Rows downwards, from left to right (`hub.planning.ocr.rows` knows about slanted pictures). Where the picture is a
terminal, which shows by all its pieces having one width of character, columns and indentation are kept as spaces;
elsewhere pieces on one row are two spaces apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from common.text import clean_output
from hub.planning.ocr.protocol import TextPiece
from hub.planning.ocr.rows import Box, box_from_quad, group_rows
from hub.planning.ocr.spaces import is_full_width_sign, is_han

MIN_CONFIDENCE: Final = 0.5  # confidence below which a piece is noise
MAX_LINES: Final = 400
MAX_LINE: Final = 400
MAX_TEXT: Final = 16_000
MAX_COLUMN: Final = 240
_DECORATION: Final = frozenset("xX×✕✖✗□○●◯▢—–-_·•|¦>›<‹^vV")
_WIDTH_TOLERANCE: Final = 0.05  # how much widths of characters differ on a terminal


@dataclass(frozen=True, slots=True)
class TextLine:
    """One row of the picture."""

    text: str
    confidence: float  # 0 to 1, of its least certain piece
    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class _TextPart:
    text: str
    confidence: float
    box: Box

    @property
    def cell(self) -> float:
        return (self.box.right - self.box.left) / max(1, text_width(self.text))


def text_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if is_han(char) or is_full_width_sign(char) else 1 for char in text)


def build_lines(pieces: Sequence[TextPiece]) -> tuple[TextLine, ...]:
    """At most MAX_LINES lines of MAX_LINE characters, MAX_TEXT in all."""
    parts = [part for piece in pieces if (part := _part(piece)) is not None]
    found = group_rows([part.box for part in parts])
    ordered = [[parts[index] for index in row] for row in found]
    ordered = [row for row in map(_without_decoration, ordered) if row]
    grid = _cell_width(ordered)
    edge = min((row[0].box.left for row in ordered), default=0.0)
    lines: list[TextLine] = []
    room = MAX_TEXT
    for row in ordered[:MAX_LINES]:
        text = _columns(row, grid, edge) if grid else "  ".join(part.text for part in row)
        text = text[: max(0, min(MAX_LINE, room))].rstrip()
        if not text:
            continue
        room -= len(text) + 1
        lines.append(TextLine(text, min(part.confidence for part in row), _bounding_box(row)))
    return tuple(lines)


def clean_line(text: str) -> str:
    """One line without anything that is not seen: controls, direction marks, invisible characters; composed (NFC)."""
    flat = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    return clean_output(unicodedata.normalize("NFC", flat), limit=MAX_LINE).strip()


def _part(piece: TextPiece) -> _TextPart | None:
    text = clean_line(piece.text)
    if not text or piece.confidence < MIN_CONFIDENCE:
        return None
    return _TextPart(text, piece.confidence, box_from_quad(piece.quad))


def _without_decoration(row: list[_TextPart]) -> list[_TextPart]:
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


def _cell_width(ordered: Sequence[Sequence[_TextPart]]) -> float:
    """The width of a terminal's column; 0 where this is no terminal."""
    widths = [part.cell for row in ordered for part in row if text_width(part.text) >= 6]
    if len(widths) < 3:
        return 0.0
    usual = median(widths)
    spread = median(abs(width - usual) for width in widths)
    return usual if spread < _WIDTH_TOLERANCE * usual else 0.0


def _columns(row: Sequence[_TextPart], grid: float, edge: float) -> str:
    texts: list[str] = []
    taken = 0
    for part in row:
        column = min(MAX_COLUMN, round((part.box.left - edge) / grid))
        room = max(column - taken, 1 if texts else 0)
        texts += [" " * room, part.text]
        taken += room + text_width(part.text)
    return "".join(texts)


def _bounding_box(row: Sequence[_TextPart]) -> tuple[int, int, int, int]:
    points = [point for part in row for point in part.box.quad]
    across, down = [x for x, _ in points], [y for _, y in points]
    return round(min(across)), round(min(down)), round(max(across)), round(max(down))
