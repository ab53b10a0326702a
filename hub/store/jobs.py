"""Queries and updates of jobs; `claims` hands them out."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, NamedTuple

import sqlalchemy as sa

from common.lifecycle import JOB_SETTLED, JobState
from hub.core.records import Job
from hub.store.base import Repository
from hub.store.columns import one_of
from hub.store.errors import Conflict
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper
from hub.store.schema import ENDED, OPEN, QUEUED
from hub.store.schema import jobs as table
from hub.store.sql import Statement

MAX_FOUND: Final = 10
_ID_PART: Final = re.compile(r"[0-9A-Za-z]{1,26}", re.ASCII)

JOB: Final = Mapper(
    Job,
    table,
    key="id",
    converters={
        "state": (attrgetter("value"), JobState),
        "notes": ("\n".join, lambda text: tuple(text.split("\n")) if text else ()),
    },
    unreadable={"notes": lambda text: (text,)},
)
JOB_GUARDS: Final = ("state", "cancel_asked_at")

_ADD: Final = Statement(JOB.insert, ON_CONFLICT_DO_NOTHING)
_BY_ID: Final = Statement(JOB.select.where(table.c.id == sa.bindparam("id")))
_OF_REQUEST: Final = Statement(
    JOB.select.where(table.c.request_id == sa.bindparam("request_id")).order_by(table.c.step, table.c.agent, table.c.id)
)
_LAPSED: Final = Statement(
    JOB.select.where(QUEUED, table.c.not_after <= sa.bindparam("now"))
    .order_by(table.c.not_after)
    .limit(sa.bindparam("limit"))
)
_OPEN: Final = Statement(JOB.select.where(OPEN, table.c.agent == sa.bindparam("agent")).order_by(table.c.id))
_UNSETTLED: Final = Statement(
    sa.select(sa.func.count())
    .select_from(table)
    .where(
        table.c.request_id == sa.bindparam("request_id"),
        table.c.step == sa.bindparam("step"),
        sa.text(f"NOT ({one_of('state', JOB_SETTLED)})"),
    )
)
_COUNTS: Final = [  # three, for each is answered by one partial index
    Statement(sa.select(table.c.state, sa.func.count()).where(some).group_by(table.c.state))
    for some in (QUEUED, OPEN, ENDED)
]
_QUEUED: Final = sa.select(sa.func.count()).select_from(table).where(QUEUED)
_COUNT_ALL: Final = Statement(_QUEUED)
_COUNT_PERSON: Final = Statement(_QUEUED.where(table.c.person == sa.bindparam("person")))
_COUNT_AGENT: Final = Statement(_QUEUED.where(table.c.agent == sa.bindparam("agent")))
_COUNT_BOTH: Final = Statement(
    _QUEUED.where(table.c.agent == sa.bindparam("agent"), table.c.person == sa.bindparam("person"))
)
_STATS: Final = Statement(sa.select(sa.func.count(), sa.func.min(table.c.queued_at)).select_from(table).where(QUEUED))
_AGENTS: Final = Statement(sa.select(table.c.agent).distinct().where(QUEUED).order_by(table.c.agent))


class QueueStats(NamedTuple):
    depth: int
    oldest: float | None  # queued_at of the job that has waited longest


class JobRepository(Repository):
    def add_jobs(self, jobs: Sequence[Job]) -> None:
        """Raises Conflict where an id, or a job for the same step on the same machine, exists already."""
        made = [replace(job, mac=self.rows.mac(job)) for job in jobs]
        if self._db.change_many(_ADD, [JOB.row(job) for job in made]) != len(jobs):
            raise Conflict("jobs: one of them is there already")

    def job(self, id: str) -> Job | None:  # noqa: A002 - the record's word
        row = self._db.row(_BY_ID, {"id": id})
        return None if row is None else JOB.from_row(row)

    def find_jobs(self, id_part: str) -> list[Job]:
        """Jobs whose id begins or ends with `id_part`, newest first, at most 10. People use the end: ids made in the
        same hour begin alike.
        """
        if _ID_PART.fullmatch(id_part) is None:
            return []
        part = id_part.upper()
        newest = JOB.select.order_by(table.c.id.desc()).limit(MAX_FOUND)
        begins = self._db.select(newest.where(table.c.id >= part, table.c.id < part + "~"))
        ends = [] if len(begins) == MAX_FOUND else self._db.select(newest.where(table.c.id.like("%" + part)))
        found = {job.id: job for job in JOB.from_rows([*begins, *ends])}
        return sorted(found.values(), key=lambda job: job.id, reverse=True)[:MAX_FOUND]

    def jobs_of(self, request_id: str) -> list[Job]:
        """The jobs of a request, by step, then machine."""
        return JOB.from_rows(self._db.rows(_OF_REQUEST, {"request_id": request_id}))

    def count_unsettled(self, request_id: str, step: int) -> int:
        """How many jobs of the step the request still waits for."""
        return int(self._db.value(_UNSETTLED, {"request_id": request_id, "step": step}))

    def save_job(self, before: Job, after: Job) -> Job:
        """Updates the fields that differ; raises Conflict where the row's state or cancel_asked_at is not as in
        `before`. Returns `after` as it is stored.
        """
        saved = self._with_mac(before, after, self.job)
        JOB.save(self._db, before, saved, JOB_GUARDS)
        return saved

    def lapsed_jobs(self, now: float, limit: int = 1000) -> list[Job]:
        """Queued jobs past their not_after, the longest expired first."""
        return JOB.from_rows(self._db.rows(_LAPSED, {"now": now, "limit": limit}))

    def open_jobs(self, agent: str) -> list[Job]:
        """The jobs that the machine has or may have: leased, accepted, running, unknown."""
        return JOB.from_rows(self._db.rows(_OPEN, {"agent": agent}))

    def agents_with_queue(self) -> list[str]:
        return [agent for (agent,) in self._db.rows(_AGENTS)]

    def jobs(
        self,
        states: Collection[JobState] | None = None,
        agent: str | None = None,
        person: str | None = None,
        limit: int = 100,
        before_id: str | None = None,
        below_number: int | None = None,
    ) -> list[Job]:
        """Newest first; `below_number` selects those of earlier requests."""
        query = JOB.select.order_by(table.c.id.desc()).limit(limit)
        if states is not None:
            query = query.where(table.c.state.in_([state.value for state in states]))
        if agent is not None:
            query = query.where(table.c.agent == agent)
        if person is not None:
            query = query.where(table.c.person == person)
        if before_id is not None:
            query = query.where(table.c.id < before_id)
        if below_number is not None:
            query = query.where(table.c.number < below_number)
        return JOB.from_rows(self._db.select(query))

    def job_counts(self) -> dict[JobState, int]:
        """Every state, 0 where no job is in it."""
        counts = dict.fromkeys(JobState, 0)
        for statement in _COUNTS:
            counts.update((JobState(state), count) for state, count in self._db.rows(statement))
        return counts

    def queue_stats(self) -> QueueStats:
        depth, oldest = self._db.rows(_STATS)[0]
        return QueueStats(depth, oldest)

    def count_queued(self, person: str | None = None, agent: str | None = None) -> int:
        if person is not None and agent is not None:
            return int(self._db.value(_COUNT_BOTH, {"person": person, "agent": agent}))
        if person is not None:
            return int(self._db.value(_COUNT_PERSON, {"person": person}))
        if agent is not None:
            return int(self._db.value(_COUNT_AGENT, {"agent": agent}))
        return int(self._db.value(_COUNT_ALL))
