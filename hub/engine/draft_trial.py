"""Trying out a runbook before it is proposed: made of a plan that was done, read with the rest of the file, and held
against the plan that it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from common.catalogue import Sentence, detect_language
from common.errors import UserError
from common.plan import BadPlan, Step
from hub.core.judgement import Judgement, judge
from hub.core.outcome import Planned, PlanningContext
from hub.core.records import Request
from hub.engine.actor import ActionResult
from hub.engine.snapshot import WorldSnapshot
from hub.planning.followup import may_refer_back
from hub.planning.runbooks import publish
from hub.planning.runbooks.induce import MAX_BODY, InducedRunbook, induce_runbook, to_toml
from hub.planning.runbooks.matcher import RunbookMatcher


def draft_runbook(
    world: WorldSnapshot, file: Path, request: Request, name: str, phrase: str
) -> InducedRunbook | ActionResult:
    """The runbook of a request's plan, tried out; or why there is none. `phrase` is "" where the message itself is how
    people ask for it. Reads the file: for a thread.
    """
    assert request.plan is not None  # noqa: S101 - the caller has checked
    words = phrase or request.text
    if not phrase and (may_refer_back(words) or words.lstrip().startswith(("@", "＠"))):
        return ActionResult(Sentence("draft_needs_phrase", {"name": name}), "phrase")
    try:
        text, body = publish.read_with_text(file)
        judged = _judge(world, request, request.plan.steps)
    except UserError as error:
        return ActionResult(Sentence("draft_file", {"problem": publish.describe_error(error, file)}), "file")
    if judged.kind == "deny":
        return ActionResult(Sentence("draft_denied", {"reason": judged.reason}), "denied", {"rule": judged.rule})
    if name in body.get("runbooks", {}):
        return ActionResult(Sentence("draft_name_taken", {"name": name}), "name")
    induced = induce_runbook(
        name,
        words,
        request.plan,
        world.machines.inventory,
        language=detect_language(words),
        changes=judged.kind != "allow",
        subcommands=_sub_commands(world, request),
        never_values=[word for word in body.get("never_values", ()) if isinstance(word, str)],
    )
    if isinstance(induced, Sentence):
        return ActionResult(induced, "phrase")
    made = to_toml(induced)
    if len(made) > MAX_BODY:
        return ActionResult(Sentence("draft_too_big"), "too_long")
    try:
        compiled = publish.parse_with(text, made, file)
    except UserError as error:
        return ActionResult(Sentence("draft_problem", {"problem": publish.describe_error(error, file)}), "clash")
    if not _reproduces_plan(world, request, compiled, words):
        return ActionResult(Sentence("draft_other_plan"), "other")
    return induced


def _reproduces_plan(world: WorldSnapshot, request: Request, compiled: RunbookMatcher, phrase: str) -> bool:
    """Whether the phrase now means, through the new runbook, exactly the commands that it came from."""
    inventory = world.machines.inventory
    context = PlanningContext(phrase, detect_language(phrase), request.person, (), inventory, request.received_at)
    try:
        outcome = compiled.plan(context)
        if not isinstance(outcome, Planned) or request.plan is None:
            return False
        return _judge(world, request, outcome.plan.steps).plan.steps == request.plan.steps
    except BadPlan:
        return False


def _judge(world: WorldSnapshot, request: Request, steps: Sequence[Step]) -> Judgement:
    assert request.plan is not None  # noqa: S101 - as above
    plan = replace(request.plan, steps=tuple(steps), tainted=False, proposed=False)
    return judge(plan, world.checker(request.person, False, request.received_at))


def _sub_commands(world: WorldSnapshot, request: Request) -> set[str]:
    """Words that the policy knows as sub-commands of the plan's programs: none of them is ever a place."""
    programs = {step.argv[0] for step in request.plan.steps} if request.plan is not None else set()
    rules = (rule for program in programs for rule in world.policy.by_name.get(program, ()))
    words = (word for rule in rules for word in rule.words)
    return {spelling for word in words for choice in word.choices for spelling in choice}
