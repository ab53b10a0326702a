"""The shell around a language model: one message in, one thought out, whatever the models do meanwhile.

    prompt -> cache -> pool -> answer -> cache
                        ^        |
                        +--------+ not of the form: told why, once

A plan from the cache is read anew against today's machines and runbooks, and policy judges it like any other. What was
asked and answered goes along as notes, for the audit. Where there is no plan in the end the last resort speaks, with
the reason and its cure.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

from common.catalogue import Sentence
from common.policy import Policy
from hub.config import PlanningTable
from hub.log import logger
from hub.machines import Inventory
from hub.models.ask import Ask, Completion, NoAnswer, Turn
from hub.models.cache import PlanCache, key_of, normalised
from hub.models.pool import Pool
from hub.plan.chain import Chain
from hub.plan.outcome import Cannot, Context
from hub.planner import prompt as prompts
from hub.planner.answer import MAX_ANSWER, Read, Unfit, World, read_answer, source_of
from hub.planner.kept import Kept
from hub.planner.rights import fingerprint, rights_of
from hub.planner.thread import read_along, taints
from hub.planner.told import digest
from hub.thinking import Note, Thought

log = logger("planner")

MAX_PREPARED: Final = 16  # sets of roles
_AGAIN: Final = "That answer cannot be used: {why}. Answer the message again, in the right form."
_MAX_AGAIN: Final = 2_000  # characters of the answer that cannot be used, shown to its model again


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is the same for everyone with the same roles until policy, runbooks or machines change."""

    policy: Policy
    chain: Chain
    inventory: Inventory
    world: World
    prompt: prompts.Prompt
    machines: str  # digest
    rules: str  # digest of policy and runbooks


