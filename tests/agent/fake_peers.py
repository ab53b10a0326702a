"""A hub and a runner that a test plays by hand, over real TLS, real WebSockets and a real local socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.state import StateFolder
from common.files import create_folder, write_file
from common.link.codec import decode, encode
from common.link.messages import Message, Report
from tests.common import fake_hub
from tests.common.fake_hub import TIMEOUT, HubPeer, http_response
from tests.common.servers import connections_ended, stop_accepting

_LENGTH = struct.Struct(">I")


class AgentFakeHub(fake_hub.FakeHub):
    """That hub, and state folders of machines that have joined it."""

    def create_joined_state(
        self, path: Path, name: str = "web-1", *, now: float | None = None, lifetime: float = 86_400.0
    ) -> StateFolder:
        """A state folder as `join` leaves it, for the uplink; the hub must be serving, so that its port is known."""
        state = StateFolder(path)
        create_folder(path, 0o755)
        for folder in (state.uplink, state.runner, state.run):
            create_folder(folder)
        self.create_credential(state.uplink, name, now=now, lifetime=lifetime)
        text = f'url = "{self.url}"\nname = "{name}"\nhub = "{self.hub_id}"\n'
        write_file(state.settings_file, text.encode())
        return state


class RunnerPeer:
    """The runner's end of one attachment."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *messages: Message) -> None:
        frames = [encode(message) for message in messages]
        self._writer.write(b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames))
        async with asyncio.timeout(TIMEOUT):
            await self._writer.drain()

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> Message:
        return (await self.receive_frame()).message

    async def receive_frame(self) -> Any:
        async with asyncio.timeout(TIMEOUT):
            (length,) = _LENGTH.unpack(await self._reader.readexactly(4))
            return decode(await self._reader.readexactly(length), "hub")

    async def wait_closed(self) -> None:
        """Waits until the uplink has closed its end."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while await self._reader.read(65_536):
                    pass
            except ConnectionError:
                pass

    def close(self) -> None:
        self._writer.transport.abort()


class FakeRunner:
    """Serves the socket and greets each uplink with `report`."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.report: Message | None = Report("journal", "boot", {})
        self.attachments: asyncio.Queue[RunnerPeer] = asyncio.Queue()
        self._peers: list[RunnerPeer] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeRunner]:
        server = await asyncio.start_unix_server(self._on_attached, self.socket)
        try:
            yield self
        finally:
            await stop_accepting(server.sockets)
            for end in self._peers:
                end.close()
            self._peers.clear()
            server.close()
            await connections_ended(server)
            self.socket.unlink(missing_ok=True)

    async def _on_attached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = RunnerPeer(reader, writer)
        self._peers.append(end)
        if self.report is not None:
            await end.send(self.report)
        self.attachments.put_nowait(end)

    async def next_attachment(self) -> RunnerPeer:
        async with asyncio.timeout(TIMEOUT):
            return await self.attachments.get()


__all__ = ["TIMEOUT", "AgentFakeHub", "FakeRunner", "HubPeer", "RunnerPeer", "http_response"]
