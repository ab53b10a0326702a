"""What becomes of a request once its message is understood: refused, answered, asked about, or queued. Pure.

    plan -> judge_plan -> judgement -> check_admission -> transition_of
                 or CannotPlan          or CannotPlan

The queue is counted between the two checks, and only for a plan that policy does not deny.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.command.lookalikes import find_disguised, with_oddity
from common.plan import DEFAULT_TTL, BadPlan, Plan, Step
from common.policy.check import Verdict
from hub.core import request as requests_of_hub
from hub.core.cures import cure_argv
from hub.core.judgement import Judgement, judge
from hub.core.outcome import CannotPlan, PlainAnswer
from hub.core.queue_limits import QueueCounts, QueueLimits, check_queue_limits
from hub.core.records import Request
from hub.core.request import Transition

MAX_COMPARED: Final = 8  # machines on which a cure is tried
MAX_NAMED: Final = 5  # machines named in a cure


def judge_plan(plan: Plan, check: Callable[[Step, str], Verdict], ttl: float) -> Judgement | CannotPlan:
    """Policy's judgement of a plan; CannotPlan where what policy inserts makes it too large. Jobs of a plan that does
    not say how long they wait in the queue wait `ttl` seconds: decided here, before the plan's hash is made.
    """
    if plan.ttl == DEFAULT_TTL:
        plan = replace(plan, ttl=int(ttl))
    try:
        judgement = judge(plan, check)
    except BadPlan as error:
        return CannotPlan(Sentence("plan_too_big", {"problem": str(error)}), "plan")
    return with_cure(judgement, check) if judgement.kind == "deny" else judgement


def with_cure(judgement: Judgement, check: Callable[[Step, str], Verdict]) -> Judgement:
    """A denial with what to send instead, and with the character named that is not what it seems."""
    step = judgement.plan.steps[0]
    if len(judgement.plan.steps) > 1:
        return judgement
    reason = judgement.reason
    if (oddity := find_disguised(step.argv)) is not None:
        reason = with_oddity(reason, oddity)

    def allows(argv: tuple[str, ...]) -> bool:
        try:
            return all(check(replace(step, argv=argv), target).kind != "deny" for target in step.targets[:MAX_COMPARED])
        except BadPlan:
            return False

    cure = cure_argv(step.argv, f"@{','.join(step.targets[:MAX_NAMED])}", allows, step.filters)
    if cure is not None:
        reason = Sentence("cured", {"said": _without_usage(reason), "cure": cure})
    return replace(judgement, reason=reason)


def _without_usage(reason: Sentence) -> Sentence:
    """A refusal without the nearest rule's usage: beside a cure it only makes the answer long."""
    if reason.key == "odd_beside":
        return replace(reason, values={**reason.values, "said": _without_usage(reason.values["said"])})
    why = reason.values.get("why")
    return why if reason.key == "policy_nearest" and isinstance(why, Sentence) else reason


def check_admission(
    person: str, judgement: Judgement, counts: QueueCounts, limits: QueueLimits
) -> Judgement | CannotPlan:
    """The judgement where the queue has room for the plan's jobs."""
    full = check_queue_limits(person, judgement.plan.targets, counts, limits)
    return judgement if full is None else CannotPlan(full, "queue_full")


def transition_of(
    request: Request, decision: PlainAnswer | CannotPlan | Judgement, now: float, decide_within: float
) -> tuple[Transition, str]:
    """The request's move, and the text that its final reply has where that is a plain answer."""
    match decision:
        case PlainAnswer(text):
            return requests_of_hub.answered(request, now), text
        case CannotPlan(sentence, code):
            move = requests_of_hub.refused(request, code, str(sentence), now)
            return move, sentence.render(request.language)
        case Judgement():
            move = requests_of_hub.planned(request, decision, now, decide_within)
            return move, decision.reason.render(request.language)