@dataclass(slots=True)
class _Work:
    """One message on its way."""

    context: Context
    prepared: _Prepared
    turn: prompts.Turn
    tainted: bool
    key: str = ""
    stages: list[tuple[str, float]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class ModelPlanner:
    """`hub.thinking.Model`. `tokens` is the bound on a prompt, `told` hears what came of each message."""

    def __init__(
        self,
        *,
        pool: Pool,
        cache: PlanCache,
        policy: Callable[[], Policy],
        chain: Callable[[], Chain],
        planning: PlanningTable,
        tokens: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        told: Callable[[str], None] = lambda result: None,
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._policy = policy
        self._chain = chain
        self._planning = planning
        self._tokens = tokens
        self._clock = clock
        self._monotonic = monotonic
        self._told = told
        self._prepared: OrderedDict[frozenset[str], _Prepared] = OrderedDict()
        self._digests: dict[str, tuple[object, str]] = {}

    def warm(self, roles: Collection[str], inventory: Inventory) -> None:
        """Has every server read the prompt for these roles before somebody waits for it."""
        made = self._prepare(roles, inventory).prompt
        self._pool.warm(made.system, made.digest)

    async def plan(self, context: Context) -> Thought:
        begun = self._monotonic()
        work = self._begin(context)
        if work is None:
            return self._none(context, "too_long")
        work.stages.append(("prompt", self._monotonic() - begun))
        try:
            read = await self._recalled(work)
            if read is None:
                read = await self._asked(work)
        except NoAnswer as none:
            log.warning("plan.no_answer", reason=none.reason, detail=str(none))
            return self._none(context, none.reason, none.retry_after, work)
        except Unfit:
            return self._none(context, "unfit", work=work)
        if read.outcome is None:
            return self._none(context, "unknown", work=work)
        self._told(read.kind)
        return Thought(read.outcome, tuple(work.stages), tuple(work.notes))

    # ---- before

    def _begin(self, context: Context) -> _Work | None:
        """Everything that is known before anybody is asked; None for a message that does not fit."""
        thread = read_along(context)
        pictured = bool(context.seen.strip())
        # A message that is a picture alone comes with the picture's text for its own.
        message = "" if pictured and context.text == context.seen else normalised(context.text)
        try:
            turn = prompts.make_turn(message, thread, context.seen, self._tokens)
        except prompts.TooLong:
            return None
        prepared = self._prepare(context.roles, context.inventory)
        work = _Work(context, prepared, turn, tainted=self._planning.confirm or pictured or taints(thread))
        work.key = key_of(
            message,
            rights=prepared.prompt.digest,
            inventory=prepared.machines,
            policy=prepared.rules,
            model=self._pool.digest,
            conversation=f"{turn.context} {work.tainted}",
        )
        return work

    def _prepare(self, roles: Collection[str], inventory: Inventory) -> _Prepared:
        """The prompt for these roles, made anew only where what it is made of is another."""
        policy, chain = self._policy(), self._chain()
        key = frozenset(roles)
        known = self._prepared.get(key)
        if known is not None and known.policy is policy and known.chain is chain and known.inventory is inventory:
            self._prepared.move_to_end(key)
            return known
        machines = digest(inventory)
        if known is not None and known.policy is policy and known.chain is chain and known.machines == machines:
            # Links came and went, which is no part of a prompt.
            world = replace(known.world, inventory=inventory)
            known = self._prepared[key] = replace(known, inventory=inventory, world=world)
            return known
        runbooks = chain.runbooks.all
        rights = rights_of(policy, roles, inventory)
        made = _Prepared(
            policy=policy,
            chain=chain,
            inventory=inventory,
            world=World(inventory, {runbook.name: runbook for runbook in runbooks}, rights),
            prompt=prompts.make_prompt(inventory, runbooks, rights, self._tokens),
            machines=machines,
            rules=self._digest("policy", policy) + self._digest("runbooks", runbooks),
        )
        self._prepared[key] = made
        if len(self._prepared) > MAX_PREPARED:
            self._prepared.popitem(last=False)
        return made

    def _digest(self, name: str, value: object) -> str:
        known = self._digests.get(name)
        if known is None or known[0] is not value:
            known = self._digests[name] = value, fingerprint(value)
        return known[1]

    # ---- what was planned before

    async def _recalled(self, work: _Work) -> Read | None:
        begun = self._monotonic()
        hit = await self._cache.get(work.key, self._clock())
        work.stages.append(("recall", self._monotonic() - begun))
        if hit is None:
            return None
        try:
            kept = json.loads(hit.value)
            text, source = str(kept["text"]), str(kept["source"])
            read = self._read(work, text, source)
        except Unfit:
            if hit.negative:
                raise  # it was not of the form before either
            await self._cache.drop(work.key)  # a machine or runbook that it names is gone
            return None
        except (ValueError, TypeError, KeyError):
            await self._cache.drop(work.key)
            return None
        self._note(work, text, read, {"cached": True, "source": source})
        return read

    # ---- asking

    async def _asked(self, work: _Work) -> Read:
        """A model's answer; one that is not of the form is given back once, with the reason."""
        made = work.prepared.prompt
        ask = Ask(
            system=made.system,
            messages=(Turn("user", work.turn.text),),
            schema=made.schema,
            max_tokens=self._planning.max_tokens,
            deadline=self._monotonic() + self._planning.deadline,
            affinity=made.digest,
            person=work.context.person,
            mergeable=not work.turn.context,
        )
        completion = await self._complete(work, ask)
        source = source_of(completion.node, completion.model)
        try:
            read = self._answered(work, completion, source)
        except Unfit as unfit:
            log.warning("plan.unfit", node=completion.node, problem=str(unfit))
            self._told("again")
            turns = (
                Turn("assistant", completion.text[:_MAX_AGAIN]),
                Turn("user", _AGAIN.format(why=unfit)),
            )
            again = replace(ask, messages=(*ask.messages, *turns), mergeable=False)
            completion = await self._complete(work, again)
            source = source_of(completion.node, completion.model)
            try:
                read = self._answered(work, completion, source)
            except Unfit:
                await self._keep(work, completion, source, negative=True)
                raise
        await self._keep(work, completion, source, negative=read.kind in ("ask", "unknown"))
        return read

    async def _complete(self, work: _Work, ask: Ask) -> Completion:
        turns = [[turn.role, turn.text] for turn in ask.messages]
        text = json.dumps({"system": ask.system, "turns": turns}, ensure_ascii=False)
        facts: dict[str, Any] = {
            "tokens": ask.prompt_tokens,
            "form": ask.affinity,
            "left_out": dict(work.prepared.prompt.left_out),
        }
        if work.turn.left_out:
            facts["left_out"] = {**facts["left_out"], "turn": work.turn.left_out}
        try:
            completion = await self._pool.complete(ask)
        except NoAnswer as none:
            if none.attempts:  # somebody has read it
                nodes = [f"{one.node}: {one.result}" for one in none.attempts]
                work.notes.append(Note("prompt", text, {**facts, "attempts": nodes, "failed": none.reason}))
            raise
        facts["attempts"] = [f"{one.node}: {one.result}" for one in completion.attempts]
        work.notes.append(Note("prompt", text, facts))
        timings = completion.timings
        work.stages += [
            ("line", timings.queued),
            ("first", timings.first - timings.queued),
            ("answer", timings.total - timings.first),
        ]
        return completion

    def _answered(self, work: _Work, completion: Completion, source: str) -> Read:
        facts = {
            "source": source,
            "model_digest": completion.digest,
            "prompt_tokens": completion.tokens.prompt,
            "output_tokens": completion.tokens.output,
            "shared": completion.shared,
        }
        try:
            read = self._read(work, completion.text, source)
        except Unfit as unfit:
            kept = Kept(completion.text[:MAX_ANSWER], tainted=True).to_text()
            work.notes.append(Note("answer", kept, {**facts, "unfit": str(unfit)[:200]}))
            raise
        self._note(work, completion.text, read, facts)
        return read

    def _read(self, work: _Work, text: str, source: str) -> Read:
        return read_answer(text, work.prepared.world, work.context.language, source, tainted=work.tainted)

    def _note(self, work: _Work, text: str, read: Read, facts: dict[str, Any]) -> None:
        kept = Kept(text, read.words, read.kind == "ask", work.tainted)
        work.notes.append(Note("answer", kept.to_text(), {**facts, "kind": read.kind, "risk": read.risk}))

    async def _keep(self, work: _Work, completion: Completion, source: str, *, negative: bool) -> None:
        if completion.shared:
            return  # the one whose call it was keeps it
        value = json.dumps({"text": completion.text, "source": source}, ensure_ascii=False).encode("utf-8", "replace")
        await self._cache.put(work.key, value, self._clock(), negative=negative)

    # ---- no plan

    def _none(
        self, context: Context, reason: str, retry_after: float | None = None, work: _Work | None = None
    ) -> Thought:
        """What the last resort offers, and why there is no more."""
        self._told(reason)
        outcome = self._chain().last_resort(context)
        if isinstance(outcome, Cannot):
            code = outcome.code if reason == "unknown" else f"model_{reason}"
            if reason == "budget" and retry_after is None:
                reason = "budget_never"
            values = {"offer": outcome.sentence, "seconds": max(1, round(retry_after or 0))}
            outcome = Cannot(Sentence(f"model_{reason}", values), code)
        stages, notes = (tuple(work.stages), tuple(work.notes)) if work is not None else ((), ())
        return Thought(outcome, stages, notes)
