"""`answerback-hub models test`: plans one message beside the hub; shows planner, plan, verdict and time by stage.

Nothing is queued, sent or recorded, except that the plan goes into the cache, as the hub would put it there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from common.catalogue import Sentence, detect_language
from common.command.line import quote_command
from common.errors import UserError
from common.plan import DEFAULT_TTL, BadPlan, Plan
from common.text import clean, clean_output
from common.values import Size
from hub.cli.admin import open_store
from hub.config import HubConfig
from hub.core.judgement import bind_policy, judge
from hub.core.outcome import (
    CannotPlan,
    ChatCommand,
    PlainAnswer,
    Planned,
    PlanningContext,
    PlanningOutcome,
    PlanningResult,
)
from hub.identity.agents import AgentRegistry
from hub.identity.keys import load_keys
from hub.identity.people import PeopleDirectory
from hub.planning.chain import PlannerChain
from hub.planning.chat_commands import redact
from hub.planning.llm.build import PlanningModels, build_models
from hub.planning.llm_servers.plan_cache import PlanCache, signal_cleared
from hub.planning.watched_files import load_chain, load_policy
from hub.store.store import Store

CHECK_TIMEOUT: Final = 10.0
MAX_MESSAGE: Final = 8_000
DEFAULT_ROLES: Final = ("operator",)
"""The roles of a trial where no person is named."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The outcome of a trial."""

    outcome: PlanningOutcome
    asked: bool  # a model was needed
    cached: bool
    stages: tuple[tuple[str, float], ...]
    seconds: float


async def run_trial(config: HubConfig, message: str, person: str = "", *, fresh: bool = False) -> dict[str, Any]:
    """See the module docstring. `fresh` asks a model even where the plan is in the cache. Raises UserError."""
    if not message.strip() or len(message) > MAX_MESSAGE:
        raise UserError("that is no message to try", f"write 1 to {MAX_MESSAGE} characters, as in chat")
    if fresh:
        config = replace(config, planning=replace(config.planning, cache_entries=0, cache_disk=Size(0)))
    policy, chain = load_policy(config.policy.file), load_chain(config.runbooks.file)
    with open_store(config, time.time()) as store:
        people, fleet = PeopleDirectory(config, store), AgentRegistry(store)
        await people.refresh()
        await fleet.refresh()
        roles = _roles(config, people, person)
        models = build_models(
            config,
            sealer=load_keys(config).sealer,
            policy=lambda: policy,
            chain=lambda: chain,
            clock=time.time,
            monotonic=time.monotonic,
        )
        language = detect_language(message)
        check = bind_policy(policy, roles, fleet.labels, False, time.time())
        context = PlanningContext(message, language, person, roles, fleet.inventory, time.time(), check=check)
        result = await _plan_once(context, chain, models)
        report = _result_json(result, context)
        if isinstance(result.outcome, Planned):
            plan = result.outcome.plan
            plan = replace(plan, ttl=int(config.queue.ttl)) if plan.ttl == DEFAULT_TTL else plan
            report |= _verdict_json(plan, bind_policy(policy, roles, fleet.labels, plan.tainted, time.time()), language)
        return report


def _roles(config: HubConfig, people: PeopleDirectory, person: str) -> Sequence[str]:
    if not person:
        return DEFAULT_ROLES
    if person not in people.names():
        raise UserError(f"there is no person {person}", f"known: {', '.join(people.names()) or 'none'}")
    return people.roles(person)


async def _plan_once(context: PlanningContext, chain: PlannerChain, models: PlanningModels | None) -> TrialResult:
    started = time.perf_counter()
    try:
        outcome = chain.plan_fast(context)
        match_seconds = time.perf_counter() - started
        if outcome is not None or models is None:
            outcome = outcome or chain.plan_fallback(context)
            return TrialResult(outcome, False, False, (("match", match_seconds),), match_seconds)
        planned = await _ask_models(models, context)
    except BadPlan as error:
        taken = time.perf_counter() - started
        return TrialResult(CannotPlan(Sentence("plan_too_big", {"problem": str(error)})), False, False, (), taken)
    cached = any(note.facts.get("cached") for note in planned.notes)
    stages = (("match", match_seconds), *planned.stages)
    return TrialResult(planned.outcome, True, cached, stages, sum(seconds for _, seconds in stages))


