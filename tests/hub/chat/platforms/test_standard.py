"""The standard inlet: StandardPlatform Webhooks 1.0.0, with the reference library as oracle."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from common.errors import UserError
from hub.chat.platforms import standard
from hub.chat.platforms.base import (
    EXAMPLE_TEXT,
    EXAMPLE_USER,
    BadBody,
    BadSignature,
    NotAuthentic,
    OutboundReply,
    Stale,
    WebhookRequest,
)
from hub.chat.platforms.standard import StandardPlatform, parse_key, sign
from tests.each import each_of

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = bytes(range(32))
PLATFORM = StandardPlatform([KEY])
NOW = 1_700_000_000
BODY = json.dumps({"user": "alice", "conversation": "ops", "text": "disk on web-1"}).encode()


def delivery(
    body: bytes = BODY,
    message_id: str = "msg_1",
    timestamp: str = str(NOW),
    signature: str | None = None,
    key: bytes = KEY,
) -> WebhookRequest:
    if signature is None:
        signature = sign(key, message_id, timestamp, body)
    return WebhookRequest(
        body, {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    )


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        # StandardPlatform Webhooks' libraries
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        # Svix' documentation
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1731705121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
    ids=["libraries", "svix"],
)
def test_known_signatures_fit(secret: str, message_id: str, timestamp: int, body: bytes, signature: str) -> None:
    """Published vectors pass the signature; then the body is judged."""
    key = base64.b64decode(
        secret.removeprefix("whsec_")
    )  # not parse_key: the second is shorter than the standard allows
    assert sign(key, message_id, timestamp, body) == signature
    with pytest.raises(BadBody):
        StandardPlatform([key]).receive(delivery(body, message_id, str(timestamp), signature), timestamp)


@given(st.text(st.characters(codec="utf-8"), max_size=100), st.integers(0, 10**10))
def test_signatures_agree_with_the_reference_library(text: str, timestamp: int) -> None:
    """The same signature comes out of the library of the standard's authors."""
    theirs = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(timestamp, UTC), text)
    assert sign(KEY, "msg_1", timestamp, text.encode()) == theirs


def test_what_the_reference_library_signs_is_received() -> None:
    """A sender that uses the library is understood, and the id of the message is the webhook's."""
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    message = PLATFORM.receive(delivery(signature=signature), NOW)
    assert (message.event_id, message.user, message.text) == ("msg_1", "alice", "disk on web-1")


def test_what_is_rendered_the_reference_library_verifies() -> None:
    """A receiver that uses the library accepts a reply, with any of our keys."""
    other = b"k" * 24
    platform = StandardPlatform.from_secrets([SECRET.encode(), b"whsec_" + base64.b64encode(other)])
    now = time.time()
    call = platform.render(OutboundReply("01ARZ.7", "https://chat.example/r", '{"text":"好"}'), now)
    for key in (KEY, other):
        assert Webhook(key).verify(call.body, dict(call.headers)) == {"id": "01ARZ.7", "text": "好"}
    assert call.headers["webhook-id"] == "reply_01ARZ_7"
    again = platform.render(OutboundReply("01ARZ.7", "https://chat.example/r", '{"text":"好"}'), now + 60)
    assert again.headers["webhook-id"] == call.headers["webhook-id"]
    assert again.headers["webhook-timestamp"] != call.headers["webhook-timestamp"]


def test_data_may_be_wrapped() -> None:
    """The suggested envelope {type, timestamp, data} is opened; an id inside does not replace the webhook's."""
    body = json.dumps(
        {"type": "message", "data": {"id": "inner", "user": "alice", "conversation": "", "text": "hi"}}
    ).encode()
    message = PLATFORM.receive(delivery(body), NOW)
    assert (message.event_id, message.text) == ("msg_1", "hi")


@each_of("offset", [-300, -299, 0, 299, 300])
def test_five_minutes_either_way_are_accepted(offset: int) -> None:
    """The edge of the window belongs to it."""
    assert PLATFORM.receive(delivery(timestamp=str(NOW + offset)), NOW).event_id == "msg_1"


@each_of(("offset", "word"), [(-301, "old"), (301, "ahead"), (-NOW, "old"), (10**9, "ahead")])
def test_beyond_five_minutes_is_stale(offset: int, word: str) -> None:
    """A rightly signed delivery from another time is a replay or a clock that is off, and says which way."""
    with pytest.raises(Stale, match=word):
        PLATFORM.receive(delivery(timestamp=str(NOW + offset)), NOW)


def test_the_clock_is_told_only_to_who_has_the_key() -> None:
    """A forged and stale delivery is a bad signature."""
    with pytest.raises(BadSignature):
        PLATFORM.receive(delivery(timestamp=str(NOW - 1_000), key=b"x" * 32), NOW)


@each_of(
    "timestamp",
    [
        f"{NOW}.0",
        f"{NOW}.9",
        f"+{NOW}",
        f"-{NOW}",
        "1.7e9",
        "1_700_000_000",
        f" {NOW}",
        f"{NOW}\n",
        "0x6553f100",
        "",
        "now",
        "9" * 13,
        "１７０００００００００",
    ],
)
def test_a_timestamp_is_digits_only(timestamp: str) -> None:
    """Forms that the reference library reads as numbers are refused even where they are rightly signed."""
    with pytest.raises(BadSignature):
        PLATFORM.receive(delivery(timestamp=timestamp), NOW)


