"""What the hub and the child that reads pictures say to each other, over two pipes. Pure.

    hub   -> child   4 bytes length (big-endian), then a picture's file
    child -> hub     4 bytes length (big-endian), then JSON: {"ready": true} once, then for each picture
                     {"seen": [[text, confidence, x1, y1, … x4, y4], …], "size": [width, height], "whole": true}
                     or {"refused": code}

The child works on hostile bytes with large C libraries, so the hub believes it as little as it believes the picture:
every answer is bounded, and checked to the last field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub import intake_json
from hub.ocr.refusal import CODES, Code
from hub.ocr.rows import Quad

LENGTH: Final = 4
MAX_ANSWER: Final = 512 * 1024  # bytes
MAX_PIECES: Final = 600
MAX_CHARS: Final = 20_000  # of all pieces together
MAX_PIECE: Final = 1_000
READY: Final = {"ready": True}
_FIELDS: Final = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text as it was recognised."""

    text: str
    confidence: float  # 0 to 1
    quad: Quad  # in pixels of the upright picture


@dataclass(frozen=True, slots=True)
class Answer:
    pieces: tuple[Piece, ...]
    size: tuple[int, int]
    whole: bool = True  # False: the time ran out before all of the picture was read


class BadAnswer(ValueError):
    """Something that a child in its right mind does not say."""


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH, "big") + content


def length_of(head: bytes, most: int) -> int:
    """Of what follows; raises BadAnswer."""
    length = int.from_bytes(head, "big")
    if not 0 < length <= most:
        raise BadAnswer(f"a message of {length} bytes")
    return length


def ready() -> bytes:
    return framed(json.dumps(READY).encode())


def refused(code: Code) -> bytes:
    return framed(json.dumps({"refused": code}).encode())


def answered(answer: Answer) -> bytes:
    """Cut to what `read_answer` takes."""
    seen: list[list[object]] = []
    room = MAX_CHARS
    for piece in answer.pieces[:MAX_PIECES]:
        text = piece.text[: min(MAX_PIECE, room)]
        room -= len(text)
        corners = [round(number, 1) for point in piece.quad for number in point]
        seen.append([text, round(piece.confidence, 4), *corners])
    value = {"seen": seen, "size": list(answer.size), "whole": answer.whole}
    return framed(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def read_ready(content: bytes) -> None:
    """Raises BadAnswer."""
    if _parsed(content) != READY:
        raise BadAnswer("not ready")


def read_answer(content: bytes) -> Answer | Code:
    """Raises BadAnswer."""
    match _parsed(content):
        case {"refused": code, **rest} if code in CODES and not rest:
            return code  # type: ignore[no-any-return]  # `in CODES` is what the type says
        case {"seen": list() as seen, "size": [int(width), int(height)], "whole": bool(whole), **rest} if not rest:
            if len(seen) > MAX_PIECES or width < 1 or height < 1:
                raise BadAnswer("sizes")
            pieces = tuple(_piece(fields) for fields in seen)
            if sum(len(piece.text) for piece in pieces) > MAX_CHARS:
                raise BadAnswer("too much text")
            return Answer(pieces, (width, height), whole)
    raise BadAnswer("fields")


def _parsed(content: bytes) -> Any:
    try:
        return intake_json.parse(content)
    except intake_json.BadBody as error:
        raise BadAnswer(str(error)) from None


def _piece(fields: Any) -> Piece:
    if not isinstance(fields, list) or len(fields) != _FIELDS or not isinstance(fields[0], str):
        raise BadAnswer("a piece")
    text, confidence, *corners = fields
    if len(text) > MAX_PIECE or not all(_is_number(number) for number in (confidence, *corners)):
        raise BadAnswer("a piece")
    if not 0 <= confidence <= 1 or any(abs(number) > 1e6 for number in corners):
        raise BadAnswer("a piece")
    return Piece(text, float(confidence), _quad(corners))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _quad(numbers: Sequence[float]) -> Quad:
    first, second, third, fourth = zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True)
    return first, second, third, fourth
