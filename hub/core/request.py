"""What a request does on an event. Pure: facts in, the new request and intentions out.

`judge` turns a plan and policy's verdicts into one judgement, the strictest of all; the plan it carries has its
programs resolved, and its hash is what an approval is bound to. The other functions are the request's moves; each
returns the new request and the actions the engine performs in the same transaction (queue jobs, tell chat, record).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from common.lifecycle import JOB_SETTLED, JobState, RequestEvent, RequestState, next_request_state
from common.plan import Plan, canonical_json, plan_hash
from hub.core.attempts import outcomes
from hub.core.audit import WriteAudit
from hub.core.judgement import Judgement
from hub.core.records import Job, Request
from hub.core.recovery import REASON as RESTORED

MAX_AUDIT_ARGV: Final = 64 * 1024
"""Characters of argument vectors, in the audit's own spelling, that one audit row holds."""


@dataclass(frozen=True, slots=True)
class QueueStep:
    """Jobs for the plan's step `index`, one a target."""

    index: int


@dataclass(frozen=True, slots=True)
class CancelJobs:
    by: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class SendReply:
    """A reply to chat: `question` waits for approvals, `final` ends the request."""

    kind: Literal["question", "final"]


RequestAction = WriteAudit | QueueStep | CancelJobs | SendReply
Transition = tuple[Request, list[RequestAction]]


def planned(request: Request, judgement: Judgement, now: float, decide_within: float) -> Transition:
    """The move of a judged request: refuse, ask, or queue."""
    digest = plan_hash(judgement.plan)
    judged = replace(
        request,
        plan=judgement.plan,
        plan_hash=digest,
        rule=judgement.rule,
        reason=str(judgement.reason),
        planned_at=now,
    )
    audit = WriteAudit(
        "plan.judged",
        {
            "verdict": judgement.kind,
            "rule": judgement.rule,
            "plan_hash": digest,
            "source": judgement.plan.source,
            "steps": _audit_steps(judgement.plan),
            "targets": len(judgement.plan.targets),
        },
    )
    if judgement.kind == "deny":
        return replace(_transition(judged, RequestEvent.REFUSED), ended_at=now), [audit, SendReply("final")]
    if judgement.kind == "ask":
        asking = replace(
            _transition(judged, RequestEvent.ASKED),
            approvers=judgement.approvers,
            second_factor=judgement.second_factor,
            own_approval=judgement.own_approval,
            decide_by=now + decide_within,
        )
        return asking, [audit, SendReply("question")]
    return replace(_transition(judged, RequestEvent.ALLOWED), decided_at=now, step=0), [audit, QueueStep(0)]


def _audit_steps(plan: Plan) -> list[dict[str, Any]]:
    """The steps for the audit, whole up to a size that no plan of people comes to; the plan's hash covers the rest."""
    steps: list[dict[str, Any]] = []
    room = MAX_AUDIT_ARGV
    for step in plan.steps:
        room -= len(canonical_json(step.argv))
        if room < 0:
            steps.append({"argv": [step.argv[0][:200]], "targets": [], "cut": True})
        else:
            filters = {"filters": [list(words) for words in step.filters]} if step.filters else {}
            steps.append({"argv": list(step.argv), "targets": list(step.targets)[:50], **filters})
    return steps


def refused(request: Request, code: str, reason: str, now: float) -> Transition:
    """Refused before policy: unknown person, grammar, target, full queue. `reason` is for people."""
    after = replace(_transition(request, RequestEvent.REFUSED), reason=reason, rule=code, ended_at=now)
    return after, [WriteAudit("request.refused", {"code": code, "reason": reason}), SendReply("final")]


def answered(request: Request, now: float) -> Transition:
    """A plain answer, no machine needed."""
    after = replace(_transition(request, RequestEvent.ANSWERED), planned_at=now, ended_at=now)
    return after, [WriteAudit("request.answered", {}), SendReply("final")]


def approved(request: Request, *, enough: bool, now: float) -> Transition:
    """One more yes; the last one queues the first step."""
    if not enough:
        return _transition(request, RequestEvent.APPROVED), []
    return replace(_transition(request, RequestEvent.APPROVED_ENOUGH), decided_at=now, step=0), [QueueStep(0)]


