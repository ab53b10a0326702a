"""Records as the JSON that operators, replies and scripts see. Pure; adding a field is fine, changing one needs
cause.
"""

from __future__ import annotations

from typing import Any

from common.plan import plan_to_json
from hub.records import Agent, Event, Job, Request


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
    }
    if jobs is not None:
        view["jobs"] = [job_view(job, request) for job in jobs]
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
    }
    if request is not None:
        view["number"] = request.number
        view["inlet"] = request.inlet
        if request.plan is not None and job.step < len(request.plan.steps):
            view["argv"] = list(request.plan.steps[job.step].argv)
    return view


def agent_view(agent: Agent, *, online: bool, vitals: dict[str, float] | None, queued: int = 0) -> dict[str, Any]:
    return {
        "name": agent.name,
        "labels": agent.labels,
        "state": agent.state,
        "online": online,
        "last_seen": agent.last_seen,
        "version": agent.version,
        "facts": agent.facts or {},
        "vitals": vitals or {},
        "paused_by": agent.paused_by,
        "paused_at": agent.paused_at,
        "pause_reason": agent.pause_reason,
        "queued": queued,
    }


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
