"""Which boxes of text stand on one row, in a picture that may be held askew. Pure.

A photograph's rows are neither level nor parallel, so rows are followed box by box from left to right: a box belongs to
the row whose last box, followed along the slope of both, leads to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
"""Corners in pixels, clockwise from where the text begins at the top."""

MIN_ASPECT: Final = 3.0  # a box this many times as wide as high tells a slope
MAX_SLOPE: Final = 0.5
MAX_SLOPE_DIFFERENCE: Final = 0.2  # a slope that differs by more is some other text's
SAME_ROW: Final = 0.5  # of the lower box's height: how far apart two boxes of one row may be
MAX_GAP: Final = 0.9  # of the height: a gap narrower than that is within one piece of text


@dataclass(frozen=True, slots=True)
class Box:
    """A quadrilateral of text by what rows need of it; lengths in pixels."""

    quad: Quad
    x: float  # centre
    y: float
    width: float
    height: float
    slope: float

    @property
    def left(self) -> float:
        return (self.quad[0][0] + self.quad[3][0]) / 2

    @property
    def right(self) -> float:
        return (self.quad[1][0] + self.quad[2][0]) / 2


def box_from_quad(quad: Quad) -> Box:
    upper_left, upper_right, lower_right, lower_left = quad
    width = (math.dist(upper_left, upper_right) + math.dist(lower_left, lower_right)) / 2
    height = (math.dist(upper_left, lower_left) + math.dist(upper_right, lower_right)) / 2
    x, y = (sum(corner[axis] for corner in quad) / 4 for axis in (0, 1))
    across = upper_right[0] + lower_right[0] - upper_left[0] - lower_left[0]
    rise = upper_right[1] + lower_right[1] - upper_left[1] - lower_left[1]
    slope = max(-MAX_SLOPE, min(MAX_SLOPE, rise / across)) if across > 2 else 0.0
    return Box(quad, x, y, max(width, 1.0), max(height, 1.0), slope)


def group_rows(boxes: Sequence[Box]) -> list[list[int]]:
    """Indices of the boxes row by row, downwards, each row from left to right."""
    telling = [box.slope for box in boxes if box.width >= MIN_ASPECT * box.height]
    usual = median(telling) if telling else 0.0
    rows: list[list[int]] = []
    for index in sorted(range(len(boxes)), key=lambda index: boxes[index].left):
        box, nearest, best = boxes[index], SAME_ROW, None
        for row in rows:
            last = boxes[row[-1]]
            slopes = [one.slope for one in (last, box) if one.width >= MIN_ASPECT * one.height]
            slopes = [slope for slope in slopes if abs(slope - usual) < MAX_SLOPE_DIFFERENCE] or [usual]
            expected = last.y + sum(slopes) / len(slopes) * (box.x - last.x)
            distance = abs(box.y - expected) / min(box.height, last.height)
            if distance < nearest:
                nearest, best = distance, row
        if best is None:
            rows.append([index])
        else:
            best.append(index)
    return sorted(rows, key=lambda row: boxes[row[0]].y - usual * boxes[row[0]].x)


def join_pieces(boxes: Sequence[Box]) -> list[Quad]:
    """Boxes of one row that all but touch, joined: a recogniser reads a whole piece of text better than its parts."""
    found: list[Quad] = []
    for row in group_rows(boxes):
        last: Box | None = None
        for box in (boxes[index] for index in row):
            if last is not None and box.left - last.right < MAX_GAP * min(last.height, box.height):
                found.pop()
                within = box.right <= last.right
                quad = last.quad if within else (last.quad[0], box.quad[1], box.quad[2], last.quad[3])
                box = box_from_quad(quad)
            found.append(box.quad)
            last = box
    return found
