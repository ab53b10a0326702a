"""A chat's API with a WebSocket, on loopback: what the outbound modes over a socket are tried against."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class SocketServer:
    """`answer` answers each HTTP call; `behave` is given each connection, by its number from 1."""

    answer: Callable[[web.Request, bytes], Any]  # JSON, or a whole response
    behave: Callable[[web.WebSocketResponse, int], Awaitable[None]]
    port: int = 0
    opened: list[str] = field(default_factory=list)  # path and query of each connection
    called: list[str] = field(default_factory=list)  # method and path of each call
    frames: list[Any] = field(default_factory=list)  # what was sent to us, parsed
    codes: list[int | None] = field(default_factory=list)  # with which connections were closed
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(holds)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[SocketServer]:
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _note(self, change: Callable[[], object]) -> None:
        async with self.changed:
            change()
            self.changed.notify_all()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade") == "websocket":
            return await self._socket(request)
        body = await request.read()
        answer = self.answer(request, body)
        await self._note(lambda: self.called.append(f"{request.method} {request.path}"))
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        await self._note(lambda: self.opened.append(request.path_qs))
        number = len(self.opened)

        async def read() -> None:
            async for message in socket:
                await self._note(lambda message=message: self.frames.append(json.loads(message.data)))  # type: ignore[misc]

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            await self.behave(socket, number)
            await reading
        await self._note(lambda: self.codes.append(socket.close_code))
        return socket
