"""The hub as the console's source: one link, kept and made again with growing, jittered pauses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, cast

from common.catalogue import Language
from common.errors import UserError
from tui.client import BadCall, Client, LinkLost, connect
from tui.profile import Profile
from tui.source import Link, Who

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
POLL: Final = 2.0


def pause_before(attempt: int, chance: float) -> float:
    """Seconds to wait before attempt `attempt` (from 1); `chance` is 0 to 1. Full jitter, never under a tenth."""
    return max(0.1, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * chance)


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
        self.who = Who(
            str(told["person"]),
            tuple(map(str, told["roles"])),
            str(told["hub"]),
            str(told["version"]),
            frozenset(map(str, told.get("verbs", ()))),
        )
        self._client = client
        self.link = Link("live", self.now(), round_trip=client.round_trip)
        changed()

    async def _watch(self, client: Client, changed: Callable[[], None]) -> None:
        """Follows the overview until the link ends; an older hub has none, there the queue is asked now and then."""
        try:
            async for push in client.subscribe("overview", slot="overview", language=self.language):
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

    async def subscribe(self, verb: str, **args: Any) -> AsyncIterator[Any]:
        pushes = self._linked().subscribe(verb, **{"language": self.language, **args})
        async with aclosing(cast(Any, pushes)) as stream:
            async for push in stream:
                yield push
