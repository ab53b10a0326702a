"""The `standard` platform: Standard Webhooks 1.0.0 both ways, over the same JSON as `generic` (plain, or under `data`).

    webhook-id         identifies the message; the same on every attempt, so it is what repeats are known by
    webhook-timestamp  seconds since the epoch, an integer
    webhook-signature  space-separated `v1,<base64>`; HMAC-SHA256 over "<id>.<timestamp>.<body>"

One valid signature is enough; entries of other versions are ignored. Parsed more strictly than by the reference
library: the timestamp is digits only (it accepts "1e9" and "+1.5"), and an id contains no full stop, or the boundaries
within the signed text would be ambiguous.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

from common.errors import UserError
from hub.chat.platforms.base import (
    POST_ONLY,
    BadSignature,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    IncomingMessage,
    OutboundReply,
    PlatformKind,
    Stale,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.generic import MAX_ID, body_with_id, example_body, parse_body, read_message
from hub.core.inlet_table import InletTable

TOLERANCE: Final = 300  # seconds either way
MAX_SIGNATURES: Final = 10
MIN_KEY: Final = 24  # bytes
MAX_KEY: Final = 64
_PREFIX: Final = b"whsec_"
_ID = re.compile(rf"[!-\-/-~]{{1,{MAX_ID}}}")  # printable ASCII but space and full stop
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST_CHARS: Final = 44  # base64 of 32 bytes


def sign(key: bytes, message_id: str, timestamp: int | str, body: bytes) -> str:
    """One entry of webhook-signature."""
    return "v1," + base64.b64encode(_digest(key, message_id, timestamp, body)).decode()


def _digest(key: bytes, message_id: str, timestamp: int | str, body: bytes) -> bytes:
    return hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")


def parse_key(secret: bytes) -> bytes:
    """The key in `whsec_<base64>` (prefix and padding optional); raises UserError."""
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise UserError("a secret of a standard inlet is not base64", "write it as whsec_ and base64") from None
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise UserError(
            f"a secret of a standard inlet has {len(key)} bytes", f"use {MIN_KEY} to {MAX_KEY} random bytes, in base64"
        )
    return key


class StandardPlatform:
    """`Platform` for `platform = "standard"`."""

    kind = "standard"
    knows_repeats = True
    methods = POST_ONLY
    can_update = False
    can_buttons = False
    hosts: tuple[str, ...] = ()
    pace = 0.0

    def __init__(self, keys: Sequence[bytes], lines: Sequence[bytes] = ()) -> None:
        """`lines` are the keys as the secret file has them."""
        self._keys = tuple(keys)
        self._lines = tuple(lines) or self._keys
        self.proven_by = b""

    @classmethod
    def from_secrets(cls, secrets: Sequence[bytes]) -> StandardPlatform:
        """From the lines of a secret file, one `whsec_…` each; raises UserError."""
        return cls([parse_key(secret) for secret in secrets], secrets)

    def receive(self, request: WebhookRequest, now: float) -> IncomingMessage:
        headers = request.headers
        message_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        signatures = headers.get("webhook-signature", "")
        if not (message_id and timestamp and signatures):
            raise BadSignature(
                "webhook-id, webhook-timestamp and webhook-signature must be there (Standard Webhooks)", "no_signature"
            )
        if not _ID.fullmatch(message_id):
            raise BadSignature(
                f"webhook-id must be 1 to {MAX_ID} printable ASCII characters without space or full stop"
            )
        if not _TIMESTAMP.fullmatch(timestamp):
            raise BadSignature("webhook-timestamp must be whole seconds since the epoch")
        signer = self._signer(message_id, timestamp, request.body, signatures)
        if not signer:
            raise BadSignature(
                "no webhook-signature fits; check the inlet's secret, and sign the exact bytes that are sent"
            )
        # The age is checked after the signature, so that only holders of the key learn about our clock.
        age = now - int(timestamp)
        if abs(age) > TOLERANCE:
            off = f"{abs(age):.0f} s {'old' if age > 0 else 'ahead'}"
            raise Stale(f"webhook-timestamp is {off}, at most {TOLERANCE} s are accepted; sign anew, or set the clocks")
        self.proven_by = signer
        body = parse_body(request.body)
        if type(body) is dict and "text" not in body and type(body.get("data")) is dict:
            body = body["data"]
        return read_message(body, event_id=message_id)

    def _signer(self, message_id: str, timestamp: str, body: bytes, signatures: str) -> bytes:
        """The line of the key that signed it; empty where none did. Of several, the first."""
        given = [digest for entry in signatures.split(" ")[:MAX_SIGNATURES] if (digest := _entry(entry)) is not None]
        if not given:
            return b""
        expected = [_digest(key, message_id, timestamp, body) for key in self._keys]
        found = b""
        for ours, line in zip(expected, self._lines, strict=True):  # all pairs: timing does not reveal which matched
            for theirs in given:
                if hmac.compare_digest(ours, theirs):
                    found = found or line
        return found

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        body = body_with_id(reply)
        message_id = "reply_" + reply.id.replace(".", "_")
        timestamp = int(now)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            # With every key, so that the receiver may rotate before or after us.
            "webhook-signature": " ".join(sign(key, message_id, timestamp, body) for key in self._keys),
            "X-Answerback-Reply": reply.id,
        }
        return HttpCall(reply.url, body, headers)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> Delivered | DeliveryFailed:
        return result_of_status(response)

    def example(self, now: float) -> WebhookRequest:
        body, message_id, timestamp = example_body(now), f"test_{secrets.token_hex(8)}", str(int(now))
        signature = sign(self._keys[0], message_id, timestamp, body)
        return WebhookRequest(
            body, {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
        )


PLATFORM: Final = PlatformKind(
    "standard",
    "Standard Webhooks",
    InletTable,
    lambda table: StandardPlatform.from_secrets(table.secrets),
    (
        (
            "Have the sender POST to {url}, signed as Standard Webhooks 1.0.0 says, with the inlet's secret (whsec_…);"
            " the JSON has user, conversation and text.",
            "让发送方按 Standard Webhooks 1.0.0 用该入口密钥（whsec_…）签名后 POST 到 {url}；"
            "JSON 中含 user、conversation 和 text。",
        ),
        (
            "Where answers are wanted, give messages a reply_url, and its host to reply_hosts.",
            "需要回复时，在消息中给出 reply_url，并将其主机加入 reply_hosts。",
        ),
    ),
    new_secret=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
)


def _entry(entry: str) -> bytes | None:
    """The digest in one `v1,<base64>`; None for other versions and for what is not of the form."""
    version, comma, encoded = entry.partition(",")
    if version != "v1" or not comma or len(encoded) != _DIGEST_CHARS or not encoded.isascii():
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
