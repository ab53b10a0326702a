"""Which boxes of text stand on one row, in a picture that may be held askew. Pure.

A photograph's rows are neither level nor parallel: their slope changes over the picture. It is fitted as
`slope = a + b x + c y` over the boxes that are long enough to tell, and every box gets the height at which its row
meets the picture's left edge (`levels`). Boxes of like height there stand on one row.
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

TELLING: Final = 3.0  # a box this many times as wide as high tells a slope
STEEPEST: Final = 0.5
STEPS: Final = 12  # in which a row is followed to the left
UNLIKE: Final = 0.2  # a slope that differs by more is some other text's
SAME_ROW: Final = 0.5  # of the lower box's height: how far apart two boxes of one row may be
CLOSE: Final = 0.9  # of the height: a gap narrower than that is within one piece of text


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


def box_of(quad: Quad) -> Box:
    upper_left, upper_right, lower_right, lower_left = quad
    left = ((upper_left[0] + lower_left[0]) / 2, (upper_left[1] + lower_left[1]) / 2)
    right = ((upper_right[0] + lower_right[0]) / 2, (upper_right[1] + lower_right[1]) / 2)
    width = (math.dist(upper_left, upper_right) + math.dist(lower_left, lower_right)) / 2
    height = (math.dist(upper_left, lower_left) + math.dist(upper_right, lower_right)) / 2
    across = right[0] - left[0]
    slope = (right[1] - left[1]) / across if across > 1 else 0.0
    return Box(
        quad,
        (left[0] + right[0]) / 2,
        (left[1] + right[1]) / 2,
        max(width, 1.0),
        max(height, 1.0),
        max(-STEEPEST, min(STEEPEST, slope)),
    )


def levels(boxes: Sequence[Box]) -> list[float]:
    """For each box the height at which its row meets the left edge of the picture."""
    a, b, c = _slopes(boxes)
    found = []
    for box in boxes:
        x, y, step = box.x, box.y, box.x / STEPS
        for _ in range(STEPS):
            middle = y - (a + b * x + c * y) * step / 2
            y -= (a + b * (x - step / 2) + c * middle) * step
            x -= step
        found.append(y)
    return found


def rows(boxes: Sequence[Box]) -> list[list[int]]:
    """Indices of the boxes row by row, downwards, each row from left to right."""
    heights = levels(boxes)
    found: list[tuple[float, float, list[int]]] = []  # mean level, mean height, members
    for index in sorted(range(len(boxes)), key=heights.__getitem__):
        level, height = heights[index], boxes[index].height
        if found:
            mean, usual, members = found[-1]
            if abs(level - mean) < SAME_ROW * min(height, usual):
                members.append(index)
                share = 1 / len(members)
                found[-1] = (mean + (level - mean) * share, usual + (height - usual) * share, members)
                continue
        found.append((level, height, [index]))
    return [sorted(members, key=lambda member: boxes[member].left) for _, _, members in found]


def pieces(boxes: Sequence[Box]) -> list[Quad]:
    """Boxes of one row that all but touch, joined: a recogniser reads a whole piece of text better than its parts."""
    found: list[Quad] = []
    for row in rows(boxes):
        last: Box | None = None
        for index in row:
            box = boxes[index]
            if last is not None and box.left - last.right < CLOSE * min(last.height, box.height):
                found.pop()
                box = _joined(last, box)
            found.append(box.quad)
            last = box
    return found


def _joined(left: Box, right: Box) -> Box:
    if right.right <= left.right:  # one within the other
        return left
    return box_of((left.quad[0], right.quad[1], right.quad[2], left.quad[3]))


def _slopes(boxes: Sequence[Box]) -> tuple[float, float, float]:
    """a, b, c of `slope = a + b x + c y` by least squares, weighted by width; level or uniform where few boxes tell."""
    telling = [box for box in boxes if box.width >= TELLING * box.height]
    if not telling:
        return 0.0, 0.0, 0.0
    middle = median(box.slope for box in telling)
    telling = [box for box in telling if abs(box.slope - middle) < UNLIKE]
    if len(telling) < 4:
        return middle, 0.0, 0.0
    scale = max(max(abs(box.x), abs(box.y), 1.0) for box in telling)
    points = [(1.0, box.x / scale, box.y / scale) for box in telling]
    # A little ridge keeps the fit tame where all boxes stand in one line.
    matrix = [[1e-3 * (i == j and i > 0) for j in range(3)] for i in range(3)]
    vector = [0.0, 0.0, 0.0]
    total = sum(box.width for box in telling)
    for box, point in zip(telling, points, strict=True):
        weight = box.width / total
        for i in range(3):
            vector[i] += weight * point[i] * box.slope
            for j in range(3):
                matrix[i][j] += weight * point[i] * point[j]
    a, b, c = _solved(matrix, vector)
    return a, b / scale, c / scale


def _solved(matrix: list[list[float]], vector: list[float]) -> tuple[float, float, float]:
    """Three equations by Cramer's rule."""

    def determinant(m: list[list[float]]) -> float:
        return (
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        )

    whole = determinant(matrix)
    if abs(whole) < 1e-12:
        return vector[0], 0.0, 0.0
    answers = []
    for column in range(3):
        changed = [[*row[:column], vector[index], *row[column + 1 :]] for index, row in enumerate(matrix)]
        answers.append(determinant(changed) / whole)
    return answers[0], answers[1], answers[2]
