"""Several messages in one write: one TLS record where they fit, one packet, and one wake-up at the other end.

`websockets` writes each message by itself. What is used here of its inner parts: `Connection.send_context`,
`Connection.protocol` with `send_binary` and `data_to_send`, `Connection.transport`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from websockets.asyncio.connection import Connection

MAX_JOINED: Final = 64 * 1024
"""Bytes of messages after which those that follow wait for the next write."""


async def send_joined(connection: Connection, frames: Sequence[bytes]) -> None:
    """Sends each frame as a message of its own, in this order; raises ConnectionClosed. Only for a connection on which
    no message is sent in fragments.
    """
    if len(frames) == 1:
        await connection.send(frames[0])
        return
    async with connection.send_context():
        for frame in frames:
            connection.protocol.send_binary(frame)
        connection.transport.write(b"".join(connection.protocol.data_to_send()))
