"""Rows of lists made from what the store gives, and made again only where something of them is another.

Each maker is given what it made of the same row the last time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.filter_fields import View
from common.lifecycle import RequestState
from hub.audit import Link, to_event
from hub.fleet import Fleet
from hub.records import Job, Request
from hub.rows import Machine, Row, event_row, job_row, request_row, stuck
from hub.store.jobs import JOB
from hub.store.requests import REQUEST
from hub.store.sql import Row as StoredRow
from hub.store.verbs import Txn

ULID: Final = 26
"""Characters of a request's id; names of machines and people that are as long are not found among the requests."""


@dataclass(frozen=True, slots=True)
class Made:
    """A row, and all that it was made of."""

    stored: StoredRow
    record: Any
    extra: Any
    row: Row


def _job(txn: Txn, fleet: Fleet, stored: StoredRow, before: Made | None, now: float) -> Made:
    same = before is not None and before.stored == stored
    job: Job = before.record if before is not None and same else JOB.record(stored)
    agent = fleet.agent(job.agent)
    paused = agent is not None and (agent.paused_at is not None or agent.drain_at is not None)
    extra = Machine(fleet.online(job.agent), paused), stuck(job, now)
    if before is not None and same and before.extra == extra:
        return before
    return Made(stored, job, extra, job_row(job, extra[0], now, None if job.command else _argv(txn, job)))


def _argv(txn: Txn, job: Job) -> tuple[str, ...] | None:
    """From the plan, where the job does not carry its command: it is long, or from before jobs did."""
    request = txn.request(job.request_id)
    plan = request.plan if request is not None else None
    return plan.steps[job.step].argv if plan is not None and job.step < len(plan.steps) else None


def _request(txn: Txn, fleet: Fleet, stored: StoredRow, before: Made | None, now: float) -> Made:
    same = before is not None and before.stored == stored
    request: Request = before.record if before is not None and same else REQUEST.record(stored)
    if before is not None and same and request.state is not RequestState.ASKING:
        return before
    given = txn.count_given(request.id)
    if before is not None and same and before.extra == given:
        return before
    return Made(stored, request, given, request_row(request, given))


def _event(txn: Txn, fleet: Fleet, stored: StoredRow, before: Made | None, now: float) -> Made:
    if before is not None:
        return before  # events never change
    event = to_event(Link(*stored))
    if event.kind.startswith("job."):
        return Made(stored, event, None, event_row(event, txn.job(event.subject)))
    request = txn.request(event.subject) if len(event.subject) == ULID else None
    return Made(stored, event, None, event_row(event, number=request.number if request is not None else None))


Maker = Callable[[Txn, Fleet, StoredRow, Made | None, float], Made]
MAKERS: Final[Mapping[View, Maker]] = {"jobs": _job, "requests": _request, "audit": _event, "activity": _event}
