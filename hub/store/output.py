"""The output of jobs, in numbered chunks."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from ulid import ULID

from hub.core.records import StoredChunk
from hub.store.base import Repository
from hub.store.cipher import BYTES_MARK, OVERHEAD
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper
from hub.store.schema import jobs, requests
from hub.store.schema import output as table
from hub.store.sql import Statement

_CHUNK: Final = Mapper(StoredChunk, table, key="job_id")
_OF_JOB: Final = table.c.job_id == sa.bindparam("job_id")

_ADD: Final = Statement(_CHUNK.insert, ON_CONFLICT_DO_NOTHING)
_AFTER: Final = Statement(
    _CHUNK.select.where(_OF_JOB, table.c.seq > sa.bindparam("after_seq"))
    .order_by(table.c.seq)
    .limit(sa.bindparam("limit"))
)
_EXTENT: Final = Statement(sa.select(sa.func.count(), sa.func.max(table.c.seq)).where(_OF_JOB))
# What sealing adds is not output. (bytea and BLOB both compare by bytes.)
_SEALED: Final = sa.func.substr(table.c.data, 1, len(BYTES_MARK)) == sa.literal(BYTES_MARK)
_LENGTH: Final = sa.func.length(table.c.data) - sa.case((_SEALED, OVERHEAD), else_=0)
_SIZE: Final = Statement(sa.select(sa.func.coalesce(sa.func.sum(_LENGTH), 0)).where(_OF_JOB))
_SEQS: Final = Statement(sa.select(table.c.seq).where(_OF_JOB).order_by(table.c.seq))
# Job ids sort by time, so old chunks are at the front of the key; only chunks of ended jobs are deleted.
_OLD: Final = Statement(
    sa.select(table.c.job_id, table.c.seq, sa.func.length(table.c.data))
    .join_from(table, jobs, jobs.c.id == table.c.job_id)
    .join(requests, requests.c.id == jobs.c.request_id)
    .where(
        table.c.job_id < sa.bindparam("before_id"),
        jobs.c.ended_at < sa.bindparam("before"),
        requests.c.ended_at < sa.bindparam("before"),  # until then its reply may quote it
    )
    .order_by(table.c.job_id, table.c.seq)
    .limit(sa.bindparam("limit")),
    as_stored=True,
)
_DROP: Final = Statement(table.delete().where(_OF_JOB, table.c.seq == sa.bindparam("seq")))
MAX_DROPPED: Final = 1024 * 1024
"""Bytes that one unit deletes, about: what is deleted is also written over."""


class OutputRepository(Repository):
    def add_chunk(self, chunk: StoredChunk) -> bool:
        """Adds a chunk; False where one with its number exists already, which stays."""
        return self._db.change(_ADD, _CHUNK.row(chunk)) == 1

    def chunks(self, job_id: str, after_seq: int = 0, limit: int = 1000) -> list[StoredChunk]:
        """In order of seq."""
        return _CHUNK.from_rows(self._db.rows(_AFTER, {"job_id": job_id, "after_seq": after_seq, "limit": limit}))

    def output_size(self, job_id: str) -> int:
        """Bytes of the chunks that are kept."""
        return int(self._db.value(_SIZE, {"job_id": job_id}))

    def output_seq(self, job_id: str) -> int:
        """The highest seq up to which no chunk is missing; 0 where the first is."""
        count, highest = self._db.rows(_EXTENT, {"job_id": job_id})[0]
        if count == (highest or 0):
            return int(count)
        reached = 0
        for (seq,) in self._db.rows(_SEQS, {"job_id": job_id}):
            if seq != reached + 1:
                break
            reached = seq
        return reached

    def drop_output(self, before: float, limit: int = 200) -> int:
        """Deletes up to `limit` chunks, or about MAX_DROPPED bytes, of jobs that ended, as their requests did, before
        `before`; returns how many. Call until it returns 0.
        """
        before_id = str(ULID.from_timestamp(before))
        chosen: list[dict[str, str | int]] = []
        room = MAX_DROPPED
        for job, seq, size in self._db.rows(_OLD, {"before": before, "before_id": before_id, "limit": limit}):
            chosen.append({"job_id": job, "seq": seq})
            room -= size
            if room <= 0:
                break
        return self._db.change_many(_DROP, chosen)
