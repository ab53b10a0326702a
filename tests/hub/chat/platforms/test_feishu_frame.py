"""hub.chat.platforms.feishu_frame against frames of the official SDK, and against what is none.

`feishu_frames.json` was made with lark-oapi 1.7.5 (it pins websockets below 16, and so is not in our environment):
`sent` are frames of its own `pbbp2_pb2.Frame`, sent to its own `lark_oapi.ws.Client` by a server on loopback;
`acknowledged` is what that client sent, its first ping among it; `random` are frames of `pbbp2_pb2` with what is in
them. Text is UTF-8, bytes are in hexadecimal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.feishu_frame import (
    CONTROL,
    DATA,
    MAX_FIELDS,
    MAX_GROUPS,
    MAX_HEADERS,
    MAX_PAYLOAD,
    MAX_STRING,
    BadFrame,
    LarkFrame,
    read_frame,
    write_frame,
)
from tests.each import each_of

RECORDED: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("feishu_frames.json").read_text("utf-8"))
HEAD: Final = bytes.fromhex("0800 1000 1801 2001")  # SeqID 0, LogID 0, service 1, method 1
PLAIN: Final = LarkFrame(1, DATA)


def recorded(kind: str, name: str) -> bytes:
    return bytes.fromhex(RECORDED[kind][name])


def test_frames_of_the_sdk_are_read_and_written_to_the_byte() -> None:
    for made in map(dict, RECORDED["random"]):
        raw = bytes.fromhex(made.pop("frame"))
        payload = made.pop("payload")
        frame = LarkFrame(
            payload=None if payload is None else bytes.fromhex(payload),
            headers=tuple(map(tuple, made.pop("headers"))),
            **made,
        )
        assert read_frame(raw) == frame
        assert write_frame(frame) == raw
    assert len(RECORDED["random"]) == 16
    for kind in ("sent", "acknowledged"):
        for name in RECORDED[kind]:
            raw = recorded(kind, name)
            assert write_frame(read_frame(raw)) == raw


def test_what_is_in_a_recorded_frame() -> None:
    """SeqID and LogID are 64 bits; a newer field, LogIDNew, is kept for the acknowledgement."""
    frame = read_frame(recorded("sent", "message"))
    assert (frame.sequence, frame.log, frame.service, frame.method) == (1, 2**63 + 5, 33554678, DATA)
    assert (frame.payload_encoding, frame.payload_type, frame.log_name) == (None, None, "20231114log")
    assert frame.header("type") == "event"
    assert frame.header("message_id") == "m1"
    assert frame.header("none such") is None
    assert json.loads(frame.payload or b"")["header"]["event_type"] == "im.message.receive_v1"
    ping = read_frame(recorded("acknowledged", "ping"))
    assert ping == LarkFrame(33554678, CONTROL, (("type", "ping"),))
    assert write_frame(ping) == recorded("acknowledged", "ping")


def test_of_a_field_that_comes_twice_the_last_counts() -> None:
    assert read_frame(HEAD + bytes.fromhex("2000 4201 61 4201 62")) == LarkFrame(1, CONTROL, payload=b"b")
    twice = HEAD + bytes.fromhex("2a0c 0a0161 0a0162 120163 120164")
    assert read_frame(twice).headers == (("b", "d"),)
    assert LarkFrame(1, DATA, (("a", "1"), ("a", "2"))).header("a") == "1"


@each_of(
    "more",
    [
        "50 ff01",  # 10: a number
        "51 0102030405060708",  # 64 bits
        "55 01020304",  # 32 bits
        "52 03 616263",  # bytes
        "53 08 01 12 02 6162 54",  # a group with fields of its own, which are not ours
        "53 5b 08 01 5c 54",  # a group in a group
        "45 01020304",  # 8 as 32 bits: not the payload
        "28 01",  # 5 as a number: not a header
        "0a 01 61",  # 1 as bytes: not SeqID
        "f8ffffff0f 01",  # the highest number that a field may have
    ],
)
def test_what_is_unknown_or_of_another_type_is_skipped(more: str) -> None:
    assert read_frame(HEAD + bytes.fromhex(more)) == PLAIN
    assert read_frame(bytes.fromhex(more) + HEAD) == PLAIN
    assert read_frame(HEAD + bytes.fromhex("4200") + bytes.fromhex(more)).payload == b""


def test_numbers_are_cut_to_their_width() -> None:
    """As protobuf says: 64 bits of ten bytes, 32 bits with their sign of an int32."""
    raw = bytes.fromhex("08ffffffffffffffffff7f 1000 18ffffffff0f 20feffffffffffffffff01")
    assert read_frame(raw) == LarkFrame(-1, -2, sequence=2**64 - 1)
    assert read_frame(bytes.fromhex("0880808080808080808000") + HEAD[2:]) == PLAIN  # more bytes than needed


@each_of(
    ("raw", "why"),
    [
        ("", "is missing"),
        ("0800 1000 1801", "is missing"),
        ("0a00 1000 1801 2001", "is missing"),  # SeqID as bytes
        ("08", "cut off"),
        ("0880", "cut off"),
        ("08 ffffffffffffffffffff01", "more than ten bytes"),
        ("ffffffffffffffffffffff", "more than ten bytes"),
        ("00 01", "a number that no field has"),
        ("808080801001", "a number that no field has"),  # 2**29
        ("0800 1000 1801 2001 42 05 61", "cut off"),
        ("0800 1000 1801 2001 42 ffffffffffffffffff01", "cut off"),  # a length of 2**64 - 1
        ("0800 1000 1801 2001 51 0102", "cut off"),
        ("0800 1000 1801 2001 55 0102", "cut off"),
        ("0800 1000 1801 2001 53", "cut off in a group"),
        ("0800 1000 1801 2001 54", "a group ends"),
        ("0800 1000 1801 2001 53 5c", "a group ends"),
        ("0800 1000 1801 2001 56", "a type that no field has"),
        ("0800 1000 1801 2001 57", "a type that no field has"),
        ("0800 1000 1801 2001 2a 00", "no key or no value"),
        ("0800 1000 1801 2001 2a 03 0a0161", "no key or no value"),
        ("0800 1000 1801 2001 2a 03 0a0261", "cut off"),  # the header's string is longer than the header
        ("0800 1000 1801 2001 2a 06 0a01ff 120161", "not UTF-8"),
        ("0800 1000 1801 2001 32 03 eda080", "not UTF-8"),  # half of a surrogate pair
    ],
)
def test_what_is_no_frame(raw: str, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        read_frame(bytes.fromhex(raw))


def test_bounds() -> None:
    """Of headers, strings, payload, fields and groups: up to them, and one more."""

    def with_headers(count: int, size: int = 1) -> LarkFrame:
        return LarkFrame(1, DATA, (("k", "v" * size),) * count)

    for frame in (
        with_headers(MAX_HEADERS),
        with_headers(1, MAX_STRING),
        LarkFrame(1, DATA, payload=b"x" * MAX_PAYLOAD),
    ):
        assert read_frame(write_frame(frame)) == frame
    unknown, begin, end = bytes.fromhex("5001"), bytes.fromhex("53"), bytes.fromhex("54")
    assert read_frame(HEAD + unknown * (MAX_FIELDS - 4)) == PLAIN
    assert read_frame(HEAD + begin * MAX_GROUPS + end * MAX_GROUPS) == PLAIN
    for bad, why in (
        (write_frame(with_headers(MAX_HEADERS + 1)), "headers"),
        (write_frame(with_headers(1, MAX_STRING + 1)), "a string has more"),
        (write_frame(LarkFrame(1, DATA, payload_type="x" * (MAX_STRING + 1))), "a string has more"),
        (write_frame(LarkFrame(1, DATA, payload=b"x" * (MAX_PAYLOAD + 1))), "payload"),
        (HEAD + unknown * (MAX_FIELDS - 3), "fields"),
        (HEAD + begin * (MAX_GROUPS + 1), "groups"),
        (HEAD + bytes.fromhex("2a8404") + unknown * (MAX_FIELDS + 2), "fields"),  # within a header
    ):
        with pytest.raises(BadFrame, match=why):
            read_frame(bad)


def test_a_frame_that_is_cut_anywhere_is_refused_or_a_shorter_one() -> None:
    raw = recorded("sent", "click")
    for end in range(len(raw)):
        try:
            frame = read_frame(raw[:end])
        except BadFrame:
            continue
        assert raw.startswith(write_frame(frame))


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_frame_or_refused(raw: bytes) -> None:
    for data in (raw, HEAD + raw):
        try:
            frame = read_frame(data)
        except BadFrame:
            continue
        assert read_frame(write_frame(frame)) == frame
