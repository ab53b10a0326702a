"""What a child that reads pictures is told at its start (plain values: they travel as one JSON argument), and the two
checks that the hub itself makes: of a file's size, and of its first bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.core.picture_format import picture_format
from hub.planning.ocr.refusal import ImageRefused


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


def image_format(data: bytes, size: int) -> str:
    """The one format that a file is read as, by its first bytes; raises ImageRefused("too_big") beyond `size` bytes,
    ("not_an_image").
    """
    if len(data) > size:
        raise ImageRefused("too_big")
    if (found := picture_format(data)) is None:
        raise ImageRefused("not_an_image")
    return found
