"""Pieces become lines as the picture shows them, bounded and safe to show."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.ocr.layout import MAX_COLUMN, Quad, TextBox, build_lines, group_rows, join_pieces, text_width


def at(text: str, column: float, row: float, *, cell: float = 10.0, confidence: float = 0.99) -> TextBox:
    """A piece on a terminal whose cells are `cell` pixels wide and 20 high."""
    left, top = 5 + column * cell, 7 + row * 20
    right = left + text_width(text) * cell
    return TextBox(((left, top), (right, top), (right, top + 18), (left, top + 18)), text, confidence)


def test_a_terminal_keeps_its_columns() -> None:
    """Wherever the pieces were found, and with Han characters two columns wide."""
    pieces = [
        at("/var/lib/docker", 30, 1),
        at("Filesystem", 0, 0),
        at("Mounted on", 30, 0),
        at("/dev/sda1", 0, 1),
        at("98%", 20, 1),
        at("数据盘", 0, 2),
        at("/mnt/data1", 30, 2),
        at("    indented text"[4:], 4, 3),
    ]
    assert build_lines(pieces) == [
        "Filesystem                    Mounted on",
        "/dev/sda1           98%       /var/lib/docker",
        "数据盘                        /mnt/data1",
        "    indented text",
    ]


def test_elsewhere_pieces_of_a_row_are_two_spaces_apart() -> None:
    """A dialog has no columns."""
    pieces = [
        at("Update Service", 0, 0, cell=9),
        at("The installer failed.", 14, 2, cell=6),
        at("Try Again", 30, 4, cell=13),
        at("Cancel", 45, 4, cell=10),
    ]
    assert build_lines(pieces) == [
        "Update Service",
        "The installer failed.",
        "Try Again  Cancel",
    ]


def test_noise_and_window_buttons_are_left_out() -> None:
    """A lone sign with nothing beside it, and what was hardly recognised; a lone figure in a table stays."""
    pieces = [
        at("Title of it", 0, 0),
        at("×", 40, 0),
        at("mist", 0, 1, confidence=0.3),
        at("restarts", 0, 2),
        at("0", 20, 2),
    ]
    assert [" ".join(line.split()) for line in build_lines(pieces)] == ["Title of it", "restarts 0"]
    assert build_lines([at("x", 0, 0), at("nginx.service", 2, 0)])[0].split() == ["x", "nginx.service"]


def test_a_box_far_away_is_brought_near() -> None:
    """A terminal's line has room for it; nothing at all has no line."""
    far = build_lines(
        [at("here", 0, 0), at("there", 9_000, 0), at("another", 0, 1), at("one more", 0, 2), at("last one", 0, 3)]
    )
    assert far[0] == "here".ljust(MAX_COLUMN) + "there"
    assert build_lines([]) == []


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POINTS = st.tuples(NUMBERS, NUMBERS)
PIECES = st.builds(TextBox, st.tuples(POINTS, POINTS, POINTS, POINTS), st.text(max_size=30), st.floats(0, 1))


@given(st.lists(PIECES, max_size=12))
def test_whatever_is_recognised_gives_lines(pieces: list[TextBox]) -> None:
    """Boxes of any shape, texts of any kind."""
    for line in build_lines(pieces):
        assert line.strip()
        assert "\n" not in line


# ---- rows


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


def numbers(rows: list[list[TextBox]], quads: list[Quad]) -> list[list[int]]:
    return [[quads.index(box.quad) for box in row] for row in rows]


TABLE = [level(40 + 260 * column, 60 + 30 * row, 180) for row in range(20) for column in range(4)]
WANTED = [[4 * row + column for column in range(4)] for row in range(20)]


def test_rows_go_down_and_to_the_right() -> None:
    """Whatever order the boxes were found in; where a row ends lower than the next one begins; and where slopes differ
    over the picture.
    """
    shuffled = random.Random(5).sample(TABLE, len(TABLE))
    assert numbers(group_rows([TextBox(quad) for quad in shuffled]), TABLE) == WANTED
    seen = [[turned(quad, degrees) for quad in TABLE] for degrees in (-12, -5, -1, 1, 5, 12)]
    for quads in [*seen, [fanned(quad) for quad in TABLE]]:
        assert numbers(group_rows([TextBox(quad) for quad in quads]), quads) == WANTED


def test_close_rows_are_not_merged() -> None:
    """Lines of a terminal stand hardly further apart than they are high."""
    boxes = [TextBox(level(10, 22 * row)) for row in range(30)]
    assert group_rows(boxes) == [[box] for box in boxes]


def test_boxes_that_all_but_touch_are_one_piece() -> None:
    """Overlapping ones too; what stands apart by more than a letter stays apart."""
    found = join_pieces([TextBox(level(0, 0)), TextBox(level(104, 1)), TextBox(level(180, 0)), TextBox(level(330, 0))])
    assert [(round(box.left[0]), round(box.right[0])) for box in found] == [(0, 280), (330, 430)]


def test_a_box_within_another_adds_nothing() -> None:
    """Two tiles of a picture see the same text."""
    whole = TextBox(level(0, 0, 300))
    assert join_pieces([whole, TextBox(level(50, 2, 80, 16))]) == [whole]


def test_no_box_at_all_and_boxes_of_no_size() -> None:
    """A detector may find nothing, or a point."""
    assert group_rows([]) == []
    points = [TextBox(level(5, 5, 0, 0)), TextBox(level(5, 5, 0, 0))]
    assert group_rows(points) == [points]
