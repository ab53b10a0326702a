"""What the handlers of the API share, and how an action is done: in one transaction, with its audit row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from common.api.verb import A, R, Verb
from common.catalogue import Language
from hub.engine.actor import ActionResult, Actor
from hub.engine.engine import Engine
from hub.engine.request_actions import RequestActions
from hub.engine.unit_of_work import UnitOfWork
from hub.identity.agents import AgentRegistry
from hub.identity.people import PeopleDirectory
from hub.links.console import Caller
from hub.store.store import Store


@dataclass(frozen=True, slots=True)
class ApiContext:
    store: Store
    engine: Engine
    actions: RequestActions
    fleet: AgentRegistry
    people: PeopleDirectory
    hub_id: str
    clock: Callable[[], float]

    async def run_action(
        self,
        caller: Caller,
        verb: Verb[A, R],
        args: A,
        perform: Callable[[UnitOfWork, Actor, A], ActionResult],
        *,
        dry_run: bool = False,
    ) -> R:
        """Does `perform` in one transaction; the result says what became of it. Raises InvalidArguments for what the
        arguments name and is not there, never for a refusal.
        """
        action = AuditedAction(verb.name, actor_of(caller), args, perform, dry_run)
        return to_result(verb, await self.engine.write(action.execute), args.language)


@dataclass(frozen=True, slots=True)
class AuditedAction(Generic[A]):
    """An action as a unit of work. What was done is an audit row, with who and from where; a dry run does nothing, and
    so has none.
    """

    verb: str
    actor: Actor
    args: A
    perform: Callable[[UnitOfWork, Actor, A], ActionResult]
    dry_run: bool = False

    def execute(self, uow: UnitOfWork) -> ActionResult:
        result = self.perform(uow, self.actor, self.args)
        if not result.code and not self.dry_run:
            data = {"verb": self.verb, "via": self.actor.via, "from": self.actor.remote}
            uow.txn.audit("act.done", result.subject or self.actor.person, self.actor.person, data, uow.now)
        return result


def actor_of(caller: Caller) -> Actor:
    return Actor(caller.person, "console", remote=caller.link.remote)


def to_result(verb: Verb[Any, R], done: ActionResult, language: Language) -> R:
    """The verb's result of what the engine did."""
    return verb.decode_result({"code": done.code or "ok", "text": done.sentence.render(language), **done.data})
