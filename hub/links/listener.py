"""The links' port before anybody is known: who may open a connection, when, and for how long it may take.

A connection is accepted at once and waits (`hub.core.arrivals`). TLS, which costs about a millisecond of this process,
is begun for a few at each turn of the loop and not more often than `PACE`: a fleet that comes back together takes its
turns beside the webhooks, and they wait for none of it. Whoever opens has `OPEN_TIMEOUT` seconds for TLS and as long
for the request; what is left open longer without having said who it is makes room first where room is short.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from common.identity.tls import explain_tls_error
from hub.core.arrivals import Arrival, ArrivalLimits, ArrivalQueue
from hub.core.rate_limits import network_key
from hub.links.websocket import CLOSE_TIMEOUT, BeforeUpgrade, LinkConnection
from hub.log import logger

BACKLOG: Final = 4_096
OPEN_TIMEOUT: Final = 10.0
PACE: Final = 0.02
"""Seconds between two turns at least."""
TURN: Final = 8
"""TLS handshakes that are begun in one turn."""
ACCEPT: Final = 64
"""Connections that are accepted at a time."""
NO_DESCRIPTORS_WAIT: Final = 1.0
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Handler = Callable[[LinkConnection], Awaitable[None]]
TlsFailed = Callable[[str, str, str], None]
"""(address, code, reason) of a connection that came to no TLS."""

log = logger("links")


def limits_here() -> ArrivalLimits:
    """The limits of this process: what waits takes no more than a quarter of the files that it may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ArrivalLimits()
    return most if files == resource.RLIM_INFINITY else replace(most, total=max(16, min(most.total, files // 4)))


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
        limits: ArrivalLimits | None = None,
    ) -> None:
        """`tls` is asked for each connection, so that another certificate or authority holds from the next one on."""
        self._tls = tls
        self._tasks = tasks
        self._before_upgrade = before_upgrade
        self._handle = handle
        self._tls_failed = tls_failed
        self._loop = asyncio.get_running_loop()
        self._queue: ArrivalQueue[socket.socket] = ArrivalQueue(limits or limits_here())
        self._unknown: dict[LinkConnection, Arrival[socket.socket]] = {}  # TLS is done, and nobody has been let in
        self._by_arrival: dict[Arrival[socket.socket], LinkConnection] = {}
        self._opening: dict[Arrival[socket.socket], asyncio.Task[None]] = {}
        self._connections: dict[LinkConnection, asyncio.Task[None]] = {}
        self._turn: asyncio.Handle | None = None
        self._turned_at = -PACE
        self._serving = False
        self._sockets: Sequence[socket.socket] = ()
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        return self._queue.waiting

    def __len__(self) -> int:
        """Connections that nobody stands behind yet."""
        return len(self._queue)

    # ---- the port

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets` are listening ones (`bind`), and this one's from now on."""
        self._sockets = sockets
        self._serving = True
        for listener in sockets:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def is_serving(self) -> bool:
        return self._serving

    def close(self) -> None:
        """Accepts nobody any more and drops those whom nobody has let in; links stay."""
        self._serving = False
        for listener in self._sockets:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        if self._turn is not None:
            self._turn.cancel()
        while (arrival := self._queue.pop_any()) is not None:
            self._drop(arrival)

    async def wait_closed(self) -> None:
        """Ends what is still open, and returns when all of it has ended."""
        for connection in self._connections:
            connection.transport.abort()
        if tasks := [*self._opening.values(), *self._connections.values()]:
            await asyncio.wait(tasks)

    # ---- in line

    def _accept(self, listener: socket.socket) -> None:
        now = self._loop.time()
        for _ in range(ACCEPT):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno in _FULL:
                    self._pause(listener, error)
                    break
                continue  # that one had gone again
            sock.setblocking(False)
            arrival, going = self._queue.arrive(network_key(str(peer[0])), sock, now)
            if going is not None:
                self.turned_away += 1
                self._drop(going)
            if arrival is None:
                self.turned_away += 1
                sock.close()
        self._plan_turn()

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        log.error("links.no_descriptors", reason=error.strerror, cure="raise LimitNOFILE of the hub's unit")
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(NO_DESCRIPTORS_WAIT, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if self._serving:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _drop(self, arrival: Arrival[socket.socket]) -> None:
        """Ends a connection that has to go, wherever it has come to."""
        self._queue.leave(arrival)
        connection, task = self._by_arrival.get(arrival), self._opening.get(arrival)
        if task is not None:
            self._loop.call_soon(task.cancel)  # not at once: what has not begun to run would leave the socket open
        elif connection is not None:
            connection.transport.abort()
        else:
            arrival.item.close()

    def _plan_turn(self) -> None:
        if self._turn is None and self._queue.waiting and self._serving:
            wait = self._turned_at + PACE - self._loop.time()
            self._turn = (
                self._loop.call_later(wait, self._take_turn) if wait > 0 else self._loop.call_soon(self._take_turn)
            )

    def _take_turn(self) -> None:
        self._turn, now, begun = None, self._loop.time(), 0
        self._turned_at = now
        while begun < TURN and (arrival := self._queue.pop(now)) is not None:
            if self._queue.is_late(arrival, now):
                self.turned_away += 1
                self._drop(arrival)
                continue
            begun += 1
            self._opening[arrival] = self._tasks.create_task(self._open(arrival), name=f"open {arrival.address}")
        self._plan_turn()

    # ---- opening

    async def _open(self, arrival: Arrival[socket.socket]) -> None:
        connection = LinkConnection(self)
        self._unknown[connection], self._by_arrival[arrival] = arrival, connection
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                arrival.item,
                ssl=self._tls(),
                ssl_handshake_timeout=OPEN_TIMEOUT,
                ssl_shutdown_timeout=CLOSE_TIMEOUT,
            )
        except OSError as error:  # ssl.SSLError and a timeout are such
            self._queue.leave(arrival)
            if code := _tls_problem(error):
                self._queue.fail(arrival.address, self._loop.time())
                self._tls_failed(arrival.address, code, explain_tls_error(error).problem)
        finally:
            del self._opening[arrival]
            if connection not in self._connections:
                self._forget(connection)

    def opened(self, connection: LinkConnection) -> None:
        self._connections[connection] = self._tasks.create_task(self._serve(connection), name="link")

    def lost(self, connection: LinkConnection) -> None:
        self._forget(connection)

    def _forget(self, connection: LinkConnection) -> None:
        arrival = self._unknown.pop(connection, None)
        if arrival is not None:
            self._by_arrival.pop(arrival, None)
            self._queue.leave(arrival)

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
            self._forget(connection)
            del self._connections[connection]

    # ---- what becomes of them

    def let_in(self, connection: LinkConnection) -> None:
        """Somebody has proved who they are: the connection counts here no more."""
        self._forget(connection)

    def fail(self, connection: LinkConnection) -> None:
        """It has proved nothing, and uses up its address's allowance."""
        arrival = self._unknown.get(connection)
        if arrival is not None:
            self._queue.fail(arrival.address, self._loop.time())


def _tls_problem(error: OSError) -> str:
    """A code for what a peer did wrong before TLS was up; "" for one that only went away, as those do who have waited
    for too long.
    """
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return "tls"
    if isinstance(error, TimeoutError) or (isinstance(error, ConnectionAbortedError) and "longer" in str(error)):
        return "slow"
    return ""
