"""The hub as the console's source: one link, kept and made again with growing, jittered pauses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, cast

from common.catalogue import Language
from common.errors import UserError
from tui.client import BadCall, CallRefused, Client, LinkLost, connect
from tui.profile import Profile
from tui.source import Link, Who

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
POLL: Final = 2.0


def pause_before(attempt: int, chance: float) -> float:
    """Seconds to wait before attempt `attempt` (from 1); `chance` is 0 to 1. Full jitter, never under a tenth."""
    return max(0.1, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * chance)


def who_of(told: Any) -> Who:
    """What a hub's `whoami` says; raises where it is of another form."""
    verbs = told.get("verbs") or {}  # an older hub does not say
    denied = {
        str(verb): str(right.get("role") or "admin") for verb, right in verbs.items() if not right.get("may", True)
    }
    return Who(
        str(told["person"]),
        tuple(map(str, told["roles"])),
        str(told["hub"]),
        str(told["version"]),
        frozenset(map(str, verbs)),
        denied,
    )


class HubSource:
    """See `tui.source.Source`."""

    def __init__(self, profile: Profile, *, chance: Callable[[], float] = random.random) -> None:
        self.language: Language = "en"
        self.link = Link(since=time.time())
        self.who: Who | None = None
        self.overview: Mapping[str, Any] = {}
        self._profile = profile
        self._chance = chance
        self._client: Client | None = None
        self._offset = 0.0
        self._again = asyncio.Event()
        self._slots: dict[str, int] = {}  # slot -> the call that began what is in it

    def now(self) -> float:
        return time.time() + self._offset

    def retry(self) -> None:
        self._again.set()

    async def keep(self, changed: Callable[[], None]) -> None:
        attempt = 0
        while True:
            try:
                async with connect(self._profile) as client:
                    await self._use(client, changed)
                    attempt = 0
                    await self._watch(client, changed)
            except UserError as error:  # refused for good reasons too: an admin may let us in again meanwhile
                reason = str(error)
            else:
                reason = "the hub closed the link"
            was_live = self.link.live
            self._client = None
            attempt = 1 if was_live else attempt + 1
            pause = pause_before(attempt, self._chance())
            self.link = Link("lost", self.now() if was_live else self.link.since, self.now() + pause, reason)
            changed()
            self._again.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._again.wait()
            except TimeoutError:
                pass

    async def _use(self, client: Client, changed: Callable[[], None]) -> None:
        self._offset = client.clock_offset
        told = await client.call("whoami")
        self._slots.clear()
        try:
            self.who = who_of(told)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise LinkLost(
                "the hub says who one is in words of another version", "upgrade the older of the two"
            ) from None
        self._client = client
        self.link = Link("live", self.now(), round_trip=client.round_trip)
        changed()

    async def _watch(self, client: Client, changed: Callable[[], None]) -> None:
        """Follows the overview until the link ends; an older hub has none, there the queue is asked now and then."""
        try:
            async for push in client.subscribe("overview", language=self.language):
                self.overview = push if isinstance(push, Mapping) else {}
                self._measure(client)
                changed()
        except BadCall:
            while True:
                queue = await client.call("queue")
                self.overview = {
                    "counts": queue.get("states", {}),
                    "hub": {"queue_paused": queue.get("paused")},
                    "partial": True,
                }
                self._measure(client)
                changed()
                await asyncio.sleep(POLL)

    def _measure(self, client: Client) -> None:
        self.link.round_trip, self.link.bytes_in = client.round_trip, client.bytes_in

    def _linked(self) -> Client:
        if self._client is None:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")
        return self._client

    async def call(self, verb: str, **args: Any) -> Any:
        return await self._linked().call(verb, **{"language": self.language, **args})

    async def subscribe(self, verb: str, slot: str, **args: Any) -> AsyncIterator[Any]:
        client, before = self._linked(), self._slots.get(slot)
        replaced = {} if before is None else {"replace": before}
        self._slots[slot] = client._next + 1  # the id that the call below gets
        pushes = client.subscribe(verb, **{"language": self.language, **args, **replaced})
        try:
            async with aclosing(cast(Any, pushes)) as stream:
                async for push in stream:
                    if isinstance(push, Mapping) and "error" in push:
                        raise CallRefused("no_right", str(push["error"]))
                    yield push
        except (BadCall, CallRefused):
            if before is not None:
                self._slots[slot] = before  # what could not begin has replaced nothing
            raise

    async def unsubscribe(self, slot: str) -> None:
        identity = self._slots.pop(slot, None)
        if identity is not None and self._client is not None:
            with suppress(UserError):
                await self._client.call("unsubscribe", id=identity)
