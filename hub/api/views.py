"""Records as the typed views of `common.api`, and how much of a list fits into one frame. Pure.

A list travels in one frame, and a frame is bounded (`common.link.codec.LINK_LIMITS`): `fit_items` takes as much of a
list as fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final, TypeVar

from common.api.agents import AgentView, DrainView
from common.api.codec import encode
from common.api.events import EventView
from common.api.jobs import JobView, OutputChunk
from common.api.plans import PlanView
from common.api.requests import RequestDetails, RequestView
from common.command.output_filters import FilterWords
from hub.core.absence import why_away
from hub.core.lost_contact import lost_since
from hub.core.records import Agent, AuditEvent, Job, Request, StoredChunk

MAX_NODES: Final = 8_000
MAX_BYTES: Final = 768 * 1024
"""What lists in one answer or push may come to; the rest of the frame is for what stands around them."""

T = TypeVar("T")
_SCALARS: Final = frozenset({int, float, bool, type(None)})


def fit_items(items: Iterable[T], nodes: int = MAX_NODES, size: int = MAX_BYTES) -> tuple[T, ...]:
    """The items, up to the last that fits into a frame with those before it."""
    fitting = []
    for item in items:
        item_nodes, item_size = frame_cost(encode(item))
        nodes, size = nodes - item_nodes, size - item_size
        if nodes < 0 or size < 0:
            break
        fitting.append(item)
    return tuple(fitting)


def frame_cost(value: Any) -> tuple[int, int]:
    """Values and, at most, bytes that a plain `value` takes in a frame."""
    kind = type(value)
    if kind is str:
        return 1, 5 + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))
    if kind in _SCALARS:
        return 1, 9
    if isinstance(value, bytes):
        return 1, 5 + len(value)
    nodes, size = 1, 5
    if isinstance(value, dict):
        for key, part in value.items():
            if type(key) is str and key.isascii():
                nodes, size = nodes + 1, size + 5 + len(key)
            else:
                key_nodes, key_size = frame_cost(key)
                nodes, size = nodes + key_nodes, size + key_size
            if type(part) in _SCALARS:
                nodes, size = nodes + 1, size + 9
            else:
                part_nodes, part_size = frame_cost(part)
                nodes, size = nodes + part_nodes, size + part_size
        return nodes, size
    if isinstance(value, list | tuple):
        for part in value:
            part_nodes, part_size = frame_cost(part)
            nodes, size = nodes + part_nodes, size + part_size
        return nodes, size
    if isinstance(value, str):  # an Enum that is text
        return frame_cost(str(value))
    return 1, 9


def unchanged(text: str) -> str:
    """The rule for texts of a view that shows them whole."""
    return text


def request_view(request: Request) -> RequestView:
    plan = PlanView.of(request.plan) if request.plan is not None else None
    return RequestView(**request_fields(request), plan=plan)


def request_fields(request: Request, text: Callable[[str], str] = unchanged) -> dict[str, Any]:
    """The fields that all views of a request have but the plan; `text` is applied to every text."""
    return {
        "id": text(request.id),
        "number": request.number,
        "state": request.state.value,
        "person": text(request.person),
        "inlet": text(request.inlet),
        "conversation": text(request.conversation),
        "text": text(request.text),
        "plan_hash": text(request.plan_hash),
        "rule": text(request.rule),
        "reason": text(request.reason),
        "approvers": request.approvers,
        "second_factor": request.second_factor,
        "own_approval": request.own_approval,
        "decide_by": request.decide_by,
        "received_at": request.received_at,
        "planned_at": request.planned_at,
        "decided_at": request.decided_at,
        "ended_at": request.ended_at,
        "parent": text(request.parent),
        "behalf": tuple(request.behalf.split()),
        "hold": request.hold,
        "outcome": request.outcome,
    }


def request_details(
    request: Request, jobs: Sequence[Job], away: Mapping[str, float] = MappingProxyType({})
) -> RequestDetails:
    """A request with as many of `jobs` as fit, and their number in all."""
    views = fit_items((job_of_request(job, request, away) for job in jobs), MAX_NODES // 2, MAX_BYTES // 2)
    return extend(RequestDetails, request_view(request), jobs=views, job_count=len(jobs))


def job_view(
    job: Job,
    *,
    text: Callable[[str], str] = unchanged,
    number: int | None = None,
    inlet: str | None = None,
    argv: Sequence[str] | None = None,
    argv_cut: bool = False,
    filters: tuple[FilterWords, ...] = (),
    agent_online: bool | None = None,
    agent_paused: bool | None = None,
    stuck: bool | None = None,
    away: Mapping[str, float] = MappingProxyType({}),
) -> JobView:
    """`text` is applied to every text. `number` and `inlet` are the request's, where the job is older than these
    fields; `argv` is left out where it is None.
    """
    return JobView(
        id=text(job.id),
        request=text(job.request_id),
        agent=text(job.agent),
        person=text(job.person),
        state=job.state.value,
        step=job.step,
        plan_hash=text(job.plan_hash),
        priority=job.priority,
        queued_at=job.queued_at,
        not_after=job.not_after,
        leased_at=job.leased_at,
        accepted_at=job.accepted_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        duration=job.duration,
        exit_code=job.exit_code,
        signal=job.signal,
        reason=text(job.reason),
        output_bytes=job.output_bytes,
        output_digest=text(job.output_digest),
        truncated=job.truncated,
        cpu_user=job.cpu_user,
        cpu_system=job.cpu_system,
        max_rss=job.max_rss,
        notes=tuple(map(text, job.notes)),
        cancel_asked_at=job.cancel_asked_at,
        cancel_asked_by=text(job.cancel_asked_by),
        parent=text(job.parent),
        number=job.number if number is None else number,
        inlet=text(job.inlet if inlet is None else inlet),
        source=text(job.source),
        time_limit=job.time_limit,
        not_before=job.not_before,
        redeliveries=job.redeliveries,
        redelivery_code=text(job.redelivery_code),
        lost_contact=lost_since(job, away),
        agent_online=agent_online,
        agent_paused=agent_paused,
        stuck=stuck,
        argv=None if argv is None else tuple(argv),
        argv_cut=argv_cut,
        filters=filters,
    )


def job_of_request(job: Job, request: Request | None, away: Mapping[str, float] = MappingProxyType({})) -> JobView:
    """A job with what its request says of it: number, inlet, and the command of its step; `away` is when machines that
    are not linked were seen last.
    """
    if request is None:
        return job_view(job, away=away)
    plan = request.plan
    if plan is None or job.step >= len(plan.steps):
        return job_view(job, number=request.number, inlet=request.inlet, away=away)
    step = plan.steps[job.step]
    return job_view(job, number=request.number, inlet=request.inlet, argv=step.argv, filters=step.filters, away=away)


def agent_view(
    agent: Agent, *, online: bool, vitals: Mapping[str, float] | None, queued: int = 0, running: int = 0
) -> AgentView:
    """`running` is how many jobs it has: handed out and not ended."""
    vitals = vitals or {}
    silent = vitals.get("runner_silent", 0.0)
    why = why_away(agent, online, vitals.get("at", 0.0) - silent if silent else None)
    return AgentView(
        name=agent.name,
        labels=agent.labels,
        state=agent.state,
        online=online,
        last_seen=vitals.get("at", agent.last_seen),
        version=agent.version,
        facts=agent.facts or {},
        vitals=vitals,
        away=why.code if why is not None else "",
        away_since=why.since if why is not None else None,
        clock_ahead=vitals.get("clock_ahead", agent.clock_ahead),
        rtt=vitals.get("rtt"),
        paused_by=agent.paused_by,
        paused_at=agent.paused_at,
        pause_reason=agent.pause_reason,
        paused_until=agent.paused_until,
        draining=drain_view(agent, running),
        queued=queued,
        running=running,
    )


def drain_view(agent: Agent, left: int) -> DrainView | None:
    """How far a drain is: `left` of the jobs that the machine had when it began."""
    if agent.drain_at is None:
        return None
    return DrainView(
        by=agent.drain_by, at=agent.drain_at, cancel_at=agent.drain_cancel_at, left=left, of=agent.drain_jobs
    )


def event_view(event: AuditEvent, number: int | None = None) -> EventView:
    """`number` is that of the request that the event is about."""
    return EventView(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        subject=event.subject,
        actor=event.actor,
        data=event.data,
        hash=event.hash,
        number=number,
    )


def chunk_views(chunks: Iterable[StoredChunk]) -> tuple[OutputChunk, ...]:
    return tuple(OutputChunk(seq=one.seq, stream=one.stream, data=one.data, at=one.at) for one in chunks)


def extend(cls: type[T], view: Any, **more: Any) -> T:
    """A view of a type that has the fields of `view` and more."""
    return cls(**{field.name: getattr(view, field.name) for field in fields(view)}, **more)
