"""Codec: frames round trip, and hostile bytes are refused before they cost anything."""

from __future__ import annotations

import struct
import time
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from common.fields import MAX_INT
from common.link.bodies import MESSAGE_TYPES, is_allowed_sender, type_name
from common.link.codec import (
    FORBIDDEN,
    HANDSHAKE_LIMITS,
    LINK_LIMITS,
    MALFORMED,
    TOO_BIG,
    BadFrame,
    Frame,
    FrameLimits,
    check_structure,
    decode,
    encode,
)
from common.link.messages import (
    CHUNK_BYTES,
    Answer,
    Cancel,
    Forget,
    Heartbeat,
    Message,
    Output,
    Refuse,
    Refused,
    Resync,
    Sender,
)
from tests.common.message_strategies import MESSAGES, messages_of
from tests.each import each_of

SENDERS: tuple[Sender, ...] = get_args(Sender)
NUMBERS = st.integers(0, MAX_INT)
JOB = "01JZ0000000000000000000000"


def sender_of(message: Message) -> Sender:
    return next(sender for sender in SENDERS if is_allowed_sender(type_name(message), sender))


def frame_of(*parts: Any) -> bytes:
    """A frame as another program might write it."""
    return msgpack.packb(list(parts))  # type: ignore[no-any-return]


def raw(body: bytes, name: bytes = b"\xa6answer") -> bytes:
    """An answer whose data is the given msgpack bytes: the place where a frame may hold anything."""
    return b"\x95" + name + b"\x00\x00\x00\x82\xa2id\x01\xa4data" + body


# ---- round trips


@given(MESSAGES, NUMBERS, NUMBERS, NUMBERS)
def test_every_frame_comes_back(message: Message, seq: int, ack: int, epoch: int) -> None:
    """Message, seq, ack and epoch survive, whichever the type, with every field anywhere within its bounds."""
    try:
        data = encode(message, seq=seq, ack=ack, epoch=epoch)
    except BadFrame as error:
        assume(error.close_code != TOO_BIG)
        raise
    assert decode(data, sender_of(message)) == Frame(message, seq, ack, epoch)


@pytest.mark.parametrize("name", sorted(MESSAGE_TYPES))
@given(data=st.data())
def test_each_type_is_taken_from_its_senders_and_from_no_other(name: str, data: st.DataObject) -> None:
    """The matrix of types and senders holds for real frames (security lesson A1)."""
    encoded = encode(data.draw(messages_of(MESSAGE_TYPES[name])))
    for sender in SENDERS:
        if is_allowed_sender(name, sender):
            assert type_name(decode(encoded, sender).message) == name
        else:
            with pytest.raises(BadFrame, match=f"{name}: not for {sender} to send") as caught:
                decode(encoded, sender)
            assert caught.value.close_code == FORBIDDEN


def test_a_frame_is_an_array_of_type_seq_ack_epoch_body() -> None:
    """What the head of common.link.messages says is what is on the wire, for programs in other languages."""
    data = encode(Cancel(JOB, kill=True), seq=3, ack=2, epoch=7)
    assert msgpack.unpackb(data) == ["cancel", 3, 2, 7, {"job": JOB, "kill": True}]


def test_a_default_may_be_left_out_on_the_wire() -> None:
    """A newer sender may rely on the defaults that the type has."""
    assert decode(frame_of("cancel", 1, 0, 0, {"job": JOB}), "hub") == Frame(Cancel(JOB), 1, 0, 0)


# ---- what is refused


@given(st.binary(max_size=300), st.sampled_from(SENDERS))
@example(b"", "hub")
@example(b"\xc1", "hub")
@example(b"\x95", "hub")
@example(b"\xdd\xff\xff\xff\xff", "hub")
def test_random_bytes_are_refused_cleanly(data: bytes, sender: Sender) -> None:
    """Nothing but BadFrame ever comes out of bytes that are no frame."""
    with pytest.raises(BadFrame):
        decode(data, sender)


@given(MESSAGES, st.data())
def test_damaged_frames_never_do_anything_but_parse_or_be_refused(message: Message, data: st.DataObject) -> None:
    """Bytes changed, cut out, doubled or put in: a frame of the form, or BadFrame."""
    frame = bytearray(encode(message, seq=1))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame)))
        to = data.draw(st.integers(at, min(len(frame), at + 8)))
        frame[at:to] = data.draw(st.binary(max_size=6))
    try:
        decoded = decode(bytes(frame), sender_of(message))
    except BadFrame:
        return
    assert decode(encode(decoded.message, seq=decoded.seq), sender_of(decoded.message)).message == decoded.message


