"""Secrets at rest: AES-256-GCM envelopes under a ring of keys.

Each secret gets a data key of its own, used once; the data key is wrapped by a key of the ring. Both are bound to a
context (which table, column and row the secret belongs to), so that a sealed value copied to another row does not
open there. Rotation puts a new key first in the ring and wraps the data keys again; the secrets themselves are not
encrypted anew.

    version 1 (1 byte) | key id (8) | nonce (12) | wrapped data key (32 + 16) | nonce (12) | ciphertext | tag (16)

The wrap authenticates version, key id and context; the ciphertext authenticates version and context, not the key id,
which rotation changes. Nonces are random, 96 bits (NIST SP 800-38D 8.2.2): a ring key wraps a few secrets a person,
far from the 2^32 at which that would matter, and a data key encrypts once.

The ring is a text file: one key a line in hex, `#` starts a comment. The first key seals, every key opens.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_KEYS: Final = 16
_VERSION: Final = b"\x01"
_KEY: Final = 32
_ID: Final = 8
_NONCE: Final = 12
_TAG: Final = 16
_WRAP_AT: Final = 1 + _ID
_DATA_AT: Final = _WRAP_AT + _NONCE + _KEY + _TAG
_OVERHEAD: Final = _DATA_AT + _NONCE + _TAG
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)


class CannotOpen(Exception):
    """Not sealed by this ring, not for this context, or changed since; which of the last two is not known."""


class BadRing(ValueError):
    """A key file that is not of the form; `str()` names the line and holds nothing of a key."""


def context(table: str, column: str, row: str) -> str:
    """Where a secret belongs. Only the row may hold a `|`, so no two places have the same context."""
    if "|" in table or "|" in column:
        raise ValueError("a table or column has no | in its name")
    return f"{table}|{column}|{row}"


class Sealer:
    """A ring of keys that wrap data keys; the first seals, any opens. Its `repr` shows ids only."""

    __slots__ = ("_keys", "ids")

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Keys of 32 bytes each; raises BadRing where there is none, too many, one twice or one of another length."""
        listed = tuple(keys)
        if not 1 <= len(listed) <= MAX_KEYS:
            raise BadRing(f"{len(listed)} keys, from 1 to {MAX_KEYS} were expected")
        if any(len(key) != _KEY for key in listed):
            raise BadRing(f"a key is {_KEY} bytes")
        self._keys: dict[bytes, bytes] = {_id_of(key): key for key in listed}
        if len(self._keys) != len(listed):
            raise BadRing("the same key twice")
        self.ids: tuple[str, ...] = tuple(identifier.hex() for identifier in self._keys)

    @classmethod
    def generate(cls) -> Sealer:
        return cls((AESGCM.generate_key(256),))

    @classmethod
    def from_text(cls, text: str) -> Sealer:
        """The ring in the text of its file; raises BadRing."""
        keys: list[bytes] = []
        for number, line in enumerate(text.splitlines(), 1):
            word = line.split("#", 1)[0].strip()
            if not word:
                continue
            if not _HEX_KEY.fullmatch(word):
                raise BadRing(f"line {number}: a key of 64 hex digits was expected")
            keys.append(bytes.fromhex(word))
        return cls(keys)

    def to_text(self) -> str:
        lines = ["# Answerback: keys that seal secrets at rest. The first seals, every one opens."]
        lines += [key.hex() for key in self._keys.values()]
        return "\n".join(lines) + "\n"

    def with_new_key(self) -> Sealer:
        """The ring with a fresh key in front: the first half of a rotation. `rewrap` of every blob is the second."""
        return Sealer((AESGCM.generate_key(256), *self._keys.values()))

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self.ids)})"

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """The blob for `plaintext` at `context`; 97 bytes longer than it."""
        data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE)
        sealed = AESGCM(data_key).encrypt(nonce, plaintext, _data_aad(context))
        return self._wrap(data_key, context) + nonce + sealed

    def open(self, blob: bytes, context: str) -> bytes:
        """The plaintext; raises CannotOpen."""
        data_key = self._unwrap(blob, context)
        return _decrypt(data_key, blob[_DATA_AT:], _data_aad(context))

    def rewrap(self, blob: bytes, context: str) -> bytes:
        """The same secret under the ring's first key; the blob itself where it is already. Raises CannotOpen, so that
        a row that has gone bad is found now and not after the old key is gone.
        """
        self.open(blob, context)
        if blob[1:_WRAP_AT] == next(iter(self._keys)):
            return blob
        return self._wrap(self._unwrap(blob, context), context) + blob[_DATA_AT:]

    def _wrap(self, data_key: bytes, context: str) -> bytes:
        identifier, key = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE)
        return _VERSION + identifier + nonce + AESGCM(key).encrypt(nonce, data_key, _wrap_aad(identifier, context))

    def _unwrap(self, blob: bytes, context: str) -> bytes:
        if blob[:1] != _VERSION or len(blob) < _OVERHEAD:
            raise CannotOpen("not a sealed value of a version known here")
        identifier = blob[1:_WRAP_AT]
        key = self._keys.get(identifier)
        if key is None:
            raise CannotOpen(f"sealed under key {identifier.hex()}, which is not in the ring ({', '.join(self.ids)})")
        return _decrypt(key, blob[_WRAP_AT:_DATA_AT], _wrap_aad(identifier, context))


def key_of(blob: bytes) -> str:
    """The id of the ring key that a blob is under, for counting what is left to rewrap."""
    return blob[1:_WRAP_AT].hex()


def _id_of(key: bytes) -> bytes:
    """A key is named by its digest: nothing to choose, nothing to mix up, and nothing learned of 256 random bits."""
    return hashlib.sha256(b"answerback seal key id 1\n" + key).digest()[:_ID]


def _wrap_aad(identifier: bytes, context: str) -> bytes:
    return b"answerback seal 1 key\n" + identifier + context.encode()


def _data_aad(context: str) -> bytes:
    return b"answerback seal 1 data\n" + context.encode()


def _decrypt(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)
    except InvalidTag:
        raise CannotOpen("changed since it was sealed, or sealed for another place") from None
