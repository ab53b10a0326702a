"""Secrets at rest: AES-256-GCM envelope encryption under a ring of keys.

Each secret gets a data key of its own, used once; a key of the ring wraps the data key. Both are bound to a context
(table, column and row of the secret), so that a sealed value copied to another row does not open there. Rotation adds a
new key in front of the ring and wraps the data keys again; the secrets themselves are not re-encrypted.

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
from collections.abc import Callable, Iterable
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


class UnsealError(Exception):
    """Sealed under a key that the ring lacks, for another context, or changed since."""


class BadKeyRing(ValueError):
    """A malformed key file; `str()` names the line and contains nothing of a key."""


def context(table: str, column: str, row: str) -> str:
    """The context of a secret's place. Only the row may contain `|`, so no two places have the same context."""
    if "|" in table or "|" in column:
        raise ValueError("a table or column has no | in its name")
    return f"{table}|{column}|{row}"


class Sealer:
    """A ring of keys that wrap data keys; the first seals, any opens. Its `repr` shows ids only.

    Several threads may use it; `adopt` gives it other keys while they do. `reread`, where set, is asked for the ring as
    it is now when a value is under a key that is not in it; None where there is nothing new. `uses` counts, by key id.
    """

    __slots__ = ("_keys", "ids", "reread", "uses")

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Keys of 32 bytes each; raises BadKeyRing where there is none, too many, one twice or one of another
        length.
        """
        listed = tuple(keys)
        if not 1 <= len(listed) <= MAX_KEYS:
            raise BadKeyRing(f"{len(listed)} keys, from 1 to {MAX_KEYS} were expected")
        if any(len(key) != _KEY for key in listed):
            raise BadKeyRing(f"a key is {_KEY} bytes")
        self._keys: dict[bytes, bytes] = {_key_id(key): key for key in listed}
        if len(self._keys) != len(listed):
            raise BadKeyRing("the same key twice")
        self.ids: tuple[str, ...] = tuple(identifier.hex() for identifier in self._keys)
        self.reread: Callable[[], Sealer | None] | None = None
        self.uses: dict[str, int] = dict.fromkeys(self.ids, 0)

    @classmethod
    def generate(cls) -> Sealer:
        return cls((AESGCM.generate_key(256),))

    @classmethod
    def from_text(cls, text: str) -> Sealer:
        """The ring in the text of its file; raises BadKeyRing."""
        keys: list[bytes] = []
        for number, line in enumerate(text.splitlines(), 1):
            word = line.split("#", 1)[0].strip()
            if not word:
                continue
            if not _HEX_KEY.fullmatch(word):
                raise BadKeyRing(f"line {number}: a key of 64 hex digits was expected")
            keys.append(bytes.fromhex(word))
        return cls(keys)

    def to_text(self) -> str:
        lines = ["# Answerback: keys that seal secrets at rest. The first seals, every one opens."]
        lines += [key.hex() for key in self._keys.values()]
        return "\n".join(lines) + "\n"

    def with_new_key(self) -> Sealer:
        """The ring with a new key in front: the first half of a rotation; `rewrap` of every blob is the second."""
        return Sealer((AESGCM.generate_key(256), *self._keys.values()))

    def adopt(self, other: Sealer) -> bool:
        """From now on this ring has the keys of the other; whether that changed anything."""
        changed = self.ids != other.ids
        self._keys, self.ids = other._keys, other.ids
        for identifier in other.ids:
            self.uses.setdefault(identifier, 0)
        return changed

    def first_only(self) -> Sealer:
        """A ring of the key that seals, and no other: what it opens needs no older key."""
        return Sealer((next(iter(self._keys.values())),))

    def without(self, identifier: str) -> Sealer:
        """The ring without a key; raises BadKeyRing where it is the first, or not there."""
        if identifier not in self.ids[1:]:
            raise BadKeyRing(
                f"{identifier} is not one of the keys that only open ({', '.join(self.ids[1:]) or 'none'})"
            )
        return Sealer(key for known, key in self._keys.items() if known.hex() != identifier)

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self.ids)})"

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """`plaintext` sealed for `context`; 97 bytes longer."""
        data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE)
        sealed = AESGCM(data_key).encrypt(nonce, plaintext, _data_aad(context))
        return self._wrap(data_key, context) + nonce + sealed

    def open(self, blob: bytes, context: str) -> bytes:
        """The plaintext; raises UnsealError."""
        data_key = self._unwrap(blob, context)
        return _decrypt(data_key, blob[_DATA_AT:], _data_aad(context))

    def rewrap(self, blob: bytes, context: str) -> bytes:
        """The same secret under the ring's first key; the blob unchanged where it is under that already. Opens it
        first, so that a damaged row raises UnsealError now and not after the old key is gone.
        """
        self.open(blob, context)
        if blob[1:_WRAP_AT] == next(iter(self._keys)):
            return blob
        return self._wrap(self._unwrap(blob, context), context) + blob[_DATA_AT:]

    def _wrap(self, data_key: bytes, context: str) -> bytes:
        identifier, key = next(iter(self._keys.items()))
        self._count(identifier)
        nonce = os.urandom(_NONCE)
        return _VERSION + identifier + nonce + AESGCM(key).encrypt(nonce, data_key, _wrap_aad(identifier, context))

    def _unwrap(self, blob: bytes, context: str) -> bytes:
        if blob[:1] != _VERSION or len(blob) < _OVERHEAD:
            raise UnsealError("not a sealed value of a version known here")
        identifier = blob[1:_WRAP_AT]
        key = self._keys.get(identifier)
        if key is None and self.reread is not None and (fresh := self.reread()) is not None:
            self.adopt(fresh)
            key = self._keys.get(identifier)
        if key is None:
            raise UnsealError(f"sealed under key {identifier.hex()}, which is not in the ring ({', '.join(self.ids)})")
        self._count(identifier)
        return _decrypt(key, blob[_WRAP_AT:_DATA_AT], _wrap_aad(identifier, context))

    def _count(self, identifier: bytes) -> None:
        name = identifier.hex()
        self.uses[name] = self.uses.get(name, 0) + 1


def wrapping_key_id(blob: bytes) -> str:
    """The id of the ring key that wraps a blob's data key; to count what is left to rewrap."""
    return blob[1:_WRAP_AT].hex()


def _key_id(key: bytes) -> bytes:
    """A key's id is a prefix of its digest, which reveals nothing of 256 random bits."""
    return hashlib.sha256(b"answerback seal key id 1\n" + key).digest()[:_ID]


def _wrap_aad(identifier: bytes, context: str) -> bytes:
    return b"answerback seal 1 key\n" + identifier + context.encode()


def _data_aad(context: str) -> bytes:
    return b"answerback seal 1 data\n" + context.encode()


def _decrypt(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)
    except InvalidTag:
        raise UnsealError("changed since it was sealed, or sealed for another place") from None
