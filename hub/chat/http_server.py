"""The HTTP server, in the hub's own loop: uvicorn with httptools, and a protocol that bounds what comes before the
application.

uvicorn trusts its clients with time and headers; a hub cannot. `BoundedProtocol` adds: a deadline and a size for the
headers, a limit on connections (the one that has kept us waiting longest makes room), no Transfer-Encoding but
chunked, no trailers taken for headers, and no reading on after an answer was given before the body's end. The body's
own time and size are the application's (hub/chat/webhook.py).

One address has its share of the connections, and where it speaks TLS here its turns (`hub.chat.gated_port`); a proxy
that is trusted speaks for many and has no share: whom it forwards for is known, and limited, with each request.
"""

from __future__ import annotations

import asyncio
import enum
import errno
import json
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httptools
import uvicorn
from starlette.types import ASGIApp

from common.errors import UserError
from common.values import parse_address
from hub.chat.gated_port import GatedPort
from hub.chat.uvicorn_private import EventServer, GoneIsNoError, HttpConnection, status_line
from hub.core.arrivals import ArrivalLimits
from hub.core.rate_limits import LOOPBACK, Network, is_within, network_key
from hub.log import logger

BACKLOG: Final = 2_048

log = logger("http")


@dataclass(frozen=True, slots=True)
class HttpLimits:
    head_seconds: float = 5.0  # from the first byte (or the connection) to the end of the headers
    head_bytes: int = 32 * 1024  # request line and headers together
    head_lines: int = 64
    line_bytes: int = 8 * 1024
    connections: int = 1_024
    address: int = 256  # of them from one address (IPv6: one /64) that is no trusted proxy
    keep_alive: int = 15  # seconds that an idle connection is kept
    grace: int = 10  # seconds that requests in hand get at shutdown


async def serve(
    app: ASGIApp,
    listen: str | socket.socket,
    *,
    started: asyncio.Event,
    stop: asyncio.Event,
    limits: HttpLimits | None = None,
    tls: ssl.SSLContext | None = None,
    trusted_proxies: Collection[Network] = LOOPBACK,
) -> None:
    """Serves `app` at "HOST:PORT" (or on a bound socket) until `stop` is set, then finishes what is in hand and
    returns. With `tls` it speaks HTTPS. `trusted_proxies` send for many.

    Sets `started` once connections are accepted. Raises UserError where the address cannot be used. Installs no
    signal handlers.
    """
    limits = limits or HttpLimits()
    listener = bind(listen) if isinstance(listen, str) else listen
    crowd = Crowd(lambda address: "" if is_within(address, trusted_proxies) else network_key(address))
    config = uvicorn.Config(
        GoneIsNoError(app),
        http=partial(BoundedProtocol, limits=limits, crowd=crowd),  # type: ignore[arg-type]  # called, never subclassed
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=limits.keep_alive,
        timeout_graceful_shutdown=limits.grace,
        ssl_context_factory=(lambda config, default: tls) if tls is not None else None,
    )
    try:
        async with asyncio.TaskGroup() as tasks:

            def open_port(context: ssl.SSLContext, connect: Callable[[], asyncio.Protocol]) -> GatedPort:
                return _open_port(context, connect, tasks, limits, crowd.key)

            server = EventServer(config, started, stop, open_port)
            try:
                await server.serve([listener])
            finally:
                server.abort()
    finally:
        listener.close()


def _open_port(
    context: ssl.SSLContext,
    connect: Callable[[], asyncio.Protocol],
    tasks: asyncio.TaskGroup,
    limits: HttpLimits,
    key: Callable[[str], str],
) -> GatedPort:
    """The port with TLS: a connection counts there until TLS is up, and with the protocol's `Crowd` from then on."""
    return GatedPort(
        tls=lambda: context,
        tasks=tasks,
        connect=lambda arrival: connect(),
        tls_failed=lambda address, code, reason: log.info("http.no_tls", address=address, code=code, reason=reason),
        timeout=limits.head_seconds,
        limits=ArrivalLimits(total=limits.connections, address=limits.address),
        key=key,
        counts_open=False,
    )


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


class Crowd:
    """The open connections by address, and those that keep us waiting, longest first. Shared by all connections."""

    def __init__(self, key: Callable[[str], str]) -> None:
        """`key` is what an address is counted under; "" has no share of its own."""
        self.key = key
        self.waiting: dict[BoundedProtocol, None] = {}
        self.counts: Counter[str] = Counter()

    def leave(self, connection: BoundedProtocol, address: str) -> None:
        self.waiting.pop(connection, None)
        self.counts[address] -= 1
        if not self.counts[address]:
            del self.counts[address]


