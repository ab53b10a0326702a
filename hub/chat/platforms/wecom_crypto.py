"""The envelope of WeCom's callbacks: SHA-1 over the sorted parts, AES-256-CBC inside. No I/O.

    msg_signature  hex SHA-1 of token, timestamp, nonce and the encrypted text, sorted and joined
    key            base64 of EncodingAESKey and "="; the first 16 bytes are the IV as well
    plaintext      16 random bytes, the length as 4 bytes big-endian, the message, the receiver's id; PKCS#7 to 32 bytes

Source: developer.work.weixin.qq.com, paths 90238 (callbacks) and 90968 (encryption). Whatever does not fit, be it the
signature, the padding or the receiver, is refused with one and the same sentence, so that a sender learns nothing.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from common.errors import UserError
from hub.chat.platforms.base import BadSignature
from hub.chat.platforms.callback_crypto import signature_of, unseal

_TOKEN: Final = re.compile(rb"[0-9A-Za-z]{1,32}")
_AES_KEY: Final = re.compile(rb"[0-9A-Za-z+/]{43}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
_REFUSED: Final = (
    "the delivery is not signed and encrypted for this inlet; check Token, EncodingAESKey and corp_id against the "
    "app's callback settings"
)


@dataclass(frozen=True, slots=True)
class CallbackKey:
    """A Token and its EncodingAESKey."""

    token: str = field(repr=False)
    key: bytes = field(repr=False)
    line: bytes = field(default=b"", repr=False)  # as the secret file has both

    @classmethod
    def from_line(cls, line: bytes) -> CallbackKey:
        """Of "TOKEN ENCODINGAESKEY", as the secret file has it; raises UserError."""
        words = line.split()
        if len(words) != 2 or not _TOKEN.fullmatch(words[0]) or not _AES_KEY.fullmatch(words[1]):
            raise UserError(
                "a line of the secret file is not TOKEN ENCODINGAESKEY",
                "write the app's Token (up to 32 letters and digits), a space, and its EncodingAESKey (43 characters)",
            )
        return cls(words[0].decode(), base64.b64decode(words[1] + b"="), line)

    def signature(self, timestamp: str, nonce: str, encrypted: str) -> str:
        return signature_of(self.token, timestamp, nonce, encrypted)


def open_envelope(
    keys: Sequence[CallbackKey], encrypted: str, timestamp: str, nonce: str, signature: str, receiver: str
) -> tuple[bytes, CallbackKey]:
    """The message in `encrypted` (base64), verified before it is decrypted, and whose it is. Raises BadSignature."""
    if not _SIGNATURE.fullmatch(signature):
        raise BadSignature(_REFUSED)
    found = None
    for key in keys:  # all of them, so that timing does not reveal which one matched
        if hmac.compare_digest(key.signature(timestamp, nonce, encrypted), signature):
            found = key
    message = None if found is None else _decrypt(found.key, encrypted, receiver.encode())
    if message is None or found is None:
        raise BadSignature(_REFUSED)
    return message, found


def _decrypt(key: bytes, encrypted: str, receiver: bytes) -> bytes | None:
    opened = unseal(key, encrypted)
    return opened[0] if opened is not None and hmac.compare_digest(opened[1], receiver) else None
