"""The `generic` platform: JSON both ways, `X-Signature: <hex HMAC-SHA256 of the body>` with the inlet's secret.

There is no timestamp in the signed text, so the only defence against a replay is that an `id` is handled once; where
the sender can choose, `standard` is better. Several secrets, one a line, are all accepted (rotation); replies are
signed with the first.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from typing import Any, Final

from common.errors import UserError
from hub import intake_json
from hub.chat.platform import (
    POST_ONLY,
    Answer,
    BadBody,
    BadSignature,
    Delivered,
    Delivery,
    Failed,
    Incoming,
    Outbound,
    Posting,
    heard_plainly,
)

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


class Generic:
    kind = "generic"
    methods = POST_ONLY
    can_update = False
    can_buttons = False

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)

    @classmethod
    def from_secrets(cls, secrets: Sequence[bytes]) -> Generic:
        """From the lines of a secret file; raises UserError."""
        if any(len(secret) < MIN_SECRET for secret in secrets):
            raise UserError(
                f"a secret is shorter than {MIN_SECRET} bytes", "write a long random one, such as 64 hex digits"
            )
        return cls(secrets)

    def receive(self, delivery: Delivery, now: float) -> Incoming:
        header = delivery.headers.get("x-signature", "")
        if not header:
            raise BadSignature(
                "there is no X-Signature header; send the hex HMAC-SHA256 of the body, made with the inlet's secret",
                "no_signature",
            )
        match = _HEX_DIGEST.fullmatch(header)
        given = bytes.fromhex(match[1]) if match else bytes(32)
        right = False
        for secret in self._secrets:  # all of them, so that time does not tell which one it was
            right |= hmac.compare_digest(hmac.digest(secret, delivery.body, "sha256"), given)
        if match is None or not right:
            raise BadSignature(
                "X-Signature does not fit the body; check the inlet's secret, and sign the exact bytes that are sent"
            )
        return read_message(parse_body(delivery.body))

    def render(self, posting: Posting, now: float) -> Outbound:
        body = posting.body.encode()
        headers = {
            "Content-Type": "application/json",
            "X-Signature": sign(self._secrets[0], body),
            "X-Answerback-Reply": posting.id,
        }
        return Outbound(posting.url, body, headers)

    def heard(self, posting: Posting, call: Outbound, answer: Answer, now: float) -> Delivered | Failed:
        return heard_plainly(answer)


def parse_body(body: bytes) -> Any:
    return intake_json.parse(body, long_keys=("images",), long_chars=_IMAGE_CHARS)


def read_message(body: Any, *, event_id: str = "") -> Incoming:
    """A parsed body as a message; raises BadBody that names the field. Fields it does not know are let pass.

    With `event_id` the body's own `id` is not needed: the platform has identified the delivery already.
    """
    if type(body) is not dict:
        raise BadBody("the body must be a JSON object")
    images = _images(body)
    return Incoming(
        event_id=event_id or _name(body, "id", 1),
        user=_name(body, "user", 1),
        conversation=_name(body, "conversation", 0),
        text=_string(body, "text", 0 if images else 1, MAX_TEXT),  # a picture may come without words
        images=images,
        reply_url="" if body.get("reply_url") is None else _string(body, "reply_url", 0, MAX_URL),
    )


def _string(body: dict[str, Any], key: str, least: int, most: int) -> str:
    value = body.get(key)
    if type(value) is not str:
        raise BadBody(f"{key}: must be there and be a string")
    if not least <= len(value) <= most:
        raise BadBody(f"{key}: {len(value)} characters, must be {least} to {most}")
    return value


def _name(body: dict[str, Any], key: str, least: int) -> str:
    """A short string that names something; it will stand in logs and on screens, so no control characters."""
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
