"""What a child says is bounded and checked to the last field; of a stranger's file the hub looks at the length and the
first bytes alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.ocr import protocol
from hub.planning.ocr.protocol import (
    OCR_ERROR_CODES,
    OcrAnswer,
    OcrError,
    WorkerSettings,
    clean_line,
    decode_answer,
    encode_answer,
    image_format,
)
from tests.each import each_of
from tests.hub.planning.ocr import bombs


def test_an_answer_arrives_as_it_was_sent() -> None:
    """Its lines with their indentation, whether it is whole, every refusal, and the settings that a child is given."""
    for answer in (OcrAnswer('磁盘空间不足\n    a "quoted" \\ one', complete=False), OcrAnswer("x"), *OCR_ERROR_CODES):
        assert decode_answer(encode_answer(answer)) == answer
    given_settings = WorkerSettings(size=1, seconds=2.5, frames=3)
    assert WorkerSettings(**json.loads(json.dumps(asdict(given_settings)))) == given_settings


def test_nothing_found_and_nothing_in_time_are_told_apart() -> None:
    """A picture without text, and one that took too long."""
    assert decode_answer(encode_answer(OcrAnswer(" \n\u200b"))) == "nothing_found"
    assert decode_answer(encode_answer(OcrAnswer("", complete=False))) == "slow"


def test_more_than_is_taken_is_not_sent() -> None:
    """A picture full of text fits its bounds after all: lines, their length, and all of it."""
    for text in ("漢" * 2_000 + "\n", "漢\n", "\N{MUSICAL SYMBOL G CLEF}" * 390 + "\n"):
        encoded = encode_answer(OcrAnswer(text * 600))
        assert len(encoded) <= protocol.MAX_ANSWER
        answer = decode_answer(encoded)
        assert isinstance(answer, OcrAnswer)
        lines = answer.text.split("\n")
        assert len(lines) <= protocol.MAX_LINES
        assert max(map(len, lines)) <= protocol.MAX_LINE
        assert len(answer.text) <= protocol.MAX_TEXT
        assert len(lines) == protocol.MAX_LINES or len(answer.text) > protocol.MAX_TEXT - 2


def test_text_is_cleaned() -> None:
    """Controls, direction marks, invisible characters and newlines never come through; accents are composed."""
    assert clean_line("rm\u202e -rf\u200b /\x1b[31m\x07\r\nnext\tcafe\u0301") == "rm -rf / [31m   next café"
    assert decode_answer(b'{"text": "a\\u202eb\\u2028c\\n  d", "whole": true}') == OcrAnswer("ab c\n  d")


def said(**changes: Any) -> bytes:
    return json.dumps({"text": "text", "whole": True} | changes).encode()


@each_of(
    "content",
    [
        said(text=["text"]),
        said(text=1),
        said(text="x\n" * (protocol.MAX_LINES + 1)),
        said(text=("x" * 99 + "\n") * (protocol.MAX_TEXT // 100 + 1)),
        said(whole=1),
        said(more=1),
        b'{"text": "text"}',
        b'{"refused": "because"}',
        b'{"refused": "slow", "text": ""}',
        b'{"refused": ["slow"]}',
        b"[" * 60_000,
        b"{" + b'"a":' * 10,
        b"\xff\xfe",
        b"NaN",
        b"",
        protocol.READY,
    ],
)
def test_anything_else_is_no_answer(content: bytes) -> None:
    """Wrong types, too much, too deep, not JSON."""
    with pytest.raises(OcrError, match="answered wrongly") as refused:
        decode_answer(content)
    assert refused.value.code == "crashed"


TEXTS = st.builds(said, text=st.text(max_size=900), whole=st.booleans())


@given(st.binary(max_size=200) | TEXTS)
def test_whatever_a_child_says_can_be_shown(content: bytes) -> None:
    """Any bytes are an answer of printable lines in bounds, or a bad one, and nothing else comes out."""
    try:
        answer = decode_answer(content)
    except OcrError:
        return
    if isinstance(answer, OcrAnswer):
        for line in answer.text.split("\n"):
            assert 0 < len(line) <= protocol.MAX_LINE
            assert all(char.isprintable() or char == "\u3000" or ord(char) > 0x7F for char in line)


# ---- a file, as the hub sees it


@each_of(
    ("data", "name"),
    [
        (bombs.png(), "PNG"),
        (bombs.jpeg_head(8, 8), "JPEG"),
        (b"RIFF\x04\0\0\0WEBP", "WEBP"),
        (bombs.gif(), "GIF"),
        (b"GIF87a", "GIF"),
        (bombs.bmp(), "BMP"),
    ],
)
def test_a_file_is_what_its_first_bytes_say(data: bytes, name: str) -> None:
    """One format each, which a decoder is told; what stands behind them is not looked at."""
    assert image_format(data, 1_000) == name
    assert image_format(data + b"%PDF-1.7 PK\5\6", 1_000) == name


@each_of("data", [b"", b"\x89PNG", b"%PDF-1.7", b"II*\0", b"<svg/>", b"PK\3\4", b" BM"])
def test_anything_else_is_no_picture(data: bytes) -> None:
    """Formats that are not on the list too."""
    with pytest.raises(OcrError, match="not_an_image"):
        image_format(data, 1_000)


def test_a_file_too_large_is_refused_unseen() -> None:
    """Whatever it is."""
    assert image_format(b"BM" + bytes(98), 100) == "BMP"
    for data in (b"BM" + bytes(99), bytes(101)):
        with pytest.raises(OcrError, match="too_big"):
            image_format(data, 100)
