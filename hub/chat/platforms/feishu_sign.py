"""Feishu's signature and encryption of deliveries. No I/O.

Refusals of what is not signed are all the same, whatever is inside: a difference would tell a sender without the key
whether a forged ciphertext had correct padding.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from common.errors import UserError
from hub.chat.platforms.base import BadBody, BadSignature, Stale, WebhookRequest
from hub.core import strict_json

TOLERANCE: Final = 300  # seconds either way
MIN_TOKEN: Final = 8
MAX_NONCE: Final = 200
_BLOCK: Final = 16
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,13}", re.ASCII)
_MILLISECONDS: Final = 100_000_000_000
"""From here on a timestamp is in milliseconds: in seconds it would be in the year 5138."""


def signature(key: bytes, timestamp: str, nonce: str, body: bytes) -> str:
    """The value of X-Lark-Signature."""
    return hashlib.sha256(timestamp.encode() + nonce.encode() + key + body).hexdigest()


def encrypt(key: bytes, text: bytes, iv: bytes) -> str:
    """The value of `encrypt`, as the platform makes it."""
    pad = _BLOCK - len(text) % _BLOCK
    encryptor = _cipher(key, iv).encryptor()
    data = encryptor.update(text + bytes([pad]) * pad) + encryptor.finalize()
    return base64.b64encode(iv + data).decode()


def decrypt(key: bytes, text: object) -> bytes | None:
    """What `encrypt` holds; None where it does not fit the key."""
    if type(text) is not str or not text.isascii():
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) < 2 * _BLOCK or len(data) % _BLOCK:
        return None
    decryptor = _cipher(key, data[:_BLOCK]).decryptor()
    plain = decryptor.update(data[_BLOCK:]) + decryptor.finalize()
    pad = plain[-1]
    if not 1 <= pad <= _BLOCK or plain[-pad:] != bytes([pad]) * pad:
        return None
    return plain[:-pad]


class FeishuKeys:
    """The Verification Tokens and Encrypt Keys of one inlet; any of each holds, so that they can be changed."""

    def __init__(self, tokens: Sequence[bytes], keys: Sequence[bytes]) -> None:
        """Raises UserError."""
        if any(len(token) < MIN_TOKEN for token in tokens):
            raise UserError("a Verification Token is too short", "copy it from the app's Encryption Strategy")
        self._tokens = tuple(tokens)
        self._keys = tuple(keys)
        self.proven_by = b""  # the Verification Token of the last delivery

    def open(self, request: WebhookRequest, now: float) -> dict[str, Any]:
        """The body of an authentic delivery, decrypted. Raises BadSignature, Stale or BadBody."""
        if not self._keys:
            body = _object(strict_json.parse(request.body, long_keys=("encrypt",), long_chars=len(request.body)))
            if "encrypt" in body:
                raise BadSignature("the delivery is encrypted; write the app's Encrypt Key into encrypt_key_file")
        elif any(request.headers.get(f"x-lark-{name}") for name in ("signature", "request-timestamp")):
            body = self._open_signed(request, now)
        else:
            body = self._open_handshake(request.body)
        if not self._has_token(body):
            raise BadSignature("the Verification Token is missing or not the app's; write the app's into secret_file")
        return body

    def sign(self, text: bytes, now: float) -> WebhookRequest:
        """A delivery of this JSON object, as the platform would send it now."""
        body = json.dumps({**json.loads(text), "token": self._tokens[0].decode("latin-1")}).encode()
        if not self._keys:
            return WebhookRequest(body)
        sealed = json.dumps({"encrypt": encrypt(self._keys[0], body, secrets.token_bytes(_BLOCK))}).encode()
        timestamp, nonce = str(int(now)), secrets.token_hex(8)
        headers = {"timestamp": timestamp, "nonce": nonce}
        named = {f"x-lark-request-{name}": value for name, value in headers.items()}
        return WebhookRequest(sealed, {**named, "x-lark-signature": signature(self._keys[0], timestamp, nonce, sealed)})

    def _open_signed(self, request: WebhookRequest, now: float) -> dict[str, Any]:
        headers = request.headers
        given = headers.get("x-lark-signature", "")
        timestamp, nonce = headers.get("x-lark-request-timestamp", ""), headers.get("x-lark-request-nonce", "")
        well_formed = _SIGNATURE.fullmatch(given) and _TIMESTAMP.fullmatch(timestamp) and len(nonce) <= MAX_NONCE
        key = self._signer(timestamp, nonce, request.body, given.lower()) if well_formed else None
        if key is None:
            raise BadSignature("X-Lark-Signature does not fit the body; check the inlet's Encrypt Key")
        # The age is checked after the signature, so that only holders of the key learn about our clock.
        at = int(timestamp) / 1000 if int(timestamp) >= _MILLISECONDS else int(timestamp)
        if abs(now - at) > TOLERANCE:
            off = f"{abs(now - at):.0f} s {'old' if now > at else 'ahead'}"
            raise Stale(f"X-Lark-Request-Timestamp is {off}, at most {TOLERANCE} s are accepted; set the clocks")
        outer = _object(strict_json.parse(request.body, long_keys=("encrypt",), long_chars=len(request.body)))
        inner = decrypt(key, outer.get("encrypt"))
        if inner is None:
            raise BadBody("encrypt: must be there and be encrypted with the app's Encrypt Key")
        return _object(strict_json.parse(inner))

    def _signer(self, timestamp: str, nonce: str, body: bytes, given: str) -> bytes | None:
        found = None
        for key in self._keys:  # all of them, so that timing does not reveal which one matched
            expected = signature(key, timestamp, nonce, body)
            if hmac.compare_digest(expected, given):
                found = key
        return found

    def _open_handshake(self, raw: bytes) -> dict[str, Any]:
        """Without a signature only the handshake is taken, and that only encrypted and with the token."""
        try:
            outer = _object(strict_json.parse(raw, long_keys=("encrypt",), long_chars=len(raw)))
        except BadBody:
            outer = {}
        for key in self._keys:
            inner = decrypt(key, outer.get("encrypt"))
            try:  # what a wrong key makes of it may look padded
                body = {} if inner is None else _object(strict_json.parse(inner))
            except BadBody:
                continue
            if body.get("type") == "url_verification" and self._has_token(body):
                return body
        raise BadSignature(
            "there is no X-Lark-Signature; with an Encrypt Key every event must be signed", "no_signature"
        )

    def _has_token(self, body: dict[str, Any]) -> bool:
        header = body.get("header")
        token = header.get("token") if type(header) is dict else body.get("token")
        given = token.encode("utf-8", "replace") if type(token) is str else b""
        found = b""
        for ours in self._tokens:
            if hmac.compare_digest(ours, given):
                found = ours
        self.proven_by = found or self.proven_by
        return bool(found)


def _cipher(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(hashlib.sha256(key).digest()), modes.CBC(iv))


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise BadBody("the body must be a JSON object")
    return value
