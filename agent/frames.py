"""Framing on the local socket between uplink and runner: a four-byte big-endian length, then one msgpack frame.

Both ends use this file. A frame is what travels on the link to the hub as well (`common.link.codec`) and is bounded by
the same `LINK_LIMITS`, so that whatever the hub may send fits through the socket.
"""

from __future__ import annotations

import struct
from typing import Final

from common.link.codec import LINK_LIMITS, BadFrame, encode
from common.link.messages import Message

_LENGTH: Final = struct.Struct(">I")
HEADER_SIZE: Final = _LENGTH.size
"""Bytes before each frame."""


def encode_frame(message: Message, epoch: int) -> bytes:
    """The header and the frame of one message; `epoch` is the hub's, as its sender knows it."""
    data = encode(message, epoch=epoch)
    return _LENGTH.pack(len(data)) + data


def decode_length(header: bytes | bytearray) -> int:
    """The bytes that follow `header`, which has HEADER_SIZE bytes or more; raises BadFrame where no frame has as many.

    Called before the frame is buffered, so that a peer that sends nonsense cannot make us hold gigabytes of it.
    """
    (length,) = _LENGTH.unpack_from(header)
    if not 0 < length <= LINK_LIMITS.size:
        raise BadFrame(f"a local frame of {length} bytes")
    return int(length)
