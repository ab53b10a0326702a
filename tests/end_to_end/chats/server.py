"""What the fakes of chats' APIs share: an HTTP server on a free port, and waiting for what comes to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.typedefs import Handler

T = TypeVar("T")
WITHIN = 45.0  # seconds: a limit, not a wait


async def read_form(request: web.Request) -> dict[str, tuple[str | None, bytes]]:
    """The fields of a multipart form: its file name, where it has one, and the bytes."""
    found: dict[str, tuple[str | None, bytes]] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader), "a form within a form"
        assert part.name is not None, "a field without a name"
        assert part.name not in found, "a field twice"
        found[part.name] = part.filename, bytes(await part.read())
    return found


@dataclass
class ChatServer:
    """One chat's API; `changed` is told after each call that changed something."""

    port: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    closing: asyncio.Event = field(default_factory=asyncio.Event)  # for calls that are never answered
    after_call: Callable[[str, bytes], Awaitable[None]] | None = None  # with path and body of what changes something

    def routes(self) -> Iterable[web.RouteDef]:
        raise NotImplementedError

    def seen(self) -> object:
        """What a test that waited in vain is shown."""
        return ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        app = web.Application(middlewares=[self._note_call])
        app.router.add_routes(self.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.closing.set()
            await runner.cleanup()

    @web.middleware
    async def _note_call(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if self.after_call is not None and request.method != "GET":
            await self.after_call(request.path, await request.read())
        return answer

    async def until(self, what: str, found: Callable[[], T | None]) -> T:
        """The first value of `found` that is not None, looked for after each change."""
        try:
            async with asyncio.timeout(WITHIN), self.changed:
                while (value := found()) is None:
                    await self.changed.wait()
                return value
        except TimeoutError:
            raise AssertionError(f"nothing says {what!r}: {self.seen()}") from None
