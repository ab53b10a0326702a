"""The verbs of the audit: the append-only, hash-chained events and the checkpoints over them (hub/audit.py).

Events of one unit are linked as they are told and written together when the unit ends, inside its savepoint. The
chain's end is read once in each transaction, never kept between two: another process may have written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from hub.audit import GENESIS, Checkpoint, Head, Link, extend, to_event
from hub.records import Event
from hub.store.errors import Conflict
from hub.store.mapping import OR_NOTHING, Mapper
from hub.store.room import Room
from hub.store.schema import checkpoints as checkpoint_table
from hub.store.schema import events as table
from hub.store.sql import Connection, Statement

EVENT_COLUMNS: Final = tuple(table.c[name] for name in Link._fields)
_CHECKPOINT: Final = Mapper(Checkpoint, checkpoint_table, key="seq")

_ADD: Final = Statement(table.insert().values({name: sa.bindparam(name) for name in Link._fields}).inline())
_HEAD: Final = Statement(sa.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1))
_CHAIN: Final = Statement(
    sa.select(*EVENT_COLUMNS)
    .where(table.c.seq > sa.bindparam("after_seq"))
    .order_by(table.c.seq)
    .limit(sa.bindparam("limit"))
)
_ADD_CHECKPOINT: Final = Statement(_CHECKPOINT.insert, OR_NOTHING)
_LAST_CHECKPOINT: Final = Statement(_CHECKPOINT.select.order_by(checkpoint_table.c.seq.desc()).limit(1))
_CHECKPOINTS: Final = Statement(
    _CHECKPOINT.select.where(checkpoint_table.c.seq > sa.bindparam("after_seq"))
    .order_by(checkpoint_table.c.seq)
    .limit(sa.bindparam("limit"))
)


class EventRoom(Room):
    def __init__(self, db: Connection, head: Head | None = None) -> None:
        super().__init__(db)
        self._head = head  # the chain's end as this transaction knows it; None: not read yet
        self._told: list[dict[str, Any]] = []  # linked, not written yet

    def audit(self, kind: str, subject: str, actor: str, data: Mapping[str, Any], now: float) -> None:
        """Appends an event. `data` is small JSON with string keys; raises ValueError where it is not."""
        link = extend(self.audit_head(), now, kind, subject, actor, data)
        self._told.append(link._asdict())
        self._head = Head(link.seq, link.hash)

    @property
    def head(self) -> Head | None:
        """The end of the chain as far as this transaction knows it; the store hands it on to the next unit."""
        return self._head

    def audit_head(self) -> Head:
        """(seq, hash) of the last event; (0, 64 zeros) before the first."""
        if self._head is None:
            row = self._db.row(_HEAD)
            self._head = GENESIS if row is None else Head(*row)
        return self._head

    def events(
        self,
        after_seq: int = 0,
        limit: int = 1000,
        subject: str | None = None,
        kind_prefix: str | None = None,
        newest_first: bool = False,
    ) -> list[Event]:
        """Events behind `after_seq`; `kind_prefix` is the beginning of a kind, as `job.` is."""
        self.flush()
        query = sa.select(*EVENT_COLUMNS).where(table.c.seq > after_seq).limit(limit)
        query = query.order_by(table.c.seq.desc() if newest_first else table.c.seq)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        if kind_prefix is not None:
            query = query.where(table.c.kind.startswith(kind_prefix, autoescape=True))
        return [to_event(Link(*row)) for row in self._db.select(query)]

    def chain(self, after_seq: int = 0, limit: int = 1000) -> list[Link]:
        """Events as they are stored, unparsed: what a verifier must see."""
        self.flush()
        return [Link(*row) for row in self._db.rows(_CHAIN, {"after_seq": after_seq, "limit": limit})]

    def add_checkpoint(self, seq: int, hash: str, signature: bytes, key: str, at: float) -> None:  # noqa: A002
        """Raises Conflict where there is one at this seq."""
        mark = Checkpoint(seq, hash, signature, key, at)
        if self._db.change(_ADD_CHECKPOINT, _CHECKPOINT.row(mark)) != 1:
            raise Conflict(f"checkpoint {seq}: is there already")

    def last_checkpoint(self) -> Checkpoint | None:
        row = self._db.row(_LAST_CHECKPOINT)
        return None if row is None else _CHECKPOINT.record(row)

    def checkpoints(self, after_seq: int = 0, limit: int = 1000) -> list[Checkpoint]:
        """In order of seq."""
        return _CHECKPOINT.records(self._db.rows(_CHECKPOINTS, {"after_seq": after_seq, "limit": limit}))

    def flush(self) -> None:
        """Writes what was told. The store calls this when a unit ends; nobody else needs to."""
        if self._told:
            self._db.change_many(_ADD, self._told)
            self._told = []
