"""The demo world as the console's source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from common.api import verbs
from common.api.lists import ListPush
from common.api.overview import Overview
from common.api.subscriptions import OutputArgs, OutputPush, ViewArgs
from common.api.verb import A, R, Verb
from common.api.versions import VIEW_VERSIONS, Push
from common.api.whoami import VerbRight, WhoAmI
from common.catalogue import Language
from common.version import VERSION
from tui.client.errors import InvalidCall, LinkLost
from tui.client.source import LinkStatus
from tui.demo.api import DemoApi, check_args
from tui.demo.cast import CODE, DEMO_USER
from tui.demo.overview import BAR_COUNT, BAR_SECONDS, TrendHistory, build_overview
from tui.demo.past import generate_history
from tui.demo.records import JobOutput, Size
from tui.demo.story import RECENT_SECONDS, create_world
from tui.demo.views import ViewSubscription
from tui.demo.world import DemoWorld

TICK: Final = 0.1
OVERVIEW_EVERY: Final = 0.5
CHUNKS: Final = 200


class DemoSource:
    """See `tui.client.source.Source`. Without `real_time` its time stands still but for `advance`, for tests and
    pictures.
    """

    def __init__(
        self,
        seed: int = 7,
        size: Size = "small",
        *,
        start: float | None = None,
        real_time: bool = True,
        language: Language = "en",
        roles: tuple[str, ...] = ("admin",),
        create: Callable[[int, Size, float], DemoWorld] = create_world,
    ) -> None:
        begun = time.time() if start is None else start
        self.world = create(seed, size, begun)
        history = self.world.scale.history
        self.history = (
            generate_history(seed, history, list(self.world.agents), begun - RECENT_SECONDS) if size == "large" else []
        )
        self.api = DemoApi(self.world, self.history, seed)
        self.trends = generate_trends(seed, begun)
        self.link = LinkStatus("connecting", begun)
        self.who: WhoAmI | None = None
        self.overview: Overview | None = None
        self.demo_code = CODE
        self.language: Language = language
        self._roles, self._real_time = roles, real_time
        self._started_at, self._monotonic = begun, time.monotonic()
        self._update_event = asyncio.Event()
        self._connected = True
        self._on_change: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self._started_at + time.monotonic() - self._monotonic if self._real_time else self.world.now

    # ---- link

    async def maintain_link(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._connect()
        last = 0.0
        while True:
            await asyncio.sleep(TICK)
            if self._real_time:
                self.world.advance(self.now(), most=2_000)
                if self.world.now - last >= OVERVIEW_EVERY:
                    last = self.world.now
                    self._update_overview()
                self._notify_waiters()

    def _connect(self) -> None:
        offered = (*self.api.offered.values(), verbs.OVERVIEW, verbs.VIEW, verbs.OUTPUT)
        self.who = WhoAmI(
            person=DEMO_USER,
            roles=self._roles,
            hub="demo",
            version=VERSION,
            now=self.now(),
            verbs={verb.name: VerbRight(may=verb.may(self._roles), role=verb.right.role) for verb in offered},
            views=VIEW_VERSIONS,
        )
        self.link = LinkStatus("live", self.now(), round_trip=0.012)
        self._update_overview()

    def _update_overview(self) -> None:
        if self._connected:
            self.overview = build_overview(self.world, self.trends, len(self.history), self.language)
            self._on_change()

    def _notify_waiters(self) -> None:
        """Wakes the subscriptions that wait for a change."""
        pulse, self._update_event = self._update_event, asyncio.Event()
        pulse.set()

    def advance(self, seconds: float) -> None:
        """Advances a world whose time stands still."""
        self.world.advance(self.world.now + seconds)
        self._update_overview()
        self._notify_waiters()

    def lose_link(self, reason: str = "the network is gone") -> None:
        """Loses the link, as a network would."""
        self._connected = False
        self.link = LinkStatus("lost", self.now(), self.now() + 4, reason)
        self._notify_waiters()
        self._on_change()

    def restore_link(self) -> None:
        self._connected = True
        self._connect()
        self._notify_waiters()

    def retry(self) -> None:
        if not self._connected:
            self.restore_link()

    def _require_link(self) -> None:
        if not self._connected or self.who is None:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")

    # ---- calls

    async def call(self, verb: Verb[A, R], args: A) -> R:
        self._require_link()
        await asyncio.sleep(0.02 if self._real_time else 0)
        result = self.api.call(verb, args)
        self._update_overview()
        return result

    async def unsubscribe(self, slot: str) -> None:
        """Nothing is stored for a slot here."""

    async def subscribe(self, verb: Verb[A, R], slot: str, args: A) -> AsyncIterator[Push]:
        self._require_link()
        async with aclosing(self._pushes(verb, check_args(verb, args))) as pushes:
            async for push in pushes:
                yield push

    def _pushes(self, verb: Verb[A, R], args: A) -> AsyncGenerator[Push, None]:
        if isinstance(args, ViewArgs):
            return self._view(args)
        if isinstance(args, OutputArgs):
            return self._output(args)
        raise InvalidCall(f"the hub has no verb {verb.name[:40]!r}")

    async def _view(self, args: ViewArgs) -> AsyncGenerator[ListPush, None]:
        window = ViewSubscription(self.world, self.history, args, self.language)
        self.world.listeners.append(window.listener)
        try:
            yield window.snapshot()
            while True:
                await self._update_event.wait()
                self._require_link()
                if (push := window.delta()) is not None:
                    yield push
        finally:
            self.world.listeners.remove(window.listener)

    async def _output(self, args: OutputArgs) -> AsyncGenerator[OutputPush, None]:
        after = args.after or 0
        while True:
            output, job = self.world.outputs.get(args.job, JobOutput()), self.world.jobs.get(args.job)
            chunks = tuple(output.chunks[after : after + CHUNKS])
            after += len(chunks)
            left = after < len(output.chunks)
            ended = not left and (job is None or job.is_ended)
            if chunks or ended:
                yield OutputPush(
                    chunks=chunks,
                    ended=ended,
                    state=job.state if job is not None else "",
                    total_bytes=output.size,
                    truncated=job is not None and job.truncated,
                )
            if ended:
                return
            if not left:
                await self._update_event.wait()
                self._require_link()


def generate_trends(seed: int, begun: float) -> TrendHistory:
    """Five minutes of bars before the world began, so that the first picture shows some."""
    trends = TrendHistory()
    for index in range(BAR_COUNT):
        counts = {
            "running": 1 + (index * 7 + seed) % 5,
            "queued": (index * 3) % 4,
            "done": 50 + (index * 11) % 30,
            "approval": index // 7,
        }
        trends.record(begun - BAR_COUNT * BAR_SECONDS + index * BAR_SECONDS, counts)
    return trends
