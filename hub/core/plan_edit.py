"""An edited plan: the old one with other steps, without what rules had put into it, and as text for the audit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from common.command.line import quote_command
from common.command.output_filters import BadFilter, parse_filters
from common.plan import DEFAULT_TIME_LIMIT, MAX_STEPS, BadPlan, Plan, Step
from common.policy.check import Verdict
from hub.core.records import Request

MAX_PLAN_TEXT: Final = 4_000
"""Characters of each plan in the audit row of an edit."""

Checker = Callable[[Step, str], Verdict]


def plan_text(plan: Plan | None) -> str:
    """A plan for the audit, a fact a line, so that two of them can be compared by people; cut where it is very long."""
    lines: list[str] = []
    for step in plan.steps if plan is not None else ():
        lines += [f"run: {quote_command(step.argv, step.filters)}", f"on: {' '.join(step.targets)}"]
        lines += [f"in: {step.cwd}"] if step.cwd else []
        lines += [f"env: {name}={value}" for name, value in step.env]
        lines.append(f"limit: {step.time_limit}s")
    text = "\n".join(lines)
    return text if len(text) <= MAX_PLAN_TEXT else text[: MAX_PLAN_TEXT - 1] + "…"


def contributors(request: Request) -> set[str]:
    """Everybody who had a hand in the request: who asked, who edited it before, whose it is."""
    return {request.person, *request.behalf.split()}


EnvPairs = frozenset[tuple[str, str]]


def inserted_by_rules(plan: Plan, check: Checker) -> list[EnvPairs]:
    """Of each step, the environment that a rule gave it when the plan was judged: nobody wrote it."""
    found = []
    for step in plan.steps:
        verdict = check(replace(step, env=()), step.targets[0])
        found.append(frozenset(verdict.env) if verdict.kind != "deny" else frozenset())
    return found


def without_env(plan: Plan, inserted: Sequence[EnvPairs]) -> Plan:
    """The plan without what rules had put into the environment of the step at each place, so that it is judged afresh:
    what runs now may be another rule's, which knows nothing of it; the same rule gives it again.
    """
    steps = [
        replace(step, env=tuple(pair for pair in step.env if pair not in inserted[min(index, len(inserted) - 1)]))
        for index, step in enumerate(plan.steps)
    ]
    return replace(plan, steps=tuple(steps))


def edited_plan(
    plan: Plan, steps: Sequence[Mapping[str, Any]], resolve_targets: Callable[[str], tuple[str, ...]]
) -> Plan:
    """The plan with other steps. What a step does not say is as in the step at its place, or, for one more, as in the
    last. `resolve_targets` resolves a selection; a list of names is taken as it is. Raises BadPlan, and what
    `resolve_targets` raises.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        raise BadPlan(f"steps: {len(steps)} is not within 1 to {MAX_STEPS}")
    made = []
    for index, said in enumerate(steps):
        old = plan.steps[min(index, len(plan.steps) - 1)]
        made.append(_edited_step(old, said, resolve_targets, extra=index >= len(plan.steps)))
    return replace(plan, steps=tuple(made), explanation="")  # which was about the steps as they were


_KEYS: Final = frozenset({"argv", "targets", "time_limit", "cwd", "env", "output_cap", "filters"})


def _edited_step(
    old: Step, fields: Mapping[str, Any], resolve_targets: Callable[[str], tuple[str, ...]], *, extra: bool
) -> Step:
    if not isinstance(fields, Mapping) or not _KEYS.issuperset(fields):
        raise BadPlan(f"steps: each has some of {', '.join(sorted(_KEYS))}")
    argv = fields.get("argv", None if extra else list(old.argv))
    if not isinstance(argv, list | tuple) or not all(isinstance(word, str) for word in argv):
        raise BadPlan("argv: a list of words is expected")
    where = fields.get("targets", list(old.targets))
    if isinstance(where, str):
        names = resolve_targets(where)
    elif isinstance(where, list | tuple) and all(isinstance(name, str) for name in where):
        names = tuple(sorted(set(where)))
        for name in names:
            resolve_targets(name)  # a machine that there is
    else:
        raise BadPlan("targets: a selection, or a list of names, is expected")
    env = fields.get("env", {} if extra else dict(old.env))
    if not isinstance(env, Mapping) or not all(isinstance(part, str) for pair in env.items() for part in pair):
        raise BadPlan("env: a map of texts is expected")
    try:
        filters = parse_filters(fields.get("filters", () if extra else old.filters))
    except BadFilter as error:
        raise BadPlan(f"filters: {error}") from None
    return replace(
        old,
        filters=filters,
        argv=tuple(argv),
        targets=names,
        cwd=_typed_field(fields, "cwd", "" if extra else old.cwd, str),
        env=tuple(sorted(env.items())),
        time_limit=_typed_field(fields, "time_limit", DEFAULT_TIME_LIMIT if extra else old.time_limit, int),
        output_cap=_typed_field(fields, "output_cap", old.output_cap, int),
    )


def _typed_field(fields: Mapping[str, Any], key: str, default: Any, kind: type) -> Any:
    value = fields.get(key, default)
    if type(value) is not kind:
        raise BadPlan(f"{key}: a {'text' if kind is str else 'whole number'} is expected")
    return value
