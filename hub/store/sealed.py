"""Data beside a request: its encrypted records, the earlier messages of its conversation, drafts of runbooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from hub.core.records import Draft, Request, SealedItem
from hub.store.base import Repository
from hub.store.columns import one_of
from hub.store.mapping import Mapper
from hub.store.requests import REQUEST
from hub.store.schema import drafts as draft_table
from hub.store.schema import requests as request_table
from hub.store.schema import sealed as table
from hub.store.sql import Statement

_SEALED: Final = Mapper(SealedItem, table, key="id", generated=("id",))
_DRAFT: Final = Mapper(Draft, draft_table, key="number", generated=("number",))

_ADD: Final = Statement(_SEALED.insert)
_OF: Final = Statement(_SEALED.select.where(table.c.request_id == sa.bindparam("request_id")).order_by(table.c.id))
_COUNT: Final = Statement(
    sa.select(sa.func.count())
    .select_from(table)
    .where(table.c.request_id == sa.bindparam("request_id"), sa.text(one_of("kind", ("picture", "reading"))))
)
_DROP_KIND: Final = Statement(
    table.delete().where(table.c.request_id == sa.bindparam("request_id"), table.c.kind == sa.bindparam("kind"))
)
_OLD: Final = sa.select(table.c.id).where(table.c.at < sa.bindparam("before")).limit(sa.bindparam("limit"))
_DROP_OLD: Final = Statement(table.delete().where(table.c.id.in_(_OLD)))
_EARLIER: Final = Statement(
    REQUEST.select.where(
        request_table.c.inlet == sa.bindparam("inlet"),
        request_table.c.conversation == sa.bindparam("conversation"),
        request_table.c.number < sa.bindparam("number"),
        request_table.c.received_at >= sa.bindparam("since"),
    )
    .order_by(request_table.c.number.desc())
    .limit(sa.bindparam("limit"))
)
_ADD_DRAFT: Final = Statement(_DRAFT.insert, " RETURNING number")
_DRAFT_BY: Final = Statement(_DRAFT.select.where(draft_table.c.number == sa.bindparam("number")))
_PROPOSED: Final = Statement(
    _DRAFT.select.where(sa.text("state = 'proposed'")).order_by(draft_table.c.number).limit(sa.bindparam("limit"))
)


class SealedRepository(Repository):
    def add_sealed(self, request_id: str, kind: str, data: bytes, now: float) -> None:
        self._db.change(_ADD, _SEALED.row(SealedItem(0, request_id, kind, data, now)))

    def sealed_of(self, request_id: str) -> list[SealedItem]:
        """In the order they were added."""
        return _SEALED.from_rows(self._db.rows(_OF, {"request_id": request_id}))

    def count_pictures(self, request_id: str) -> int:
        """How many pictures came with a request: those still stored and those already read."""
        return int(self._db.value(_COUNT, {"request_id": request_id}))

    def drop_sealed(self, request_id: str, kind: str) -> int:
        """Deletes a request's records of one kind, such as its pictures once they are read."""
        return self._db.change(_DROP_KIND, {"request_id": request_id, "kind": kind})

    def drop_old_sealed(self, before: float, limit: int = 20) -> int:
        """Deletes up to `limit` records from before `before`; returns how many. Call until it returns 0."""
        return self._db.change(_DROP_OLD, {"before": before, "limit": limit})

    def earlier_requests(self, request: Request, since: float, limit: int) -> list[Request]:
        """Requests of the same conversation that came before `request`, the newest first."""
        values = {"inlet": request.inlet, "conversation": request.conversation, "number": request.number}
        return REQUEST.from_rows(self._db.rows(_EARLIER, {**values, "since": since, "limit": limit}))

    def add_draft(self, draft: Draft) -> Draft:
        """The draft with its number."""
        row = self._db.row(_ADD_DRAFT, _DRAFT.row(draft))
        assert row is not None  # noqa: S101 - the statement returns what it inserted
        return replace(draft, number=row[0])

    def draft(self, number: int) -> Draft | None:
        if not 0 < number < 2**63:
            return None
        row = self._db.row(_DRAFT_BY, {"number": number})
        return None if row is None else _DRAFT.from_row(row)

    def save_draft(self, before: Draft, after: Draft) -> None:
        """Updates the fields that differ; raises Conflict where somebody has decided meanwhile."""
        _DRAFT.save(self._db, before, after, ("state",))

    def proposed_drafts(self, limit: int = 100) -> list[Draft]:
        """Drafts that wait for an admin, the oldest first."""
        return _DRAFT.from_rows(self._db.rows(_PROPOSED, {"limit": limit}))
