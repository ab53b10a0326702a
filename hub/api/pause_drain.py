"""Pausing, resuming and draining machines; pausing and resuming the whole queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from common.api import verbs
from common.api.actions import (
    DrainArgs,
    DrainResult,
    PauseArgs,
    PauseResult,
    ResumeArgs,
    ResumeResult,
    UndrainArgs,
    UndrainResult,
)
from common.api.arguments import MAX_SELECTION
from common.api.verb import R, Verb
from common.catalogue import Sentence
from hub.api.context import ApiContext, actor_of, to_result
from hub.core.inventory import NoTarget, resolve
from hub.engine import pause_drain as machines
from hub.engine.actor import ActionResult, Actor
from hub.engine.effects import Effects
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller

MAX_PAUSE: Final = 30 * 86_400.0
S = TypeVar("S", bound=ResumeArgs)


@dataclass(frozen=True, slots=True)
class _SelectionAction(Generic[S, R]):
    """An action on each of the machines that a selection means."""

    verb: Verb[S, R]
    apply: Callable[[UnitOfWork, Actor, Sequence[str], S], int]  # how many machines there were
    text_for_one: str  # keys of the catalogue
    text_for_many: str


class PauseDrainHandlers:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def pause(self, caller: Caller, args: PauseArgs) -> PauseResult:
        """Hands out nothing new to a machine, to a selection of them, or, where none is named, to any."""
        now = self._context.clock()
        if args.until is not None and not now < args.until <= now + MAX_PAUSE:
            return to_result(verbs.PAUSE, ActionResult(Sentence("pause_past"), "too_late"), args.language)
        if not _selection(args):
            return await self._context.run_action(caller, verbs.PAUSE, args, _pause_queue)
        result, _ = await self._apply_to_selection(caller, _PAUSE_SELECTION, args)
        return result

    async def resume(self, caller: Caller, args: ResumeArgs) -> ResumeResult:
        if not _selection(args):  # the action itself says which machines are woken
            return await self._context.run_action(caller, verbs.RESUME, args, self._resume_queue)
        result, names = await self._apply_to_selection(caller, _RESUME_SELECTION, args)
        if names:
            self._context.engine.publish(Effects(wake=set(names)))
        return result

    def _resume_queue(self, uow: UnitOfWork, actor: Actor, args: ResumeArgs) -> ActionResult:
        return machines.resume_queue(uow, actor)

    async def _apply_to_selection(
        self, caller: Caller, action: _SelectionAction[S, R], args: S
    ) -> tuple[R, Sequence[str]]:
        """The result, and the machines that the action was applied to."""
        context, actor, selection = self._context, actor_of(caller), _selection(args)
        try:
            names = resolve(selection, context.fleet.inventory, MAX_SELECTION)
        except NoTarget as error:
            return to_result(action.verb, ActionResult(error.sentence, "unknown"), args.language), ()
        if args.expect is not None and args.expect != len(names):
            changed = Sentence("selection_changed", {"count": len(names), "expected": args.expect})
            done = ActionResult(changed, "selection_changed", {"count": len(names)})
            return to_result(action.verb, done, args.language), ()
        count = 0
        for first in range(0, len(names), machines.BATCH_SIZE):  # a transaction each, so that none takes long
            batch = _Batch(action.apply, actor, names[first : first + machines.BATCH_SIZE], args)
            count += await context.engine.write(batch.execute)
        audit = partial(
            _audit_selection, actor=actor, verb=action.verb.name, selection=selection, names=names, count=count
        )
        await context.engine.write(audit)
        await context.fleet.refresh()
        text = action.text_for_one if len(names) == 1 else action.text_for_many
        done = ActionResult(Sentence(text, {"what": names[0], "count": count}), "", {"count": count})
        return to_result(action.verb, done, args.language), names

    async def drain(self, caller: Caller, args: DrainArgs) -> DrainResult:
        """Nothing new for a machine; what it has finishes, or is cancelled after `cancel_after` seconds."""
        result = await self._context.run_action(caller, verbs.DRAIN, args, _drain)
        await self._context.fleet.refresh()
        return result

    async def undrain(self, caller: Caller, args: UndrainArgs) -> UndrainResult:
        result = await self._context.run_action(caller, verbs.UNDRAIN, args, _undrain)
        await self._context.fleet.refresh()
        if result.is_ok:  # again: the action woke it, maybe before the fleet knew that it takes jobs
            self._context.engine.publish(Effects(wake={args.agent}))
        return result


@dataclass(frozen=True, slots=True)
class _Batch(Generic[S]):
    """An action on some machines as a unit of work."""

    apply: Callable[[UnitOfWork, Actor, Sequence[str], S], int]
    actor: Actor
    names: Sequence[str]
    args: S

    def execute(self, uow: UnitOfWork) -> int:
        return self.apply(uow, self.actor, self.names, self.args)


def _selection(args: ResumeArgs) -> str:
    """The machines that are meant; "" is the whole queue."""
    return args.selector or args.agent


def _pause_queue(uow: UnitOfWork, actor: Actor, args: PauseArgs) -> ActionResult:
    return machines.pause_queue(uow, actor, args.reason, args.until)


def _pause_agents(uow: UnitOfWork, actor: Actor, names: Sequence[str], args: PauseArgs) -> int:
    return machines.pause(uow, actor, names, args.reason, args.until)


def _resume_agents(uow: UnitOfWork, actor: Actor, names: Sequence[str], args: ResumeArgs) -> int:
    return machines.resume(uow, actor, names)


def _drain(uow: UnitOfWork, actor: Actor, args: DrainArgs) -> ActionResult:
    return machines.drain(uow, actor, args.agent, args.cancel_after)


def _undrain(uow: UnitOfWork, actor: Actor, args: UndrainArgs) -> ActionResult:
    return machines.undrain(uow, actor, args.agent)


def _audit_selection(
    uow: UnitOfWork, actor: Actor, verb: str, selection: str, names: Sequence[str], count: int
) -> None:
    """The audit row of an action on a selection, as every action has one; each machine has its own besides."""
    data: dict[str, Any] = {
        "verb": verb,
        "selector": selection,
        "count": count,
        "via": actor.via,
        "from": actor.remote,
    }
    subject = names[0] if len(names) == 1 else "queue"
    uow.txn.audit("act.done", subject, actor.person, data, uow.now)


_PAUSE_SELECTION: Final = _SelectionAction(verbs.PAUSE, _pause_agents, "paused_now", "paused_some")
_RESUME_SELECTION: Final = _SelectionAction(verbs.RESUME, _resume_agents, "resumed_now", "resumed_some")
