"""Boxes stand on rows, also where a picture is held askew."""

from __future__ import annotations

import math
import random

import pytest

from hub.planning.ocr.rows import Quad, box_from_quad, group_rows, join_pieces


def level(left: float, top: float, width: float = 100.0, height: float = 20.0) -> Quad:
    right, bottom = left + width, top + height
    return (left, top), (right, top), (right, bottom), (left, bottom)


def turned(quad: Quad, degrees: float) -> Quad:
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    a, b, c, d = ((x * cosine - y * sine, x * sine + y * cosine) for x, y in quad)
    return a, b, c, d


def fanned(quad: Quad) -> Quad:
    """As a camera sees it from the side: lines above run down, lines below run up, all towards the right."""
    a, b, c, d = ((x / (1 + x / 9000), 400 + (y - 400) / (1 + x / 4000)) for x, y in quad)
    return a, b, c, d


TABLE = [level(40 + 260 * column, 60 + 30 * row, 180) for row in range(20) for column in range(4)]
WANTED = [[4 * row + column for column in range(4)] for row in range(20)]


def test_rows_go_down_and_to_the_right() -> None:
    """Whatever order the boxes were found in."""
    order = list(range(len(TABLE)))
    random.Random(5).shuffle(order)
    found = group_rows([box_from_quad(TABLE[index]) for index in order])
    assert [[order[index] for index in row] for row in found] == WANTED


@pytest.mark.parametrize("degrees", [-12, -5, -1, 1, 5, 12])
def test_rows_of_a_turned_picture_stay_rows(degrees: float) -> None:
    """Where a row ends lower than the next one begins."""
    assert group_rows([box_from_quad(turned(quad, degrees)) for quad in TABLE]) == WANTED


def test_rows_that_are_not_parallel_stay_rows() -> None:
    """Slopes differ over the picture, and the fit follows them."""
    assert group_rows([box_from_quad(fanned(quad)) for quad in TABLE]) == WANTED


def test_close_rows_are_not_merged() -> None:
    """Lines of a terminal stand hardly further apart than they are high."""
    boxes = [box_from_quad(level(10, 22 * row)) for row in range(30)]
    assert group_rows(boxes) == [[row] for row in range(30)]


def test_boxes_that_all_but_touch_are_one_piece() -> None:
    """Overlapping ones too; what stands apart by more than a letter stays apart."""
    found = join_pieces(
        [
            box_from_quad(level(0, 0)),
            box_from_quad(level(104, 1)),
            box_from_quad(level(180, 0)),
            box_from_quad(level(330, 0)),
        ]
    )
    assert [(round(quad[0][0]), round(quad[1][0])) for quad in found] == [(0, 280), (330, 430)]


def test_a_box_within_another_adds_nothing() -> None:
    """Two tiles of a picture see the same text."""
    assert join_pieces([box_from_quad(level(0, 0, 300)), box_from_quad(level(50, 2, 80, 16))]) == [level(0, 0, 300)]


def test_no_box_at_all_and_boxes_of_no_size() -> None:
    """A detector may find nothing, or a point."""
    assert group_rows([]) == []
    assert group_rows([box_from_quad(level(5, 5, 0, 0)), box_from_quad(level(5, 5, 0, 0))]) == [[0, 1]]
