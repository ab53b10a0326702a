"""What a file says of itself before anything is decoded: its kind by its first bytes, its size, where it ends.

Walks the outer structure of PNG, JPEG, WebP, GIF and BMP files and inflates nothing; time and memory are linear in a
length that is bounded first. What comes back holds one still picture and nothing else: what stands behind its end,
animation, text and colour profiles are not part of `still`, which is all that a decoder ever gets.

Kept simple for safety: a decoder is told the kind found here, never asked to guess, so a file that is also something
else (a "polyglot") is only ever read as that picture. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from hub.ocr.refusal import Refused

Format = Literal["PNG", "JPEG", "WEBP", "GIF", "BMP"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a picture may be. A file of a few bytes can declare any size: that is what `pixels` is for."""

    size: int = 8 * 1024 * 1024  # bytes
    pixels: int = 20_000_000
    side: int = 10_000
    frames: int = 500
    blocks: int = 16_384  # chunks, segments and the like


@dataclass(frozen=True, slots=True)
class Picture:
    format: Format
    width: int
    height: int
    still: bytes  # a file of this format with the first picture alone


@dataclass(frozen=True, slots=True)
class Found:
    """What a walk over one format comes to."""

    width: int
    height: int
    still: bytes
    end: int  # where the picture's file ends
    frames: int = 1
    tail: bool = False  # whether cameras of this format write things behind the end


