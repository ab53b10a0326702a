"""The operators' verbs of a `HubHarness` without a link: a caller whose link only remembers what is subscribed on
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from common.api.rights import JOBS
from hub.api.context import ApiContext
from hub.api.inlets import ReadInlets
from hub.api.subscription import Access
from hub.api.verbs import OperatorApi
from hub.engine.effects import Effects
from hub.links.console import Caller, ConsoleLink, InvalidArguments
from hub.links.subscription import Subscription
from hub.planning.llm.build import LiveModels, PlanningModels
from tests.hub.hub_harness import HubHarness

REMOTE = "192.0.2.7"
MAX_SUBSCRIPTIONS = 3


class FakeConsoleLink:
    """What a room knows of a console's link: where it is from, what is subscribed; it takes `MAX_SUBSCRIPTIONS` of
    them.
    """

    remote = REMOTE

    def __init__(self) -> None:
        self.subscriptions: dict[int, Subscription] = {}

    def subscribe(self, subscription: Subscription) -> None:
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise InvalidArguments("too many subscriptions")
        self.subscriptions[subscription.id] = subscription

    def unsubscribe(self, identity: int) -> None:
        subscription = self.subscriptions.pop(identity, None)
        if subscription is not None:
            subscription.close()

    def notify(self, subscription: Subscription) -> None:
        subscription.dirty = True


class ApiHarness:
    """All verbs, called by name for a person."""

    def __init__(
        self,
        harness: HubHarness,
        choices: Callable[[str], Iterable[str]] = lambda field: (),
        models: PlanningModels | None = None,
        inlets: ReadInlets = lambda waiting: (),
    ) -> None:
        self.context = api_context(harness)
        self.api = OperatorApi(
            store=harness.store,
            engine=harness.engine,
            actions=harness.actions,
            drafts=harness.drafts,
            fleet=harness.fleet,
            people=harness.people,
            hub_id=harness.keys.hub_id,
            clock=harness.clock,
            choices=choices,
            models=LiveModels(models),
            inlets=inlets,
        )
        self.link = FakeConsoleLink()
        self.calls = 0

    async def call(self, person: str, verb: str, /, **args: Any) -> Any:
        self.calls += 1
        return await self.api.table[verb](caller(person, self.link, self.calls), args)

    def is_affected(self, effects: Effects) -> bool:
        """Whether what was subscribed last is notified of a commit."""
        self.last_subscription.dirty = False
        self.api.on_commit(effects)
        return self.last_subscription.dirty

    @property
    def last_subscription(self) -> Subscription:
        """What was subscribed last."""
        return self.link.subscriptions[max(self.link.subscriptions)]


def caller(person: str, link: FakeConsoleLink | None = None, call: int = 1) -> Caller:
    return Caller(person, cast(ConsoleLink, link or FakeConsoleLink()), call)


def api_context(harness: HubHarness) -> ApiContext:
    return ApiContext(
        harness.store,
        harness.engine,
        harness.actions,
        harness.fleet,
        harness.people,
        harness.keys.hub_id,
        harness.clock,
    )


ANYBODY = Access(JOBS, lambda person: ("admin",))
"""Of a subscription whose right nobody takes away."""
