"""Example phrases for a person: understood, allowed at once by policy for them, on a machine that is there.

What is offered is tried first, so that nobody is shown a phrase that is refused, asks for approval or changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from common.catalogue import Language
from common.plan import BadPlan, Plan, Step
from common.policy.check import Verdict
from hub.core.inventory import Inventory
from hub.core.judgement import judge
from hub.core.outcome import Planned, PlanningContext
from hub.engine.snapshot import WorldSnapshot
from hub.planning.runbooks.runbook import Runbook

MAX_MACHINES: Final = 3  # that are tried until one allows something
_COMMAND: Final = ("uptime",)


def example_phrases(
    world: WorldSnapshot, person: str, language: Language, *, machine: str = "", word: str = "", most: int = 3
) -> tuple[str, list[str]]:
    """A machine, and up to `most` phrases for it; `machine` is one that was named, `word` what they are to be about."""
    inventory = world.machines.inventory
    for name in [machine] if machine else _candidates(inventory):
        found: list[str] = []
        for phrase in _phrases(world, person, language, name, word):
            found.append(phrase)
            if len(found) == most:
                break
        if found or machine:
            return name, found
    return next(iter(_candidates(inventory)), ""), []


def _candidates(inventory: Inventory) -> list[str]:
    """Machines to make examples for: those that are online first."""
    machines = sorted(inventory.machines.values(), key=lambda one: (not one.online, bool(one.paused)))
    return [one.name for one in machines[:MAX_MACHINES]]


def _phrases(world: WorldSnapshot, person: str, language: Language, machine: str, word: str) -> Iterator[str]:
    check = world.checker(person, False)
    matcher = world.chain.runbooks
    roles = world.people.roles(person)
    runbooks = sorted((one for one in matcher.runbooks if not one.changes), key=lambda one: bool(one.slots))
    if word:
        near = {one.runbook.name for one in matcher.suggest(word, language, machine)}
        runbooks = [one for one in runbooks if one.name in near or _has_word(one, word, language)]
    explicit = f"@{machine} {' '.join(_COMMAND)}"
    for index, runbook in enumerate(runbooks):
        if index == 2 and not word and _allows(Plan((Step(_COMMAND, (machine,)),)), check):
            yield explicit
        phrase = runbook.sample_phrase(language, machine)
        context = PlanningContext(phrase, language, person, roles, world.machines.inventory, 0.0)
        try:
            outcome = matcher.plan_exactly(context)
        except BadPlan:
            continue
        if isinstance(outcome, Planned) and _allows(outcome.plan, check):
            yield phrase


def _has_word(runbook: Runbook, word: str, language: Language) -> bool:
    wanted = word.casefold()
    texts = (runbook.name.replace("-", " "), runbook.title_in(language), *runbook.examples.get(language, ()))
    return any(wanted in text.casefold() for text in texts)


def _allows(plan: Plan, check: Callable[[Step, str], Verdict]) -> bool:
    try:
        return judge(plan, check).kind == "allow"
    except BadPlan:
        return False
