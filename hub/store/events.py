"""The audit: append-only, hash-chained events and the checkpoints over them (hub/core/audit_chain.py).

Events of one unit are linked as they are added and written together when the unit ends, inside its savepoint. The
chain's head is read once in each transaction and never cached between two: another process may have written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from hub.core.audit_chain import GENESIS, AuditRow, ChainHead, Checkpoint, extend, to_event
from hub.core.records import AuditEvent
from hub.core.row_mac import RowAuthenticator
from hub.store.base import Repository
from hub.store.errors import Conflict, SealBroken
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper
from hub.store.schema import checkpoints as checkpoint_table
from hub.store.schema import events as table
from hub.store.sealed_columns import layout_of
from hub.store.sql import Connection, Row, Statement

EVENT_COLUMNS: Final = tuple(table.c[name] for name in AuditRow._fields)
_CHECKPOINT: Final = Mapper(Checkpoint, checkpoint_table, key="seq")

_ADD: Final = Statement(table.insert().values({name: sa.bindparam(name) for name in AuditRow._fields}).inline())
_HEAD: Final = Statement(sa.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1))
_CHAIN_SELECT: Final = (
    sa.select(*EVENT_COLUMNS)
    .where(table.c.seq > sa.bindparam("after_seq"))
    .order_by(table.c.seq)
    .limit(sa.bindparam("limit"))
)
_CHAIN: Final = Statement(_CHAIN_SELECT, as_stored=True)
_CHAIN_FIELDS: Final = layout_of(_CHAIN_SELECT, {}).reads
_ADD_CHECKPOINT: Final = Statement(_CHECKPOINT.insert, ON_CONFLICT_DO_NOTHING)
_LAST_CHECKPOINT: Final = Statement(_CHECKPOINT.select.order_by(checkpoint_table.c.seq.desc()).limit(1))
_CHECKPOINTS: Final = Statement(
    _CHECKPOINT.select.where(checkpoint_table.c.seq > sa.bindparam("after_seq"))
    .order_by(checkpoint_table.c.seq)
    .limit(sa.bindparam("limit"))
)


class AuditRepository(Repository):
    def __init__(self, db: Connection, rows: RowAuthenticator, head: ChainHead | None = None) -> None:
        super().__init__(db, rows)
        self._head = head  # the chain's head as this transaction knows it; None: not read yet
        self._unwritten: list[dict[str, Any]] = []  # linked, not written yet

    def audit(self, kind: str, subject: str, actor: str, data: Mapping[str, Any], now: float) -> None:
        """Appends an event. `data` is small JSON with string keys; raises ValueError where it is not."""
        link = extend(self.audit_head(), now, kind, subject, actor, data)
        self._unwritten.append(link._asdict())
        self._head = ChainHead(link.seq, link.hash)

    @property
    def head(self) -> ChainHead | None:
        """The head of the chain, if this transaction has read it; the writer passes it to the next unit of a batch."""
        return self._head

    def audit_head(self) -> ChainHead:
        """(seq, hash) of the last event; (0, 64 zeros) before the first."""
        if self._head is None:
            row = self._db.row(_HEAD)
            self._head = GENESIS if row is None else ChainHead(*row)
        return self._head

    def events(
        self,
        after_seq: int = 0,
        limit: int = 1000,
        subject: str | None = None,
        kind_prefix: str | None = None,
        newest_first: bool = False,
    ) -> list[AuditEvent]:
        """Events after `after_seq`; `kind_prefix` selects kinds, such as `job.`."""
        self.flush()
        query = sa.select(*EVENT_COLUMNS).where(table.c.seq > after_seq).limit(limit)
        query = query.order_by(table.c.seq.desc() if newest_first else table.c.seq)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        if kind_prefix is not None:
            query = query.where(table.c.kind.startswith(kind_prefix, autoescape=True))
        return [to_event(AuditRow(*row)) for row in self._db.select(query)]

    def chain(self, after_seq: int = 0, limit: int = 1000) -> list[AuditRow]:
        """Events as what they say, unparsed, as a verifier of the chain needs them. One that does not open is given as
        it is stored: its hash does not hold, and the verifier names it.
        """
        self.flush()
        params = {"after_seq": after_seq, "limit": limit}
        return [AuditRow(*self._opened(row)) for row in self._db.rows(_CHAIN, params)]

    def _opened(self, row: Row) -> Row:
        try:
            return self._db.opened(_CHAIN_FIELDS, row, strict=True)
        except SealBroken:
            return row

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Raises Conflict where there is one at this seq."""
        if self._db.change(_ADD_CHECKPOINT, _CHECKPOINT.row(checkpoint)) != 1:
            raise Conflict(f"checkpoint {checkpoint.seq}: is there already")

    def last_checkpoint(self) -> Checkpoint | None:
        row = self._db.row(_LAST_CHECKPOINT)
        return None if row is None else _CHECKPOINT.from_row(row)

    def checkpoints(self, after_seq: int = 0, limit: int = 1000) -> list[Checkpoint]:
        """In order of seq."""
        return _CHECKPOINT.from_rows(self._db.rows(_CHECKPOINTS, {"after_seq": after_seq, "limit": limit}))

    def flush(self) -> None:
        """Writes the events added so far. The writer calls this when a unit ends."""
        if self._unwritten:
            self._db.change_many(_ADD, self._unwritten)
            self._unwritten = []
