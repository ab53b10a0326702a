"""A relay between a machine and its hub that sees every frame, and does to them what a network or a thief may do.

TLS ends here: the test holds the hub's key and the machine's, so this is a hub to the machine and the machine to the
hub, with certificates that are real. Whoever has no keys can do no more than what `reset`, `swallow` and `hold` do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from agent.state import StateFolder
from common.identity.tls import client_context, server_context
from common.link.codec import Frame, decode, encode
from common.link.messages import Hello, Sender, Welcome
from hub.config import Folder

MAX_SIZE: Final = 1024 * 1024
HEARTBEAT: Final = 1.0
"""Seconds between heartbeats, as the machine is told instead of the hub's word: silence is noticed in three."""
_AT_ONCE: Final = struct.pack("ii", 1, 0)

Tamper = Callable[[Frame, bytes], Sequence[bytes]]
"""What becomes of one frame: nothing, itself, or others."""


def pass_on(frame: Frame, data: bytes) -> Sequence[bytes]:
    return (data,)


@dataclass
class Direction:
    """One way through the relay. Each setting holds until `heal`, also for the links that come."""

    sender: Sender
    tamper: Tamper = pass_on
    swallow: bool = False  # a black hole: what comes is read and gone, and nobody is told
    flowing: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: nothing is read any more
    passed: deque[Frame] = field(default_factory=lambda: deque(maxlen=200))  # newest last

    def heal(self) -> None:
        self.tamper, self.swallow = pass_on, False
        self.flowing.set()


@dataclass
class _Pair:
    machine: ServerConnection
    hub: Any
    dead: bool = False  # of before the network was healed


class FrameRelay:
    """`async with`; the machine is told to dial `port`."""

    def __init__(self, hub_folder: Path, hub_port: int, state: Path, port: int) -> None:
        self._hub_folder, self._hub_port, self._state = Folder(hub_folder), hub_port, StateFolder(state)
        self.port = port
        self.up, self.down = Direction("agent"), Direction("hub")
        self.protocol = 0  # which the machine's hello is made to say; 0: its own
        self.links = 0
        self._pairs: list[_Pair] = []
        self._server: Server | None = None
        self.heal()

    async def __aenter__(self) -> FrameRelay:
        folder = self._hub_folder
        context = server_context(folder.certificate, folder.key, folder.ca_certificate)
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            ssl=context,
            compression=None,
            max_size=MAX_SIZE,
            ping_interval=None,
            close_timeout=1,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self.reset()
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    # ---- what a network does

    def reset(self) -> None:
        """Both ends get an RST."""
        for pair in self._pairs:
            for connection in (pair.machine, pair.hub):
                sock = connection.transport.get_extra_info("socket")
                with contextlib.suppress(OSError, AttributeError):  # it may have gone by itself
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                connection.transport.abort()

    def heal(self) -> None:
        """As it was, for the links that come; those whose frames were swallowed stay dead."""
        for pair in self._pairs:
            pair.dead |= self.up.swallow or self.down.swallow
        self.up.heal()
        self.down.heal()

    # ---- one link

    async def _serve(self, machine: ServerConnection) -> None:
        assert machine.request is not None
        credential = self._state.credential
        context = client_context(
            credential.authority.read_bytes(), credential.certificate, credential.key, check_time=False
        )
        try:
            async with connect(
                f"wss://127.0.0.1:{self._hub_port}{machine.request.path}",
                ssl=context,
                compression=None,
                max_size=MAX_SIZE,
                ping_interval=None,
                proxy=None,
                close_timeout=1,
                open_timeout=5,
                additional_headers={"Date": machine.request.headers.get("Date", "")},
            ) as hub:
                pair = _Pair(machine, hub)
                self._pairs.append(pair)
                self.links += 1
                try:
                    async with asyncio.TaskGroup() as tasks:
                        ways = [
                            tasks.create_task(self._carry(pair, machine, hub, self.up)),
                            tasks.create_task(self._carry(pair, hub, machine, self.down)),
                        ]
                        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                        for way in ways:
                            way.cancel()
                finally:
                    self._pairs.remove(pair)
        except (OSError, ssl.SSLError, WebSocketException, TimeoutError):
            pass
        machine.transport.abort()

    async def _carry(self, pair: _Pair, source: Any, target: Any, way: Direction) -> None:
        """Until one end closes, which the other is told with the same code."""
        code, reason = 1011, ""
        try:
            while True:
                await way.flowing.wait()
                data = await source.recv()
                if way.swallow or pair.dead:
                    continue
                for out in self._tampered(way, data):
                    await target.send(out)
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                code, reason = closed.rcvd.code, closed.rcvd.reason
                with contextlib.suppress(ConnectionClosed, TimeoutError):
                    await target.close(code, reason)

    def _tampered(self, way: Direction, data: bytes) -> Sequence[bytes]:
        frame = decode(data, way.sender)
        match frame.message:
            case Hello() as hello if self.protocol:
                return (
                    encode(replace(hello, protocol=self.protocol), seq=frame.seq, ack=frame.ack, epoch=frame.epoch),
                )
            case Welcome() as welcome:
                told = replace(welcome, heartbeat=HEARTBEAT)
                return (encode(told, seq=frame.seq, ack=frame.ack, epoch=frame.epoch),)
        way.passed.append(frame)
        return way.tamper(frame, data)
