"""The hub as the console's source: one link, kept and made again with growing, jittered pauses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from common.catalogue import Language
from common.errors import UserError
from tui.client import BadCall, CallRefused, Client, LinkLost, connect
from tui.faults import fault_words
from tui.profile import Profile
from tui.source import Link, Who

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
HOLDS: Final = 30.0
"""Seconds that a link must have held before the pauses begin small again: one that is lost sooner is no cure."""
POLL: Final = 2.0


def pause_before(attempt: int, chance: float) -> float:
    """Seconds to wait before attempt `attempt` (from 1); `chance` is 0 to 1. Full jitter, never under a tenth."""
    doubled = min(attempt - 1, 16)  # far beyond the longest, and no number too large for a float
    return max(0.1, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**doubled) * chance)


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


@dataclass(slots=True)
class Backoff:
    """How long to wait before each attempt. Pure."""

    attempt: int = 0

    def pause(self, held: float, chance: float) -> float:
        """Seconds to wait after a link that held for so many seconds; 0 is one that never came about."""
        self.attempt = 1 if held >= HOLDS else self.attempt + 1
        return pause_before(self.attempt, chance)


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
        self._live_since: float | None = None  # monotonic
        self._offset = 0.0
        self._again = asyncio.Event()
        self._slots: dict[str, int] = {}  # slot -> the call that began what is in it

    def now(self) -> float:
        return time.time() + self._offset

    def retry(self) -> None:
        self._again.set()

    async def keep(self, changed: Callable[[], None]) -> None:
        backoff = Backoff()
        while True:
            self._live_since = None
            try:
                async with connect(self._profile) as client:
                    await self._use(client, changed)
                    await self._watch(client, changed)
            except UserError as error:  # refused for good reasons too: an admin may let us in again meanwhile
                reason = str(error)
            except Exception as error:  # what the hub said was of no known form: the next link may say better
                reason = fault_words(error)
            else:
                reason = "the hub closed the link"
            self._client = None
            held = 0.0 if self._live_since is None else time.monotonic() - self._live_since
            pause = backoff.pause(held, self._chance())
            since = self.now() if self.link.live else self.link.since
            self.link = Link("lost", since, self.now() + pause, reason)
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
        self._live_since = time.monotonic()
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
        self._slots[slot] = identity = client.new_id()
        pushes = client.subscribe(verb, known_as=identity, **{"language": self.language, **args, **replaced})
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