def look(data: bytes, limits: Limits) -> Picture:
    """The picture in `data`; raises Refused("too_big"), ("bomb") or ("not_an_image")."""
    if len(data) > limits.size:
        raise Refused("too_big")
    kind = next((kind for kind in _KINDS if data.startswith(kind.magic)), None)
    if kind is None:
        raise Refused("not_an_image")
    found = kind.walk(data, limits)
    if found.width < 1 or found.height < 1:
        raise Refused("not_an_image")
    if found.frames > limits.frames:
        raise Refused("bomb")
    check_size(found.width, found.height, limits)
    if not found.tail and data[found.end :].strip(b"\0"):
        raise Refused("not_an_image")  # two files in one
    return Picture(kind.name, found.width, found.height, found.still)


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raises Refused("too_big"). Also for what a decoder says after all."""
    if width > limits.side or height > limits.side or width * height > limits.pixels:
        raise Refused("too_big")


def _big(data: bytes, at: int, length: int) -> int:
    return _number(data, at, length, "big")


def _little(data: bytes, at: int, length: int) -> int:
    return _number(data, at, length, "little")


def _number(data: bytes, at: int, length: int, order: Literal["big", "little"]) -> int:
    if at + length > len(data):
        raise Refused("not_an_image")
    return int.from_bytes(data[at : at + length], order)


# ---- PNG (ISO/IEC 15948)

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_PNG_STILL: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")


def png_chunks(data: bytes, limits: Limits) -> list[tuple[bytes, int, int]]:
    """(type, where the chunk begins, length of its content), up to IEND."""
    chunks: list[tuple[bytes, int, int]] = []
    at = len(_PNG_MAGIC)
    while not chunks or chunks[-1][0] != b"IEND":
        if len(chunks) >= limits.blocks:
            raise Refused("bomb")
        length = _big(data, at, 4)
        kind = data[at + 4 : at + 8]
        if at + 12 + length > len(data) or not kind.isalpha():
            raise Refused("not_an_image")
        chunks.append((kind, at, length))
        at += 12 + length
    return chunks


def _png(data: bytes, limits: Limits) -> Found:
    chunks = png_chunks(data, limits)
    kinds = [kind for kind, _, _ in chunks]
    if kinds[0] != b"IHDR" or chunks[0][2] != 13 or kinds.count(b"IHDR") != 1 or b"IDAT" not in kinds:
        raise Refused("not_an_image")
    still = _PNG_MAGIC + b"".join(
        data[at : at + 12 + length] for kind, at, length in chunks if kind in _PNG_STILL and length <= len(data)
    )
    first, last = chunks[0][1], chunks[-1][1]
    animation = [at for kind, at, length in chunks if kind == b"acTL" and length == 8]
    frames = _big(data, animation[0] + 8, 4) if animation else 1
    return Found(_big(data, first + 8, 4), _big(data, first + 12, 4), still, last + 12 + chunks[-1][2], frames)


# ---- JPEG (ITU-T T.81)

_STARTS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # SOFn: the frame header with the size
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")
_MAX_SCANS: Final = 100  # a decoder works through the whole picture for each scan of a progressive file


def _jpeg(data: bytes, limits: Limits) -> Found:
    width = height = scans = 0
    at = 2
    for _ in range(limits.blocks):
        if _big(data, at, 1) != 0xFF:
            raise Refused("not_an_image")
        marker = _big(data, at + 1, 1)
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == 0xD9:
            if not (width and height and scans):
                raise Refused("not_an_image")
            return Found(width, height, data[: at + 2], at + 2, tail=True)
        if marker in _ALONE or marker == 0:
            at += 2
            continue
        length = _big(data, at + 2, 2)
        if length < 2 or at + 2 + length > len(data):
            raise Refused("not_an_image")
        if marker in _STARTS:
            if width:
                raise Refused("not_an_image")  # a second size
            height, width = _big(data, at + 5, 2), _big(data, at + 7, 2)
        at += 2 + length
        if marker == 0xDA:
            scans += 1
            if scans > _MAX_SCANS:
                raise Refused("bomb")
            at = _after_scan(data, at)
    raise Refused("bomb")


def _after_scan(data: bytes, at: int) -> int:
    """Where the next marker is: within a scan 0xFF is followed by 0 or by a restart marker."""
    found = _MARKER.search(data, at)
    if found is None:
        raise Refused("not_an_image")  # it breaks off
    return found.start()


# ---- GIF (version 89a)


def _gif(data: bytes, limits: Limits) -> Found:
    width, height = _little(data, 6, 2), _little(data, 8, 2)
    flags = _big(data, 10, 1)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames, first_end = 0, 0
    for _ in range(limits.blocks):
        block = _big(data, at, 1)
        if block == 0x3B:
            if not frames:
                raise Refused("not_an_image")
            return Found(width, height, data[:first_end] + b";", at + 1, frames)
        if block == 0x21:
            at = _after_blocks(data, at + 2, limits)
        elif block == 0x2C:
            left, top, across, down = (_little(data, at + 1 + 2 * index, 2) for index in range(4))
            if left + across > width or top + down > height:
                raise Refused("not_an_image")  # a decoder would make the picture larger than it says
            flags = _big(data, at + 9, 1)
            at = _after_blocks(data, at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), limits)
            frames += 1
            first_end = first_end or at
        else:
            raise Refused("not_an_image")
    raise Refused("bomb")


def _after_blocks(data: bytes, at: int, limits: Limits) -> int:
    """Blocks are 255 bytes long but for the last: a file in tiny ones is made to take time."""
    for _ in range(limits.size // 255 + 2):
        length = _big(data, at, 1)
        at += 1 + length
        if not length:
            return at
    raise Refused("bomb")


# ---- WebP (RFC 9649)


def _webp(data: bytes, limits: Limits) -> Found:
    end = 8 + _little(data, 4, 4)
    end += end & 1
    if data[8:12] != b"WEBP" or end > len(data):
        raise Refused("not_an_image")
    at, size, canvas, still = 12, None, None, b""
    for _ in range(limits.blocks):
        if at >= end:
            break
        kind, length = data[at : at + 4], _little(data, at + 4, 4)
        after = at + 8 + length + (length & 1)
        if after > end:
            raise Refused("not_an_image")
        body = data[at + 8 : at + 8 + length]
        if kind == b"VP8X":
            if _little(body, 0, 1) & 0x02:
                raise Refused("not_an_image")  # animated: no screenshot
            canvas = (_little(body, 4, 3) + 1, _little(body, 7, 3) + 1)
        elif kind in (b"VP8 ", b"VP8L"):
            if size is not None:
                raise Refused("not_an_image")
            size = _vp8(body) if kind == b"VP8 " else _vp8l(body)
        if kind in (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"EXIF"):
            still += data[at:after]
        at = after
    else:
        raise Refused("bomb")
    if size is None or canvas not in (None, size):
        raise Refused("not_an_image")
    return Found(*size, b"RIFF" + (4 + len(still)).to_bytes(4, "little") + b"WEBP" + still, end)


def _vp8(body: bytes) -> tuple[int, int]:
    if body[3:6] != b"\x9d\x01\x2a":
        raise Refused("not_an_image")
    return _little(body, 6, 2) & 0x3FFF, _little(body, 8, 2) & 0x3FFF


def _vp8l(body: bytes) -> tuple[int, int]:
    if body[:1] != b"\x2f":
        raise Refused("not_an_image")
    bits = _little(body, 1, 4)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


# ---- BMP


def _bmp(data: bytes, limits: Limits) -> Found:
    begins, header = _little(data, 10, 4), _little(data, 14, 4)
    if header not in (40, 108, 124):
        raise Refused("not_an_image")
    width = int.from_bytes(data[18:22], "little", signed=True)
    height = abs(int.from_bytes(data[22:26], "little", signed=True))
    depth, compression = _little(data, 28, 2), _little(data, 30, 4)
    if width < 1 or depth not in (1, 4, 8, 16, 24, 32) or compression not in (0, 3):  # run lengths are refused
        raise Refused("not_an_image")
    check_size(width, height, limits)
    end = begins + (width * depth + 31) // 32 * 4 * height
    if end > len(data):
        raise Refused("not_an_image")
    return Found(width, height, data[:end], end)


class _Kind(NamedTuple):
    name: Format
    magic: bytes
    walk: Callable[[bytes, Limits], Found]


_KINDS: Final = (
    _Kind("PNG", _PNG_MAGIC, _png),
    _Kind("JPEG", b"\xff\xd8\xff", _jpeg),
    _Kind("WEBP", b"RIFF", _webp),
    _Kind("GIF", b"GIF87a", _gif),
    _Kind("GIF", b"GIF89a", _gif),
    _Kind("BMP", b"BM", _bmp),
)