def rejected(request: Request, by: str, why: str, now: float) -> Transition:
    reason = f"{by}: {why}" if why else by
    after = replace(_transition(request, RequestEvent.REJECTED), reason=reason, decided_at=now, ended_at=now)
    return after, [WriteAudit("request.rejected", {"by": by, "why": why}), SendReply("final")]


def edited(request: Request, by: str, number: int, why: str, now: float) -> Transition:
    """Another plan is asked for in its place, by the request `number`."""
    reason = f"edited by {by} as r{number}" + (f": {why}" if why else "")
    after = replace(_transition(request, RequestEvent.REJECTED), reason=reason, decided_at=now, ended_at=now)
    return after, [WriteAudit("request.rejected", {"by": by, "why": reason, "edited_as": number}), SendReply("final")]


def rejected_by(request: Request) -> str:
    """Who said no, or edited, as the two moves above wrote it down."""
    words = request.reason.split(maxsplit=3)
    return words[2] if words[:2] == ["edited", "by"] and len(words) > 2 else request.reason.partition(":")[0]


def message_id(request: Request) -> str:
    """The id of the message that chat knows: an edited request has that of the one it replaces, with `~` and more."""
    return request.event_id.rpartition("~")[0] if request.behalf else request.event_id


def expired(request: Request, now: float) -> Transition:
    after = replace(_transition(request, RequestEvent.LAPSED), ended_at=now)
    return after, [WriteAudit("request.expired", {"decide_by": request.decide_by}), SendReply("final")]


def voided(request: Request, now: float) -> Transition:
    """It waited when a backup was made that is in force again: whether it was decided since is not known."""
    after = replace(_transition(request, RequestEvent.LAPSED), reason=RESTORED, ended_at=now)
    return after, [WriteAudit("request.voided", {"reason": RESTORED}), SendReply("final")]


def cancelled(request: Request, by: str, now: float, kill: bool = False) -> Transition:
    """Taken back. While it waits for approval that ends it; while it works its jobs are asked to stop."""
    if request.state is RequestState.WORKING:
        return request, [CancelJobs(by, kill)]
    after = replace(_transition(request, RequestEvent.CANCELLED), reason=by, ended_at=now)
    return after, [WriteAudit("request.cancelled", {"by": by}), SendReply("final")]


def jobs_settled(request: Request, jobs: Sequence[Job], now: float, *, last: bool = False) -> Transition:
    """Called when a job of the request has settled: is it the last of its step, and what follows? `last`: no step."""
    jobs = outcomes(jobs)
    current = [job for job in jobs if job.step == request.step]
    if request.state is not RequestState.WORKING or any(job.state not in JOB_SETTLED for job in current):
        return request, []
    plan = request.plan
    # A step whose jobs were asked to stop is the last, even where each of them had ended before.
    well = all(job.state is JobState.SUCCEEDED and job.cancel_asked_at is None for job in current)
    if plan is not None and well and not last and request.step + 1 < len(plan.steps):
        after = replace(_transition(request, RequestEvent.STEP_ENDED), step=request.step + 1)
        return after, [QueueStep(request.step + 1)]
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.state.value] = counts.get(job.state.value, 0) + 1
    outcome = outcome_of(jobs)
    after = replace(_transition(request, RequestEvent.ENDED), ended_at=now, outcome=outcome)
    return after, [WriteAudit("request.ended", {"jobs": counts, "outcome": outcome}), SendReply("final")]


def outcome_known(request: Request, jobs: Sequence[Job]) -> Request:
    """A request that has ended, after a job of it that was unknown is known."""
    return replace(request, outcome=outcome_of(outcomes(jobs))) if request.state is RequestState.DONE else request


def outcome_of(jobs: Sequence[Job]) -> str:
    """How settled jobs ended together: `succeeded` only where all did, `partly` where some did."""
    states = {job.state for job in jobs}
    if states <= {JobState.SUCCEEDED}:
        return "succeeded"
    if JobState.SUCCEEDED in states:
        return "partly"
    if states == {JobState.CANCELLED}:
        return "cancelled"
    return "unknown" if states == {JobState.UNKNOWN} else "failed"


def _transition(request: Request, event: RequestEvent) -> Request:
    return replace(request, state=next_request_state(request.state, event))
