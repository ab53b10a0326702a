"""Sealing of single column values: AES-256-GCM under data keys, which the ring of `[store] seal_key_file` wraps.

    text     sealed:1:BASE64          of what follows
    bytes    ab 53 31 0a              then what follows
             data key id (8) | nonce (12) | ciphertext | tag (16)

The associated data is the data key's id and the value's place, `table|column|row` (`hub.store.sealed_columns`). Nonces
are random, 96 bits: a data key seals at most MAX_SEALS values, far below the 2^32 of NIST SP 800-38D 8.3, and is used
for a day. Data keys are counted in blocks, which are taken in a transaction of their own before any value is sealed, so
that neither a crash nor several processes lose count. A key for each value, as `common.identity.sealing` has it, was
measured at five times the cost, and every value would have to be written again when the ring's key changes.

What was sealed or opened last is kept in memory, bounded: the hub reads a row some ten times while a message is worked
on. The writer's thread seals; any thread may open.
"""

from __future__ import annotations

import binascii
import os
import weakref
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.identity.sealing import Sealer, UnsealError, context
from hub.store.broken import BrokenValues
from hub.store.errors import SealBroken

TEXT_MARK: Final = "sealed:1:"
BYTES_MARK: Final = b"\xabS1\n"
ID_BYTES: Final = 8
_NONCE: Final = 12
_TAG: Final = 16
OVERHEAD: Final = len(BYTES_MARK) + ID_BYTES + _NONCE + _TAG
"""Bytes that sealing adds to a value of bytes."""
MAX_SEALS: Final = 2**30
"""Values that one data key seals."""
BLOCK: Final = 65_536
"""Values that a process may seal before it must count again."""
MAX_AGE: Final = 86_400.0
"""Seconds that a data key is used for."""
RECENT_BYTES: Final = 4 * 1024 * 1024
RECENT_VALUE: Final = 16 * 1024
_CURE: Final = "see docs/at-rest.md: it was changed outside Answerback, or put there from another row; restore a backup"

NONCES: Final = 64
"""Nonces that are drawn at once: each is used once, by this process alone."""

LoadKey = Callable[[str], bytes | None]
"""The wrapped data key of an id, from the database."""


class DataKey(NamedTuple):
    id: str  # hex
    wrapped: bytes
    key: bytes


def data_key_context(id: str) -> str:  # noqa: A002 - the record's word
    return context("data_keys", "wrapped", id)


