"""Every inner part of uvicorn that the hub's HTTP server stands on: in this file and in no other.

uvicorn is made to be run, not to be built upon: its server and protocol classes promise nothing from one release to the
next. Its version is pinned exactly (pyproject.toml), httptools' too, whose parser calls back what uvicorn wrote; and
tests/hub/chat/test_uvicorn_private.py names each part with what is expected of it, so that an upgrade shows in words
what has moved.

    Server             startup, main_loop, on_tick, shutdown, capture_signals;
                       servers, server_state, should_exit, started, config
    Config             http_protocol_class, ssl, backlog
    ServerState        connections, tasks, total_requests
    HttpToolsProtocol  connection_made, connection_lost, data_received, shutdown, on_message_begin, on_url, on_header,
                       on_headers_complete, on_message_complete, on_response_complete, _unset_keepalive_if_required;
                       transport, loop, client, parser, flow, cycle, url, headers, connections, server_state
    its cycle          response_started, response_complete, disconnected, keep_alive, message_event, transport; what an
                       application is given as `send` is its method
    its flow           pause_reading
    STATUS_LINE        status -> its line, with the end of line
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import httptools
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hub.chat.gated_port import GatedPort

_CLOSED = "the handler is closed"  # the end of uvloop's own words
OpenPort = Callable[[ssl.SSLContext, Callable[[], asyncio.Protocol]], GatedPort]
"""The port for a context and what speaks in TLS."""


class EventServer(uvicorn.Server):
    """uvicorn's server as a task among others: it leaves signals alone, says when it has started, waits for an event
    instead of waking ten times a second, and can be cancelled.
    """

    def __init__(
        self, config: uvicorn.Config, started: asyncio.Event, stop: asyncio.Event, open_port: OpenPort
    ) -> None:
        super().__init__(config)
        self._open_port = open_port
        self._started = started
        self._stop = stop
        self._gated: GatedPort | None = None
        self.servers = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, but that TLS is `open_port`'s: uvicorn begins it with whoever comes, and gives it a minute."""
        loop, config = asyncio.get_running_loop(), self.config

        def connection() -> asyncio.Protocol:
            kind = config.http_protocol_class
            return kind(config=config, server_state=self.server_state, app_state={})  # type: ignore[call-arg]

        if config.ssl is not None:
            self._gated = self._open_port(config.ssl, connection)
            self._gated.start(sockets or ())
        else:
            for listener in sockets or ():
                self.servers.append(await loop.create_server(connection, sock=listener, backlog=config.backlog))
        self.started = True
        self._started.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # brings the Date header up to date
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stop.wait()
                    self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more, closes what is idle, and gives requests in hand their grace."""
        await self._close_ports()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  uvicorn has no event
                    await asyncio.sleep(0.02)

    async def _close_ports(self) -> None:
        for listener in self.servers:
            listener.close()
        if self._gated is not None:
            self._gated.close()
            await self._gated.wait_closed()

    def abort(self) -> None:
        """After a clean end there is nothing left to do; after a cancellation this closes what is open."""
        for listener in self.servers:
            listener.close()
        if self._gated is not None:
            self._gated.close()
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class HttpConnection(HttpToolsProtocol):
    """uvicorn's connection with what a subclass needs of its state, and of the request in hand, as methods.

    A subclass overrides `data_received` and the parser's callbacks (`on_url`, `on_header`, ...), calls the ones here,
    and uses `transport`, `loop`, `parser`, `url` and `headers` (names in lower case).
    """

    # ---- the connection

    @property
    def connection_count(self) -> int:
        """Open connections of this server, this one among them."""
        return len(self.connections)

    def abort_connection(self) -> None:
        """Closes at once and counts no more."""
        self.connections.discard(self)
        self.transport.abort()

    def cancel_keepalive(self) -> None:
        """The timer that closes an idle connection."""
        self._unset_keepalive_if_required()

    def renew_parser(self) -> None:
        """What comes next is the beginning of a request."""
        self.parser = httptools.HttpRequestParser(self)

    # ---- the request in hand

    @property
    def is_answered(self) -> bool:
        """Whether the latest request has its whole response."""
        return self.cycle.response_complete

    @property
    def is_answering(self) -> bool:
        """Whether a request is with the application."""
        return self.cycle is not None and not self.cycle.response_complete

    def close_after_response(self) -> None:
        """Reads no more, and closes once the request in hand is answered."""
        self.cycle.keep_alive = False
        self.flow.pause_reading()

    def break_off_request(self) -> bool:
        """The application learns that its client is gone; whether it has begun to answer."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return self.cycle.response_started

    def count_request(self) -> None:
        self.server_state.total_requests += 1


class GoneIsNoError:
    """An application for which a client that goes before it is answered is one that has gone.

    Of several requests that came on one connection uvicorn tells the latest alone that their client has gone. The
    answer to one before it is written to a connection that is closed, for which uvloop raises RuntimeError, and
    uvicorn would log that as the application's fault, with its traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            cycle = send.__self__  # type: ignore[attr-defined]
            cycle.disconnected |= cycle.transport.is_closing()  # or the answer 500 would be written to it
            if not (isinstance(error, RuntimeError) and _CLOSED in str(error)):
                raise


def status_line(status: int) -> bytes:
    """Of an answer in HTTP/1.1, with its end of line."""
    return STATUS_LINE[status]
