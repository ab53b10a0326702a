"""Encodes and decodes frames: msgpack, checked against limits before it is decoded.

msgpack's own decoder lets a small frame nest a thousand deep and grow seventyfold in memory, so a frame is first walked
without building objects: size, then depth, number of values and declared lengths. Extension types, floats that are not
finite, maps with a key twice or a key that is no string, and bytes after the frame are refused. Only then is it
decoded, and only into a message that `common.link.messages` accepts from this sender. Frames are described there.

Outgoing frames pass the same checks: a frame that the peer refuses closes the link, so it is refused here already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgpack

from common.fields import MAX_INT
from common.link.bodies import from_body, to_body, type_name
from common.link.messages import BadMessage, Message, Sender

MALFORMED: Final = 1007
FORBIDDEN: Final = 1008
TOO_BIG: Final = 1009


class BadFrame(ValueError):
    """Bytes that are not a frame, or not one of this sender. Close the connection with `close_code` (RFC 6455)."""

    def __init__(self, reason: str, close_code: int = MALFORMED) -> None:
        super().__init__(reason, close_code)
        self.reason = reason
        self.close_code = close_code

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class FrameLimits:
    size: int  # bytes
    depth: int  # of arrays and maps; the frame itself is the first
    nodes: int  # values in all, keys and containers included


LINK_LIMITS: Final = FrameLimits(1024 * 1024, 16, 10_000)
HANDSHAKE_LIMITS: Final = FrameLimits(64 * 1024, 16, 10_000)
"""For the first message (hello, join), whose sender has proved little."""


@dataclass(frozen=True, slots=True)
class Frame:
    message: Message
    seq: int = 0
    ack: int = 0
    epoch: int = 0


def encode(message: Message, *, seq: int = 0, ack: int = 0, epoch: int = 0) -> bytes:
    """One frame; raises BadFrame for a message that `decode` at the other end would refuse."""
    try:
        data: bytes = msgpack.packb([type_name(message), seq, ack, epoch, to_body(message)])
    except BadMessage as error:
        raise BadFrame(str(error)) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadFrame(f"{type_name(message)}: cannot be encoded ({type(error).__name__})") from None
    check_structure(data, LINK_LIMITS)
    return data


def decode(data: bytes | str, sender: Sender, limits: FrameLimits = LINK_LIMITS) -> Frame:
    """The frame in one WebSocket message; raises BadFrame, and nothing else, on anything that is not one."""
    if isinstance(data, str):
        raise BadFrame("a text message where a binary one was expected", FORBIDDEN)
    check_structure(data, limits)
    try:
        frame = msgpack.unpackb(
            data,
            object_pairs_hook=_build_map,
            ext_hook=_reject_extension,
            max_str_len=limits.size,
            max_bin_len=limits.size,
            max_array_len=limits.nodes,
            max_map_len=limits.nodes,
            max_ext_len=0,
        )
    except BadFrame:
        raise
    except (ValueError, TypeError, RecursionError) as error:  # a string that is not UTF-8, a key that cannot be one
        raise BadFrame(f"not decodable ({type(error).__name__})") from None
    if type(frame) is not list or len(frame) != 5:
        raise BadFrame("not an array of five")
    name, seq, ack, epoch, body = frame
    for number in (seq, ack, epoch):
        if type(number) is not int or not 0 <= number <= MAX_INT:
            raise BadFrame("seq, ack or epoch is not a number from 0 to 2**53")
    try:
        return Frame(from_body(name, body, sender), seq, ack, epoch)
    except BadMessage as error:
        raise BadFrame(str(error), FORBIDDEN) from None


def _build_map(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadFrame("a map with the same key twice")
    for key in found:
        if type(key) is not str:
            raise BadFrame("a map with a key that is no string")
    return found


def _reject_extension(code: int, data: bytes) -> NoReturn:  # `check_structure` refuses them first; defence in depth
    raise BadFrame("an extension type")


# ---- the walk over the structure

# For each first byte (msgpack specification, "Formats") the total size of the value, where the first byte gives it.
# Negative numbers are the others: arrays, maps, length-prefixed values, floats (checked for NaN), and forbidden ones.
_FIXED_ARRAY, _FIXED_MAP = -1, -2
_ARRAY, _MAP = -3, -4
_LENGTH_8, _LENGTH_16, _LENGTH_32 = -5, -6, -7
_FLOAT_32, _FLOAT_64 = -8, -9
_FORBIDDEN = -10


def _build_kind_table() -> tuple[int, ...]:
    kinds = [1] * 256  # the small integers, nil, false and true
    for first in range(0x80, 0x90):
        kinds[first] = _FIXED_MAP
    for first in range(0x90, 0xA0):
        kinds[first] = _FIXED_ARRAY
    for first in range(0xA0, 0xC0):
        kinds[first] = 1 + (first & 0x1F)
    kinds[0xC1] = _FORBIDDEN  # "never used"
    for first in (*range(0xC7, 0xCA), *range(0xD4, 0xD9)):
        kinds[first] = _FORBIDDEN  # extensions
    for first, kind in ((0xC4, _LENGTH_8), (0xC5, _LENGTH_16), (0xC6, _LENGTH_32)):
        kinds[first] = kinds[first + 0x15] = kind  # binaries, and strings at 0xD9 to 0xDB
    kinds[0xCA], kinds[0xCB] = _FLOAT_32, _FLOAT_64
    for power in range(4):
        kinds[0xCC + power] = kinds[0xD0 + power] = 1 + 2**power  # integers of 1, 2, 4 and 8 bytes
    kinds[0xDC] = kinds[0xDD] = _ARRAY
    kinds[0xDE] = kinds[0xDF] = _MAP
    return tuple(kinds)


_KINDS: Final = _build_kind_table()


def check_structure(data: bytes, limits: FrameLimits) -> None:
    """Walks one msgpack value that is the whole of `data`; raises BadFrame where it is past a limit or not well-formed.

    Builds nothing. The time is bounded by the number of values: a container counts in full as soon as it is announced.
    """
    size = len(data)
    if size > limits.size:
        raise BadFrame(f"{size} bytes, at most {limits.size}", TOO_BIG)
    depth, nodes = limits.depth, limits.nodes
    kinds = _KINDS
    at = 0
    pending = 1  # values still to come in the container that is open
    total = 1  # values announced so far
    outer: list[int] = []  # what is pending in the containers around it
    try:
        while True:
            first = data[at]
            kind = kinds[first]
            pending -= 1
            if kind > 0:
                at += kind
            elif kind >= _MAP:  # a container
                if kind == _FIXED_MAP:
                    count = (first & 0x0F) * 2
                    at += 1
                elif kind == _FIXED_ARRAY:
                    count = first & 0x0F
                    at += 1
                else:
                    width = 4 if first & 1 else 2
                    count = int.from_bytes(data[at + 1 : at + 1 + width])
                    if kind == _MAP:
                        count *= 2
                    at += 1 + width
                total += count
                if total > nodes:
                    raise BadFrame(f"more than {nodes} values", TOO_BIG)
                if len(outer) >= depth:
                    raise BadFrame(f"nested deeper than {depth}", TOO_BIG)
                outer.append(pending)
                pending = count
            elif kind == _LENGTH_8:
                at += 2 + data[at + 1]
            elif kind == _LENGTH_16:
                at += 3 + (data[at + 1] << 8 | data[at + 2])
            elif kind == _LENGTH_32:
                at += 5 + int.from_bytes(data[at + 1 : at + 5])
            elif kind == _FLOAT_64:
                if data[at + 1] & 0x7F == 0x7F and data[at + 2] >= 0xF0:
                    raise BadFrame("a number that is not finite")
                at += 9
            elif kind == _FLOAT_32:
                if data[at + 1] & 0x7F == 0x7F and data[at + 2] & 0x80:
                    raise BadFrame("a number that is not finite")
                at += 5
            else:
                raise BadFrame("an extension type or a byte that is never used")
            while not pending:
                if not outer:
                    if at != size:
                        raise BadFrame("bytes after the frame" if at < size else "a length beyond the end")
                    return
                pending = outer.pop()
    except IndexError:
        raise BadFrame("a length beyond the end") from None
