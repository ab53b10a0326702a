"""What a child says is bounded and checked to the last field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocr import wire
from hub.ocr.refusal import CODES
from hub.ocr.wire import Answer, BadAnswer, Piece, answered, read_answer, read_ready

QUAD = ((1.0, 2.0), (30.5, 2.0), (30.5, 12.0), (1.0, 12.0))


def body(frame: bytes) -> bytes:
    """A frame's content; its length is checked on the way."""
    content = frame[wire.LENGTH :]
    assert wire.length_of(frame[: wire.LENGTH], wire.MAX_ANSWER) == len(content)
    return content


def test_an_answer_arrives_as_it_was_sent() -> None:
    """Pieces with where they are, the picture's size, whether it is whole."""
    answer = Answer((Piece("磁盘空间不足", 0.98, QUAD), Piece('a "quoted" \\ one', 0.5, QUAD)), (800, 600), whole=False)
    assert read_answer(body(answered(answer))) == answer


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_arrives_as_its_code(code: Any) -> None:
    """Every one of them."""
    assert read_answer(body(wire.refused(code))) == code


def test_a_child_is_ready_only_when_it_says_so() -> None:
    """In these words."""
    read_ready(body(wire.ready()))
    for other in (b'{"ready": false}', b'{"ready": true, "more": 1}', b"[]", b"ready"):
        with pytest.raises(BadAnswer):
            read_ready(other)


def test_more_than_is_taken_is_not_sent() -> None:
    """A picture full of text fits its bounds after all."""
    pieces = tuple(Piece("漢" * 2_000, 1.0, QUAD) for _ in range(wire.MAX_PIECES + 50))
    answer = read_answer(body(answered(Answer(pieces, (10, 10)))))
    assert isinstance(answer, Answer)
    assert len(answer.pieces) == wire.MAX_PIECES
    assert sum(len(piece.text) for piece in answer.pieces) == wire.MAX_CHARS


PIECE = ["text", 0.9, 1, 2, 3, 4, 5, 6, 7, 8]


def said(**changes: Any) -> bytes:
    return json.dumps({"seen": [PIECE], "size": [9, 9], "whole": True} | changes).encode()


@pytest.mark.parametrize(
    "content",
    [
        said(seen=[PIECE[:9]]),
        said(seen=[[*PIECE, 1]]),
        said(seen=[[7, *PIECE[1:]]]),
        said(seen=[["text", 1.5, *PIECE[2:]]]),
        said(seen=[["text", True, *PIECE[2:]]]),
        said(seen=[["text", 0.9, 1e7, *PIECE[3:]]]),
        said(seen=[["text", 0.9, "1", *PIECE[3:]]]),
        said(seen=[["x" * (wire.MAX_PIECE + 1), *PIECE[1:]]]),
        said(seen=[["x" * wire.MAX_PIECE, *PIECE[1:]]] * (wire.MAX_CHARS // wire.MAX_PIECE + 1)),
        said(seen=[PIECE] * (wire.MAX_PIECES + 1)),
        said(seen="text"),
        said(size=[0, 9]),
        said(size=[9]),
        said(whole=1),
        said(more=1),
        b'{"refused": "because"}',
        b'{"refused": "slow", "seen": []}',
        b'{"refused": ["slow"]}',
        b"[" * 60_000,
        b"{" + b'"a":' * 10,
        b"\xff\xfe",
        b"NaN",
        b"",
    ],
    ids=range(23),
)
def test_anything_else_is_no_answer(content: bytes) -> None:
    """Wrong types, wrong counts, too much, too deep, not JSON."""
    with pytest.raises(BadAnswer):
        read_answer(content)


def test_lengths_are_bounded() -> None:
    """A child cannot make its hub wait for four gibibytes."""
    for head in (b"\xff\xff\xff\xff", bytes(4), (wire.MAX_ANSWER + 1).to_bytes(4, "big")):
        with pytest.raises(BadAnswer):
            wire.length_of(head, wire.MAX_ANSWER)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_bad_one(content: bytes) -> None:
    """And nothing else comes out."""
    try:
        read_answer(content)
    except BadAnswer:
        pass
