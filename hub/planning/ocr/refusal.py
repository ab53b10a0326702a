"""Why a picture was not read: the codes, and the exception that carries one."""

from __future__ import annotations

from typing import Literal, get_args

OcrErrorCode = Literal["not_installed", "too_big", "not_an_image", "bomb", "slow", "crashed", "busy", "nothing_found"]
"""not_installed: the extra `ocr` is missing. too_big: bytes, pixels, or the memory that reading takes. not_an_image:
no format that is read, broken, cut off, or two files in one. bomb: far more inside than a picture of its size has.
slow: the time ran out. crashed: the child that reads ended. busy: too many wait. nothing_found: there is no text."""

OCR_ERROR_CODES: tuple[OcrErrorCode, ...] = get_args(OcrErrorCode)


class ImageRefused(Exception):
    """This picture is not read."""

    def __init__(self, code: OcrErrorCode) -> None:
        super().__init__(code)
        self.code: OcrErrorCode = code
