"""The hub as the console's source: one link, kept and made again with growing, jittered pauses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.overview import Overview
from common.api.subscriptions import OutputArgs, OverviewArgs, UnsubscribeArgs, ViewArgs
from common.api.verb import A, R, Verb
from common.api.versions import BadAnswer, Push, TooNew
from common.api.whoami import WhoAmI
from common.catalogue import Language
from common.errors import UserError
from tui.client.client import Client, connect
from tui.client.errors import CallRefused, InvalidCall, LinkLost
from tui.client.faults import describe_fault
from tui.client.profile import Profile
from tui.client.source import LinkStatus

INITIAL_DELAY: Final = 0.5
MAX_DELAY: Final = 15.0
STABLE_AFTER: Final = 30.0
"""Seconds that a link must have held before the pauses begin small again: one that is lost sooner is no cure."""
QUEUE_POLL_INTERVAL: Final = 2.0


def delay_before(attempt: int, fraction: float) -> float:
    """Seconds to wait before attempt `attempt` (from 1); `chance` is 0 to 1. Full jitter, never under a tenth."""
    doubled = min(attempt - 1, 16)  # far beyond the longest, and no number too large for a float
    return max(0.1, min(MAX_DELAY, INITIAL_DELAY * 2.0**doubled) * fraction)


@dataclass(slots=True)
class ReconnectBackoff:
    """How long to wait before each attempt. Pure."""

    attempt: int = 0

    def next_delay(self, link_age: float, fraction: float) -> float:
        """Seconds to wait after a link that held for so many seconds; 0 is one that never came about."""
        self.attempt = 1 if link_age >= STABLE_AFTER else self.attempt + 1
        return delay_before(self.attempt, fraction)


class HubSource:
    """See `tui.client.source.Source`."""

    def __init__(self, profile: Profile, *, random_source: Callable[[], float] = random.random) -> None:
        self.language: Language = "en"
        self.link = LinkStatus(since=time.time())
        self.who: WhoAmI | None = None
        self.overview: Overview | None = None
        self.demo_code = ""
        self._profile = profile
        self._random = random_source
        self._client: Client | None = None
        self._live_since: float | None = None  # monotonic
        self._offset = 0.0
        self._retry_now = asyncio.Event()
        self._slots: dict[str, int] = {}  # slot -> the call that began what is in it

    def now(self) -> float:
        return time.time() + self._offset

    def retry(self) -> None:
        self._retry_now.set()

    async def maintain_link(self, on_change: Callable[[], None]) -> None:
        backoff = ReconnectBackoff()
        while True:
            self._live_since = None
            try:
                async with connect(self._profile) as client:
                    await self._attach(client, on_change)
                    await self._follow_overview(client, on_change)
            except UserError as error:  # refused for good reasons too: an admin may let us in again meanwhile
                reason = str(error)
            except Exception as error:  # what the hub said was of no known form: the next link may say better
                reason = describe_fault(error)
            else:
                reason = "the hub closed the link"
            self._client = None
            held = 0.0 if self._live_since is None else time.monotonic() - self._live_since
            pause = backoff.next_delay(held, self._random())
            since = self.now() if self.link.live else self.link.since
            self.link = LinkStatus("lost", since, self.now() + pause, reason)
            on_change()
            self._retry_now.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._retry_now.wait()
            except TimeoutError:
                pass

    async def _attach(self, client: Client, on_change: Callable[[], None]) -> None:
        self._offset = client.clock_offset
        self._slots.clear()
        try:
            self.who = await client.call(verbs.WHOAMI, NoArgs())
        except (BadAnswer, TooNew):
            raise LinkLost(
                "the hub says who one is in words of another version", "upgrade the older of the two"
            ) from None
        self._client = client
        self._live_since = time.monotonic()
        self.link = LinkStatus("live", self.now(), round_trip=client.round_trip)
        on_change()

    async def _follow_overview(self, client: Client, on_change: Callable[[], None]) -> None:
        """Follows the overview until the link ends. Of a hub that has none, or one in a form that is not known, the
        queue is polled.
        """
        try:
            async for push in client.subscribe(verbs.OVERVIEW, OverviewArgs(language=self.language)):
                if isinstance(push, Overview):
                    self._set_overview(push, client, on_change)
        except InvalidCall:
            pass
        except (TooNew, BadAnswer) as error:
            self.link.warning = str(error)
        while True:
            queue = await client.call(verbs.QUEUE, NoArgs())
            self._set_overview(queue.as_overview(), client, on_change)
            await asyncio.sleep(QUEUE_POLL_INTERVAL)

    def _set_overview(self, overview: Overview, client: Client, on_change: Callable[[], None]) -> None:
        self.overview = overview
        self._update_metrics(client)
        on_change()

    def _update_metrics(self, client: Client) -> None:
        self.link.round_trip, self.link.bytes_in = client.round_trip, client.bytes_in

    def _require_client(self) -> Client:
        if self._client is None:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")
        return self._client

    async def call(self, verb: Verb[A, R], args: A) -> R:
        return await self._require_client().call(verb, replace(args, language=self.language))

    async def subscribe(self, verb: Verb[A, R], slot: str, args: A) -> AsyncIterator[Push]:
        client, before = self._require_client(), self._slots.get(slot)
        changes: dict[str, Any] = {"language": self.language}
        if isinstance(args, ViewArgs | OutputArgs | OverviewArgs):
            changes["replace"] = before
        self._slots[slot] = identity = client.next_call_id()
        pushes = client.subscribe(verb, replace(args, **changes), call_id=identity)
        try:
            async with aclosing(cast(Any, pushes)) as stream:
                async for push in stream:
                    yield push
        except (InvalidCall, CallRefused):
            if before is not None:
                self._slots[slot] = before  # what could not begin has replaced nothing
            raise

    async def unsubscribe(self, slot: str) -> None:
        identity = self._slots.pop(slot, None)
        if identity is not None and self._client is not None:
            with suppress(UserError):
                await self._client.call(verbs.UNSUBSCRIBE, UnsubscribeArgs(id=identity))
