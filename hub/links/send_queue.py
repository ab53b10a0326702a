"""The sending side of one WebSocket: frames leave in the order they were given, and closing comes to an end.

A peer that does not read holds up its own frames and nobody else: what waits for it is counted by the session, `close`
gives it a moment, and `abort` none at all.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from common.link.joined import MAX_JOINED, send_joined
from hub.links.websocket import leave, send_now

CLOSE_TIMEOUT: Final = 3.0
"""Seconds for the closing handshake, what is still to be sent included."""
REASON_BYTES: Final = 123  # RFC 6455, 5.5
_TCP_INFO_BYTES: Final = 104
_TCPI_RTT_AT: Final = 68  # struct tcp_info of linux/tcp.h
_TCPI_RTT: Final = struct.Struct("=I")


class SendQueue:
    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self._frames: deque[bytes] = deque()
        self._sending = asyncio.Lock()

    def enqueue(self, *frames: bytes) -> None:
        """Puts frames in line; `flush` sends them."""
        self._frames.extend(frames)

    async def flush(self) -> None:
        """Returns when what was in line has left, or the connection has ended; then nothing is kept."""
        if not self._sending.locked():  # the way of nearly all frames: nothing in it waits
            while self._frames and send_now(self.connection, self._frames[0]):
                self._frames.popleft()
            if not self._frames:
                return
        async with self._sending:
            while self._frames:
                try:
                    await send_joined(self.connection, self._take())
                except ConnectionClosed:
                    self._frames.clear()

    def _take(self) -> list[bytes]:
        """What leaves in one write."""
        frames = [self._frames.popleft()]
        size = len(frames[0])
        while self._frames and size < MAX_JOINED:
            frames.append(self._frames.popleft())
            size += len(frames[-1])
        return frames

    async def close(self, code: int, reason: str, *last: bytes) -> None:
        """Sends `last` behind what is in line and closes; drops the connection where that takes too long."""
        self.enqueue(*last)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.flush()
                await self.connection.close(code, _short(reason))
        except TimeoutError:
            self.abort()

    def leave(self, code: int, reason: str, *last: bytes) -> None:
        """Sends `last` and closes, and waits for nothing. A peer that has not taken what was sent before is dropped."""
        if self._sending.locked() or self._frames or not leave(self.connection, code, _short(reason), *last):
            self.abort()

    def round_trip(self) -> float | None:
        """Seconds to the peer and back, smoothed, as the kernel has measured them (tcpi_rtt); None where it does not
        say. What programs at the ends take on top is not in it.
        """
        sock = self.connection.transport.get_extra_info("socket")
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            (microseconds,) = _TCPI_RTT.unpack_from(info, _TCPI_RTT_AT)
        except (AttributeError, OSError, struct.error):
            return None  # another system than Linux, or a connection that has just gone
        return float(microseconds) / 1e6

    def abort(self) -> None:
        """Drops the connection; whoever waits in `flush` or reads from it goes on."""
        self.connection.transport.abort()


def _short(reason: str) -> str:
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")
