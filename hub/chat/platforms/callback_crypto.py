"""The encryption that callbacks of WeCom and of DingTalk share. No I/O.

    signature  hex SHA-1 of token, timestamp, nonce and the encrypted text, sorted and joined
    key        base64 of the 43 characters that the platform shows, and "="; its first 16 bytes are the IV as well
    plaintext  16 random bytes, the length as 4 bytes big-endian, the message, whom it is for; PKCS#7 to 32 bytes

Sources: developer.work.weixin.qq.com, path 90968; open.dingtalk.com, event subscription over HTTP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PAD: Final = 32  # bytes; AES itself needs 16
BLOCK: Final = 16
RANDOM: Final = 16
_LENGTH: Final = 4


def signature_of(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    parts = "".join(sorted((token, timestamp, nonce, encrypted)))
    return hashlib.sha1(parts.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def seal(key: bytes, message: bytes, receiver: bytes, random: bytes) -> str:
    """The message encrypted, as base64; `random` are RANDOM bytes."""
    plain = random + len(message).to_bytes(_LENGTH) + message + receiver
    pad = PAD - len(plain) % PAD
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK])).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()


def unseal(key: bytes, encrypted: str) -> tuple[bytes, bytes] | None:
    """The message and whom it is for; None where it does not fit the key. Not authenticated: verify it before."""
    try:
        data = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not data or len(data) % BLOCK:
        return None
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK])).decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    pad = plain[-1]
    if not 1 <= pad <= PAD or plain[-pad:] != bytes([pad]) * pad:
        return None
    content = plain[RANDOM:-pad]
    size = int.from_bytes(content[:_LENGTH])
    if len(content) < _LENGTH + size:
        return None
    return content[_LENGTH : _LENGTH + size], content[_LENGTH + size :]
