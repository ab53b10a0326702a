"""What is kept with a request, sealed: the prompt, packed, and the answer with what it may mean later. Pure."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Final

MAX_PACKED: Final = 4 * 1024 * 1024  # bytes of a prompt, unpacked


@dataclass(frozen=True, slots=True)
class Kept:
    text: str  # the answer as it came
    said: str = ""  # what it says to people; "" where it is a plan
    asks: bool = False  # ... which is a question back
    tainted: bool = False  # text of somebody else took part in it

    def to_text(self) -> str:
        return json.dumps(
            {"text": self.text, "said": self.said, "asks": self.asks, "tainted": self.tainted}, ensure_ascii=False
        )


def read_kept(text: str) -> Kept | None:
    """What `to_text` wrote; None for anything else."""
    try:
        body = json.loads(text)
        kept = Kept(**body)
    except (ValueError, TypeError, RecursionError):
        return None
    strings = isinstance(kept.text, str) and isinstance(kept.said, str)
    return kept if strings and type(kept.asks) is bool and type(kept.tainted) is bool else None


def pack(text: str) -> bytes:
    """A prompt for keeping: most of it is the same every time, and a sealed thing cannot be made smaller any more."""
    return zlib.compress(text.encode("utf-8", "replace"))


def unpack(data: bytes) -> str:
    """What `pack` was given; raises ValueError for anything else."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(data, MAX_PACKED)
    except zlib.error:
        raise ValueError("not a packed prompt") from None
    if not reader.eof:
        raise ValueError("a packed prompt that is cut off, or too large")
    return text.decode()