@given(MESSAGES, st.data())
def test_every_cut_frame_is_refused(message: Message, data: st.DataObject) -> None:
    """No beginning of a frame passes for a frame."""
    frame = encode(message, seq=1)
    with pytest.raises(BadFrame):
        decode(frame[: data.draw(st.integers(0, len(frame) - 1))], sender_of(message))


@given(MESSAGES, st.binary(min_size=1, max_size=4))
def test_bytes_after_the_frame_are_refused(message: Message, more: bytes) -> None:
    """One WebSocket message is one frame."""
    with pytest.raises(BadFrame, match="bytes after the frame"):
        decode(encode(message) + more, sender_of(message))


BAD_HEADS = [
    ["ack", 0, 0, 0],
    ["ack", 0, 0, 0, {}, 0],
    [],
    {"type": "ack"},
    "ack",
    None,
    ["ack", -1, 0, 0, {}],
    ["ack", 0, MAX_INT + 1, 0, {}],
    ["ack", 0, 0, 2**64 - 1, {}],
    ["ack", True, 0, 0, {}],
    ["ack", 0, 0.0, 0, {}],
    ["ack", 0, 0, None, {}],
    ["ack", 0, 0, "0", {}],
    ["ack", 0, 0, 0, None],
    ["ack", 0, 0, 0, []],
    ["ack", 0, 0, 0, {"x": 1}],
    [b"ack", 0, 0, 0, {}],
    [["ack"], 0, 0, 0, {}],
    [{"ack": 1}, 0, 0, 0, {}],
    ["Ack", 0, 0, 0, {}],
    ["beat", 0, 0, 0, {}],
    ["beat", 0, 0, 0, {"now": "1"}],
]


@pytest.mark.parametrize("frame", BAD_HEADS, ids=repr)
def test_frames_of_another_form_are_refused(frame: Any) -> None:
    """Five parts, of the right kind and size, with a body of the type; anything near it is refused."""
    with pytest.raises(BadFrame):
        decode(msgpack.packb(frame), "hub")


def test_a_text_message_is_refused() -> None:
    """Frames travel in binary messages."""
    with pytest.raises(BadFrame, match="text message") as caught:
        decode("hello", "hub")
    assert caught.value.close_code == FORBIDDEN


@each_of(
    ("data", "why"),
    [
        (raw(b"\xcb" + struct.pack(">d", float("nan"))), "not finite"),
        (raw(b"\xcb" + struct.pack(">d", float("-inf"))), "not finite"),
        (raw(b"\xca" + struct.pack(">f", float("nan"))), "not finite"),
        (raw(b"\xca" + struct.pack(">f", float("inf"))), "not finite"),
        (raw(b"\xd4\x01\x00"), "extension"),
        (raw(b"\xd6\xff\x00\x00\x00\x00"), "extension"),
        (raw(b"\xc7\x00\x05"), "extension"),
        (raw(b"\xc8\x00\x00\x05"), "extension"),
        (raw(b"\xc9\x00\x00\x00\x00\x05"), "extension"),
        (raw(b"\xc1"), "never used"),
        (raw(b"\x82\xa1a\x01\xa1a\x02"), "same key twice"),
        (raw(b"\x81\x01\x01"), "not decodable"),
        (raw(b"\x81\x91\xa1a\x01"), "not decodable"),
        (raw(b"\x81\xc4\x01a\x01"), "key that is no string"),
        (raw(b"\xa2\xc3\x28"), "not decodable"),
        (raw(b"\xa3\xed\xa0\x80"), "not decodable"),
        (b"\x95\xa3ack\x00\x00\x00\x82\xa1a\x01\xa1a\x02", "same key twice"),
    ],
)
def test_values_that_have_no_business_in_a_frame_are_refused(data: bytes, why: str) -> None:
    """Extensions, numbers that are not finite, doubled or odd keys, and strings that are not UTF-8 (surrogates too)."""
    with pytest.raises(BadFrame, match=why) as caught:
        decode(data, "hub")
    assert caught.value.close_code == MALFORMED


