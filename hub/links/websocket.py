"""Every inner part of websockets that the links' port stands on: in this file and in no other.

`websockets.serve` opens its port itself and begins TLS with whoever comes. A hub decides first whose turn it is
(`hub.links.listener`), so it makes the connections of that library one by one. What it takes for granted, with
websockets 16 and 17; tests/hub/links/test_websocket.py says in words what has moved:

    ServerProtocol     made with max_size
    ServerConnection   made with (protocol, server, ping_interval=, close_timeout=, max_queue=); handshake(
                       process_request, process_response, server_header), which asks server.is_serving()
    Connection         connection_made, connection_lost, transport, send_data, protocol.state and what it sends
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from common.identity.certificates import Identity
from hub.chat.gated_port import Place

MAX_FRAME: Final = 1024 * 1024
MAX_QUEUED: Final = 16  # messages that are read ahead
UNREAD: Final = 128 * 1024  # bytes on the way to a console
SMALL: Final = 4_096  # bytes of a frame, well below what a transport takes before it asks to wait
CLOSE_TIMEOUT: Final = 2.0

BeforeUpgrade = Callable[[ServerConnection, Request], Response | None]


class Owner(Protocol):
    """Who has opened the port."""

    def is_serving(self) -> bool: ...

    def opened(self, connection: LinkConnection) -> None:
        """TLS is done."""

    def lost(self, connection: LinkConnection) -> None:
        """The connection has ended."""


class LinkConnection(ServerConnection):
    """One connection, from the end of its TLS handshake on."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(
            ServerProtocol(max_size=MAX_FRAME),
            cast(Server, owner),
            ping_interval=None,  # the session has heartbeats of its own
            close_timeout=CLOSE_TIMEOUT,
            max_queue=MAX_QUEUED,
        )
        self._owner = owner
        self.place: Place | None = None  # among those who are not known; None once it is
        self.read_identity: tuple[Identity | None] | None = None  # of its certificate; None until that is read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Connection.connection_made(self, transport)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._owner.lost(self)

    async def upgrade(self, before: BeforeUpgrade) -> bool:
        """Reads the opening request and answers it; True where this is a WebSocket now."""
        handshake: Any = self.handshake
        await handshake(before, None, None)
        return self.protocol.state is State.OPEN


def bound_unread(connection: ServerConnection) -> None:
    """The kernel keeps less for a peer that does not read than it would: megabytes, for which pushes would be made."""
    sock = connection.transport.get_extra_info("socket")
    with contextlib.suppress(AttributeError, OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD)


def send_now(connection: ServerConnection, frame: bytes) -> bool:
    """Sends a small frame and waits for nothing; False, and nothing is sent, where it is large, the peer has not taken
    what was sent before, or the connection is not open: where `send` might have to wait. To be called by whoever alone
    sends on this connection.
    """
    buffered = connection.transport.get_write_buffer_size
    if len(frame) > SMALL or connection.protocol.state is not State.OPEN or buffered():
        return False
    connection.protocol.send_binary(frame)
    connection.send_data()
    return True


def leave(connection: ServerConnection, code: int, reason: str, *last: bytes) -> bool:
    """Sends the last frames and the close frame, all of them at once, and waits for nothing; False where the peer has
    not taken what was sent before.
    """
    if connection.protocol.state is not State.OPEN or connection.transport.get_write_buffer_size():
        return False
    for frame in last:
        connection.protocol.send_binary(frame)
    connection.protocol.send_close(code, reason)
    connection.send_data()
    return True
