"""The HTTP server, in the hub's own loop: uvicorn with httptools, and a protocol that bounds what comes before the
application.

uvicorn trusts its clients with time and headers; a hub cannot. `BoundedProtocol` adds: a deadline and a size for the
headers, a limit on connections (the one that has kept us waiting longest makes room), no Transfer-Encoding but
chunked, no trailers taken for headers, and no reading on after an answer was given before the body's end. The body's
own time and size are the application's (hub/webhook.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from common.config import parse_address
from common.errors import UserError

BACKLOG: Final = 2_048


@dataclass(frozen=True, slots=True)
class Bounds:
    head_seconds: float = 5.0  # from the first byte (or the connection) to the end of the headers
    head_bytes: int = 32 * 1024  # request line and headers together
    head_lines: int = 64
    line_bytes: int = 8 * 1024
    connections: int = 1_024
    keep_alive: int = 15  # seconds that an idle connection is kept
    grace: int = 10  # seconds that requests in hand get at shutdown


async def serve(
    app: ASGIApp,
    listen: str | socket.socket,
    *,
    started: asyncio.Event,
    stop: asyncio.Event,
    bounds: Bounds | None = None,
) -> None:
    """Serves `app` at "HOST:PORT" (or on a bound socket) until `stop` is set, then finishes what is in hand and
    returns.

    Sets `started` once connections are accepted. Raises UserError where the address cannot be used. Installs no
    signal handlers.
    """
    bounds = bounds or Bounds()
    listener = bind(listen) if isinstance(listen, str) else listen
    crowd: dict[BoundedProtocol, None] = {}
    config = uvicorn.Config(
        app,
        http=partial(BoundedProtocol, bounds=bounds, crowd=crowd),  # type: ignore[arg-type]  # called, never subclassed
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=bounds.keep_alive,
        timeout_graceful_shutdown=bounds.grace,
    )
    server = _Server(config, started, stop)
    try:
        await server.serve([listener])
    finally:
        server.abort()
        listener.close()


def bind(listen: str) -> socket.socket:
    """A listening socket at "HOST:PORT"; raises UserError that names the address and the cure."""
    try:
        address = parse_address(listen)
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (ValueError, OSError) as error:
        raise UserError(f"{listen} is not an address to listen on ({error})", "set [http] listen in hub.toml") from None
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address.host == "::" else 1)
        listener.bind(where)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _cannot_bind(listen, error) from None
    return listener


def _cannot_bind(listen: str, error: OSError) -> UserError:
    if error.errno == errno.EADDRINUSE:
        return UserError(f"{listen} is in use", "stop what listens there, or set another [http] listen in hub.toml")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UserError(f"{listen} may not be used by this user", "set a port above 1023 in [http] listen of hub.toml")
    if error.errno == errno.EADDRNOTAVAIL:
        return UserError(f"{listen} is not an address of this machine", "set one that is, in [http] listen of hub.toml")
    return UserError(f"{listen} cannot be listened on ({error.strerror})", "set another [http] listen in hub.toml")


class _Server(uvicorn.Server):
    """uvicorn's server as a task among others: it leaves signals alone, says when it has started, waits for an event
    instead of looking ten times a second, and can be cancelled.
    """

    def __init__(self, config: uvicorn.Config, started: asyncio.Event, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._begun = started
        self._stop = stop
        self.servers = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # brings the Date header up to date
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stop.wait()
                    self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more, closes what is idle, and gives requests in hand their grace."""
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  uvicorn has no event
                    await asyncio.sleep(0.02)

    def abort(self) -> None:
        """After a clean end there is nothing left to do; after a cancellation this closes what is open."""
        for listener in self.servers:
            listener.close()
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Phase(enum.Enum):
    """What the parser is in the middle of."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    COMPLETE = enum.auto()  # the whole request is here


class _Refuse(Exception):
    """Raised in a parser callback to stop parsing; what to answer stands in `BoundedProtocol._verdict`."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `crowd` holds those that keep us waiting, longest first; it is shared by all connections."""

    def __init__(self, *args: Any, bounds: Bounds, crowd: dict[BoundedProtocol, None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._crowd = crowd
        self._phase = Phase.HEAD
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_received = 0  # bytes that came while the headers were incomplete
        self._head_bytes = 0  # bytes of header names and values
        self._head_lines = 0
        self._verdict: tuple[int, str] | None = None
        self._plain_head = b""  # of a request that offers an upgrade, without the offer

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as theirs
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            self._make_room()
        if not transport.is_closing():
            self._crowd[self] = None
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.pop(self, None)
        self._disarm()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        """Closes the connection that has kept us waiting longest; where all are being answered, the new one."""
        victim = next(iter(self._crowd), self)
        self._crowd.pop(victim, None)
        self.connections.discard(victim)
        victim.transport.abort()

    # ---- bytes

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._pass_over_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse_unparsed()
        if self.transport.is_closing():
            return
        if self._phase is Phase.IDLE:
            self._phase = Phase.HEAD  # empty lines before a request: they do not keep a connection alive either
        if self._phase is Phase.HEAD:
            self._head_received += len(data)
            if self._head_received > self._bounds.head_bytes:
                self._refuse(431, "the headers are too large")
            elif self._head_timer is None:
                self._arm()

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Nothing is upgraded here, and a client may offer it with any request (RFC 9110, 7.8). The parser would skip
        the request's body, so the request is read again by a new one, without the offer."""
        head, self._plain_head = self._plain_head, b""
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(head + rest)
        except httptools.HttpParserError:
            self._refuse_unparsed()

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self._bounds.head_seconds, self._head_late)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self._phase is Phase.HEAD and not self.transport.is_closing():
            if self._head_received:
                self._refuse(408, f"the headers did not arrive within {self._bounds.head_seconds:g} s")
            else:
                self.transport.close()

    # ---- the parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = Phase.HEAD
        self._head_received = self._head_bytes = self._head_lines = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._bounds.line_bytes:
            self._stop(414, "the request line is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_lines += 1
        size = len(name) + len(value) + 4
        self._head_bytes += size
        if size > self._bounds.line_bytes:
            self._stop(431, "a header is too long")
        if self._head_lines > self._bounds.head_lines or self._head_bytes > self._bounds.head_bytes:
            self._stop(431, "there are too many headers")
        if self._phase is Phase.HEAD:  # else it is a trailer, which must not become a header after the fact
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._stop(400, "the version of HTTP must be 1.1 or 1.0")
        encodings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if encodings and ([value.strip().lower() for value in encodings] != [b"chunked"] or version != "1.1"):
            self._stop(400, "Transfer-Encoding can only be chunked, in HTTP/1.1")  # with a length the parser refuses it
        if self.parser.should_upgrade():
            self._plain_head = self._head_without_upgrade()
            return
        self._disarm()
        self._phase = Phase.BODY
        super().on_headers_complete()

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._stop(400, "this is no proxy")
        headers = [entry for entry in self.headers if entry[0] not in (b"connection", b"upgrade", b"http2-settings")]
        lines = [b"%s %s HTTP/1.1" % (method, self.url), *(b"%s: %s" % entry for entry in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_complete(self) -> None:
        if self._plain_head:
            return
        self._phase = Phase.COMPLETE
        self._crowd.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._phase is Phase.BODY and self.cycle.response_complete:
            # Answered before the body's end: the rest is of no interest, and must not keep the connection busy.
            self.server_state.total_requests += 1
            self.transport.close()
            return
        if self._phase is Phase.COMPLETE and self.cycle.response_complete:
            self._phase = Phase.IDLE
        super().on_response_complete()
        if not self.transport.is_closing() and not self._answering():
            self._crowd[self] = None

    # ---- refusing

    def _stop(self, status: int, message: str) -> None:
        self._verdict = (status, message)
        raise _Refuse

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end_with_this(self) -> None:
        """Answers what is in hand, reads no more, and closes."""
        if self._answering():
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        else:
            self.transport.close()

    def _refuse_unparsed(self) -> None:
        self._refuse(*(self._verdict or (400, "the request is not HTTP/1.1 as it should be")))

    def _refuse(self, status: int, message: str) -> None:
        """Answers for a request that never reached the application, or whose body went bad on the way to it."""
        if self._phase is not Phase.BODY and self._answering():
            self._end_with_this()  # an earlier request on this connection is being answered: that is not spoilt
            return
        if self._phase is Phase.BODY and self._answering():
            started = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if started:
                self.transport.close()
                return
        body = json.dumps({"error": "bad_request", "message": message}, separators=(",", ":")).encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
