"""Records as the JSON that operators, replies and scripts see. Pure; adding a field is fine, changing one needs
cause.

A list travels in one frame, and a frame is bounded (`common.codec.LINK`): `fitting` takes as much of a list as will go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from common.plan import plan_to_json
from hub.records import Agent, Event, Job, Request

MAX_NODES: Final = 8_000
MAX_BYTES: Final = 768 * 1024
"""What lists in one answer or push may come to; the rest of the frame is for what stands around them."""


def fitting(items: Iterable[Any], nodes: int = MAX_NODES, size: int = MAX_BYTES) -> list[Any]:
    """The items, up to the last that fits into a frame with those before it."""
    kept = []
    for item in items:
        item_nodes, item_size = weight(item)
        nodes, size = nodes - item_nodes, size - item_size
        if nodes < 0 or size < 0:
            break
        kept.append(item)
    return kept


def weight(value: Any) -> tuple[int, int]:
    """Values and, at most, bytes that `value` takes in a frame."""
    if isinstance(value, str):
        return 1, 5 + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))
    if isinstance(value, bytes):
        return 1, 5 + len(value)
    if isinstance(value, dict):
        parts = [weight(part) for pair in value.items() for part in pair]
    elif isinstance(value, list | tuple):
        parts = [weight(part) for part in value]
    else:
        return 1, 9
    return 1 + sum(nodes for nodes, _ in parts), 5 + sum(size for _, size in parts)


def request_view(request: Request, jobs: list[Job] | None = None) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": request.id,
        "number": request.number,
        "state": request.state.value,
        "person": request.person,
        "inlet": request.inlet,
        "conversation": request.conversation,
        "text": request.text,
        "plan": plan_to_json(request.plan) if request.plan is not None else None,
        "plan_hash": request.plan_hash,
        "rule": request.rule,
        "reason": request.reason,
        "approvers": request.approvers,
        "second_factor": request.second_factor,
        "own_approval": request.own_approval,
        "decide_by": request.decide_by,
        "received_at": request.received_at,
        "planned_at": request.planned_at,
        "decided_at": request.decided_at,
        "ended_at": request.ended_at,
        "parent": request.parent,
        "behalf": request.behalf.split(),
        "hold": request.hold,
    }
    if jobs is not None:
        view["jobs"] = fitting((job_view(job, request) for job in jobs), MAX_NODES // 2, MAX_BYTES // 2)
        view["job_count"] = len(jobs)
    return view


def job_view(job: Job, request: Request | None = None) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": job.id,
        "request": job.request_id,
        "agent": job.agent,
        "person": job.person,
        "state": job.state.value,
        "step": job.step,
        "plan_hash": job.plan_hash,
        "priority": job.priority,
        "queued_at": job.queued_at,
        "not_after": job.not_after,
        "leased_at": job.leased_at,
        "accepted_at": job.accepted_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "duration": job.duration,
        "exit_code": job.exit_code,
        "signal": job.signal,
        "reason": job.reason,
        "output_bytes": job.output_bytes,
        "output_digest": job.output_digest,
        "truncated": job.truncated,
        "cpu_user": job.cpu_user,
        "cpu_system": job.cpu_system,
        "max_rss": job.max_rss,
        "cancel_asked_at": job.cancel_asked_at,
        "cancel_asked_by": job.cancel_asked_by,
        "parent": job.parent,
        "number": job.number,
        "inlet": job.inlet,
        "source": job.source,
        "time_limit": job.time_limit,
        "not_before": job.not_before,
    }
    if request is not None:
        view["number"] = request.number
        view["inlet"] = request.inlet
        if request.plan is not None and job.step < len(request.plan.steps):
            view["argv"] = list(request.plan.steps[job.step].argv)
    return view


def agent_view(
    agent: Agent, *, online: bool, vitals: dict[str, float] | None, queued: int = 0, running: int = 0
) -> dict[str, Any]:
    """`running` is how many jobs it has: handed out and not ended."""
    vitals = vitals or {}
    return {
        "name": agent.name,
        "labels": agent.labels,
        "state": agent.state,
        "online": online,
        "last_seen": vitals.get("at", agent.last_seen),
        "version": agent.version,
        "facts": agent.facts or {},
        "vitals": vitals,
        "rtt": vitals.get("rtt"),
        "paused_by": agent.paused_by,
        "paused_at": agent.paused_at,
        "pause_reason": agent.pause_reason,
        "paused_until": agent.paused_until,
        "draining": draining(agent, running),
        "queued": queued,
        "running": running,
    }


def draining(agent: Agent, left: int) -> dict[str, Any] | None:
    """How far a drain is: `left` of the `of` jobs that the machine had when it began."""
    if agent.drain_at is None:
        return None
    cancel_at = agent.drain_cancel_at
    return {"by": agent.drain_by, "at": agent.drain_at, "cancel_at": cancel_at, "left": left, "of": agent.drain_jobs}


def event_view(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "at": event.at,
        "kind": event.kind,
        "subject": event.subject,
        "actor": event.actor,
        "data": event.data,
        "hash": event.hash,
    }
