"""The operators' verbs of a `House` without a link: a caller whose link only remembers what is subscribed on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from hub.consoles import BadCall, Caller, ConsoleLink, Subscription
from hub.desk import Verbs
from hub.desk_args import Office
from hub.planner.build import Models
from tests.hub.house import House

REMOTE = "192.0.2.7"
MOST = 3


class Line:
    """What a room knows of a console's link: where it is from, what is subscribed; it takes `MOST` of them."""

    remote = REMOTE

    def __init__(self) -> None:
        self.subscriptions: dict[int, Subscription] = {}

    def subscribe(self, subscription: Subscription) -> None:
        if len(self.subscriptions) >= MOST:
            raise BadCall("too many subscriptions")
        self.subscriptions[subscription.id] = subscription

    def unsubscribe(self, identity: int) -> None:
        subscription = self.subscriptions.pop(identity, None)
        if subscription is not None:
            subscription.dropped()

    def poke(self, subscription: Subscription) -> None:
        subscription.dirty = True


class Rooms:
    """All verbs, called by name for a person."""

    def __init__(
        self,
        inside: House,
        choices: Callable[[str], Iterable[str]] = lambda field: (),
        models: Models | None = None,
    ) -> None:
        self.office = office_of(inside)
        self.verbs = Verbs(
            store=inside.store,
            engine=inside.engine,
            acts=inside.acts,
            drafts=inside.drafts,
            fleet=inside.fleet,
            people=inside.people,
            hub_id=inside.keys.hub_id,
            clock=inside.clock,
            choices=choices,
            models=models,
        )
        self.line = Line()
        self.calls = 0

    async def call(self, person: str, verb: str, /, **args: Any) -> Any:
        self.calls += 1
        return await self.verbs.table[verb](caller(person, self.line, self.calls), args)

    @property
    def newest(self) -> Subscription:
        """What was subscribed last."""
        return self.line.subscriptions[max(self.line.subscriptions)]


def caller(person: str, line: Line | None = None, call: int = 1) -> Caller:
    return Caller(person, cast(ConsoleLink, line or Line()), call)


def office_of(inside: House) -> Office:
    return Office(
        inside.store, inside.engine, inside.acts, inside.fleet, inside.people, inside.keys.hub_id, inside.clock
    )
