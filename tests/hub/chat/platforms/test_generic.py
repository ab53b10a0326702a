"""The generic inlet: signature over the raw body, the form of a message, signed replies."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.platforms import generic
from hub.chat.platforms.base import (
    EXAMPLE_TEXT,
    EXAMPLE_USER,
    BadBody,
    BadSignature,
    IncomingMessage,
    OutboundReply,
    WebhookRequest,
)
from hub.chat.platforms.generic import GenericPlatform, sign
from tests.each import each_of

SECRET = b"a secret of some length"
MESSAGE: dict[str, Any] = {"id": "m-1", "user": "alice", "conversation": "ops", "text": "disk on web-1"}
PLATFORM = GenericPlatform([SECRET])


def receive(message: Any, platform: GenericPlatform = PLATFORM, **changes: Any) -> IncomingMessage:
    body = json.dumps({**message, **changes}).encode() if isinstance(message, dict) else message
    return platform.receive(WebhookRequest(body, {"x-signature": sign(SECRET, body)}), 0.0)


@pytest.mark.parametrize(
    ("key", "body", "signature"),
    [
        # GitHub's documentation of webhook signatures
        (
            b"It's a Secret to Everybody",
            b"Hello, World!",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        # RFC 4231, test case 2
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (b"topsecret", b'{"text":"hi"}', "dab7e4ebf0acfe72b4aaf512075862f66d1576a4ad856c00e4b0678d895ee266"),
    ],
    ids=["github", "rfc-4231", "own"],
)
@pytest.mark.parametrize("form", [str, str.upper, "sha256={}".format, lambda text: f"SHA256={text.upper()}"])
def test_known_signatures_fit(key: bytes, body: bytes, signature: str, form: Any) -> None:
    """Published vectors pass in either case, with and without prefix; then the body is judged."""
    assert sign(key, body) == signature
    delivery = WebhookRequest(body, {"x-signature": form(signature)})
    with pytest.raises(BadBody):
        GenericPlatform([key]).receive(delivery, 0.0)


@given(st.binary(min_size=1, max_size=100), st.binary(max_size=300))
def test_signatures_agree_with_an_independent_implementation(key: bytes, body: bytes) -> None:
    """The same HMAC comes out of another library."""
    other = HMAC(key, SHA256())
    other.update(body)
    assert sign(key, body) == other.finalize().hex()


def test_a_signed_message_is_read() -> None:
    """A delivery as documented becomes the message it holds."""
    image = b"\x89PNG\r\n"
    message = {
        **MESSAGE,
        "text": "磁盘 😀",
        "images": [base64.b64encode(image).decode()],
        "reply_url": "https://chat.example/r",
        "unknown": {"is": "let pass"},
    }
    assert receive(message) == IncomingMessage(
        "m-1", "alice", "ops", "磁盘 😀", images=(image,), reply_url="https://chat.example/r"
    )


def test_when_it_was_written_may_be_told() -> None:
    """In seconds; anything else is named, and nothing is 0."""
    assert receive({**MESSAGE, "sent_at": 1_800_000_000}) == replace(receive(MESSAGE), sent_at=1_800_000_000.0)
    for bad in ("now", True, -1, 1e18, [1]):
        with pytest.raises(BadBody, match="sent_at"):
            receive({**MESSAGE, "sent_at": bad})


RIGHT = sign(SECRET, b"{}")


@each_of(
    "header",
    [
        "",
        "0",
        "0" * 64,
        RIGHT[:-1],
        RIGHT + "0",
        RIGHT + "\n",
        " " + RIGHT,
        RIGHT[:32] + " " + RIGHT[32:],
        "sha256=",
        "sha1=" + RIGHT,
        "sha256=sha256=" + RIGHT,
        f"{RIGHT}, {RIGHT}",  # the header twice
        "é" * 64,
        "\xff\xfe",
        "１" * 64,
        "g" * 64,
        "0x" + RIGHT[2:],
    ],
)
def test_anything_but_the_right_digest_is_refused(header: str) -> None:
    """Missing, cut, padded, doubled and non-ASCII signatures are BadSignature, never another exception."""
    with pytest.raises(BadSignature):
        PLATFORM.receive(WebhookRequest(b"{}", {"x-signature": header}), 0.0)


def test_one_changed_byte_anywhere_breaks_the_signature() -> None:
    """Not a single bit of the body can be changed."""
    body = json.dumps(MESSAGE).encode()
    headers = {"x-signature": sign(SECRET, body)}
    for index in range(len(body)):
        changed = body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]
        with pytest.raises(BadSignature):
            PLATFORM.receive(WebhookRequest(changed, headers), 0.0)


def test_nothing_is_parsed_before_the_signature_fits() -> None:
    """A forged body that is not even JSON is a bad signature, so a forger learns nothing about parsing."""
    with pytest.raises(BadSignature):
        PLATFORM.receive(WebhookRequest(b"\xff{", {"x-signature": "0" * 64}), 0.0)


def test_a_wrong_key_and_a_changed_body_look_the_same() -> None:
    """The refusal gives no hint at what was wrong."""
    refusals = []
    for body, key in ((b"{}", b"another secret"), (b"[]", SECRET)):
        with pytest.raises(BadSignature) as caught:
            PLATFORM.receive(WebhookRequest(body, {"x-signature": sign(key, b"{}")}), 0.0)
        refusals.append((caught.value.code, str(caught.value)))
    assert refusals[0] == refusals[1]


def test_all_secrets_are_taken_and_the_first_signs() -> None:
    """While a secret is rotated both are accepted, and replies bear the new one."""
    old, new = b"the old secret", b"the new secret"
    platform = GenericPlatform.from_secrets([new, old])
    body = json.dumps(MESSAGE).encode()
    for key in (old, new):
        assert platform.receive(WebhookRequest(body, {"x-signature": sign(key, body)}), 0.0).event_id == "m-1"
    call = platform.render(OutboundReply("r.7", "https://chat.example/r", '{"text":"好"}'), 0.0)
    assert call.headers["X-Signature"] == sign(new, call.body)


def test_a_reply_is_signed_json_with_an_id() -> None:
    """The receiver verifies a reply as the hub verifies a message, and can tell a repeat."""
    first = OutboundReply("01ARZ.7", "https://chat.example/r", '{"text":"好"}')
    call = PLATFORM.render(first, 0.0)
    assert (call.method, call.url) == ("POST", "https://chat.example/r")
    assert call.body == '{"id":"01ARZ.7","text":"好"}'.encode()
    again = PLATFORM.render(replace(first, repeated=True), 0.0)
    assert again.body == '{"id":"01ARZ.7","repeat":true,"text":"好"}'.encode()
    assert again.headers["X-Signature"] == sign(SECRET, again.body)
    assert call.headers == {
        "Content-Type": "application/json",
        "X-Signature": sign(SECRET, call.body),
        "X-Answerback-Reply": "01ARZ.7",
    }


@each_of(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": ["m"]}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"user": ""}, "user"),
        ({"user": "x" * 201}, "user"),
        ({"user": "a\x1b[31m"}, "user"),
        ({"user": {"id": "alice"}}, "user"),
        ({"conversation": None}, "conversation"),
        ({"conversation": "x" * 201}, "conversation"),
        ({"text": ""}, "text"),
        ({"text": None}, "text"),
        ({"text": True}, "text"),
        ({"text": "x" * 8_001}, "text"),
        ({"reply_url": 1}, "reply_url"),
        ({"reply_url": "https://x/" + "x" * 2_048}, "reply_url"),
        ({"images": "aGk="}, "images"),
        ({"images": {"0": "aGk="}}, "images"),
        ({"images": [1]}, "images"),
        ({"images": ["aGk="] * 5}, "images"),
        ({"images": [""]}, "images"),
        ({"images": ["aGk"]}, "images"),
        ({"images": ["aG\nk="]}, "images"),
        ({"images": ["é==="]}, "images"),
        ({"images": [base64.b64encode(bytes(generic.MAX_IMAGE + 1)).decode()]}, "images|string"),
    ],
)
def test_a_field_out_of_form_is_named(changes: dict[str, Any], field: str) -> None:
    """A message of the wrong form is refused with the field's name and without its content."""
    with pytest.raises(BadBody, match=f"^(a )?({field})"):
        receive(MESSAGE, **changes)


