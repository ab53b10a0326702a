"""The `generic` platform: JSON both ways, `X-Signature: <hex HMAC-SHA256 of the body>` with the inlet's secret.

The signed text has no timestamp, so the only defence against replays is that each `id` is handled once; prefer
`standard` where the sender supports it. Of several secrets, one a line, all are accepted (rotation); replies are signed
with the one that the sender used last, which it knows, and before that with the first.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

from common.errors import UserError
from common.fields import MAX_TIME
from hub.chat.platforms.base import (
    EXAMPLE_TEXT,
    EXAMPLE_USER,
    POST_ONLY,
    BadBody,
    BadSignature,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    IncomingMessage,
    OutboundReply,
    PlatformKind,
    WebhookRequest,
    result_of_status,
)
from hub.core import strict_json
from hub.core.inlet_table import InletTable

MIN_SECRET: Final = 8
MAX_ID: Final = 200
MAX_TEXT: Final = 8_000
MAX_IMAGES: Final = 4
MAX_IMAGE: Final = 2 * 1024 * 1024  # bytes, decoded
MAX_URL: Final = 2_048

_HEX_DIGEST = re.compile(r"(?:sha256=)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_IMAGE_CHARS: Final = (MAX_IMAGE + 2) // 3 * 4


def sign(secret: bytes, body: bytes) -> str:
    """The value of X-Signature."""
    return hmac.digest(secret, body, "sha256").hex()


def body_with_id(reply: OutboundReply) -> bytes:
    """The reply's JSON with the id by which repeats are known, and `repeat` where this may be one: both are signed."""
    repeat = '"repeat":true,' if reply.repeated else ""
    return f'{{"id":{json.dumps(reply.id)},{repeat}{reply.body.removeprefix("{")}'.encode()


class GenericPlatform:
    """`Platform` for `platform = "generic"`."""

    kind = "generic"
    knows_repeats = True
    methods = POST_ONLY
    can_update = False
    can_buttons = False
    hosts: tuple[str, ...] = ()
    pace = 0.0

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)
        self.proven_by = b""

    @classmethod
    def from_secrets(cls, secrets: Sequence[bytes]) -> GenericPlatform:
        """From the lines of a secret file; raises UserError."""
        if any(len(secret) < MIN_SECRET for secret in secrets):
            raise UserError(
                f"a secret is shorter than {MIN_SECRET} bytes", "write a long random one, such as 64 hex digits"
            )
        return cls(secrets)

    def receive(self, request: WebhookRequest, now: float) -> IncomingMessage:
        header = request.headers.get("x-signature", "")
        if not header:
            raise BadSignature(
                "there is no X-Signature header; send the hex HMAC-SHA256 of the body, made with the inlet's secret",
                "no_signature",
            )
        match = _HEX_DIGEST.fullmatch(header)
        given = bytes.fromhex(match[1]) if match else bytes(32)
        found = b""
        for secret in self._secrets:  # all of them, so that timing does not reveal which one matched
            if hmac.compare_digest(hmac.digest(secret, request.body, "sha256"), given):
                found = secret
        if match is None or not found:
            raise BadSignature(
                "X-Signature does not fit the body; check the inlet's secret, and sign the exact bytes that are sent"
            )
        self.proven_by = found
        return read_message(parse_body(request.body))

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        body = body_with_id(reply)
        headers = {
            "Content-Type": "application/json",
            "X-Signature": sign(self.proven_by or self._secrets[0], body),
            "X-Answerback-Reply": reply.id,
        }
        return HttpCall(reply.url, body, headers)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> Delivered | DeliveryFailed:
        return result_of_status(response)

    def example(self, now: float) -> WebhookRequest:
        body = example_body(now)
        return WebhookRequest(body, {"x-signature": sign(self._secrets[0], body)})


PLATFORM: Final = PlatformKind(
    "generic",
    "Generic",
    InletTable,
    lambda table: GenericPlatform.from_secrets(table.secrets),
    (
        (
            "Have your program POST its messages to {url} as JSON (id, user, conversation, text) with the header"
            " X-Signature: the hex HMAC-SHA256 of the body, made with the inlet's secret.",
            "让您的程序将消息以 JSON（id、user、conversation、text）POST 到 {url}，并带请求头"
            " X-Signature：用该入口密钥对请求体计算的 HMAC-SHA256（十六进制）。",
        ),
        (
            "Where answers are wanted, give messages a reply_url, and its host to reply_hosts.",
            "需要回复时，在消息中给出 reply_url，并将其主机加入 reply_hosts。",
        ),
    ),
    new_secret=lambda: secrets.token_hex(32),
)


def example_body(now: float) -> bytes:
    """A message of nobody known, under an id of its own."""
    message_id = f"test-{now:.0f}-{secrets.token_hex(4)}"
    message = {"id": message_id, "user": EXAMPLE_USER, "conversation": EXAMPLE_USER, "text": EXAMPLE_TEXT}
    return json.dumps(message).encode()


def parse_body(body: bytes) -> Any:
    return strict_json.parse(body, long_keys=("images",), long_chars=_IMAGE_CHARS)


def read_message(body: Any, *, event_id: str = "") -> IncomingMessage:
    """A parsed body as a message; raises BadBody that names the field. Unknown fields are ignored.

    With `event_id` the body's own `id` is not needed: the platform has its own id of the delivery.
    """
    if type(body) is not dict:
        raise BadBody("the body must be a JSON object")
    images = _images(body)
    return IncomingMessage(
        event_id=event_id or _name(body, "id", 1),
        user=_name(body, "user", 1),
        conversation=_name(body, "conversation", 0),
        text=_string(body, "text", 0 if images else 1, MAX_TEXT),  # a picture may come without words
        images=images,
        reply_url="" if body.get("reply_url") is None else _string(body, "reply_url", 0, MAX_URL),
        sent_at=_time(body, "sent_at"),
    )


def _time(body: dict[str, Any], key: str) -> float:
    """Seconds since the epoch, 0 where it is not there."""
    value = body.get(key)
    if value is None:
        return 0.0
    if type(value) not in (int, float) or not 0 <= value <= MAX_TIME:
        raise BadBody(f"{key}: must be seconds since the epoch")
    return float(value)


def _string(body: dict[str, Any], key: str, least: int, most: int) -> str:
    value = body.get(key)
    if type(value) is not str:
        raise BadBody(f"{key}: must be there and be a string")
    if not least <= len(value) <= most:
        raise BadBody(f"{key}: {len(value)} characters, must be {least} to {most}")
    return value


def _name(body: dict[str, Any], key: str, least: int) -> str:
    """A short string that names something; it will appear in logs and on screens, so without control characters."""
    value = _string(body, key, least, MAX_ID)
    if _CONTROL.search(value):
        raise BadBody(f"{key}: has a control character")
    return value


def _images(body: dict[str, Any]) -> tuple[bytes, ...]:
    values = body.get("images")
    if values is None:
        return ()
    if type(values) is not list or not all(type(value) is str for value in values):
        raise BadBody("images: must be a list of base64 strings")
    if len(values) > MAX_IMAGES:
        raise BadBody(f"images: {len(values)} of them, at most {MAX_IMAGES}")
    images = []
    for value in values:
        try:
            image = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise BadBody("images: not base64 (RFC 4648, padded, without line breaks)") from None
        if not 1 <= len(image) <= MAX_IMAGE:
            raise BadBody(f"images: one has {len(image)} bytes, must be 1 to {MAX_IMAGE}")
        images.append(image)
    return tuple(images)
