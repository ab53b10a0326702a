"""What a request does on an event. Pure: facts in, the new request and intentions out.

`judge` turns a plan and policy's verdicts into one judgement, the strictest of all; the plan it carries has its
programs resolved, and its hash is what an approval is bound to. The other functions are the request's moves; each
returns the new request and the actions the engine performs in the same transaction (queue jobs, tell chat, record).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from common.catalogue import Sentence
from common.lifecycle import JOB_SETTLED, JobState, RequestEvent, RequestState, next_request
from common.plan import DEFAULT_TIME_LIMIT, Plan, Step, canonical, plan_hash
from common.policy import Verdict, stricter
from hub.records import Job, Request

MAX_TOLD: Final = 64 * 1024
"""Characters of argument vectors, in the audit's own spelling, that one audit row holds."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Policy's word on a whole plan."""

    kind: Literal["allow", "ask", "deny"]
    plan: Plan  # programs resolved, inserted options in place
    rule: str
    reason: Sentence
    approvers: int = 0
    second_factor: bool = False
    own_approval: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueueStep:
    """Jobs for the plan's step `index`, one a target."""

    index: int


@dataclass(frozen=True, slots=True)
class CancelJobs:
    by: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """A reply to chat: `question` waits for approvals, `final` ends the request."""

    kind: Literal["question", "final"]


Action = Audit | QueueStep | CancelJobs | Tell
Move = tuple[Request, list[Action]]


def judge(plan: Plan, check: Callable[[Step, str], Verdict]) -> Judgement:
    """The strictest verdict over every step and target. `check(step, target)` is policy with person and labels bound.

    Where rules give one step different argument vectors on different machines the plan is denied: one approval could
    not name what runs.
    """
    worst: Verdict | None = None
    approvers, second_factor, own_approval = 0, False, True
    steps: list[Step] = []
    for step in plan.steps:
        verdicts = [check(step, target) for target in step.targets]
        for verdict in verdicts:
            worst = verdict if worst is None else stricter(worst, verdict)
            if verdict.kind == "ask":
                approvers = max(approvers, verdict.approvers)
                second_factor |= verdict.second_factor
                own_approval &= verdict.own_approval
        first = verdicts[0]
        time_limits = [verdict.time_limit for verdict in verdicts if verdict.time_limit]
        output_caps = [verdict.output_cap for verdict in verdicts if verdict.output_cap]
        meanings = {(verdict.argv, verdict.env) for verdict in verdicts if verdict.kind != "deny"}
        if len(meanings) > 1 and worst is not None and worst.kind != "deny":
            return Judgement("deny", plan, "one-meaning", Sentence("differs_by_machine"))
        steps.append(
            replace(
                step,
                argv=first.argv or step.argv,
                env=tuple(sorted({**dict(first.env), **dict(step.env)}.items())),
                time_limit=_time_limit(step, time_limits),
                output_cap=min([step.output_cap, *output_caps]),
            )
        )
    if worst is None:
        raise ValueError("a plan without steps cannot be judged")
    if worst.kind == "deny":
        return Judgement("deny", plan, worst.rule, worst.reason)
    judged = replace(plan, steps=tuple(steps))
    if worst.kind == "ask":
        return Judgement("ask", judged, worst.rule, worst.reason, max(1, approvers), second_factor, own_approval)
    if plan.proposed:
        return Judgement("ask", judged, worst.rule, Sentence("model_proposed"), 1, False, True)
    return Judgement("allow", judged, worst.rule, worst.reason)


def objection(request: Request, step: Step, verdict: Verdict) -> Sentence | None:
    """Why a step of a judged request must not be handed out after all: policy, asked again, no longer says what it
    said. None where it still does, or says more.
    """
    if verdict.kind == "deny":
        return verdict.reason
    if (verdict.argv, verdict.env) != (step.argv, step.env):
        return Sentence("policy_means_other")
    covered = request.approvers >= verdict.approvers and request.second_factor >= verdict.second_factor
    own = request.own_approval and not verdict.own_approval
    if verdict.kind == "ask" and (own or not covered):
        return verdict.reason
    return None


def planned(request: Request, judgement: Judgement, now: float, decide_within: float) -> Move:
    """Policy has spoken: refuse, ask, or queue."""
    digest = plan_hash(judgement.plan)
    seen = replace(
        request,
        plan=judgement.plan,
        plan_hash=digest,
        rule=judgement.rule,
        reason=str(judgement.reason),
        planned_at=now,
    )
    audit = Audit(
        "plan.judged",
        {
            "verdict": judgement.kind,
            "rule": judgement.rule,
            "plan_hash": digest,
            "source": judgement.plan.source,
            "steps": _told(judgement.plan),
            "targets": len(judgement.plan.targets),
        },
    )
    if judgement.kind == "deny":
        return replace(_move(seen, RequestEvent.REFUSED), ended_at=now), [audit, Tell("final")]
    if judgement.kind == "ask":
        asking = replace(
            _move(seen, RequestEvent.ASKED),
            approvers=judgement.approvers,
            second_factor=judgement.second_factor,
            own_approval=judgement.own_approval,
            decide_by=now + decide_within,
        )
        return asking, [audit, Tell("question")]
    return replace(_move(seen, RequestEvent.ALLOWED), decided_at=now, step=0), [audit, QueueStep(0)]


