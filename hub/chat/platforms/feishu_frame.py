"""The binary frames of Feishu's long connection: one Protocol Buffers message, read strictly and written. No I/O.

The message is `Frame` of `pbbp2.proto`, of the official SDKs (larksuite/oapi-sdk-go, ws/pbbp2.pb.go):

    1 SeqID uint64, 2 LogID uint64, 3 service int32, 4 method int32        required
    5 headers, each of 1 key and 2 value, both required strings            repeated
    6 payload_encoding string, 7 payload_type string, 8 payload bytes, 9 LogIDNew string

Read as protobuf.dev says: of a field that comes twice the last counts, what is unknown or of another type is skipped,
varints have ten bytes at most, groups are nested properly. Beyond that, all is bounded: a frame with more is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

CONTROL: Final = 0
DATA: Final = 1
MAX_PAYLOAD: Final = 1024 * 1024  # bytes
MAX_HEADERS: Final = 64
MAX_STRING: Final = 8 * 1024  # bytes of a header's key or value, and of the other strings
MAX_FIELDS: Final = 256  # of a message, unknown ones included
MAX_GROUPS: Final = 8  # in one another
_MAX_NUMBER: Final = 2**29 - 1  # of a field
_UINT64: Final = 2**64 - 1


class BadFrame(ValueError):
    """A frame that is not acceptable; `str()` says why without quoting it."""


@dataclass(frozen=True, slots=True)
class LarkFrame:
    """One frame. None stands for an optional field that is not there, as opposed to an empty one."""

    service: int  # service_id of the connection
    method: int  # CONTROL or DATA
    headers: tuple[tuple[str, str], ...] = ()  # in their order; keys may repeat
    payload: bytes | None = None
    sequence: int = 0  # SeqID
    log: int = 0  # LogID
    payload_encoding: str | None = None
    payload_type: str | None = None
    log_name: str | None = None  # LogIDNew

    def header(self, key: str) -> str | None:
        """The first of this key, as the SDKs read it."""
        return next((value for name, value in self.headers if name == key), None)


def read_frame(data: bytes) -> LarkFrame:
    """Raises BadFrame."""
    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    headers: list[tuple[str, str]] = []
    payload: bytes | None = None
    for number, value in _fields(data):
        match number, value:
            case ((1 | 2 | 3 | 4), int()):
                numbers[number] = value
            case 5, bytes():
                if len(headers) == MAX_HEADERS:
                    raise BadFrame(f"it has more than {MAX_HEADERS} headers")
                headers.append(_read_header(value))
            case ((6 | 7 | 9), bytes()):
                texts[number] = _text(value)
            case 8, bytes():
                if len(value) > MAX_PAYLOAD:
                    raise BadFrame(f"its payload has more than {MAX_PAYLOAD} bytes")
                payload = value
    if len(numbers) < 4:
        raise BadFrame("SeqID, LogID, service or method is missing")
    return LarkFrame(
        service=_int32(numbers[3]),
        method=_int32(numbers[4]),
        headers=tuple(headers),
        payload=payload,
        sequence=numbers[1],
        log=numbers[2],
        payload_encoding=texts.get(6),
        payload_type=texts.get(7),
        log_name=texts.get(9),
    )


def write_frame(frame: LarkFrame) -> bytes:
    """The frame in its canonical form: fields by their numbers, without unknown ones."""
    parts = [
        b"\x08" + _varint(frame.sequence),
        b"\x10" + _varint(frame.log),
        b"\x18" + _varint(frame.service),
        b"\x20" + _varint(frame.method),
    ]
    parts += [_counted(5, _counted(1, key.encode()) + _counted(2, value.encode())) for key, value in frame.headers]
    optional = (
        (6, None if frame.payload_encoding is None else frame.payload_encoding.encode()),
        (7, None if frame.payload_type is None else frame.payload_type.encode()),
        (8, frame.payload),
        (9, None if frame.log_name is None else frame.log_name.encode()),
    )
    parts += [_counted(number, value) for number, value in optional if value is not None]
    return b"".join(parts)


def _read_header(data: bytes) -> tuple[str, str]:
    found: dict[int, str] = {}
    for number, value in _fields(data):
        if number in (1, 2) and isinstance(value, bytes):
            found[number] = _text(value)
    if len(found) < 2:
        raise BadFrame("a header has no key or no value")
    return found[1], found[2]


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message: an int of a varint, the bytes of what is counted. Others are
    skipped, where they are well formed.
    """
    at, count, groups = 0, 0, list[int]()
    while at < len(data):
        count += 1
        if count > MAX_FIELDS:
            raise BadFrame(f"it has more than {MAX_FIELDS} fields in one message")
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 1 <= number <= _MAX_NUMBER:
            raise BadFrame("a field has a number that no field has")
        value: int | bytes | None = None
        match kind:
            case 0:  # varint
                value, at = _read_varint(data, at)
            case 1:  # 64 bits
                at += 8
            case 5:  # 32 bits
                at += 4
            case 2:  # counted bytes
                length, at = _read_varint(data, at)
                value, at = data[at : at + length], at + length
            case 3:  # a group begins
                groups.append(number)
                if len(groups) > MAX_GROUPS:
                    raise BadFrame(f"it has more than {MAX_GROUPS} groups in one another")
            case 4:  # a group ends
                if not groups or groups.pop() != number:
                    raise BadFrame("a group ends that did not begin")
            case _:
                raise BadFrame("a field has a type that no field has")
        if at > len(data):
            raise BadFrame("it is cut off")
        if value is not None and not groups:
            yield number, value
    if groups:
        raise BadFrame("it is cut off in a group")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends; more than 64 bits are dropped."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BadFrame("it is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _UINT64, at
    raise BadFrame("a number has more than ten bytes")


def _varint(value: int) -> bytes:
    """Of a negative number ten bytes: it stands as 64 bits."""
    left, out = value & _UINT64, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def _counted(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _int32(value: int) -> int:
    """The low 32 bits of a varint, with their sign."""
    low = value & 0xFFFFFFFF
    return low - 2**32 if low >= 2**31 else low


def _text(data: bytes) -> str:
    if len(data) > MAX_STRING:
        raise BadFrame(f"a string has more than {MAX_STRING} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadFrame("a string is not UTF-8") from None