class ColumnCipher:
    """Seals and opens values of one store."""

    def __init__(self, ring: Sealer, clock: Callable[[], float]) -> None:
        self.ring = ring
        self._clock = clock
        self._keys: dict[str, tuple[AESGCM, bytes]] = {}  # by id: and the id in bytes
        self.broken = BrokenValues()
        self._current: tuple[AESGCM, bytes] | None = None
        self._left = 0
        self._until = 0.0
        self._nonces, self._nonces_left = b"", 0
        _CIPHERS.add(self)
        self._recent: dict[str, tuple[str, str]] = {}  # sealed text: its place and the text
        self._older: dict[str, tuple[str, str]] = {}
        self._recent_bytes = 0

    # ---- data keys

    def new_key(self) -> DataKey:
        """A data key, wrapped under the ring's first key. It must be stored before it is used."""
        identifier, key = os.urandom(ID_BYTES).hex(), AESGCM.generate_key(256)
        return DataKey(identifier, self.ring.seal(key, data_key_context(identifier)), key)

    def unwrap(self, id: str, wrapped: bytes) -> bytes:  # noqa: A002
        """Raises SealBroken where the ring lacks its key, or it was changed."""
        try:
            return self.ring.open(wrapped, data_key_context(id))
        except UnsealError as error:
            cure = "put the key back that wrapped it: see `answerback-hub keys list` and docs/at-rest.md"
            raise SealBroken(f"data key {id}: {error}", cure) from None

    def unwrap_newest(self, id: str, wrapped: bytes) -> bytes | None:  # noqa: A002
        """The newest data key of the store. A program that has sealed already and has not the newest ring yet makes one
        of its own instead (None); one that begins with a ring that is not the store's ends there: raises SealBroken.
        """
        try:
            return self.unwrap(id, wrapped)
        except SealBroken:
            if self._current is None:
                raise
            return None

    @property
    def is_proven(self) -> bool:
        """Whether the ring has opened a data key of this store."""
        return bool(self._keys)

    def try_key(self, id: str, wrapped: bytes) -> bool:  # noqa: A002
        """Keeps a data key, if the ring opens it."""
        try:
            self._keep(id, self.unwrap(id, wrapped))
        except SealBroken:
            return False
        return True

    def needs_key(self, now: float | None = None) -> bool:
        """Whether a block must be taken before anything is sealed."""
        return self._current is None or self._left <= 0 or (self._clock() if now is None else now) >= self._until

    @property
    def overdrawn(self) -> int:
        """Values sealed beyond the last block: counted with the next."""
        return max(0, -self._left)

    def use(self, id: str, key: bytes, created_at: float) -> None:  # noqa: A002
        """From now on values are sealed under this key, of which a block has been taken."""
        self._current = self._keep(id, key)
        self._left = BLOCK
        self._until = created_at + MAX_AGE

    def now(self) -> float:
        return self._clock()

    def _keep(self, id: str, key: bytes) -> tuple[AESGCM, bytes]:  # noqa: A002
        kept = self._keys[id] = AESGCM(key), bytes.fromhex(id)
        return kept

    # ---- values

    def seal_text(self, text: str, place: str) -> str:
        sealed = TEXT_MARK + binascii.b2a_base64(
            self._seal(text.encode("utf-8", "surrogatepass"), place), newline=False
        ).decode("ascii")
        self._remember(sealed, place, text)
        return sealed

    def seal_bytes(self, data: bytes, place: str) -> bytes:
        return BYTES_MARK + self._seal(data, place)

    def open_text(self, sealed: str, place: str, load: LoadKey) -> str:
        """Raises SealBroken, which names the place."""
        known = self._recent.get(sealed) or self._older.get(sealed)
        if known is not None and known[0] == place:
            return known[1]
        try:
            blob = binascii.a2b_base64(sealed[len(TEXT_MARK) :], strict_mode=True)
        except (binascii.Error, ValueError):
            raise SealBroken(f"{place}: not as it was sealed", _CURE) from None
        text = self._open(blob, place, load).decode("utf-8", "surrogatepass")
        self._remember(sealed, place, text)
        return text

    def open_bytes(self, sealed: bytes, place: str, load: LoadKey) -> bytes:
        """Raises SealBroken, which names the place."""
        return self._open(sealed[len(BYTES_MARK) :], place, load)

    def key_of(self, stored: str | bytes) -> str | None:
        """The id of the data key that a value says it is under; None where it is not of a sealed value's form."""
        if isinstance(stored, bytes):
            blob = stored[len(BYTES_MARK) :] if stored.startswith(BYTES_MARK) else b""
        elif stored.startswith(TEXT_MARK):
            try:
                blob = binascii.a2b_base64(stored[len(TEXT_MARK) :], strict_mode=True)
            except (binascii.Error, ValueError):
                return None
        else:
            return None
        return blob[:ID_BYTES].hex() if len(blob) >= ID_BYTES + _NONCE + _TAG else None

    def _seal(self, data: bytes, place: str) -> bytes:
        assert self._current is not None  # noqa: S101 - `needs_key` is asked at the beginning of each transaction
        key, identifier = self._current
        self._left -= 1
        if self._nonces_left == 0:
            self._nonces, self._nonces_left = os.urandom(_NONCE * NONCES), NONCES
        self._nonces_left = end = self._nonces_left - 1
        nonce = self._nonces[end * _NONCE : (end + 1) * _NONCE]
        return identifier + nonce + key.encrypt(nonce, data, _associated(identifier, place))

    def _open(self, blob: bytes, place: str, load: LoadKey) -> bytes:
        identifier = blob[:ID_BYTES]
        id = identifier.hex()  # noqa: A001
        if len(blob) < ID_BYTES + _NONCE + _TAG:
            raise SealBroken(f"{place}: not as it was sealed", _CURE)
        kept = self._keys.get(id)
        if kept is None:
            wrapped = load(id)
            if wrapped is None:
                raise SealBroken(f"{place}: sealed under the data key {id}, which is not in the store", _CURE)
            kept = self._keep(id, self.unwrap(id, wrapped))
        nonce = blob[ID_BYTES : ID_BYTES + _NONCE]
        try:
            return kept[0].decrypt(nonce, blob[ID_BYTES + _NONCE :], _associated(identifier, place))
        except InvalidTag:
            raise SealBroken(f"{place}: changed since it was sealed, or sealed for another place", _CURE) from None

    def _remember(self, sealed: str, place: str, text: str) -> None:
        if len(sealed) > RECENT_VALUE:
            return
        self._recent[sealed] = place, text
        self._recent_bytes += 2 * len(sealed)
        if self._recent_bytes > RECENT_BYTES:
            self._older, self._recent, self._recent_bytes = self._recent, {}, 0

    def forget_nonces(self) -> None:
        """In a process that was forked: its parent has the same ones."""
        self._nonces_left = 0


_CIPHERS: Final[weakref.WeakSet[ColumnCipher]] = weakref.WeakSet()


def _after_fork() -> None:
    for cipher in list(_CIPHERS):
        cipher.forget_nonces()


os.register_at_fork(after_in_child=_after_fork)


def _associated(identifier: bytes, place: str) -> bytes:
    return b"answerback column 1\n" + identifier + place.encode("utf-8", "surrogatepass")
