"""The console's overview: backlog by machine, and what needs a person. A partial index serves each query."""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa

from hub.core.audit_chain import AuditRow, to_event
from hub.core.records import AuditEvent, Job, Request
from hub.store.base import Repository
from hub.store.events import EVENT_COLUMNS
from hub.store.filter_sql import STUCK
from hub.store.jobs import JOB
from hub.store.requests import REQUEST
from hub.store.schema import ANOMALY, HELD, OPEN, QUEUED, REQUEST_OPEN, approvals, events, jobs, requests
from hub.store.sql import Statement


class JobBacklog(NamedTuple):
    """Jobs in one state on one machine."""

    agent: str
    state: str
    jobs: int
    oldest: float  # since when the oldest is in it; queued: when it was queued


_LIMIT: Final = sa.bindparam("limit", type_=sa.Integer)
_QUEUED_BY_AGENT: Final = Statement(
    sa.select(jobs.c.agent, sa.func.count(), sa.func.min(jobs.c.queued_at)).where(QUEUED).group_by(jobs.c.agent)
)
_SINCE: Final = sa.func.coalesce(jobs.c.started_at, jobs.c.leased_at, jobs.c.queued_at)
_OPEN_BY_AGENT: Final = Statement(
    sa.select(jobs.c.agent, jobs.c.state, sa.func.count(), sa.func.min(_SINCE))
    .where(OPEN)
    .group_by(jobs.c.agent, jobs.c.state)
)
_BUSY_OF: Final = Statement(
    sa.select(sa.func.count())
    .select_from(jobs)
    .where(OPEN, jobs.c.agent == sa.bindparam("agent"), sa.text("state <> 'unknown'"))
)
_QUEUE_OF: Final = Statement(
    sa.select(jobs.c.id, jobs.c.priority, jobs.c.queued_at)
    .where(QUEUED, jobs.c.agent == sa.bindparam("agent"))
    .order_by(jobs.c.priority.desc(), jobs.c.queued_at, jobs.c.id)
    .limit(_LIMIT)
)
_REQUESTS_WAITING: Final = Statement(
    sa.select(
        requests.c.state, sa.func.count(), sa.func.min(sa.func.coalesce(requests.c.planned_at, requests.c.received_at))
    )
    .where(REQUEST_OPEN)
    .group_by(requests.c.state)
)
_ASKING: Final = Statement(
    REQUEST.select.where(REQUEST_OPEN, sa.text("state = 'asking'")).order_by(requests.c.decide_by).limit(_LIMIT)
)
_LAST_ATTEMPT: Final = (
    "not exists (select 1 from jobs later where later.request_id = jobs.request_id and later.parent = jobs.id)"
)
"""One that was tried again needs nobody: the attempt after it says what is to be known (`hub.core.attempts`)."""
_UNKNOWN: Final = Statement(
    JOB.select.where(OPEN, sa.text("state = 'unknown'"), sa.text(_LAST_ATTEMPT))
    .order_by(jobs.c.id.desc())
    .limit(_LIMIT)
)
_STUCK: Final = Statement(JOB.select.where(OPEN, STUCK).order_by(jobs.c.id).limit(_LIMIT))
_ANOMALIES: Final = Statement(
    sa.select(*EVENT_COLUMNS)
    .where(ANOMALY, events.c.at >= sa.bindparam("since"))
    .order_by(events.c.seq.desc())
    .limit(_LIMIT)
)
_GRANTED: Final = Statement(
    sa.select(sa.func.count())
    .select_from(approvals)
    .where(approvals.c.request_id == sa.bindparam("request_id"), approvals.c.granted)
)
_RELEASED: Final = Statement(
    sa.select(jobs.c.agent)
    .distinct()
    .where(HELD, jobs.c.not_before > sa.bindparam("since"), jobs.c.not_before <= sa.bindparam("now"))
)


def count_jobs_by_agent(txn: OverviewRepository) -> tuple[dict[str, int], dict[str, int]]:
    """For each machine the number of queued jobs, and of jobs under way (unknown ones not counted)."""
    running: dict[str, int] = {}
    for entry in txn.open_by_agent():
        if entry.state != "unknown":
            running[entry.agent] = running.get(entry.agent, 0) + entry.jobs
    return {entry.agent: entry.jobs for entry in txn.queued_by_agent()}, running


class OverviewRepository(Repository):
    def queued_by_agent(self) -> list[JobBacklog]:
        return [JobBacklog(agent, "queued", count, oldest) for agent, count, oldest in self._db.rows(_QUEUED_BY_AGENT)]

    def open_by_agent(self) -> list[JobBacklog]:
        """Jobs that were handed out and have not ended, unknown ones included."""
        return [JobBacklog(*row) for row in self._db.rows(_OPEN_BY_AGENT)]

    def count_busy(self, agent: str) -> int:
        """Jobs that the machine has and that have not ended, unknown ones not counted."""
        return int(self._db.value(_BUSY_OF, {"agent": agent}))

    def queue_of(self, agent: str, limit: int) -> list[tuple[str, int, float]]:
        """The machine's queue by priority and age: id, priority, queued_at."""
        return [(row[0], row[1], row[2]) for row in self._db.rows(_QUEUE_OF, {"agent": agent, "limit": limit})]

    def requests_waiting(self) -> dict[str, tuple[int, float]]:
        """For each open state: how many requests, and since when the oldest is in it."""
        return {state: (count, oldest) for state, count, oldest in self._db.rows(_REQUESTS_WAITING)}

    def asking_requests(self, limit: int) -> list[Request]:
        """Requests that wait for approvals, the next to expire first."""
        return REQUEST.from_rows(self._db.rows(_ASKING, {"limit": limit}))

    def unknown_jobs(self, limit: int) -> list[Job]:
        """Newest first."""
        return JOB.from_rows(self._db.rows(_UNKNOWN, {"limit": limit}))

    def stuck_jobs(self, now: float, limit: int) -> list[Job]:
        """Jobs running past their time limit, or leased or accepted for too long; oldest first."""
        return JOB.from_rows(self._db.rows(_STUCK, {"now": now, "limit": limit}))

    def anomalies(self, since: float, limit: int) -> list[AuditEvent]:
        """Audit events about contradicting reports, newest first."""
        return [to_event(AuditRow(*row)) for row in self._db.rows(_ANOMALIES, {"since": since, "limit": limit})]

    def count_granted(self, request_id: str) -> int:
        """Approvals that were a yes."""
        return int(self._db.value(_GRANTED, {"request_id": request_id}))

    def released_agents(self, since: float, now: float) -> list[str]:
        """Machines with queued jobs whose hold ended after `since` and by `now`."""
        return [agent for (agent,) in self._db.rows(_RELEASED, {"since": since, "now": now})]
