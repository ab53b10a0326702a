"""One message tried out beside the hub: who would plan it, what, what policy says, and how long each stage took.

Nothing is queued, told or recorded but the plan in the cache, which is sealed and the same that the hub would keep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from common.catalogue import Sentence, language_of
from common.config import Size
from common.errors import UserError
from common.plan import DEFAULT_TTL, BadPlan, Plan
from common.text import clean, clean_output, escape_argv
from hub import request as requests_of_hub
from hub import verdicts
from hub.config import HubConfig
from hub.files import read_chain, read_policy
from hub.fleet import Fleet
from hub.keeping import opened
from hub.models.cache import PlanCache, mark_cleared
from hub.people import People
from hub.plan.acts import redact
from hub.plan.chain import Chain
from hub.plan.outcome import Act, Cannot, Context, Outcome, Planned, Said
from hub.planner.build import Models, models_of
from hub.setup import load_keys
from hub.store.engine import Store
from hub.thinking import Thought

CHECK_SECONDS: Final = 10.0
MAX_MESSAGE: Final = 8_000
PLAIN: Final = ("operator",)
"""The roles that a message is tried with where no person is named."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the message."""

    outcome: Outcome
    asked: bool  # a model was needed for it
    cached: bool
    stages: tuple[tuple[str, float], ...]
    seconds: float


async def trial(config: HubConfig, message: str, person: str = "", *, fresh: bool = False) -> dict[str, Any]:
    """See the module. `fresh` asks a model even where the plan is kept. Raises UserError."""
    if not message.strip() or len(message) > MAX_MESSAGE:
        raise UserError("that is no message to try", f"write 1 to {MAX_MESSAGE} characters, as in chat")
    if fresh:
        config = replace(config, planning=replace(config.planning, cache_entries=0, cache_disk=Size(0)))
    policy, chain = read_policy(config.policy.file), read_chain(config.runbooks.file)
    with opened(config, time.time()) as store:
        people, fleet = People(config, store), Fleet(store)
        await people.refresh()
        await fleet.refresh()
        roles = _roles(config, people, person)
        models = models_of(
            config,
            sealer=load_keys(config).sealer,
            policy=lambda: policy,
            chain=lambda: chain,
            clock=time.time,
            monotonic=time.monotonic,
        )
        language = language_of(message)
        context = Context(message, language, person, roles, fleet.inventory, time.time())
        tried = await _try(context, chain, models)
        told = _told(tried, context)
        if isinstance(tried.outcome, Planned):
            plan = tried.outcome.plan
            plan = replace(plan, ttl=int(config.queue.ttl)) if plan.ttl == DEFAULT_TTL else plan
            told |= _judged(plan, verdicts.checker(policy, roles, fleet.labels, plan.tainted), language)
        return told


def _roles(config: HubConfig, people: People, person: str) -> Sequence[str]:
    if not person:
        return PLAIN
    if person not in people.names():
        raise UserError(f"there is no person {person}", f"known: {', '.join(people.names()) or 'none'}")
    return people.roles(person)


async def _try(context: Context, chain: Chain, models: Models | None) -> Tried:
    begun = time.perf_counter()
    try:
        outcome = chain.at_once(context)
        at_once = time.perf_counter() - begun
        if outcome is not None or models is None:
            outcome = outcome or chain.last_resort(context)
            return Tried(outcome, False, False, (("match", at_once),), at_once)
        thought = await _asked(models, context)
    except BadPlan as error:
        taken = time.perf_counter() - begun
        return Tried(Cannot(Sentence("plan_too_big", {"problem": str(error)})), False, False, (), taken)
    cached = any(note.facts.get("cached") for note in thought.notes)
    stages = (("match", at_once), *thought.stages)
    return Tried(thought.outcome, True, cached, stages, sum(seconds for _, seconds in stages))


async def _asked(models: Models, context: Context) -> Thought:
    """The models' answer; they are found and checked first, which is no part of what is measured."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(models.pool.run())
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await models.pool.checked()
        except TimeoutError:
            pass  # then the planner says what is wrong
        thought = await models.planner.plan(context)
        running.cancel()
    return thought


def _told(tried: Tried, context: Context) -> dict[str, Any]:
    said, kind, planner = "", "", "model" if tried.asked else "none"
    match tried.outcome:
        case Planned(plan):
            kind, planner, said = "plan", plan.source, plan.explanation
        case Said(text, asks):
            kind, said = "question" if asks else "answer", text
        case Act(verb):
            kind, planner, said = "act", "acts", verb
        case Cannot(sentence, code):
            kind, said = code, sentence.say(context.language)
    return {
        "message": redact(context.text),
        "person": context.person,
        "roles": list(context.roles),
        "outcome": kind,
        "planner": planner,
        "cached": tried.cached,
        "said": said,
        "stages": {name: round(seconds, 6) for name, seconds in tried.stages},
        "seconds": round(tried.seconds, 6),
    }


def _judged(plan: Plan, checker: Any, language: Any) -> dict[str, Any]:
    try:
        judgement = requests_of_hub.judge(plan, checker)
    except BadPlan as error:
        raise UserError(f"policy makes that plan too large ({error})", "make it smaller") from None
    return {
        "tainted": plan.tainted,
        "steps": [
            {"argv": list(step.argv), "targets": list(step.targets), "folder": step.cwd, "time_limit": step.time_limit}
            for step in judgement.plan.steps
        ],
        "verdict": judgement.kind,
        "reason": judgement.reason.say(language),
        "rule": judgement.rule,
        "approvers": judgement.approvers,
        "second_factor": judgement.second_factor,
    }


def lines_of(told: Mapping[str, Any]) -> Iterable[str]:
    """The trial for people. What a model said is its own word: cleaned, and behind a mark."""
    yield f"planner   {clean(told['planner'])}" + (" (from the cache)" if told["cached"] else "")
    for index, step in enumerate(told.get("steps", ()), 1):
        yield f"step {index}    {escape_argv(step['argv'])}"
        yield f"          on {', '.join(step['targets'])}"
    if told["outcome"] == "act":
        yield f"act       {told['said']}; nothing is done by trying"
    else:
        label = "says"
        if "steps" in told:
            label = "the model" if told["planner"].startswith("model:") else "about"
        for index, line in enumerate(clean_output(told["said"]).splitlines()):
            yield f"{label if index == 0 else '':<10}{line}"
    if "verdict" in told:
        rule = f"  (rule {told['rule']})" if told["rule"] else ""
        yield f"verdict   {told['verdict']}: {clean(told['reason'])}{rule}"
    stages = " · ".join(f"{name} {_time(seconds)}" for name, seconds in told["stages"].items())
    yield f"time      {stages} · in all {_time(told['seconds'])}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def clear(config: HubConfig, now: float) -> int:
    """Forgets every plan that is kept, on disk and in a hub that serves; how many there were on disk."""
    planning = config.planning
    cache = PlanCache(
        planning.cache_folder,
        load_keys(config).sealer,
        entries=planning.cache_entries,
        memory=0,
        disk=planning.cache_disk,
        ttl=planning.cache_ttl,
        negative_ttl=planning.cache_negative_ttl,
    )
    count = asyncio.run(cache.clear())
    mark_cleared(planning.cache_folder)
    with opened(config, now) as store:
        _record(store, count, now)
    return count


def _record(store: Store, count: int, now: float) -> None:
    store.write_now(lambda txn: txn.audit("plans.cleared", "plans", "terminal", {"plans": count}, now))
