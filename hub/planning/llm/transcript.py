"""What the store has of an exchange with a model, encrypted there: the compressed prompt, and the answer. Pure."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Final

MAX_PROMPT_BYTES: Final = 4 * 1024 * 1024  # bytes of a prompt, unpacked


@dataclass(frozen=True, slots=True)
class AnswerTranscript:
    """A model's answer as it is stored with its request."""

    text: str  # the answer as received
    said: str = ""  # its text for people; "" where it is a plan
    asks: bool = False  # whether that is a question
    tainted: bool = False  # text of others than the requester contributed

    def to_text(self) -> str:
        return json.dumps(
            {"text": self.text, "said": self.said, "asks": self.asks, "tainted": self.tainted}, ensure_ascii=False
        )


def parse_transcript(text: str) -> AnswerTranscript | None:
    """The inverse of `to_text`; None for anything else."""
    try:
        body = json.loads(text)
        found = AnswerTranscript(**body)
    except (ValueError, TypeError, RecursionError):
        return None
    strings = isinstance(found.text, str) and isinstance(found.said, str)
    return found if strings and type(found.asks) is bool and type(found.tainted) is bool else None


def compress_prompt(text: str) -> bytes:
    """A prompt compressed for the store, before encryption, after which it could not be."""
    return zlib.compress(text.encode("utf-8", "replace"))


def decompress_prompt(data: bytes) -> str:
    """The inverse of `compress_prompt`; raises ValueError for anything else."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(data, MAX_PROMPT_BYTES)
    except zlib.error:
        raise ValueError("not a packed prompt") from None
    if not reader.eof:
        raise ValueError("a packed prompt that is cut off, or too large")
    return text.decode()
