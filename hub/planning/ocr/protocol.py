"""What the hub and the child that reads pictures tell each other, and the bounds of it. Pure.

    hub   -> child   at its start WorkerSettings as one argument in JSON; then for each picture 4 bytes length
                     (big-endian) and its file
    child -> hub     lines of JSON: {"ready": true} once, then for each picture
                     {"text": "…", "whole": true} or {"refused": code}

The child works on hostile bytes with large C libraries, so the hub believes it as little as it believes the picture:
every answer is bounded, checked to the last field, and its text made safe to show. Of a picture's file the hub looks at
the length and the first bytes alone.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, get_args

from common.text import clean_output
from hub.core import strict_json
from hub.core.picture_format import picture_format

OcrErrorCode = Literal["not_installed", "too_big", "not_an_image", "bomb", "slow", "crashed", "busy", "nothing_found"]
"""not_installed: the extra `ocr` is missing. too_big: bytes, pixels, or the memory that reading takes. not_an_image:
no format that is read, broken, cut off, or two files in one. bomb: far more inside than a picture of its size has.
slow: the time ran out. crashed: the child that reads ended. busy: too many wait. nothing_found: there is no text."""

OCR_ERROR_CODES: Final[tuple[OcrErrorCode, ...]] = get_args(OcrErrorCode)
LENGTH_BYTES: Final = 4
MAX_ANSWER: Final = 128 * 1024  # bytes of a line
MAX_LINES: Final = 400
MAX_LINE: Final = 400
MAX_TEXT: Final = 16_000  # characters of a picture, the ends of lines counted
READY: Final = b'{"ready": true}\n'
EXIT_UNABLE: Final = 3  # exit code: the models do not load
EXIT_MEMORY: Final = 4  # memory ran out: what is left of the heap is not worth keeping


class OcrError(Exception):
    """This picture is not read."""

    def __init__(self, code: OcrErrorCode, why: str = "") -> None:
        """`why` is for the log."""
        super().__init__(why or code)
        self.code: OcrErrorCode = code


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The most a picture may be, and may take. A file of a few bytes can declare any size: that is what `pixels` is
    for.
    """

    size: int = 8 * 1024 * 1024  # bytes of a file
    pixels: int = 20_000_000
    side: int = 10_000
    frames: int = 500
    blocks: int = 16_384  # chunks of a PNG
    memory: int = 1536 * 1024 * 1024  # bytes that the child may fill
    seconds: float = 20.0  # for one picture
    threads: int = 0  # 0: one a core, four at the most


@dataclass(frozen=True, slots=True)
class OcrAnswer:
    """What stands on one picture."""

    text: str  # at most MAX_LINES lines of MAX_LINE characters
    complete: bool = True  # False: the time ran out, and what stands further up was not read


def image_format(data: bytes, size: int) -> str:
    """The one format that a file is read as, by its first bytes; raises OcrError("too_big") beyond `size` bytes,
    ("not_an_image").
    """
    if len(data) > size:
        raise OcrError("too_big")
    if (found := picture_format(data)) is None:
        raise OcrError("not_an_image")
    return found


def clean_line(text: str) -> str:
    """One line without anything that is not seen: controls, direction marks, invisible characters; composed (NFC)."""
    flat = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    return clean_output(unicodedata.normalize("NFC", flat), limit=MAX_LINE)


def encode_answer(answer: OcrAnswer | OcrErrorCode) -> bytes:
    """Cut to what `decode_answer` takes."""
    value: dict[str, object] = {"refused": answer}
    if isinstance(answer, OcrAnswer):
        text = "\n".join(line[:MAX_LINE] for line in answer.text.split("\n")[:MAX_LINES])
        value = {"text": text[:MAX_TEXT], "whole": answer.complete}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def decode_answer(content: bytes) -> OcrAnswer | OcrErrorCode:
    """Text that can be shown, never empty, or why there is none; raises OcrError("crashed") for what a child in its
    right mind does not say.
    """
    try:
        said = strict_json.parse(content)
    except strict_json.BadBody as error:
        raise OcrError("crashed", f"answered wrongly: {error}") from None
    match said:
        case {"refused": code, **rest} if code in OCR_ERROR_CODES and not rest:
            return code  # type: ignore[no-any-return]  # `in OCR_ERROR_CODES` is what the type says
        case {"text": str(text), "whole": bool(whole), **rest} if not rest:
            lines = [line.rstrip() for line in map(clean_line, text.split("\n")) if line.strip()]
            if not lines:
                return "nothing_found" if whole else "slow"
            if len(lines) <= MAX_LINES and sum(map(len, lines)) + len(lines) <= MAX_TEXT + 1:
                return OcrAnswer("\n".join(lines), whole)
    raise OcrError("crashed", "answered wrongly: fields, or too much")