def test_finite_floats_pass_in_both_widths() -> None:
    """The check for NaN and the infinities takes no ordinary number with it, not even the largest."""
    for value in (0.0, -0.0, 1.5, -1e308, 1.7976931348623157e308, 5e-324):
        assert decode(raw(b"\xcb" + struct.pack(">d", value)), "hub").message == Answer(1, value)
    for value in (0.5, -3.4028234663852886e38):
        assert decode(raw(b"\xca" + struct.pack(">f", value)), "hub").message == Answer(1, value)


# ---- bombs: refused, and at once


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


@each_of("opening", [b"\x91", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01", b"\x81\xa1k"])
def test_depth_is_bounded(opening: bytes) -> None:
    """Sixteen levels with the frame and its body pass, one more does not, in every spelling of a container."""
    room = LINK_LIMITS.depth - 2
    assert isinstance(decode(raw(opening * room + b"\xc0"), "hub").message, Answer)
    with pytest.raises(BadFrame, match="nested deeper") as caught:
        decode(raw(opening * (room + 1) + b"\xc0"), "hub")
    assert caught.value.close_code == TOO_BIG
    with pytest.raises(BadFrame, match="nested deeper"):
        decode(raw(opening * 100_000), "hub")


def test_the_number_of_values_is_bounded() -> None:
    """Ten thousand values in all pass, one more does not."""
    room = 10_000 - 10  # the frame and its five parts, two keys, the id, the array itself
    taken = raw(b"\xdc" + struct.pack(">H", room) + b"\xc0" * room)
    assert decode(taken, "hub").message == Answer(1, [None] * room)
    refused = raw(b"\xdc" + struct.pack(">H", room + 1) + b"\xc0" * (room + 1))
    with pytest.raises(BadFrame, match="more than 10000 values") as caught:
        decode(refused, "hub")
    assert caught.value.close_code == TOO_BIG


def test_size_is_bounded_and_tighter_before_the_hello() -> None:
    """1 MiB on a link, 64 KiB before it is one."""
    data = encode(Answer(1, "x" * 70_000))
    assert decode(data, "hub")
    with pytest.raises(BadFrame, match="at most 65536") as caught:
        decode(data, "hub", HANDSHAKE_LIMITS)
    assert caught.value.close_code == TOO_BIG
    with pytest.raises(BadFrame, match="at most 1048576"):
        decode(raw(b"\xc6" + struct.pack(">I", LINK_LIMITS.size) + b"x" * LINK_LIMITS.size), "hub")


BOMBS = {
    "array of four milliards": raw(b"\xdd\xff\xff\xff\xff"),
    "map of four milliards": raw(b"\xdf\xff\xff\xff\xff"),
    "array of 65,535 in nothing": raw(b"\xdc\xff\xff"),
    "string of four milliards": raw(b"\xdb\xff\xff\xff\xff"),
    "bytes of four milliards": raw(b"\xc6\xff\xff\xff\xff"),
    "a million values": raw(b"\xdd" + struct.pack(">I", 1_000_000) + b"\xc0" * 1_000_000),
    "a million levels": raw(nested(1_000_000)),
    "fifteen wide and sixteen deep": raw(b"\x9f" * 15 + b"\xc0" * 900_000),
    "many arrays of nine thousand": raw(b"\x9f" + (b"\xdc\x23\x28" + b"\xc0" * 9_000) * 15),
    "empty arrays": raw(b"\xdc\xff\xff" + b"\x90" * 65_535),
    "no frame at all": b"\x93" * 1_000_000,
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_before_they_cost_anything(data: bytes) -> None:
    """However much a frame announces, refusing it takes a few milliseconds and no memory to speak of."""
    begun = time.process_time()
    with pytest.raises(BadFrame):
        decode(data, "hub")
    assert time.process_time() - begun < 0.05


@given(st.binary(max_size=400))
def test_what_the_scan_takes_is_what_the_decoder_takes(data: bytes) -> None:
    """Where the walk finds one whole value, so does the decoder, and where it does not, neither does the decoder."""
    limits = FrameLimits(10_000, 1000, 10_000)
    try:
        check_structure(data, limits)
        taken = True
    except BadFrame as error:
        taken = False
        assume("finite" not in str(error) and "extension" not in str(error))
    whole = True
    try:
        msgpack.unpackb(data, strict_map_key=False, raw=True, object_pairs_hook=list)
    except (ValueError, msgpack.exceptions.ExtraData):
        whole = False
    except TypeError:  # a list as a key: well-formed, and refused later
        return
    assert taken == whole


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=60,
)


@given(JSON_LIKE)
def test_the_scan_takes_everything_well_formed_within_limits(value: Any) -> None:
    """No spelling of a value that msgpack writes is refused."""
    check_structure(msgpack.packb(value), LINK_LIMITS)


@given(JSON_LIKE)
def test_the_limits_are_the_scans_to_keep(value: Any) -> None:
    """Depth and number of values are counted as a plain recursive count does."""

    def depth(item: Any) -> int:
        inner = item if isinstance(item, list) else item.values() if isinstance(item, dict) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    def nodes(item: Any) -> int:
        if isinstance(item, dict):
            return 1 + len(item) + sum(map(nodes, item.values()))
        return 1 + sum(map(nodes, item)) if isinstance(item, list) else 1

    data = msgpack.packb(value)
    check_structure(data, FrameLimits(len(data), depth(value), nodes(value)))
    for tight in (
        FrameLimits(len(data) - 1, depth(value), nodes(value)),
        FrameLimits(len(data), depth(value) - 1, nodes(value)),
        FrameLimits(len(data), depth(value), nodes(value) - 1),
    ):
        if min(tight.size, tight.nodes) > 0 and tight.depth >= 0:
            with pytest.raises(BadFrame):
                check_structure(data, tight)


# ---- what leaves


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (Answer(1, {"x": float("nan")}), "not finite"),
        (Answer(1, nested), "cannot be encoded"),
        (Answer(1, 2**64), "cannot be encoded"),
        (Answer(1, "\ud800"), "cannot be encoded"),
        (Answer(1, ["x" * 60_000] * 20), "at most 1048576"),
        (Answer(1, [0] * 20_000), "more than 10000 values"),
        (Resync({f"{number:026}": 1 for number in range(5_000)}), "more than 10000 values"),
        (Refused(JOB, "policy", "x" * 70_000), "refused.reason: longer than"),
        (Refused(JOB, "mood", ""), "refused.code"),
        (Refuse("x", "\udc80"), "cannot be encoded"),
        (Heartbeat({"load": float("inf")}), "heartbeat.vitals"),
        (Forget(5), "forget.job"),  # type: ignore[arg-type]
    ],
    ids=lambda value: None if isinstance(value, Message) else value,
)
def test_what_the_other_end_would_refuse_does_not_leave(message: Message, why: str) -> None:
    """A frame that is refused over there closes the link, and as a fact would come back with every resume."""
    with pytest.raises(BadFrame, match=why):
        encode(message)