async def _ask_models(models: PlanningModels, context: PlanningContext) -> PlanningResult:
    """The models' plan. Their health is checked first, which is not part of the measured stages."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(models.pool.run())
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await models.pool.wait_checked()
        except TimeoutError:
            pass  # the planner then reports what is wrong
        planned = await models.planner.plan(context)
        running.cancel()
    return planned


def _result_json(result: TrialResult, context: PlanningContext) -> dict[str, Any]:
    text, kind, planner = "", "", "model" if result.asked else "none"
    match result.outcome:
        case Planned(plan):
            kind, planner, text = "plan", plan.source, plan.explanation
        case PlainAnswer(answer, asks):
            kind, text = "question" if asks else "answer", answer
        case ChatCommand(verb):
            kind, planner, text = "act", "acts", verb
        case CannotPlan(sentence, code):
            kind, text = code, sentence.render(context.language)
    return {
        "message": redact(context.text),
        "person": context.person,
        "roles": list(context.roles),
        "outcome": kind,
        "planner": planner,
        "cached": result.cached,
        "said": text,
        "stages": {name: round(seconds, 6) for name, seconds in result.stages},
        "seconds": round(result.seconds, 6),
    }


def _verdict_json(plan: Plan, checker: Any, language: Any) -> dict[str, Any]:
    try:
        judgement = judge(plan, checker)
    except BadPlan as error:
        raise UserError(f"policy makes that plan too large ({error})", "make it smaller") from None
    return {
        "tainted": plan.tainted,
        "steps": [
            {"argv": list(step.argv), "targets": list(step.targets), "folder": step.cwd, "time_limit": step.time_limit}
            for step in judgement.plan.steps
        ],
        "verdict": judgement.kind,
        "reason": judgement.reason.render(language),
        "rule": judgement.rule,
        "approvers": judgement.approvers,
        "second_factor": judgement.second_factor,
    }


def format_trial(result: Mapping[str, Any]) -> Iterable[str]:
    """The trial as lines. A model's text is cleaned and marked as the model's."""
    yield f"planner   {clean(result['planner'])}" + (" (from the cache)" if result["cached"] else "")
    for index, step in enumerate(result.get("steps", ()), 1):
        yield f"step {index}    {quote_command(step['argv'])}"
        yield f"          on {', '.join(step['targets'])}"
    if result["outcome"] == "act":
        yield f"act       {result['said']}; nothing is done by trying"
    else:
        label = "says"
        if "steps" in result:
            label = "the model" if result["planner"].startswith("model:") else "about"
        for index, line in enumerate(clean_output(result["said"]).splitlines()):
            yield f"{label if index == 0 else '':<10}{line}"
    if "verdict" in result:
        rule = f"  (rule {result['rule']})" if result["rule"] else ""
        yield f"verdict   {result['verdict']}: {clean(result['reason'])}{rule}"
    stages = " · ".join(f"{name} {_time(seconds)}" for name, seconds in result["stages"].items())
    yield f"time      {stages} · in all {_time(result['seconds'])}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def clear_cache(config: HubConfig, now: float) -> int:
    """Clears the cache of plans, on disk and in a serving hub; returns how many there were on disk."""
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
    signal_cleared(planning.cache_folder)
    with open_store(config, now) as store:
        _audit_cleared(store, count, now)
    return count


def _audit_cleared(store: Store, count: int, now: float) -> None:
    store.write_now(lambda txn: txn.audit("plans.cleared", "plans", "terminal", {"plans": count}, now))
