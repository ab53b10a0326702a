"""Rows of lists built from what the store returns, and built again only where something that they show has changed.

Each builder is given what it built of the same stored row the last time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.command.output_filters import FilterWords
from common.filter.fields import ViewName
from common.lifecycle import RequestState
from hub.api.rows import MachineStatus, Row, event_row, is_job_stuck, job_row, request_row
from hub.core.audit_chain import AuditRow, to_event
from hub.core.records import Job, Request
from hub.identity.agents import AgentRegistry
from hub.store.jobs import JOB
from hub.store.requests import REQUEST
from hub.store.sql import Row as StoredRow
from hub.store.transaction import Txn

ULID_LENGTH: Final = 26
"""Characters of a request's id; names of machines and people that are as long are not found among the requests."""


@dataclass(frozen=True, slots=True)
class CachedRow:
    """A row, and all that it was built from."""

    stored: StoredRow
    record: Any
    extra: Any
    row: Row


def _job(txn: Txn, fleet: AgentRegistry, stored: StoredRow, before: CachedRow | None, now: float) -> CachedRow:
    same = before is not None and before.stored == stored
    job: Job = before.record if before is not None and same else JOB.from_row(stored)
    agent = fleet.agent(job.agent)
    paused = agent is not None and (agent.paused_at is not None or agent.drain_at is not None)
    extra = MachineStatus(fleet.online(job.agent), paused, fleet.snapshot.away.get(job.agent)), is_job_stuck(job, now)
    if before is not None and same and before.extra == extra:
        return before
    return CachedRow(stored, job, extra, job_row(job, extra[0], now, *(() if job.command else _command(txn, job))))


def _command(txn: Txn, job: Job) -> tuple[tuple[str, ...] | None, tuple[FilterWords, ...]]:
    """From the plan: of a job that does not carry its command, since it is too long or the job is too old."""
    request = txn.request(job.request_id)
    plan = request.plan if request is not None else None
    if plan is None or job.step >= len(plan.steps):
        return None, ()
    return plan.steps[job.step].argv, plan.steps[job.step].filters


def _request(txn: Txn, fleet: AgentRegistry, stored: StoredRow, before: CachedRow | None, now: float) -> CachedRow:
    same = before is not None and before.stored == stored
    request: Request = before.record if before is not None and same else REQUEST.from_row(stored)
    if before is not None and same and request.state is not RequestState.ASKING:
        return before
    given = txn.count_granted(request.id)
    if before is not None and same and before.extra == given:
        return before
    return CachedRow(stored, request, given, request_row(request, given))


def _event(txn: Txn, fleet: AgentRegistry, stored: StoredRow, before: CachedRow | None, now: float) -> CachedRow:
    return before or _event_row(txn, stored, whole=True)  # events never change


def _activity(txn: Txn, fleet: AgentRegistry, stored: StoredRow, before: CachedRow | None, now: float) -> CachedRow:
    return before or _event_row(txn, stored, whole=False)


def _event_row(txn: Txn, stored: StoredRow, *, whole: bool) -> CachedRow:
    event = to_event(AuditRow(*stored))
    if event.kind.startswith("job."):
        return CachedRow(stored, event, None, event_row(event, txn.job(event.subject), whole=whole))
    request = txn.request(event.subject) if len(event.subject) == ULID_LENGTH else None
    number = request.number if request is not None else None
    return CachedRow(stored, event, None, event_row(event, number=number, whole=whole))


RowBuilder = Callable[[Txn, AgentRegistry, StoredRow, CachedRow | None, float], CachedRow]
BUILDERS: Final[Mapping[ViewName, RowBuilder]] = {
    "jobs": _job,
    "requests": _request,
    "audit": _event,
    "activity": _activity,
}