def _told(plan: Plan) -> list[dict[str, Any]]:
    """The steps for the audit, whole up to a size that no plan of people comes to; the plan's hash covers the rest."""
    told: list[dict[str, Any]] = []
    room = MAX_TOLD
    for step in plan.steps:
        room -= len(canonical(step.argv))
        if room < 0:
            told.append({"argv": [step.argv[0][:200]], "targets": [], "cut": True})
        else:
            told.append({"argv": list(step.argv), "targets": list(step.targets)[:50]})
    return told


def refused(request: Request, code: str, reason: str, now: float) -> Move:
    """Refused before policy: unknown person, grammar, target, full queue. `reason` is for people."""
    after = replace(_move(request, RequestEvent.REFUSED), reason=reason, rule=code, ended_at=now)
    return after, [Audit("request.refused", {"code": code, "reason": reason}), Tell("final")]


def answered(request: Request, now: float) -> Move:
    """A plain answer, no machine needed."""
    after = replace(_move(request, RequestEvent.ANSWERED), planned_at=now, ended_at=now)
    return after, [Audit("request.answered", {}), Tell("final")]


def approved(request: Request, *, enough: bool, now: float) -> Move:
    """One more yes; the last one queues the first step."""
    if not enough:
        return _move(request, RequestEvent.APPROVED), []
    return replace(_move(request, RequestEvent.APPROVED_ENOUGH), decided_at=now, step=0), [QueueStep(0)]


def rejected(request: Request, by: str, why: str, now: float) -> Move:
    reason = f"{by}: {why}" if why else by
    after = replace(_move(request, RequestEvent.REJECTED), reason=reason, decided_at=now, ended_at=now)
    return after, [Audit("request.rejected", {"by": by, "why": why}), Tell("final")]


def edited(request: Request, by: str, number: int, why: str, now: float) -> Move:
    """Another plan is asked for in its place, by the request `number`."""
    reason = f"edited by {by} as r{number}" + (f": {why}" if why else "")
    after = replace(_move(request, RequestEvent.REJECTED), reason=reason, decided_at=now, ended_at=now)
    return after, [Audit("request.rejected", {"by": by, "why": reason, "edited_as": number}), Tell("final")]


def rejected_by(request: Request) -> str:
    """Who said no, or edited, as the two moves above wrote it down."""
    words = request.reason.split(maxsplit=3)
    return words[2] if words[:2] == ["edited", "by"] and len(words) > 2 else request.reason.partition(":")[0]


def no_easier(judgement: Judgement, old: Request) -> Judgement:
    """Policy's word on an edited plan, on terms no easier than those of the request that it replaces: it is asked for,
    whatever policy says, and by each the sterner of both.
    """
    if judgement.kind == "deny":
        return judgement
    return replace(
        judgement,
        kind="ask",
        approvers=max(1, judgement.approvers, old.approvers),
        second_factor=judgement.second_factor or old.second_factor,
        own_approval=old.own_approval and (judgement.own_approval or judgement.kind == "allow"),
    )


def message_id(request: Request) -> str:
    """The id of the message that chat knows: an edited request has that of the one it replaces, with `~` and more."""
    return request.event_id.rpartition("~")[0] if request.behalf else request.event_id


def lapsed(request: Request, now: float) -> Move:
    after = replace(_move(request, RequestEvent.LAPSED), ended_at=now)
    return after, [Audit("request.expired", {"decide_by": request.decide_by}), Tell("final")]


def cancelled(request: Request, by: str, now: float, kill: bool = False) -> Move:
    """Taken back. While it waits for approval that ends it; while it works its jobs are asked to stop."""
    if request.state is RequestState.WORKING:
        return request, [CancelJobs(by, kill)]
    after = replace(_move(request, RequestEvent.CANCELLED), reason=by, ended_at=now)
    return after, [Audit("request.cancelled", {"by": by}), Tell("final")]


def jobs_settled(request: Request, jobs: Sequence[Job], now: float) -> Move:
    """Called when a job of the request has settled: is it the last of its step, and what follows?"""
    current = [job for job in jobs if job.step == request.step]
    if request.state is not RequestState.WORKING or any(job.state not in JOB_SETTLED for job in current):
        return request, []
    plan = request.plan
    # A step whose jobs were told to stop is the last, even where each of them was quicker than the word.
    well = all(job.state is JobState.SUCCEEDED and job.cancel_asked_at is None for job in current)
    if plan is not None and well and request.step + 1 < len(plan.steps):
        after = replace(_move(request, RequestEvent.STEP_ENDED), step=request.step + 1)
        return after, [QueueStep(request.step + 1)]
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.state.value] = counts.get(job.state.value, 0) + 1
    after = replace(_move(request, RequestEvent.ENDED), ended_at=now)
    return after, [Audit("request.ended", {"jobs": counts}), Tell("final")]


def _move(request: Request, event: RequestEvent) -> Request:
    return replace(request, state=next_request(request.state, event))


def _time_limit(step: Step, of_rules: list[int]) -> int:
    """The rules' limits bound what was asked for; where nobody asked for one, the smallest of them is the limit."""
    if not of_rules:
        return step.time_limit
    smallest = min(of_rules)
    return smallest if step.time_limit == DEFAULT_TIME_LIMIT else min(step.time_limit, smallest)
