"""What the port takes for granted of websockets' inner parts; an upgrade that moves one shows here in words."""

from __future__ import annotations

import asyncio
import inspect

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.server import ServerProtocol

from hub.links.websocket import MAX_FRAME, LinkConnection


class Owner:
    def is_serving(self) -> bool:
        return True

    def opened(self, connection: LinkConnection) -> None: ...

    def lost(self, connection: LinkConnection) -> None: ...


def test_the_parts_are_as_they_were() -> None:
    made = inspect.signature(ServerConnection.__init__).parameters
    assert list(made)[1:3] == ["protocol", "server"]
    assert {"ping_interval", "close_timeout", "max_queue"} <= set(made)
    assert list(inspect.signature(ServerConnection.handshake).parameters)[1:] == [
        "process_request",
        "process_response",
        "server_header",
    ]
    assert "self.server.is_serving()" in inspect.getsource(ServerConnection.handshake)
    assert "max_size" in inspect.signature(ServerProtocol.__init__).parameters
    assert inspect.signature(Connection.connection_made).parameters.keys() == {"self", "transport"}


def test_what_the_library_starts_for_a_connection_is_only_its_handler() -> None:
    """Which is the listener's here."""
    lines = inspect.getsource(ServerConnection.connection_made).splitlines()
    code = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    assert code[1] == "super().connection_made(transport)"
    assert all("handler" in line for line in code[2:])


async def test_a_connection_is_bounded() -> None:
    connection = LinkConnection(Owner())
    assert connection.protocol.max_message_size == MAX_FRAME
    assert connection.ping_interval is None
    assert asyncio.isfuture(connection.connection_lost_waiter)
