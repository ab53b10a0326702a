"""common.link.joined: the inner parts of websockets that it stands on do what it takes them to do"""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from common.link.joined import send_joined

FRAMES = [b"a" * 10, b"", b"b" * 70_000, b"c"]


async def test_each_frame_is_a_message_of_its_own_and_all_leave_in_one_write() -> None:
    """In their order, whatever their size; one alone is sent as any other."""
    heard: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def keep(connection: ServerConnection) -> None:
        async for message in connection:
            heard.put_nowait(message)

    async with serve(keep, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(20), connect(f"ws://127.0.0.1:{port}", compression=None) as connection:
            writes = 0
            write = connection.transport.write

            def count(data: bytes) -> None:
                nonlocal writes
                writes += 1
                write(data)

            connection.transport.write = count  # type: ignore[method-assign]  # it goes on to the real one
            await send_joined(connection, FRAMES)
            assert [await heard.get() for _ in FRAMES] == FRAMES
            assert writes == 1
            await send_joined(connection, [b"alone"])
            assert await heard.get() == b"alone"


async def test_a_connection_that_has_ended_says_so() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1000)

    async with serve(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(20), connect(f"ws://127.0.0.1:{port}", compression=None) as connection:
            await connection.wait_closed()
            with pytest.raises(ConnectionClosed):
                await send_joined(connection, FRAMES)
