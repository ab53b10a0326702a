"""A hub and a runner that a test plays by hand, over real TLS, real WebSockets and a real local socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.state import State
from common.codec import decode, encode
from common.files import make_folder, write_file
from common.messages import Message, Report
from tests.common import scripted
from tests.common.scripted import TIMEOUT, HubEnd, plain

_LENGTH = struct.Struct(">I")


class ScriptedHub(scripted.ScriptedHub):
    """That hub, and state folders of machines that have joined it."""

    def joined_state(
        self, path: Path, name: str = "web-1", *, now: float | None = None, lifetime: float = 86_400.0
    ) -> State:
        """A state folder as `join` leaves it, for the uplink; the hub must be serving, so that its port is known."""
        state = State(path)
        make_folder(path, 0o755)
        for folder in (state.uplink, state.runner, state.run):
            make_folder(folder)
        self.credential(state.uplink, name, now=now, lifetime=lifetime)
        text = f'url = "{self.url}"\nname = "{name}"\nhub = "{self.hub_id}"\n'
        write_file(state.settings_file, text.encode())
        return state


class RunnerEnd:
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

    async def closed(self) -> None:
        """Waits until the uplink has closed its end."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while await self._reader.read(65_536):
                    pass
            except ConnectionError:
                pass

    def close(self) -> None:
        self._writer.transport.abort()


class ScriptedRunner:
    """Serves the socket and greets each uplink with `report`."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.report: Message | None = Report("journal", "boot", {})
        self.attachments: asyncio.Queue[RunnerEnd] = asyncio.Queue()
        self._ends: list[RunnerEnd] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedRunner]:
        server = await asyncio.start_unix_server(self._attached, self.socket)
        try:
            yield self
        finally:
            for end in self._ends:
                end.close()
            self._ends.clear()
            server.close()
            await server.wait_closed()
            self.socket.unlink(missing_ok=True)

    async def _attached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = RunnerEnd(reader, writer)
        self._ends.append(end)
        if self.report is not None:
            await end.send(self.report)
        self.attachments.put_nowait(end)

    async def attachment(self) -> RunnerEnd:
        async with asyncio.timeout(TIMEOUT):
            return await self.attachments.get()


__all__ = ["TIMEOUT", "HubEnd", "RunnerEnd", "ScriptedHub", "ScriptedRunner", "plain"]
