"""The demo world as the console's source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from common.catalogue import Language
from common.version import VERSION
from tui.client import BadCall, LinkLost
from tui.demo.acts import Acts
from tui.demo.cast import CODE, ME
from tui.demo.overview import Trends, overview
from tui.demo.past import make_past
from tui.demo.story import BEFORE, begin
from tui.demo.views import Window
from tui.demo.world import ENDED, Size
from tui.source import Link, Who

BEAT: Final = 0.1
OVERVIEW_EVERY: Final = 0.5
CHUNKS: Final = 200


class DemoSource:
    """See `tui.source.Source`. Where `living` is false its time stands still but for `step`: pictures and tests."""

    def __init__(
        self,
        seed: int = 7,
        size: Size = "small",
        *,
        start: float | None = None,
        living: bool = True,
        language: Language = "en",
        roles: tuple[str, ...] = ("admin",),
    ) -> None:
        begun = time.time() if start is None else start
        self.world = begin(seed, size, begun)
        history = self.world.scale.history
        self.past = make_past(seed, history, list(self.world.agents), begun - BEFORE) if size == "large" else []
        self.acts = Acts(self.world, self.past, seed)
        self.trends = Trends()
        for index in range(20):  # a past for the bars, so that the first picture says something
            self.trends.look(
                begun - 300 + index * 15,
                {
                    "running": 1 + (index * 7 + seed) % 5,
                    "queued": (index * 3) % 4,
                    "done": 50 + (index * 11) % 30,
                    "approval": index // 7,
                },
            )
        self.link = Link("connecting", begun)
        self.who: Who | None = None
        self.overview: Mapping[str, Any] = {}
        self.language: Language = language
        self._roles, self._living = roles, living
        self._begun, self._monotonic = begun, time.monotonic()
        self._pulse = asyncio.Event()
        self._up = True
        self._changed: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self._begun + time.monotonic() - self._monotonic if self._living else self.world.now

    # ---- link

    async def keep(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._connect()
        last = 0.0
        while True:
            await asyncio.sleep(BEAT)
            if self._living:
                self.world.advance(self.now(), most=2_000)
                if self.world.now - last >= OVERVIEW_EVERY:
                    last = self.world.now
                    self._look()
                self._beat()

    def _connect(self) -> None:
        verbs = frozenset(self.acts.verbs)
        self.who = Who(ME, self._roles, "demo", VERSION, verbs, demo=CODE)
        self.link = Link("live", self.now(), round_trip=0.012)
        self._look()

    def _look(self) -> None:
        if self._up:
            self.overview = overview(self.world, self.trends, len(self.past), self.language)
            self._changed()

    def _beat(self) -> None:
        """Whoever waits for something new looks now."""
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    def step(self, seconds: float) -> None:
        """Lets time go by, for a world that does not live by itself."""
        self.world.advance(self.world.now + seconds)
        self._look()
        self._beat()

    def drop(self, reason: str = "the network is gone") -> None:
        """Loses the link, as a network would."""
        self._up = False
        self.link = Link("lost", self.now(), self.now() + 4, reason)
        self._beat()
        self._changed()

    def restore(self) -> None:
        self._up = True
        self._connect()
        self._beat()

    def retry(self) -> None:
        if not self._up:
            self.restore()

    def _need_link(self) -> None:
        if not self._up or self.who is None:
            raise LinkLost("there is no link to the hub", "it is tried again by itself")

    # ---- calls

    async def call(self, verb: str, **args: Any) -> Any:
        self._need_link()
        act = self.acts.verbs.get(verb)
        if act is None:
            raise BadCall(f"the hub has no verb {verb[:40]!r}")
        await asyncio.sleep(0.02 if self._living else 0)
        answer = act(args)
        self._look()
        return answer

    async def unsubscribe(self, slot: str) -> None:
        """Nothing is kept for a slot here."""

    async def subscribe(self, verb: str, slot: str, **args: Any) -> AsyncIterator[Any]:
        self._need_link()
        follow = {"view": self._view, "output": self._output}.get(verb)
        if follow is None:
            raise BadCall(f"the hub has no verb {verb[:40]!r}")
        async with aclosing(follow(args)) as pushes:
            async for push in pushes:
                yield push

    async def _view(self, args: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        window = Window(self.world, self.past, args, self.language)
        self.world.listeners.append(window.listen)
        try:
            yield window.snapshot()
            while True:
                await self._pulse.wait()
                self._need_link()
                if (push := window.delta()) is not None:
                    yield push
        finally:
            self.world.listeners.remove(window.listen)

    async def _output(self, args: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        identity, after = str(args["job"]), int(args.get("after", 0))
        while True:
            output, job = self.world.outputs.get(identity), self.world.jobs.get(identity)
            chunks = output.chunks[after : after + CHUNKS] if output else []
            after += len(chunks)
            left = output is not None and after < len(output.chunks)
            ended = not left and (job is None or job["state"] in ENDED)
            if chunks or ended:
                yield {"chunks": chunks, "ended": ended}
            if ended:
                return
            if not left:
                await self._pulse.wait()
                self._need_link()
