"""The outbox: replies to chat, what became of them, and the cards that show requests there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import sqlalchemy as sa

from hub.core.records import Card, Reply
from hub.store.base import Repository
from hub.store.errors import Conflict
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper
from hub.store.schema import PENDING
from hub.store.schema import cards as card_table
from hub.store.schema import outbox as table
from hub.store.sql import Statement

REPLY: Final = Mapper(Reply, table, key="id", generated=("id",))
_CARD: Final = Mapper(Card, card_table, key="request_id")
_EARLIER: Final = table.alias("earlier")

# Inlets left out, as one text "|a|b|": a list of any length in a statement that is compiled once.
_SKIPPED: Final = sa.bindparam("skip_inlets", type_=sa.Text)

_ADD: Final = Statement(REPLY.insert, ON_CONFLICT_DO_NOTHING + " RETURNING id")
# Replies to one request go in order: only its oldest pending one is due.
_DUE: Final = Statement(
    REPLY.select.where(
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
# What was said is in chat, and nothing reads it here again. (A constant of the text: empty values are never sealed.)
_NOTHING: Final[sa.ColumnElement[str]] = sa.literal_column("''")
_GIVE_UP: Final = Statement(
    table.update().where(*_WAITS).values(state="dead", done_at=sa.bindparam("now"), error=sa.bindparam("why"))
)
_DONE: Final = Statement(
    table.update()
    .where(*_WAITS)
    .values(state="done", done_at=sa.bindparam("now"), error="", body=_NOTHING, url=_NOTHING)
)
_RETRY: Final = Statement(
    table.update()
    .where(*_WAITS)
    .values(next_at=sa.bindparam("at"), attempts=sa.bindparam("tries"), error=sa.bindparam("why"))
)
_NEWEST: Final = Statement(
    REPLY.select.where(table.c.request_id == sa.bindparam("request_id"), PENDING).order_by(table.c.id.desc()).limit(1)
)
_END_EARLIER: Final = Statement(
    table.update()
    .where(table.c.request_id == sa.bindparam("of"), table.c.id < sa.bindparam("before"), PENDING)
    .values(state="done", done_at=sa.bindparam("now"), body=_NOTHING, url=_NOTHING)
)
_HELD: Final = Statement(
    sa.select(table.c.id, table.c.next_at, table.c.attempts, table.c.error)
    .where(PENDING, table.c.next_at > sa.bindparam("now"))
    .order_by(table.c.next_at)
    .limit(sa.bindparam("limit"))
)
_CARD_OF: Final = Statement(_CARD.select.where(card_table.c.request_id == sa.bindparam("request_id")))
_ADD_CARD: Final = Statement(
    _CARD.insert, " ON CONFLICT (request_id) DO UPDATE SET ref = excluded.ref, posted_at = excluded.posted_at"
)
_COUNT: Final = Statement(sa.select(sa.func.count()).select_from(table).where(PENDING))
# The last of the reasons by the alphabet: those of one inlet mostly are the same.
_WAITING: Final = Statement(
    sa.select(table.c.inlet, sa.func.count(), sa.func.min(table.c.created_at), sa.func.max(table.c.error))
    .where(PENDING)
    .group_by(table.c.inlet)
)
_NEWEST_ID: Final = Statement(sa.select(sa.func.max(table.c.id)))
_OLDEST: Final = Statement(sa.select(sa.func.min(table.c.created_at)).where(PENDING))


class WaitingReplies(NamedTuple):
    """The pending replies of one inlet."""

    pending: int
    oldest: float  # when the first of them was made
    error: str  # why one of them was not posted yet; "" where none was tried in vain


class HeldReply(NamedTuple):
    """A pending reply that is not due yet."""

    id: int
    next_at: float
    attempts: int
    error: str


class OutboxRepository(Repository):
    def add_reply(self, reply: Reply) -> int:
        """Adds a reply and returns its id; raises Conflict for a second final reply to one request."""
        row = self._db.row(_ADD, REPLY.row(reply))
        if row is None:
            raise Conflict(f"request {reply.request_id}: has its final reply already")
        return int(row[0])

    def due_replies(
        self, now: float, limit: int = 100, skip_ids: Collection[int] = (), skip_inlets: Collection[str] = ()
    ) -> list[Reply]:
        """Replies to send now, of each request only its oldest pending one. `skip_ids` are being sent already,
        `skip_inlets` have their share of the concurrent posts.
        """
        skipped = f"|{'|'.join(skip_inlets)}|" if skip_inlets else ""
        rows = self._db.rows(_DUE, {"now": now, "limit": limit + len(skip_ids), "skip_inlets": skipped})
        return [reply for reply in REPLY.from_rows(rows) if reply.id not in skip_ids][:limit]

    def mark_reply_done(self, id: int, now: float) -> None:  # noqa: A002 - the record's word
        """The reply was delivered: its body goes at once, its row later (hub/store/retention.py). Does nothing where it
        is done or dead already.
        """
        self._db.change(_DONE, {"key": id, "now": now})

    def newest_reply(self, request_id: str) -> Reply | None:
        """The pending reply to a request that was added last: of a card the state to show."""
        rows = self._db.rows(_NEWEST, {"request_id": request_id})
        return next(iter(REPLY.from_rows(rows)), None)

    def mark_replies_superseded(self, request_id: str, before_id: int, now: float) -> None:
        """Pending replies to a request that are older than this one need no posting: its card shows what is newer."""
        self._db.change(_END_EARLIER, {"of": request_id, "before": before_id, "now": now})

    def card(self, request_id: str) -> Card | None:
        """The message in chat that shows the request; None where none was posted."""
        row = self._db.row(_CARD_OF, {"request_id": request_id})
        return None if row is None else _CARD.from_row(row)

    def put_card(self, card: Card) -> None:
        """Notes which message shows the request from now on."""
        self._db.change(_ADD_CARD, _CARD.row(card))

    def mark_reply_dead(self, id: int, now: float, error: str) -> None:  # noqa: A002
        """The reply is given up; later replies to its request become due."""
        self._db.change(_GIVE_UP, {"key": id, "now": now, "why": error})

    def schedule_reply_retry(self, id: int, next_at: float, attempts: int, error: str) -> None:  # noqa: A002
        self._db.change(_RETRY, {"key": id, "at": next_at, "tries": attempts, "why": error})

    def newest_reply_id(self) -> int:
        """The last id given to a reply that is still there; 0 where there is none. Later ones are higher."""
        return int(self._db.value(_NEWEST_ID) or 0)

    def held_replies(self, now: float, limit: int) -> list[HeldReply]:
        """Those that are due later, the soonest first."""
        return [HeldReply(*row) for row in self._db.rows(_HELD, {"now": now, "limit": limit})]

    def count_pending_replies(self) -> int:
        """How many replies are pending."""
        return int(self._db.value(_COUNT))

    def waiting_replies(self) -> dict[str, WaitingReplies]:
        """The pending replies of each inlet that has some."""
        return {inlet: WaitingReplies(*rest) for inlet, *rest in self._db.rows(_WAITING)}

    def oldest_reply_at(self) -> float | None:
        """created_at of the pending reply that was made first."""
        oldest: float | None = self._db.value(_OLDEST)
        return oldest