@each_of("message_id", ["", "msg.1", "msg 1", "msg\n1", "x" * 201, "é", "msg\x7f"])
def test_an_id_cannot_move_the_boundary_of_the_signed_text(message_id: str) -> None:
    """An id with a full stop, space or control character is refused even where it is rightly signed."""
    with pytest.raises(BadSignature):
        PLATFORM.receive(delivery(message_id=message_id), NOW)


RIGHT = sign(KEY, "msg_1", NOW, BODY)
WRONG = sign(b"x" * 32, "msg_1", NOW, BODY)


@each_of(
    "signature",
    [
        WRONG,
        RIGHT[:-1],
        RIGHT + "=",
        RIGHT.removeprefix("v1,"),
        "v1" + RIGHT.removeprefix("v1,"),
        RIGHT.replace("v1,", "v1a,"),
        RIGHT.replace("v1,", "v2,"),
        RIGHT.replace("v1,", "V1,"),
        "v1,",
        ",",
        "v1,é" + RIGHT[4:],
        "v1," + "*" * 44,
        "\xff",
        " ".join([WRONG] * 10 + [RIGHT]),  # the right one is the eleventh
        RIGHT.replace(",", ", "),
    ],
)
def test_anything_but_a_right_signature_is_refused(signature: str) -> None:
    """Wrong, cut, other versions and too many are BadSignature, never another exception."""
    with pytest.raises(BadSignature):
        PLATFORM.receive(delivery(signature=signature), NOW)


@each_of("signature", [f"{WRONG} {RIGHT}", f"{RIGHT} garbage", f"v1a,xyz {RIGHT}", " ".join([WRONG] * 9 + [RIGHT])])
def test_one_right_signature_among_ten_is_enough(signature: str) -> None:
    """A sender that rotates its key signs with both; unknown versions are passed over."""
    assert PLATFORM.receive(delivery(signature=signature), NOW).event_id == "msg_1"


def test_all_keys_are_taken() -> None:
    """While a key is rotated here, deliveries signed with the old and the new one pass."""
    new = b"n" * 32
    platform = StandardPlatform([new, KEY])
    for key in (new, KEY):
        assert platform.receive(delivery(key=key), NOW).event_id == "msg_1"


@each_of("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_is_needed(missing: str) -> None:
    """A delivery without one of the three headers is told that they must be there."""
    full = delivery()
    with pytest.raises(BadSignature, match="must be there") as caught:
        PLATFORM.receive(WebhookRequest(full.body, {k: v for k, v in full.headers.items() if k != missing}), NOW)
    assert caught.value.code == "no_signature"


@each_of("changed", ["body", "id", "timestamp"])
def test_id_timestamp_and_body_are_all_signed(changed: str) -> None:
    """Changing any of the three breaks the signature."""
    changes: dict[str, Any] = {
        "body": {"body": BODY.replace(b"web-1", b"web-2")},
        "id": {"message_id": "msg_2"},
        "timestamp": {"timestamp": str(NOW + 1)},
    }
    with pytest.raises(BadSignature):
        PLATFORM.receive(delivery(signature=RIGHT, **changes[changed]), NOW)


def test_a_key_has_24_to_64_bytes() -> None:
    """Keys of the specified length are taken with or without prefix and padding, others are refused with the length."""
    for size in (24, 32, 64):
        text = base64.b64encode(b"k" * size)
        assert parse_key(b"whsec_" + text) == parse_key(text) == parse_key(text.rstrip(b"=")) == b"k" * size
    for size in (0, 23, 65):
        with pytest.raises(UserError, match=f"has {size} bytes"):
            parse_key(b"whsec_" + base64.b64encode(b"k" * size))
    for text in (b"whsec_***", b"whsec_a", "whsec_é".encode()):
        with pytest.raises(UserError, match="base64"):
            parse_key(text)


@given(st.binary(max_size=100), st.text(max_size=20), st.text(max_size=15), st.text(max_size=60))
def test_no_delivery_raises_anything_else(body: bytes, message_id: str, timestamp: str, signature: str) -> None:
    """Whatever comes, it is a message or a refusal."""
    for attempt in (delivery(body, message_id or "x", timestamp, signature), delivery(body, "msg_1", str(NOW))):
        try:
            PLATFORM.receive(attempt, NOW)
        except (NotAuthentic, BadBody):
            pass


def test_an_example_of_its_own_is_taken() -> None:
    """Also by the reference library; from nobody known, another message each time, and no older than others may be."""
    first, second = PLATFORM.example(NOW), PLATFORM.example(NOW)
    message = PLATFORM.receive(first, NOW)
    assert (message.user, message.text) == (EXAMPLE_USER, EXAMPLE_TEXT)
    assert message.event_id != PLATFORM.receive(second, NOW).event_id
    fresh = PLATFORM.example(time.time())
    assert Webhook(SECRET).verify(fresh.body, dict(fresh.headers))["user"] == EXAMPLE_USER
    with pytest.raises(Stale):
        PLATFORM.receive(first, NOW + 301)
    assert standard.PLATFORM.new_secret is not None
    assert len(parse_key(standard.PLATFORM.new_secret().encode())) == 32
