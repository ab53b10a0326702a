"""The sending side of a WebSocket, on real sockets: order, ends, and peers that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from hub.links import send_queue as module
from hub.links.send_queue import REASON_BYTES, SendQueue

LARGE = bytes(512 * 1024)
TIMEOUT = 45.0  # seconds: a limit, not a wait


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[SendQueue, ClientConnection]]:
    """A wire and the peer at its other end, who reads one frame ahead and no more."""
    arrived: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        arrived.put_nowait(connection)
        await connection.wait_closed()

    server = await serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=60)
    port = server.sockets[0].getsockname()[1]
    peer = await connect(
        f"ws://127.0.0.1:{port}", compression=None, max_queue=1, max_size=None, ping_interval=None, proxy=None
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            yield SendQueue(await arrived.get()), peer
    finally:
        peer.transport.abort()
        server.close()
        await server.wait_closed()


def stuffed(wire: SendQueue) -> None:
    """More in line than every buffer on the way holds."""
    wire.enqueue(*[LARGE] * 64)


async def closing_of(peer: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await peer.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def test_frames_leave_in_the_order_they_were_put() -> None:
    """Also where many flush at once, and some of the frames are large."""
    async with linked() as (wire, peer), asyncio.TaskGroup() as tasks:
        frames = [b"%d " % number + bytes(number % 3 * 100_000) for number in range(60)]
        for index in range(0, 60, 3):
            wire.enqueue(*frames[index : index + 3])
            tasks.create_task(wire.flush())
        assert [await peer.recv() for _ in frames] == frames


async def test_flush_returns_when_what_was_in_line_has_left() -> None:
    """One who only flushes waits for the frame that another is still sending."""
    async with linked() as (wire, peer), asyncio.TaskGroup() as tasks:
        wire.enqueue(bytes(32 * 1024 * 1024))  # more than every buffer on the way holds
        sending = tasks.create_task(wire.flush())
        await asyncio.sleep(0)
        assert not wire._frames
        waiting = tasks.create_task(wire.flush())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not sending.done()
        assert not waiting.done()
        assert len(await peer.recv()) == 32 * 1024 * 1024


async def test_nothing_is_kept_once_the_connection_has_ended() -> None:
    """The session keeps what matters; a wire that has ended holds no memory, and says nothing about it."""
    async with linked() as (wire, peer):
        await peer.close()
        await wire.connection.wait_closed()
        wire.enqueue(b"too late", LARGE)
        await wire.flush()
        assert not wire._frames


async def test_close_says_what_was_in_line_and_its_last_words() -> None:
    """In that order, and then the code and the reason."""
    async with linked() as (wire, peer):
        wire.enqueue(b"one")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wire.close(1001, "the hub is restarting", b"two", b"three"))
            assert [await peer.recv() for _ in range(3)] == [b"one", b"two", b"three"]
            assert await closing_of(peer) == (1001, "the hub is restarting")


@pytest.mark.parametrize("reason", ["x" * 500, "机器" * 100, "x" + "机器" * 100])
async def test_a_long_reason_is_cut_to_what_a_close_frame_holds(reason: str) -> None:
    """At a whole character."""
    async with linked() as (wire, peer), asyncio.TaskGroup() as tasks:
        tasks.create_task(wire.close(1008, reason))
        _, told = await closing_of(peer)
        assert reason.startswith(told)
        assert REASON_BYTES - 3 < len(told.encode()) <= REASON_BYTES


async def test_a_peer_that_does_not_read_is_dropped_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """`close` gives it a moment; whoever waits in `flush` goes on, and nothing is kept."""
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.05)
    async with linked() as (wire, _), asyncio.TaskGroup() as tasks:
        stuffed(wire)
        waiting = tasks.create_task(wire.flush())
        await wire.close(1001, "the hub is restarting", b"last")
        await waiting
        await wire.connection.wait_closed()
        assert not wire._frames
        assert wire.connection.close_code == 1006


async def test_abort_lets_everybody_go_on() -> None:
    """Who flushes and who reads, at once."""
    async with linked() as (wire, _):
        stuffed(wire)
        async with asyncio.TaskGroup() as tasks:
            flushing, reading = tasks.create_task(wire.flush()), tasks.create_task(wire.connection.wait_closed())
            await asyncio.sleep(0)
            wire.abort()
            await flushing
            await reading
        assert not wire._frames


async def test_one_who_gives_up_waiting_takes_no_frame_with_them() -> None:
    """A flush that was cancelled leaves the rest in line, and the next one sends it."""
    async with linked() as (wire, peer):
        stuffed(wire)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(wire.flush())
            await asyncio.sleep(0)
            waiting.cancel()
        wire.enqueue(b"end")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wire.flush())
            count = 0
            while await peer.recv() == LARGE:
                count += 1
            assert count == 64


async def test_leaving_waits_for_nobody() -> None:
    """What is said last comes before the close; one who has not taken what came before is dropped."""
    async with linked() as (wire, peer):
        wire.leave(1001, "ö" * 100, b"one", b"two")
        assert [await peer.recv(), await peer.recv()] == [b"one", b"two"]
        assert await closing_of(peer) == (1001, "ö" * (REASON_BYTES // 2))
        wire.leave(1001, "again", b"three")  # nobody is there any more
    async with asyncio.TaskGroup() as tasks, linked() as (wire, peer):
        stuffed(wire)
        sending = tasks.create_task(wire.flush())
        while not wire.connection.transport.get_write_buffer_size():
            await asyncio.sleep(0)
        wire.leave(1001, "gone", b"last")
        await sending
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await peer.recv()
        assert caught.value.rcvd is None
