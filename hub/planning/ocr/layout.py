"""Boxes of text become lines in reading order, as the picture shows them, also where it is held askew. Pure.

A photograph's rows are neither level nor parallel, so rows are followed box by box from left to right: a box belongs to
the row whose last box, followed along the slope of both, leads to it.

Where the picture is a terminal, which shows by all its pieces having one width of character, columns and indentation
are kept as spaces; elsewhere pieces on one row are two spaces apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import dist, inf
from statistics import median
from typing import Final

from hub.planning.ocr.protocol import clean_line
from hub.planning.ocr.spaces import is_wide

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
"""Corners in pixels, clockwise from where the text begins at the top."""

MIN_ASPECT: Final = 3.0  # a box this many times as wide as high tells a slope
MAX_SLOPE: Final = 0.5
SAME_ROW: Final = 0.5  # of the lower box's height: how far apart two boxes of one row may be
MAX_GAP: Final = 0.9  # of the height: a gap narrower than that is within one piece of text
MIN_CONFIDENCE: Final = 0.5  # confidence below which a piece is noise
MAX_COLUMN: Final = 240
_DECORATION: Final = frozenset("xX×✕✖✗□○●◯▢—–-_·•|¦>›<‹^vV")
_WIDTH_TOLERANCE: Final = 0.05  # how much widths of characters differ on a terminal


@dataclass(slots=True)
class TextBox:
    """Where a piece of text is, and, once it was read, what it says; lengths in pixels."""

    quad: Quad
    text: str = ""
    confidence: float = 0.0  # 0 to 1
    left: Point = field(init=False)  # the middles of its left and right edges
    right: Point = field(init=False)
    centre: Point = field(init=False)
    width: float = field(init=False)
    height: float = field(init=False)

    def __post_init__(self) -> None:
        upper_left, upper_right, lower_right, lower_left = self.quad
        self.left, self.right = _middle(upper_left, lower_left), _middle(upper_right, lower_right)
        self.centre = _middle(self.left, self.right)
        self.width = max(1.0, dist(self.left, self.right))
        self.height = max(1.0, dist(_middle(upper_left, upper_right), _middle(lower_left, lower_right)))

    @property
    def slope(self) -> float | None:
        """How far it falls on its way to the right; None where it is too short to tell."""
        across = self.right[0] - self.left[0]
        if across <= 1 or self.width < MIN_ASPECT * self.height:
            return None
        return max(-MAX_SLOPE, min(MAX_SLOPE, (self.right[1] - self.left[1]) / across))


def _middle(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def text_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if is_wide(char) else 1 for char in text)


# ---- rows


def group_rows(boxes: Sequence[TextBox]) -> list[list[TextBox]]:
    """The boxes row by row, downwards, each row from left to right."""
    usual = median([box.slope for box in boxes if box.slope is not None] or [0.0])
    rows: list[list[TextBox]] = []
    for box in sorted(boxes, key=lambda box: box.left):
        nearest, best = SAME_ROW, None
        for row in rows:
            last = row[-1]
            slopes = [slope for slope in (last.slope, box.slope) if slope is not None] or [usual]
            expected = last.centre[1] + sum(slopes) / len(slopes) * (box.centre[0] - last.centre[0])
            distance = abs(box.centre[1] - expected) / min(box.height, last.height)
            if distance < nearest:
                nearest, best = distance, row
        if best is None:
            rows.append([box])
        else:
            best.append(box)
    return sorted(rows, key=lambda row: row[0].centre[1] - usual * row[0].centre[0])


def join_pieces(boxes: Sequence[TextBox]) -> list[TextBox]:
    """Boxes of one row that all but touch, joined: a recogniser reads a whole piece of text better than its parts."""
    found: list[TextBox] = []
    for row in group_rows(boxes):
        joined = row[:1]
        for box in row[1:]:
            last = joined[-1]
            if box.left[0] - last.right[0] >= MAX_GAP * min(last.height, box.height):
                joined.append(box)
            elif box.right[0] > last.right[0]:
                joined[-1] = TextBox((last.quad[0], box.quad[1], box.quad[2], last.quad[3]))
        found += joined
    return found


# ---- lines


def build_lines(boxes: Sequence[TextBox]) -> list[str]:
    """A line for each row of the picture."""
    cleaned = [replace(box, text=clean_line(box.text).strip()) for box in boxes if box.confidence >= MIN_CONFIDENCE]
    rows = [_without_decoration(row) for row in group_rows([box for box in cleaned if box.text])]
    rows = [row for row in rows if row]
    cell = _cell_width(rows)
    if not cell:
        return ["  ".join(box.text for box in row) for row in rows]
    edge = min(row[0].left[0] for row in rows)
    return [_columns(row, cell, edge) for row in rows]


def _without_decoration(row: Sequence[TextBox]) -> list[TextBox]:
    """Window buttons and icons read as letters: a lone sign that nothing stands beside."""
    rights, lefts = [-inf, *(box.right[0] for box in row)], [*(box.left[0] for box in row[1:]), inf]
    return [
        box
        for box, before, after in zip(row, rights, lefts, strict=False)
        if box.text not in _DECORATION or min(box.left[0] - before, after - box.right[0]) <= 1.5 * box.height
    ]


def _cell_width(rows: Sequence[Sequence[TextBox]]) -> float:
    """The width of a terminal's column in pixels; 0 where this is no terminal."""
    measured = ((box.right[0] - box.left[0], text_width(box.text)) for row in rows for box in row)
    widths = [length / columns for length, columns in measured if columns >= 6]
    if len(widths) < 3:
        return 0.0
    usual = median(widths)
    return usual if median(abs(width - usual) for width in widths) < _WIDTH_TOLERANCE * usual else 0.0


def _columns(row: Sequence[TextBox], cell: float, edge: float) -> str:
    text = ""
    for box in row:
        column = min(MAX_COLUMN, round((box.left[0] - edge) / cell))
        text += " " * max(column - text_width(text), 1 if text else 0) + box.text
    return text
