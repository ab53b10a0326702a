"""What has been kept long enough: found on a snapshot, a page at a time, and deleted in small units.

Rows are found by walking a table from its front, where the oldest are, so no index is kept for it; whoever deletes asks
again whether the row may go. A request goes with its jobs, approvals and sealed data when it and all its jobs ended
before the moment given and nothing of it is under way. The newest request stays, whose number tells how far the store
has come (hub/store/watermark.py).

A deleted request leaves a tombstone of its message, so that the same delivery does nothing when it comes again, and
one of each job, so that its id is used by no other and its machine is told to forget it. Triggers refuse both (see the
migration). Tombstones go, too, when no platform and no machine repeats anything from then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from common.lifecycle import JOB_TERMINAL, REQUEST_TERMINAL
from hub.store.base import Repository
from hub.store.columns import one_of
from hub.store.mapping import ON_CONFLICT_DO_NOTHING
from hub.store.schema import (
    approvals,
    cards,
    drafts,
    jobs,
    outbox,
    output,
    requests,
    sealed,
    standing_approvals,
    tombstones,
)
from hub.store.sql import Statement

PAGE: Final = 500
"""Rows that one look goes through."""
UNIT: Final = 200
"""Rows that one unit deletes, about: what a message may have to wait for."""


class Page(NamedTuple):
    """Rows that may go, of a part of a table; `after` is where the next part begins, None where nothing older is."""

    keys: tuple[Any, ...]
    after: int | None


class Dropped(NamedTuple):
    done: int  # of the ids given, from the first
    requests: int
    jobs: int


_BEFORE: Final[sa.BindParameter[float]] = sa.bindparam("before")
_KEY: Final[sa.BindParameter[Any]] = sa.bindparam("key")
_DELIVERED: Final = sa.and_(outbox.c.state != "pending", outbox.c.done_at < _BEFORE)
_REPLIES: Final = Statement(
    sa.select(outbox.c.id, outbox.c.created_at, sa.case((_DELIVERED, 1), else_=0))
    .where(outbox.c.id > sa.bindparam("after"))
    .order_by(outbox.c.id)
    .limit(sa.bindparam("n"))
)
_DROP_REPLY: Final = Statement(outbox.delete().where(outbox.c.id == _KEY, _DELIVERED))


def _has(table: sa.Table, *conditions: Any) -> sa.ColumnElement[bool]:
    return sa.exists().where(*conditions).select_from(table).correlate(requests)


_OF: Final = {
    table: table.c.request_id == requests.c.id for table in (jobs, outbox, drafts, standing_approvals)
}  # a row of the table is the request's
_JOB_STAYS: Final = sa.or_(
    sa.text(f"NOT ({one_of('jobs.state', JOB_TERMINAL)})"), jobs.c.ended_at >= _BEFORE, jobs.c.ended_at.is_(None)
)
_MAY_GO: Final = sa.and_(
    sa.text(one_of("requests.state", REQUEST_TERMINAL)),
    requests.c.ended_at < _BEFORE,
    ~_has(jobs, _OF[jobs], _JOB_STAYS),
    ~sa.exists()
    .where(_OF[jobs], output.c.job_id == jobs.c.id)
    .select_from(sa.join(jobs, output, output.c.job_id == jobs.c.id))
    .correlate(requests),
    ~_has(outbox, _OF[outbox], sa.text("outbox.state = 'pending'")),
    ~_has(drafts, _OF[drafts], sa.text("drafts.state = 'proposed'")),
    ~_has(
        standing_approvals,
        _OF[standing_approvals],
        standing_approvals.c.revoked_at.is_(None),
        standing_approvals.c.expires_at >= _BEFORE,
    ),
)
_NEWEST: Final = sa.select(sa.func.max(requests.alias("newest").c.number)).scalar_subquery()
_REQUESTS: Final = Statement(
    sa.select(requests.c.number, requests.c.id, requests.c.received_at, sa.case((_MAY_GO, 1), else_=0))
    .where(requests.c.number > sa.bindparam("after"), requests.c.number < _NEWEST)
    .order_by(requests.c.number)
    .limit(sa.bindparam("n"))
)
_REQUEST: Final = Statement(
    sa.select(requests.c.inlet, requests.c.event_id).where(requests.c.id == _KEY, requests.c.number < _NEWEST, _MAY_GO)
)
_JOBS: Final = Statement(
    sa.select(jobs.c.id, jobs.c.agent).where(jobs.c.request_id == _KEY).order_by(jobs.c.id).limit(sa.bindparam("n"))
)
_DROP_JOB: Final = Statement(jobs.delete().where(jobs.c.id == sa.bindparam("id")))
_DROP_BESIDE: Final = [
    Statement(table.delete().where(table.c.request_id == _KEY))
    for table in (approvals, standing_approvals, cards, drafts, sealed)
]
_DROP_REQUEST: Final = Statement(requests.delete().where(requests.c.id == _KEY))
_ADD_TOMBSTONE: Final = Statement(
    tombstones.insert().values({name: sa.bindparam(name) for name in ("kind", "id", "owner", "at")}).inline(),
    ON_CONFLICT_DO_NOTHING,
)
_GONE: Final = Statement(
    sa.select(sa.func.count())
    .select_from(tombstones)
    .where(sa.text("kind = 'job'"), tombstones.c.id == sa.bindparam("id"), tombstones.c.owner == sa.bindparam("owner"))
)
_USED: Final = Statement(
    sa.text(
        "SELECT (pages.page_count - free.freelist_count) * size.page_size "
        "FROM pragma_page_count() pages, pragma_freelist_count() free, pragma_page_size() size"
    )
)
_POSTGRES_USED: Final = Statement(sa.text("SELECT pg_database_size(current_database())"))
_OLD_TOMBSTONES: Final = (
    sa.select(tombstones.c.kind, tombstones.c.id, tombstones.c.owner)
    .where(tombstones.c.at < _BEFORE)
    .order_by(tombstones.c.at)
    .limit(sa.bindparam("n"))
)
_DROP_TOMBSTONES: Final = Statement(
    tombstones.delete().where(sa.tuple_(tombstones.c.kind, tombstones.c.id, tombstones.c.owner).in_(_OLD_TOMBSTONES))
)


class RetentionRepository(Repository):
    def used_bytes(self) -> int:
        """What the store fills. Of an SQLite file without its free pages, which the next rows are written to; of
        PostgreSQL with them: it falls only when the server has made room.
        """
        return int(self._db.value(_POSTGRES_USED if self._db.is_postgres else _USED))

    def old_replies(self, before: float, after: int = 0, limit: int = PAGE) -> Page:
        """Ids of replies that were delivered or given up before `before`."""
        rows = self._db.rows(_REPLIES, {"before": before, "after": after, "n": limit})
        return _page([(number, number, at, fits) for number, at, fits in rows], before, limit)

    def drop_replies(self, ids: Sequence[int], before: float) -> int:
        """Deletes those of them that may go; returns how many."""
        return self._db.change_many(_DROP_REPLY, [{"key": key, "before": before} for key in ids])

    def old_requests(self, before: float, after: int = 0, limit: int = PAGE) -> Page:
        """Ids of requests that may go: they and their jobs ended before `before`, and their output is deleted."""
        return _page(self._db.rows(_REQUESTS, {"before": before, "after": after, "n": limit}), before, limit)

    def drop_requests(self, ids: Sequence[str], before: float, now: float, limit: int = UNIT) -> Dropped:
        """Deletes requests, in their order, until about `limit` rows are gone; of one with more jobs than that first
        some of its jobs. Leaves out those that may not go any more, or are gone.
        """
        done, requests, jobs, room = 0, 0, 0, limit
        for id in ids:  # noqa: A001 - the record's word
            found = self._db.row(_REQUEST, {"key": id, "before": before})
            if found is not None:
                dropped = self._drop_jobs(id, now, room)
                jobs += dropped
                if dropped == room:  # there may be more
                    break
                self._drop_request(id, found[0], found[1], now)
                requests += 1
                room -= dropped
            done += 1
            room -= 1
            if room <= 0:
                break
        return Dropped(done, requests, jobs)

    def _drop_jobs(self, request_id: str, now: float, limit: int) -> int:
        rows = self._db.rows(_JOBS, {"key": request_id, "n": limit})
        stones = [{"kind": "job", "id": job, "owner": agent, "at": now} for job, agent in rows]
        self._db.change_many(_ADD_TOMBSTONE, stones)
        return self._db.change_many(_DROP_JOB, [{"id": job} for job, _ in rows])

    def _drop_request(self, id: str, inlet: str, event: str, now: float) -> None:  # noqa: A002
        for statement in _DROP_BESIDE:
            self._db.change(statement, {"key": id})
        self._db.change(_ADD_TOMBSTONE, {"kind": "event", "id": event, "owner": inlet, "at": now})
        self._db.change(_DROP_REQUEST, {"key": id})

    def jobs_gone(self, agent: str, ids: Collection[str]) -> frozenset[str]:
        """Those of a machine's jobs whose rows were deleted."""
        return frozenset(job for job in ids if self._db.value(_GONE, {"id": job, "owner": agent}))

    def drop_tombstones(self, before: float, limit: int = UNIT) -> int:
        """Deletes up to `limit` from before `before`; returns how many. Call until it returns 0."""
        return self._db.change(_DROP_TOMBSTONES, {"before": before, "n": limit})


def _page(rows: Sequence[Sequence[Any]], before: float, limit: int) -> Page:
    """`rows`: position, key, when it was made, whether it may go. Positions follow the times."""
    fits = tuple(key for _, key, _, may_go in rows if may_go)
    end = len(rows) < limit or rows[-1][2] >= before
    return Page(fits, None if end else int(rows[-1][0]))
