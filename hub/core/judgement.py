"""Policy over a whole plan: the strictest verdict of its commands on their machines. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from common.catalogue import Sentence
from common.plan import DEFAULT_TIME_LIMIT, Plan, Step
from common.policy.check import Policy, Verdict, check, merge_verdicts
from common.script import ScriptWord
from hub.core.records import Request


@dataclass(frozen=True, slots=True)
class Judgement:
    """Policy's verdict on a whole plan."""

    kind: Literal["allow", "ask", "deny"]
    plan: Plan  # programs resolved, inserted options in place
    rule: str
    reason: Sentence
    approvers: int = 0
    second_factor: bool = False
    own_approval: bool = False


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
            worst = verdict if worst is None else merge_verdicts(worst, verdict)
            if verdict.kind == "ask":
                approvers = max(approvers, verdict.approvers)
                second_factor |= verdict.second_factor
                own_approval &= verdict.own_approval
        first = verdicts[0]
        time_limits = [verdict.time_limit for verdict in verdicts if verdict.time_limit]
        output_caps = [verdict.output_cap for verdict in verdicts if verdict.output_cap]
        meanings = {_meaning(verdict) for verdict in verdicts if verdict.kind != "deny"}
        if len(meanings) > 1 and worst is not None and worst.kind != "deny":
            return Judgement("deny", plan, "one-meaning", Sentence("differs_by_machine"))
        steps.append(
            replace(
                step,
                argv=first.argv or step.argv,
                env=tuple(sorted({**dict(first.env), **dict(step.env)}.items())),
                time_limit=_time_limit(step, time_limits),
                output_cap=min([step.output_cap, *output_caps]),
                script=_script_word(first),
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
    """Why a step of a judged request must not be dispatched after all: policy, checked again, is stricter than it was.
    None where it is as it was, or allows more.
    """
    if verdict.kind == "deny":
        return verdict.reason
    if _meaning(verdict) != (step.argv, step.env, step.script):
        return Sentence("policy_means_other")
    covered = request.approvers >= verdict.approvers and request.second_factor >= verdict.second_factor
    own = request.own_approval and not verdict.own_approval
    if verdict.kind == "ask" and (own or not covered):
        return verdict.reason
    return None


def _meaning(verdict: Verdict) -> tuple[object, ...]:
    """What would run."""
    return verdict.argv, verdict.env, _script_word(verdict)


def _script_word(verdict: Verdict) -> ScriptWord | None:
    return None if verdict.script is None else verdict.script.use


def at_least_as_strict(judgement: Judgement, old: Request) -> Judgement:
    """The judgement of an edited plan, on terms no easier than those of the request that it replaces: people are asked,
    whatever policy says, and of each term the stricter one holds.
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


def _time_limit(step: Step, of_rules: list[int]) -> int:
    """The rules' limits bound what was asked for; where nobody asked for one, the smallest of them is the limit."""
    if not of_rules:
        return step.time_limit
    smallest = min(of_rules)
    return smallest if step.time_limit == DEFAULT_TIME_LIMIT else min(step.time_limit, smallest)


def bind_policy(
    policy: Policy,
    roles: Collection[str],
    labels: Callable[[str], Mapping[str, str]],
    tainted: bool,
    now: float | None = None,
) -> Callable[[Step, str], Verdict]:
    """What `policy` says at `now` to a step on a machine, for whoever has these roles; `labels` are those of a machine.
    Without a moment: what it says at any time of the week.
    """

    def of(step: Step, target: str) -> Verdict:
        return check(
            policy,
            step.argv,
            roles=roles,
            agent=target,
            labels=labels(target),
            cwd=step.cwd,
            env=step.env,
            tainted=tainted,
            now=now,
        )

    return of
