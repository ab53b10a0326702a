"""A subscription of a person, which ends when the right that it was begun with is taken away."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from common.api.codec import encode
from common.api.outcome import SubscriptionEnded
from common.api.rights import Right
from common.errors import Denied
from hub.core.authorization import authorize
from hub.links.console import Caller
from hub.links.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Access:
    """The right that a subscription takes, checked again before each push."""

    right: Right
    roles: Callable[[str], Iterable[str]]  # of a person, now

    def check(self, person: str) -> None:
        """Raises Denied."""
        authorize(person, self.roles(person), self.right.name)


class PersonSubscription(Subscription):
    def __init__(self, caller: Caller, access: Access, min_interval: float = 0.0) -> None:
        super().__init__(caller.call_id, min_interval)
        self._caller = caller
        self._access = access

    def notify(self) -> None:
        """There may be something to push."""
        self._caller.link.notify(self)

    async def poll(self) -> Any | None:
        try:
            self._access.check(self._caller.person)
        except Denied as error:
            self.ended = True
            return encode(SubscriptionEnded(error=str(error)))
        return await self.read()

    @abstractmethod
    async def read(self) -> Any | None:
        """The next push, encoded; None where nothing has changed since the last."""
