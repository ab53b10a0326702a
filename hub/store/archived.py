"""The audit's archive as the store knows it: how far it goes, what may go next, the keys that seal its files.

The rows of an archived range are deleted only after the file is durable and the store says so (`note_archived`); a
trigger refuses any other. Checkpoints stay: they are small, and a witness is compared with them.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.core.audit_chain import Checkpoint
from hub.store.cipher import MAX_SEALS, DataKey
from hub.store.errors import SealBroken
from hub.store.mapping import Mapper
from hub.store.schema import checkpoints, events
from hub.store.settings import SettingRepository
from hub.store.sql import ADD_KEY, Statement

UNIT: Final = 500
"""Events that one unit deletes: what a message may have to wait for."""
_TO: Final = "audit.archived_to"
_LAST: Final = "audit.archived"
_NONCE: Final = 12
_CHECKPOINT: Final = Mapper(Checkpoint, checkpoints, key="seq")

_FIRST: Final = Statement(sa.select(sa.func.min(events.c.seq)))
_SIGNED: Final = (
    _CHECKPOINT.select.where(
        checkpoints.c.seq >= sa.bindparam("first"),
        checkpoints.c.seq <= sa.bindparam("last"),
        checkpoints.c.seq < sa.select(sa.func.max(checkpoints.alias("newest").c.seq)).scalar_subquery(),
        checkpoints.c.at < sa.bindparam("before"),
        checkpoints.c.root != "",
    )
).limit(1)
_LAST_SIGNED: Final = Statement(_SIGNED.order_by(checkpoints.c.seq.desc()))
_NEXT_SIGNED: Final = Statement(_SIGNED.order_by(checkpoints.c.seq))
_AT: Final = Statement(_CHECKPOINT.select.where(checkpoints.c.seq == sa.bindparam("seq")))
_DROP: Final = Statement(
    events.delete().where(events.c.seq >= sa.bindparam("first"), events.c.seq <= sa.bindparam("last"))
)


class Archived(NamedTuple):
    """How far the archive goes."""

    last: int = 0
    hash: str = "0" * 64
    file: str = ""  # the newest one


class ArchiveRepository(SettingRepository):
    def archived(self) -> Archived:
        kept = self.get_meta(_LAST)
        return Archived() if kept is None else Archived(*json.loads(kept))

    def note_archived(self, archived: Archived) -> None:
        """From here on the rows up to there may be deleted."""
        self.put_meta(_LAST, json.dumps(archived))
        self.put_meta(_TO, str(archived.last))

    def first_event(self) -> int:
        """The number of the oldest event that is here; 0 where there is none."""
        return int(self._db.value(_FIRST) or 0)

    def archive_end(self, first: int, before: float, most: int) -> Checkpoint | None:
        """Where a file that begins at `first` ends: the last checkpoint within `most` events that was signed before
        `before`, else the next one after them. Never the newest, from which the tree goes on. None where nothing is old
        enough.
        """
        params: dict[str, Any] = {"first": first, "before": before}
        row = self._db.row(_LAST_SIGNED, {**params, "last": first + most - 1})
        row = row or self._db.row(_NEXT_SIGNED, {**params, "last": 2**62})
        return None if row is None else _CHECKPOINT.from_row(row)

    def checkpoint_at(self, seq: int) -> Checkpoint | None:
        row = self._db.row(_AT, {"seq": seq})
        return None if row is None else _CHECKPOINT.from_row(row)

    def drop_archived(self) -> int:
        """Deletes up to UNIT events that are in the archive; returns how many. Call until it returns 0."""
        first, last = self.first_event(), self.archived().last
        return self._db.change(_DROP, {"first": first, "last": min(last, first + UNIT - 1)}) if first <= last else 0

    # ---- sealing

    def new_archive_key(self) -> DataKey | None:
        """A data key for one file, in the table of data keys, so that a rotation wraps it as it does those; full, so
        that no value is sealed under it. None where the store is not sealed.
        """
        cipher = self._db.cipher
        if cipher is None:
            return None
        key = cipher.new_key()
        self._db.change(ADD_KEY, {"id": key.id, "wrapped": key.wrapped, "created_at": 0.0, "seals": MAX_SEALS})
        return key

    def open_archive(self, key_id: str, wrapped: bytes, content: bytes, place: bytes, name: str) -> bytes:
        """The content of a file, opened with its data key of the store, or the one in the file where the store has it
        not. Raises SealBroken.
        """
        if not key_id:
            return content
        cipher = self._db.cipher
        if cipher is None:
            raise SealBroken(f"{name}: sealed, and this program was given no key", "open the store with its keys")
        kept = self._db.data_key(key_id)
        key = AESGCM(cipher.unwrap(key_id, wrapped if kept is None else kept))
        try:
            return key.decrypt(content[:_NONCE], content[_NONCE:], place)
        except InvalidTag:
            raise SealBroken(f"{name}: changed since it was sealed, or sealed for another place", "") from None


def seal_archive(key: DataKey, content: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key.key).encrypt(nonce, content, place)
