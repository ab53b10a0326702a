"""What the hub and the child that reads pictures say to each other, over two pipes. Pure.

    hub   -> child   4 bytes length (big-endian), then a picture's file
    child -> hub     4 bytes length (big-endian), then JSON: {"ready": true} once, then for each picture
                     {"seen": [[text, confidence, x1, y1, … x4, y4], …], "size": [width, height], "whole": true}
                     or {"refused": code}, or, once and at last, {"exhausted": true}: memory ran out

The child works on hostile bytes with large C libraries, so the hub believes it as little as it believes the picture:
every answer is bounded, and checked to the last field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub.core import strict_json
from hub.planning.ocr.refusal import OCR_ERROR_CODES, OcrErrorCode
from hub.planning.ocr.rows import Quad

LENGTH_BYTES: Final = 4
MAX_ANSWER: Final = 512 * 1024  # bytes
MAX_PIECES: Final = 600
MAX_CHARS: Final = 20_000  # of all pieces together
MAX_PIECE: Final = 1_000
READY_MESSAGE: Final = {"ready": True}
EXHAUSTED: Final = b'{"exhausted": true}'
_PIECE_FIELDS: Final = 10


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A run of text as it was recognised."""

    text: str
    confidence: float  # 0 to 1
    quad: Quad  # in pixels of the upright picture


@dataclass(frozen=True, slots=True)
class OcrAnswer:
    pieces: tuple[TextPiece, ...]
    size: tuple[int, int]
    complete: bool = True  # False: the time ran out before all of the picture was read


class BadWorkerAnswer(ValueError):
    """Something that a child in its right mind does not say."""


def frame(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def decode_length(head: bytes, most: int) -> int:
    """Of what follows; raises BadWorkerAnswer."""
    length = int.from_bytes(head, "big")
    if not 0 < length <= most:
        raise BadWorkerAnswer(f"a message of {length} bytes")
    return length


def encode_ready() -> bytes:
    return frame(json.dumps(READY_MESSAGE).encode())


def encode_refusal(code: OcrErrorCode) -> bytes:
    return frame(json.dumps({"refused": code}).encode())


def encode_answer(answer: OcrAnswer) -> bytes:
    """Cut to what `decode_answer` takes."""
    seen: list[list[object]] = []
    room = MAX_CHARS
    for piece in answer.pieces[:MAX_PIECES]:
        text = piece.text[: min(MAX_PIECE, room)]
        room -= len(text)
        corners = [round(number, 1) for point in piece.quad for number in point]
        seen.append([text, round(piece.confidence, 4), *corners])
    value = {"seen": seen, "size": list(answer.size), "whole": answer.complete}
    return frame(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def decode_ready(content: bytes) -> None:
    """Raises BadWorkerAnswer."""
    if _parse(content) != READY_MESSAGE:
        raise BadWorkerAnswer("not ready")


def decode_answer(content: bytes) -> OcrAnswer | OcrErrorCode:
    """Raises BadWorkerAnswer."""
    match _parse(content):
        case {"refused": code, **rest} if code in OCR_ERROR_CODES and not rest:
            return code  # type: ignore[no-any-return]  # `in OCR_ERROR_CODES` is what the type says
        case {"seen": list() as seen, "size": [int(width), int(height)], "whole": bool(whole), **rest} if not rest:
            if len(seen) > MAX_PIECES or width < 1 or height < 1:
                raise BadWorkerAnswer("sizes")
            pieces = tuple(_decode_piece(fields) for fields in seen)
            if sum(len(piece.text) for piece in pieces) > MAX_CHARS:
                raise BadWorkerAnswer("too much text")
            return OcrAnswer(pieces, (width, height), whole)
    raise BadWorkerAnswer("fields")


def _parse(content: bytes) -> Any:
    try:
        return strict_json.parse(content)
    except strict_json.BadBody as error:
        raise BadWorkerAnswer(str(error)) from None


def _decode_piece(fields: Any) -> TextPiece:
    if not isinstance(fields, list) or len(fields) != _PIECE_FIELDS or not isinstance(fields[0], str):
        raise BadWorkerAnswer("a piece")
    text, confidence, *corners = fields
    if len(text) > MAX_PIECE or not all(_is_number(number) for number in (confidence, *corners)):
        raise BadWorkerAnswer("a piece")
    if not 0 <= confidence <= 1 or any(abs(number) > 1e6 for number in corners):
        raise BadWorkerAnswer("a piece")
    return TextPiece(text, float(confidence), _decode_quad(corners))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _decode_quad(numbers: Sequence[float]) -> Quad:
    first, second, third, fourth = zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True)
    return first, second, third, fourth
