"""Picture files that are not what they seem, made by hand."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Sequence

MAGIC = b"\x89PNG\r\n\x1a\n"
MEBIBYTE = 1024 * 1024

Chunk = tuple[bytes, bytes]


@functools.cache
def zeros(size: int) -> bytes:
    """A zlib stream that inflates to so many zero bytes. One block of them is compressed, and repeated."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    whole, rest = divmod(size, MEBIBYTE)
    block = machine.compress(bytes(MEBIBYTE)) + machine.flush(zlib.Z_FULL_FLUSH) if whole else b""
    last = machine.compress(bytes(rest)) + machine.flush()
    checksum = size % 65_521 << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + block * whole + last + struct.pack(">I", checksum)


def png(
    width: int = 8, height: int = 8, extra: Sequence[Chunk] = (), body: bytes | None = None, tail: bytes = b""
) -> bytes:
    """A grey picture of one byte a pixel; `extra` chunks stand before the picture's."""
    rows = zeros(height * (width + 1)) if body is None else body
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", rows), (b"IEND", b"")]
    return MAGIC + b"".join(map(chunk, chunks)) + tail


def chunk(part: Chunk) -> bytes:
    kind, content = part
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def named(name: str) -> bytes:
    """A whole small picture that carries a word, for children that go by it."""
    return png(extra=[(b"tEXt", b"Comment\0" + name.encode())])


def gif(width: int = 4, height: int = 4, frames: int = 1, frame: tuple[int, int] | None = None) -> bytes:
    across, down = frame or (width, height)
    picture = b"," + struct.pack("<HHHHB", 0, 0, across, down, 0) + b"\x02\x02\x4c\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + picture * frames + b";"


def jpeg_head(width: int, height: int, scans: int = 1) -> bytes:
    """Its structure alone: a frame header and `scans` empty scans."""
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x00\x00" + b"\x12\xff\x00\x34"
    return b"\xff\xd8" + frame + scan * scans + b"\xff\xd9"


def bmp(width: int = 4, height: int = 4, compression: int = 0, cut: int = 0) -> bytes:
    rows = (width * 24 + 31) // 32 * 4 * height
    head = b"BM" + struct.pack("<IHHI", 54 + rows, 0, 0, 54)
    head += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, compression, rows, 0, 0, 0, 0)
    return head + bytes(max(0, min(rows, 1 << 20) - cut))
