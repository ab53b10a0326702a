"""The verbs of the outbox: replies that chat has not had yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from hub.records import Reply
from hub.store.errors import Conflict
from hub.store.mapping import OR_NOTHING, Mapper
from hub.store.room import Room
from hub.store.schema import PENDING
from hub.store.schema import outbox as table
from hub.store.sql import Statement

_REPLY: Final = Mapper(Reply, table, key="id", given=("id",))
_EARLIER: Final = table.alias("earlier")

# Inlets left out, as one text "|a|b|": a list of any length in a statement that is compiled once.
_SKIPPED: Final = sa.bindparam("skip_inlets", type_=sa.Text)

_ADD: Final = Statement(_REPLY.insert, OR_NOTHING + " RETURNING id")
# Replies to one request go in order: only the oldest that waits is due.
_DUE: Final = Statement(
    _REPLY.select.where(
        sa.text("outbox.state = 'pending'"),
        table.c.next_at <= sa.bindparam("now"),
        sa.func.replace(_SKIPPED, sa.literal("|") + table.c.inlet + "|", "") == _SKIPPED,
        ~sa.exists()
        .where(
            sa.text("earlier.state = 'pending'"),
            _EARLIER.c.request_id == table.c.request_id,
            _EARLIER.c.id < table.c.id,
            table.c.request_id != "",
        )
        .select_from(_EARLIER)
        .correlate(table),
    )
    .order_by(table.c.next_at, table.c.id)
    .limit(sa.bindparam("limit"))
)
_WAITS: Final = (table.c.id == sa.bindparam("key"), PENDING)
_END: Final = Statement(
    table.update()
    .where(*_WAITS)
    .values(state=sa.bindparam("to"), done_at=sa.bindparam("now"), error=sa.bindparam("why"))
)
_RETRY: Final = Statement(
    table.update()
    .where(*_WAITS)
    .values(next_at=sa.bindparam("at"), attempts=sa.bindparam("tries"), error=sa.bindparam("why"))
)
_COUNT: Final = Statement(sa.select(sa.func.count()).select_from(table).where(PENDING))
_OLDEST: Final = Statement(sa.select(sa.func.min(table.c.created_at)).where(PENDING))


class OutboxRoom(Room):
    def add_reply(self, reply: Reply) -> int:
        """Its id. Raises Conflict for a second final reply to one request."""
        row = self._db.row(_ADD, _REPLY.row(reply))
        if row is None:
            raise Conflict(f"request {reply.request_id}: has its final reply already")
        return int(row[0])

    def due_replies(
        self, now: float, limit: int = 100, skip_ids: Collection[int] = (), skip_inlets: Collection[str] = ()
    ) -> list[Reply]:
        """What may be sent now, of each request only its oldest pending one. `skip_ids` are those being sent,
        `skip_inlets` those that have their share of what is under way.
        """
        skipped = f"|{'|'.join(skip_inlets)}|" if skip_inlets else ""
        rows = self._db.rows(_DUE, {"now": now, "limit": limit + len(skip_ids), "skip_inlets": skipped})
        return [reply for reply in _REPLY.records(rows) if reply.id not in skip_ids][:limit]

    def reply_done(self, id: int, now: float) -> None:  # noqa: A002 - the record's word
        """Nothing happens where it is done or dead already."""
        self._db.change(_END, {"key": id, "to": "done", "now": now, "why": ""})

    def reply_dead(self, id: int, now: float, error: str) -> None:  # noqa: A002
        """Given up: it no longer keeps later replies to its request back."""
        self._db.change(_END, {"key": id, "to": "dead", "now": now, "why": error})

    def reply_retry(self, id: int, next_at: float, attempts: int, error: str) -> None:  # noqa: A002
        self._db.change(_RETRY, {"key": id, "at": next_at, "tries": attempts, "why": error})

    def pending_replies(self) -> int:
        """How many wait."""
        return int(self._db.value(_COUNT))

    def oldest_reply(self) -> float | None:
        """created_at of the pending reply that was made first."""
        oldest: float | None = self._db.value(_OLDEST)
        return oldest
