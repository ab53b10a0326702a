"""The links' port: its sockets, and each connection from the end of TLS to the end of its handler.

Who may open one, and when, is `hub.chat.gated_port`'s. Whoever opens has `OPEN_TIMEOUT` seconds for TLS and as long for
the request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from common.link.keepalive import watch_peer
from hub.chat.gated_port import GatedPort, Place, TlsFailed
from hub.links.websocket import BeforeUpgrade, LinkConnection
from hub.log import logger

BACKLOG: Final = 4_096
OPEN_TIMEOUT: Final = 10.0
LAST_WORDS: Final = 0.5
"""Seconds for both ends to agree on closing what this hub has closed."""

Handler = Callable[[LinkConnection], Awaitable[None]]

log = logger("links")


async def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at every address of `host`; raises OSError where one cannot be used."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            sockets.append(listener := socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


class LinkListener:
    """One open port. `tasks` are the caller's: they end after `close` and `wait_closed`."""

    def __init__(
        self,
        *,
        tls: Callable[[], ssl.SSLContext],
        tasks: asyncio.TaskGroup,
        before_upgrade: BeforeUpgrade,
        handle: Handler,
        tls_failed: TlsFailed,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._tasks = tasks
        self._before_upgrade = before_upgrade
        self._handle = handle
        self._connections: dict[LinkConnection, asyncio.Task[None]] = {}
        self.port = GatedPort(
            tls=tls, tasks=tasks, connect=self._connect, tls_failed=tls_failed, timeout=OPEN_TIMEOUT, ready=ready
        )

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets` are listening ones (`bind`), and this one's from now on."""
        self.port.start(sockets)

    def is_serving(self) -> bool:
        return self.port.is_serving()

    def close(self) -> None:
        """Accepts nobody any more and drops those whom nobody has let in; links stay."""
        self.port.close()

    async def wait_closed(self) -> None:
        """Ends what is still open a moment later, and returns when all of it has ended."""
        await self.port.wait_closed()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=LAST_WORDS)
        for connection in self._connections:
            connection.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections.values())

    # ---- connections

    def _connect(self, arrival: Place) -> LinkConnection:
        connection = LinkConnection(self)
        connection.place = arrival
        watch_peer(arrival.item)
        return connection

    def opened(self, connection: LinkConnection) -> None:
        self._connections[connection] = self._tasks.create_task(self._serve(connection), name="link")

    def lost(self, connection: LinkConnection) -> None:
        self.let_in(connection)

    async def _serve(self, connection: LinkConnection) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                upgraded = await connection.upgrade(self._before_upgrade)
            if upgraded:
                async with connection:
                    await self._handle(connection)
        except TimeoutError:
            self.fail(connection)
        except Exception:
            log.exception("link.fault")
        finally:
            connection.transport.abort()
            self.let_in(connection)
            del self._connections[connection]

    # ---- what becomes of them

    def let_in(self, connection: LinkConnection) -> None:
        """Somebody has proved who they are, or it has ended: it counts no more among those who are not known."""
        arrival, connection.place = connection.place, None
        if arrival is not None:
            self.port.leave(arrival)

    def fail(self, connection: LinkConnection) -> None:
        """It has proved nothing."""
        if connection.place is not None:
            self.port.fail(connection.place)
