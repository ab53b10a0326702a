"""DingTalk's event subscription over HTTP: signed and encrypted, and acknowledged likewise. No I/O.

The query has `signature` (or `msg_signature`), `timestamp` and `nonce`, the body `{"encrypt": ...}`; see
`callback_crypto`. Every event, the handshake `check_url` with them, is acknowledged with "success", encrypted and
signed. None of them is a message: those come to the robot.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from common.errors import UserError
from hub.chat.platforms.base import BadBody, BadSignature, ImmediateResponse, Stale, WebhookRequest
from hub.chat.platforms.callback_crypto import RANDOM, seal, signature_of, unseal
from hub.core import strict_json

TOLERANCE: Final = 300.0  # seconds either way
_AES_KEY: Final = re.compile(rb"[0-9A-Za-z+/]{43}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
_TIMESTAMP: Final = re.compile(r"[0-9]{13}", re.ASCII)
_REFUSED: Final = (
    "the event is not signed and encrypted for this inlet; check app_key, event_token_file and event_aes_key_file "
    "against the app's event subscription"
)


def read_aes_key(line: bytes, key: str) -> bytes:
    """The 32 bytes that 43 characters of base64 stand for; raises UserError."""
    if not _AES_KEY.fullmatch(line):
        raise UserError(f"{key} is not an AES key", "write the 43 characters that the app's page shows")
    return base64.b64decode(line + b"=")


@dataclass(frozen=True, slots=True)
class EventKeys:
    """Token and AES key of an event subscription, and the app whose it is."""

    token: str = field(repr=False)
    key: bytes = field(repr=False)
    owner: str = ""  # AppKey

    @classmethod
    def of(cls, secrets_of: Mapping[str, tuple[bytes, ...]], owner: str) -> EventKeys | None:
        """From the secret files of an inlet; None where it has no event subscription. Raises UserError."""
        tokens, keys = secrets_of.get("event_token_file", ()), secrets_of.get("event_aes_key_file", ())
        if not tokens and not keys:
            return None
        if not tokens or not keys or not owner:
            raise UserError(
                "an event subscription needs event_token_file, event_aes_key_file and app_key", "set all three"
            )
        return cls(tokens[0].decode("latin-1"), read_aes_key(keys[0], "event_aes_key_file"), owner)

    def receive(self, request: WebhookRequest, now: float) -> ImmediateResponse:
        """The acknowledgement of an authentic event; raises BadSignature or Stale, and the same for all that is wrong
        with signature, ciphertext and receiver.
        """
        query = request.query
        given = query.get("msg_signature") or query.get("signature", "")
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        encrypted = _encrypted(request.body)
        expected = signature_of(self.token, timestamp, nonce, encrypted)
        signed = _SIGNATURE.fullmatch(given) and hmac.compare_digest(expected, given)
        opened = unseal(self.key, encrypted) if signed and _TIMESTAMP.fullmatch(timestamp) else None
        if opened is None or not hmac.compare_digest(opened[1], self.owner.encode()):
            raise BadSignature(_REFUSED)
        if abs(now - int(timestamp) / 1000) > TOLERANCE:
            raise Stale(f"timestamp is more than {TOLERANCE:.0f} s off; set the clocks")
        return ImmediateResponse(json.dumps(self.acknowledge(now)).encode())

    def acknowledge(self, now: float) -> dict[str, Any]:
        timestamp, nonce = str(int(now * 1000)), secrets.token_hex(8)
        encrypted = seal(self.key, b"success", self.owner.encode(), secrets.token_bytes(RANDOM))
        signature = signature_of(self.token, timestamp, nonce, encrypted)
        return {"msg_signature": signature, "encrypt": encrypted, "timeStamp": timestamp, "nonce": nonce}


def _encrypted(raw: bytes) -> str:
    """The ciphertext of a body; "" where there is none."""
    try:
        body = strict_json.parse(raw, long_keys=("encrypt",), long_chars=len(raw))
    except BadBody:
        return ""
    encrypted = body.get("encrypt") if type(body) is dict else None
    return encrypted if type(encrypted) is str else ""
