"""Pieces become lines as the picture shows them, bounded and safe to show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.ocr import layout
from hub.planning.ocr.layout import build_lines, clean_line, text_width
from hub.planning.ocr.protocol import TextPiece


def at(text: str, column: float, row: float, *, cell: float = 10.0, confidence: float = 0.99) -> TextPiece:
    """A piece on a terminal whose cells are `cell` pixels wide and 20 high."""
    left, top = 5 + column * cell, 7 + row * 20
    right = left + text_width(text) * cell
    return TextPiece(text, confidence, ((left, top), (right, top), (right, top + 18), (left, top + 18)))


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
    assert [line.text for line in build_lines(pieces)] == [
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
    assert [line.text for line in build_lines(pieces)] == [
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
    assert [" ".join(line.text.split()) for line in build_lines(pieces)] == ["Title of it", "restarts 0"]
    assert build_lines([at("x", 0, 0), at("nginx.service", 2, 0)])[0].text.split() == ["x", "nginx.service"]


def test_a_line_tells_where_it_is_and_how_certain() -> None:
    """The box around all of its pieces, and the least of their confidences."""
    (line,) = build_lines([at("left part", 0, 0, confidence=0.9), at("right part", 20, 0, confidence=0.7)])
    assert line.box == (5, 7, 305, 25)
    assert line.confidence == 0.7


def test_text_is_cleaned() -> None:
    """Controls, direction marks, invisible characters and newlines never come through; accents are composed."""
    assert clean_line("rm\u202e -rf\u200b /\x1b[31m\x07\r\nnext\tcafe\u0301") == "rm -rf / [31m   next café"


def test_text_is_bounded() -> None:
    """Lines, their length, and all of it."""
    many = build_lines([at(f"line {row} " + "x" * 500, 0, row) for row in range(600)])
    assert len(many) <= layout.MAX_LINES
    assert max(len(line.text) for line in many) <= layout.MAX_LINE
    assert sum(len(line.text) + 1 for line in many) <= layout.MAX_TEXT + 1
    far = build_lines([at("here", 0, 0), at("there", 9_000, 0), at("another", 0, 1), at("one more", 0, 2)])
    assert len(far[0].text) < 300
    assert build_lines([]) == ()


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POINTS = st.tuples(NUMBERS, NUMBERS)
PIECES = st.builds(TextPiece, st.text(max_size=30), st.floats(0, 1), st.tuples(POINTS, POINTS, POINTS, POINTS))


@given(st.lists(PIECES, max_size=12))
def test_whatever_a_child_says_gives_lines_that_can_be_shown(pieces: list[TextPiece]) -> None:
    """Boxes of any shape, texts of any kind: printable lines in bounds."""
    for line in build_lines(pieces):
        assert len(line.text) <= layout.MAX_LINE
        assert "\n" not in line.text
        assert all(char.isprintable() or char == "\u3000" or ord(char) > 0x7F for char in line.text)