def test_too_deep_an_answer_does_not_leave() -> None:
    """Depth is bounded on the way out as it is on the way in, also where msgpack itself would give up."""
    for depth in (15, 600, 5_000):
        data: Any = None
        for _ in range(depth):
            data = [data]
        with pytest.raises(BadFrame):
            encode(Answer(1, data))


def test_a_full_chunk_and_a_full_report_fit() -> None:
    """The largest messages that honest ends make are within the limits."""
    assert len(encode(Output(JOB, MAX_INT, 2, b"\xff" * CHUNK_BYTES, 2e9), seq=MAX_INT)) < CHUNK_BYTES + 200
    assert encode(Resync({f"{number:026}": 1 for number in range(4_900)}))


def test_errors_show_nothing_of_the_data() -> None:
    """What was wrong is said without the bytes: logs stay free of secrets and floods."""
    secret = "hunter2"
    for data in (
        frame_of("cancel", 1, 0, 0, {"job": JOB, "kill": secret}),
        frame_of(secret, 1, 0, 0, {}),
        frame_of("cancel", 1, 0, 0, {secret: 1}),
        raw(b"\x82" + (b"\xa7" + secret.encode() + b"\x01") * 2),
        secret.encode() * 100,
    ):
        with pytest.raises(BadFrame) as caught:
            decode(data, "hub")
        assert secret not in str(caught.value) + repr(caught.value.args)
        assert len(str(caught.value)) < 100


def test_a_typical_frame_is_scanned_in_microseconds() -> None:
    """The walk is on the path of every frame: under 30 µs for a dozen fields (best of many, on any machine)."""
    frame = encode(Heartbeat({f"vital-{number}": number / 3 for number in range(12)}))
    assert min(_timed(frame) for _ in range(200)) < 30e-6


def _timed(frame: bytes) -> float:
    begun = time.perf_counter()
    check_structure(frame, LINK_LIMITS)
    return time.perf_counter() - begun
