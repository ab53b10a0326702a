"""What a child says is bounded and checked to the last field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import BadWorkerAnswer, OcrAnswer, TextPiece, decode_answer, decode_ready, encode_answer
from hub.planning.ocr.refusal import OCR_ERROR_CODES

QUAD = ((1.0, 2.0), (30.5, 2.0), (30.5, 12.0), (1.0, 12.0))


def body(frame: bytes) -> bytes:
    """A frame's content; its length is checked on the way."""
    content = frame[protocol.LENGTH_BYTES :]
    assert protocol.decode_length(frame[: protocol.LENGTH_BYTES], protocol.MAX_ANSWER) == len(content)
    return content


def test_an_answer_arrives_as_it_was_sent() -> None:
    """Pieces with where they are, the picture's size, whether it is whole."""
    answer = OcrAnswer(
        (TextPiece("磁盘空间不足", 0.98, QUAD), TextPiece('a "quoted" \\ one', 0.5, QUAD)), (800, 600), complete=False
    )
    assert decode_answer(body(encode_answer(answer))) == answer


@pytest.mark.parametrize("code", OCR_ERROR_CODES)
def test_a_refusal_arrives_as_its_code(code: Any) -> None:
    """Every one of them."""
    assert decode_answer(body(protocol.encode_refusal(code))) == code


def test_a_child_is_ready_only_when_it_says_so() -> None:
    """In these words."""
    decode_ready(body(protocol.encode_ready()))
    for other in (b'{"ready": false}', b'{"ready": true, "more": 1}', b"[]", b"ready"):
        with pytest.raises(BadWorkerAnswer):
            decode_ready(other)


def test_more_than_is_taken_is_not_sent() -> None:
    """A picture full of text fits its bounds after all."""
    pieces = tuple(TextPiece("漢" * 2_000, 1.0, QUAD) for _ in range(protocol.MAX_PIECES + 50))
    answer = decode_answer(body(encode_answer(OcrAnswer(pieces, (10, 10)))))
    assert isinstance(answer, OcrAnswer)
    assert len(answer.pieces) == protocol.MAX_PIECES
    assert sum(len(piece.text) for piece in answer.pieces) == protocol.MAX_CHARS


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
        said(seen=[["x" * (protocol.MAX_PIECE + 1), *PIECE[1:]]]),
        said(seen=[["x" * protocol.MAX_PIECE, *PIECE[1:]]] * (protocol.MAX_CHARS // protocol.MAX_PIECE + 1)),
        said(seen=[PIECE] * (protocol.MAX_PIECES + 1)),
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
    with pytest.raises(BadWorkerAnswer):
        decode_answer(content)


def test_lengths_are_bounded() -> None:
    """A child cannot make its hub wait for four gibibytes."""
    for head in (b"\xff\xff\xff\xff", bytes(4), (protocol.MAX_ANSWER + 1).to_bytes(4, "big")):
        with pytest.raises(BadWorkerAnswer):
            protocol.decode_length(head, protocol.MAX_ANSWER)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_bad_one(content: bytes) -> None:
    """And nothing else comes out."""
    try:
        decode_answer(content)
    except BadWorkerAnswer:
        pass