class Phase(enum.Enum):
    """What the parser is in the middle of."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    COMPLETE = enum.auto()  # the whole request is here


class _StopParsing(Exception):
    """Raised in a parser callback to stop parsing; what to answer stands in `BoundedProtocol._verdict`."""


class BoundedProtocol(HttpConnection):
    """One connection."""

    def __init__(self, *args: Any, limits: HttpLimits, crowd: Crowd, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._crowd = crowd
        self._waiting = crowd.waiting
        self._address = ""
        self._phase = Phase.HEAD
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_received = 0  # bytes that came while the headers were incomplete
        self._head_bytes = 0  # bytes of header names and values
        self._head_lines = 0
        self._error_response: tuple[int, str] | None = None
        self._plain_head = b""  # of a request that offers an upgrade, without the offer

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as theirs
        super().connection_made(transport)
        self._address = self._crowd.key(self.client[0] if self.client else "")
        self._crowd.counts[self._address] += 1
        if self._address and self._crowd.counts[self._address] > self._limits.address:
            self._evict_longest_waiting(self._address)
        elif self.connection_count > self._limits.connections:
            self._evict_longest_waiting()
        if not transport.is_closing():
            self._waiting[self] = None
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self, self._address)
        self._cancel_head_timer()
        self.cancel_keepalive()
        super().connection_lost(exc)

    def _evict_longest_waiting(self, address: str = "") -> None:
        """Closes the connection that has kept us waiting longest, of this address if one is given; where all are being
        answered, the new one.
        """
        victim = next((each for each in self._waiting if not address or each._address == address), self)
        self._waiting.pop(victim, None)
        victim.abort_connection()

    # ---- bytes

    def data_received(self, data: bytes) -> None:
        self.cancel_keepalive()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse_unparsed()
        if self.transport.is_closing():
            return
        if self._phase is Phase.IDLE:
            self._phase = Phase.HEAD  # empty lines before a request: they do not keep a connection alive either
        if self._phase is Phase.HEAD:
            self._head_received += len(data)
            if self._head_received > self._limits.head_bytes:
                self._refuse(431, "the headers are too large")
            elif self._head_timer is None:
                self._start_head_timer()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Nothing is upgraded here, and a client may offer it with any request (RFC 9110, 7.8). The parser would skip
        the request's body, so the request is read again by a new one, without the offer."""
        head, self._plain_head = self._plain_head, b""
        self.renew_parser()
        try:
            self.parser.feed_data(head + rest)
        except httptools.HttpParserError:
            self._refuse_unparsed()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.head_seconds, self._on_head_timeout)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self._phase is Phase.HEAD and not self.transport.is_closing():
            if self._head_received:
                self._refuse(408, f"the headers did not arrive within {self._limits.head_seconds:g} s")
            else:
                self.transport.close()

    # ---- the parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = Phase.HEAD
        self._head_received = self._head_bytes = self._head_lines = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.line_bytes:
            self._stop_parsing(414, "the request line is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_lines += 1
        size = len(name) + len(value) + 4
        self._head_bytes += size
        if size > self._limits.line_bytes:
            self._stop_parsing(431, "a header is too long")
        if self._head_lines > self._limits.head_lines or self._head_bytes > self._limits.head_bytes:
            self._stop_parsing(431, "there are too many headers")
        if self._phase is Phase.HEAD:  # else it is a trailer, which must not become a header after the fact
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._stop_parsing(400, "the version of HTTP must be 1.1 or 1.0")
        encodings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if encodings and ([value.strip().lower() for value in encodings] != [b"chunked"] or version != "1.1"):
            self._stop_parsing(
                400, "Transfer-Encoding can only be chunked, in HTTP/1.1"
            )  # with a length the parser refuses it
        if self.parser.should_upgrade():
            self._plain_head = self._head_without_upgrade()
            return
        self._cancel_head_timer()
        self._phase = Phase.BODY
        super().on_headers_complete()

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._stop_parsing(400, "this is no proxy")
        headers = [entry for entry in self.headers if entry[0] not in (b"connection", b"upgrade", b"http2-settings")]
        lines = [b"%s %s HTTP/1.1" % (method, self.url), *(b"%s: %s" % entry for entry in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_complete(self) -> None:
        if self._plain_head:
            return
        self._phase = Phase.COMPLETE
        self._waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._phase is Phase.BODY and self.is_answered:
            # Answered before the body's end: the rest is of no interest, and must not keep the connection busy.
            self.count_request()
            self.transport.close()
            return
        if self._phase is Phase.COMPLETE and self.is_answered:
            self._phase = Phase.IDLE
        super().on_response_complete()
        if not self.transport.is_closing() and not self.is_answering:
            self._waiting[self] = None

    # ---- refusing

    def _stop_parsing(self, status: int, message: str) -> None:
        self._error_response = (status, message)
        raise _StopParsing

    def _refuse_unparsed(self) -> None:
        self._refuse(*(self._error_response or (400, "the request is not HTTP/1.1 as it should be")))

    def _refuse(self, status: int, message: str) -> None:
        """Answers for a request that never reached the application, or whose body went bad on the way to it."""
        if self._phase is not Phase.BODY and self.is_answering:
            self.close_after_response()  # an earlier request on this connection is being answered: that is not spoilt
            return
        if self._phase is Phase.BODY and self.is_answering and self.break_off_request():
            self.transport.close()
            return
        body = json.dumps({"error": "bad_request", "message": message}, separators=(",", ":")).encode()
        self.transport.write(
            status_line(status)
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
