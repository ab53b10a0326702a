"""The planner that asks language models: one message in, one PlanningResult out, whatever happens at the models.

    prompt -> cache -> pool -> answer -> cache
                        ^        |
                        +--------+ invalid: sent back once, with the reason

A cached answer is parsed again against the current machines and runbooks, and policy judges its plan like any other.
Prompt and answer are attached as notes, for the audit. Without a plan the chain's fallback answers, with reason and
cure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

from common.catalogue import Sentence
from common.policy.check import Policy
from hub.config import PlanningTable
from hub.core.inventory import Inventory
from hub.core.lru import Lru
from hub.core.outcome import CannotPlan, PlanningContext, PlanningResult, SealedNote
from hub.log import logger
from hub.planning.chain import PlannerChain
from hub.planning.llm import prompt as prompts
from hub.planning.llm.answer import MAX_ANSWER, AnswerScope, InvalidAnswer, ParsedAnswer, parse_answer, plan_source
from hub.planning.llm.history import is_tainted, relevant_history
from hub.planning.llm.inventory_facts import inventory_digest
from hub.planning.llm.permissions import fingerprint, permissions_for
from hub.planning.llm.transcript import AnswerTranscript
from hub.planning.llm_servers.plan_cache import PlanCache, cache_key, normalize_request
from hub.planning.llm_servers.pool import Pool
from hub.planning.llm_servers.types import ChatMessage, ModelCompletion, ModelRequest, NoAnswer

log = logger("planner")

MAX_CACHED_PROMPTS: Final = 16  # sets of roles
_RETRY_PROMPT: Final = "That answer cannot be used: {why}. Answer the message again, in the right form."
_MAX_RETRY_CHARS: Final = 2_000  # characters of an invalid answer that are sent back to its model


@dataclass(frozen=True, slots=True)
class _CachedPrompt:
    """The prompt for one set of roles, valid until policy, runbooks or machines change."""

    policy: Policy
    chain: PlannerChain
    inventory: Inventory
    scope: AnswerScope
    prompt: prompts.SystemPrompt
    inventory_digest: str  # digest
    policy_digest: str  # digest of policy and runbooks


@dataclass(slots=True)
class _PlanningTask:
    """One message while it is being planned."""

    context: PlanningContext
    prompt: _CachedPrompt
    turn: prompts.UserTurn
    tainted: bool
    key: str = ""
    stages: list[tuple[str, float]] = field(default_factory=list)
    notes: list[SealedNote] = field(default_factory=list)


class ModelPlanner:
    """Implements `hub.planning.service.Model`. `tokens` limits a prompt; `on_result` is called with each message's
    result.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        cache: PlanCache,
        policy: Callable[[], Policy],
        chain: Callable[[], PlannerChain],
        planning: PlanningTable,
        tokens: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        on_result: Callable[[str], None] = lambda result: None,
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._policy = policy
        self._chain = chain
        self._planning = planning
        self._tokens = tokens
        self._clock = clock
        self._monotonic = monotonic
        self._on_result = on_result
        self._prompts: Lru[frozenset[str], _CachedPrompt] = Lru(MAX_CACHED_PROMPTS)
        self._digests: dict[str, tuple[object, str]] = {}

    def warm(self, roles: Collection[str], inventory: Inventory) -> None:
        """Has every server load its model and process the prompt for these roles before it is needed."""
        prompt = self._prompt_for(roles, inventory).prompt
        self._pool.warm(prompt.system, prompt.digest)

    async def plan(self, context: PlanningContext) -> PlanningResult:
        started = self._monotonic()
        work = self._start_task(context)
        if work is None:
            return self._no_plan(context, "too_long")
        work.stages.append(("prompt", self._monotonic() - started))
        try:
            read = await self._from_cache(work)
            if read is None:
                read = await self._ask_model(work)
        except NoAnswer as none:
            log.warning("plan.no_answer", reason=none.reason, detail=str(none))
            return self._no_plan(context, none.reason, none.retry_after, work)
        except InvalidAnswer:
            return self._no_plan(context, "unfit", work=work)
        if read.outcome is None:
            return self._no_plan(context, "unknown", work=work)
        self._on_result(read.kind)
        return PlanningResult(read.outcome, tuple(work.stages), tuple(work.notes))

    # ---- preparation

    def _start_task(self, context: PlanningContext) -> _PlanningTask | None:
        """Prompt, user turn, taint and cache key of a message; None where the message is too long."""
        thread = relevant_history(context)
        pictured = bool(context.image_text.strip())
        # A message that is only a picture has the picture's text as its text.
        message = "" if pictured and context.text == context.image_text else normalize_request(context.text)
        try:
            turn = prompts.build_turn(message, thread, context.image_text, self._tokens)
        except prompts.MessageTooLong:
            return None
        prepared = self._prompt_for(context.roles, context.inventory)
        work = _PlanningTask(context, prepared, turn, tainted=self._planning.confirm or pictured or is_tainted(thread))
        work.key = cache_key(
            message,
            permissions=prepared.prompt.digest,
            inventory=prepared.inventory_digest,
            policy=prepared.policy_digest,
            model=self._pool.digest,
            conversation=f"{turn.context} {work.tainted}",
        )
        return work

    def _prompt_for(self, roles: Collection[str], inventory: Inventory) -> _CachedPrompt:
        """The prompt for these roles, rebuilt only where its inputs have changed."""
        policy, chain = self._policy(), self._chain()
        key = frozenset(roles)
        known = self._prompts.get(key)
        if known is not None and known.policy is policy and known.chain is chain and known.inventory is inventory:
            return known
        machines = inventory_digest(inventory)
        if known is not None and known.policy is policy and known.chain is chain and known.inventory_digest == machines:
            # Only links came and went, which prompts do not contain.
            scope = replace(known.scope, inventory=inventory)
            known = replace(known, inventory=inventory, scope=scope)
            self._prompts.put(key, known)
            return known
        runbooks = chain.runbooks.runbooks
        permissions = permissions_for(policy, roles, inventory)
        prompt = _CachedPrompt(
            policy=policy,
            chain=chain,
            inventory=inventory,
            scope=AnswerScope(inventory, {runbook.name: runbook for runbook in runbooks}, permissions),
            prompt=prompts.build_prompt(inventory, runbooks, permissions, self._tokens),
            inventory_digest=machines,
            policy_digest=self._digest("policy", policy) + self._digest("runbooks", runbooks),
        )
        self._prompts.put(key, prompt)
        return prompt

    def _digest(self, name: str, value: object) -> str:
        known = self._digests.get(name)
        if known is None or known[0] is not value:
            known = self._digests[name] = value, fingerprint(value)
        return known[1]

    # ---- the cache

    async def _from_cache(self, work: _PlanningTask) -> ParsedAnswer | None:
        started = self._monotonic()
        hit = await self._cache.get(work.key, self._clock())
        work.stages.append(("recall", self._monotonic() - started))
        if hit is None:
            return None
        try:
            stored = json.loads(hit.value)
            text, source = str(stored["text"]), str(stored["source"])
            read = self._parse(work, text, source)
        except InvalidAnswer:
            if hit.negative:
                raise  # it was invalid when it was stored, too
            await self._cache.drop(work.key)  # it names a machine or runbook that no longer exists
            return None
        except (ValueError, TypeError, KeyError):
            await self._cache.drop(work.key)
            return None
        self._note_answer(work, text, read, {"cached": True, "source": source})
        return read

    # ---- the models

    async def _ask_model(self, work: _PlanningTask) -> ParsedAnswer:
        """A model's answer; an invalid one is sent back once, with the reason."""
        prompt = work.prompt.prompt
        request = ModelRequest(
            system=prompt.system,
            messages=(ChatMessage("user", work.turn.text),),
            schema=prompt.schema,
            max_tokens=self._planning.max_tokens,
            deadline=self._monotonic() + self._planning.deadline,
            affinity=prompt.digest,
            person=work.context.person,
            batchable=not work.turn.context,
        )
        completion = await self._complete(work, request)
        source = plan_source(completion.node, completion.model)
        try:
            read = self._parse_completion(work, completion, source)
        except InvalidAnswer as unfit:
            log.warning("plan.unfit", node=completion.node, problem=str(unfit))
            self._on_result("again")
            turns = (
                ChatMessage("assistant", completion.text[:_MAX_RETRY_CHARS]),
                ChatMessage("user", _RETRY_PROMPT.format(why=unfit)),
            )
            again = replace(request, messages=(*request.messages, *turns), batchable=False)
            completion = await self._complete(work, again)
            source = plan_source(completion.node, completion.model)
            try:
                read = self._parse_completion(work, completion, source)
            except InvalidAnswer:
                await self._cache_answer(work, completion, source, negative=True)
                raise
        await self._cache_answer(work, completion, source, negative=read.kind in ("ask", "unknown"))
        return read

    async def _complete(self, work: _PlanningTask, request: ModelRequest) -> ModelCompletion:
        turns = [[turn.role, turn.text] for turn in request.messages]
        text = json.dumps({"system": request.system, "turns": turns}, ensure_ascii=False)
        facts: dict[str, Any] = {
            "tokens": request.prompt_tokens,
            "form": request.affinity,
            "left_out": dict(work.prompt.prompt.left_out),
        }
        if work.turn.left_out:
            facts["left_out"] = {**facts["left_out"], "turn": work.turn.left_out}
        try:
            completion = await self._pool.complete(request)
        except NoAnswer as none:
            if none.attempts:  # a server has received it
                nodes = [f"{one.node}: {one.result}" for one in none.attempts]
                work.notes.append(SealedNote("prompt", text, {**facts, "attempts": nodes, "failed": none.reason}))
            raise
        facts["attempts"] = [f"{one.node}: {one.result}" for one in completion.attempts]
        work.notes.append(SealedNote("prompt", text, facts))
        timings = completion.timings
        work.stages += [
            ("line", timings.queued),
            ("first", timings.first - timings.queued),
            ("answer", timings.total - timings.first),
        ]
        return completion

    def _parse_completion(self, work: _PlanningTask, completion: ModelCompletion, source: str) -> ParsedAnswer:
        facts = {
            "source": source,
            "model_digest": completion.digest,
            "prompt_tokens": completion.tokens.prompt,
            "output_tokens": completion.tokens.output,
            "shared": completion.shared,
        }
        try:
            read = self._parse(work, completion.text, source)
        except InvalidAnswer as unfit:
            transcript = AnswerTranscript(completion.text[:MAX_ANSWER], tainted=True).to_text()
            work.notes.append(SealedNote("answer", transcript, {**facts, "unfit": str(unfit)[:200]}))
            raise
        self._note_answer(work, completion.text, read, facts)
        return read

    def _parse(self, work: _PlanningTask, text: str, source: str) -> ParsedAnswer:
        return parse_answer(text, work.prompt.scope, work.context.language, source, tainted=work.tainted)

    def _note_answer(self, work: _PlanningTask, text: str, read: ParsedAnswer, facts: dict[str, Any]) -> None:
        transcript = AnswerTranscript(text, read.text, read.kind == "ask", work.tainted)
        work.notes.append(SealedNote("answer", transcript.to_text(), {**facts, "kind": read.kind, "risk": read.risk}))

    async def _cache_answer(
        self, work: _PlanningTask, completion: ModelCompletion, source: str, *, negative: bool
    ) -> None:
        if completion.shared:
            return  # the request whose call it was stores it
        value = json.dumps({"text": completion.text, "source": source}, ensure_ascii=False).encode("utf-8", "replace")
        await self._cache.put(work.key, value, self._clock(), negative=negative)

    # ---- no plan

    def _no_plan(
        self, context: PlanningContext, reason: str, retry_after: float | None = None, work: _PlanningTask | None = None
    ) -> PlanningResult:
        """The fallback's outcome, with the reason why there is no plan."""
        self._on_result(reason)
        outcome = self._chain().plan_fallback(context)
        if isinstance(outcome, CannotPlan):
            code = outcome.code if reason == "unknown" else f"model_{reason}"
            if reason == "budget" and retry_after is None:
                reason = "budget_never"
            values = {"offer": outcome.sentence, "seconds": max(1, round(retry_after or 0))}
            outcome = CannotPlan(Sentence(f"model_{reason}", values), code)
        stages, notes = (tuple(work.stages), tuple(work.notes)) if work is not None else ((), ())
        return PlanningResult(outcome, stages, notes)
