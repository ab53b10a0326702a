"""Which picture a file is, by its first bytes: the only formats that are read, whatever a file is called. Pure."""

from __future__ import annotations

from typing import Final

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"RIFF", "WEBP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)


def picture_format(data: bytes) -> str | None:
    """The one format that a file is read as; None for what is no picture."""
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)