@each_of("missing", ["id", "user", "conversation", "text"])
def test_a_missing_field_is_named(missing: str) -> None:
    """Each of the required fields is required."""
    with pytest.raises(BadBody, match=f"^{missing}: must be there"):
        receive({key: value for key, value in MESSAGE.items() if key != missing})


@each_of("body", [b"[]", b'"text"', b"null", b"7"])
def test_only_an_object_is_a_message(body: bytes) -> None:
    """Other JSON values are refused."""
    with pytest.raises(BadBody, match="object"):
        receive(body)


def test_the_bounds_themselves_are_allowed() -> None:
    """The longest id, user, conversation and text, four images and one of the largest size pass."""
    message = receive(MESSAGE, id="i" * 200, user="u" * 200, conversation="c" * 200, text="t" * 8_000)
    assert len(message.text) == 8_000
    assert receive(MESSAGE, conversation="").conversation == ""
    assert len(receive(MESSAGE, images=["aGk="] * 4).images) == 4
    largest = base64.b64encode(bytes(generic.MAX_IMAGE)).decode()
    assert len(receive(MESSAGE, images=[largest]).images[0]) == generic.MAX_IMAGE


def test_no_reply_url_and_an_empty_one_are_the_same() -> None:
    """Replies are then kept at the hub."""
    assert receive(MESSAGE).reply_url == receive(MESSAGE, reply_url="").reply_url == ""
    assert receive(MESSAGE, reply_url=None).reply_url == ""


def test_a_short_secret_is_refused() -> None:
    """A secret that can be guessed is a mistake that the person is told about."""
    with pytest.raises(UserError, match="shorter than 8"):
        GenericPlatform.from_secrets([b"1234567"])


@given(st.binary(max_size=200), st.text(max_size=80))
def test_no_delivery_raises_anything_else(body: bytes, header: str) -> None:
    """Whatever comes, signed or not, is a message or one of the two refusals."""
    for headers in ({"x-signature": header}, {"x-signature": sign(SECRET, body)}, {}):
        try:
            PLATFORM.receive(WebhookRequest(body, headers), 0.0)
        except (BadSignature, BadBody):
            pass


def test_an_example_of_its_own_is_taken() -> None:
    """With the first of its secrets, from nobody known, another message each time."""
    first, second = (PLATFORM.receive(PLATFORM.example(now), now) for now in (1e9, 1e9))
    assert (first.user, first.text) == (EXAMPLE_USER, EXAMPLE_TEXT)
    assert first.event_id != second.event_id
    with pytest.raises(BadSignature):
        GenericPlatform([b"another secret"]).receive(PLATFORM.example(1e9), 1e9)
    assert generic.PLATFORM.new_secret is not None
    assert GenericPlatform.from_secrets([generic.PLATFORM.new_secret().encode()])
