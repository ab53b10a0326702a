"""Ed25519 signatures (RFC 8032) of orders, confirmations, approvals and audit checkpoints.

A signature is over `purpose + data` (domain separation). A purpose is one line with its newline, so none is a prefix of
another and a signature for one is never valid for another. Small on purpose: it is all that the agent's runner loads of
`cryptography`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ORDER_PURPOSE: Final = b"answerback order 1\n"
CHECKPOINT_PURPOSE: Final = b"answerback checkpoint 1\n"
APPROVAL_PURPOSE: Final = b"answerback approval 1\n"
"""Of a yes that the hub has heard (`common.approval_proof`)."""

PERSON_APPROVAL_PURPOSE: Final = b"answerback approval by a person 1\n"
"""Of a yes that the person has signed with a key of their own: no key of the hub makes one."""

CONFIRM_PURPOSE: Final = b"answerback confirmation 1\n"
"""Of the word that a job may start (`common.confirmation`)."""
KEY_CHANGE_PURPOSE: Final = b"answerback key change 1\n"
"""Of a change of whose keys machines count (`common.key_change`), signed by people."""


class BadKey(ValueError):
    """A private key that cannot be used; `str()` says why and contains nothing of the key."""


class LockedKey(BadKey):
    """A private key that is under a passphrase, which was not given or is another."""


def key_id(public: bytes) -> str:
    """The id of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


class SigningKey:
    """A private Ed25519 key with its id and raw public key (32 bytes)."""

    __slots__ = ("_key", "id", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: bytes = key.public_key().public_bytes_raw()  # 32 bytes
        self.id: str = key_id(self.public)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes = b"") -> SigningKey:
        """Reads a PKCS#8 PEM, encrypted where there is a passphrase; raises BadKey, LockedKey where that is not its."""
        from cryptography.hazmat.primitives import serialization  # half the import time, and verifiers need none of it

        try:
            key = serialization.load_pem_private_key(pem, password=passphrase or None)
        except Exception:  # the library's set of errors is open, and its text is not for people
            if is_encrypted(pem):
                raise LockedKey("the passphrase is another" if passphrase else "it is under a passphrase") from None
            raise BadKey("not an unencrypted private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey("a private key, but not of Ed25519")
        return cls(key)

    def to_pem(self, passphrase: bytes = b"") -> bytes:
        """PKCS#8, encrypted where there is a passphrase; else the file's mode is what protects it."""
        from cryptography.hazmat.primitives import serialization  # as above

        way = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, way)

    def sign(self, purpose: bytes, data: bytes) -> bytes:
        """The signature, 64 bytes; raises ValueError where the purpose is not one line with its newline."""
        return self._key.sign(_with_purpose(purpose, data))


def is_encrypted(pem: bytes) -> bool:
    """Whether a PKCS#8 PEM is under a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def verify(public: bytes, data: bytes, signature: bytes, purpose: bytes = ORDER_PURPOSE) -> bool:
    """Whether `signature` over `data` for `purpose` is by the holder of `public`. Never raises on malformed input."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _with_purpose(purpose, data))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _with_purpose(purpose: bytes, data: bytes) -> bytes:
    if purpose.find(b"\n") != len(purpose) - 1 or not purpose:
        raise ValueError("a purpose is one line that ends in a newline")
    return purpose + data
