"""A hub and a runner that a test plays by hand, over real TLS, real WebSockets and a real local socket.

The hub's end of a link is the real `common.session` and `common.handshake`; its authority is a real one.
"""

from __future__ import annotations

import asyncio
import http
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from agent.certificate import new_request
from agent.state import State, Validity, make_folder, write_file
from common import handshake
from common.codec import decode, encode
from common.identity import Authority, Identity, identity_of, make_request, new_key
from common.messages import Ack, Beat, Heartbeat, Hello, Join, Message, Refuse, Report, Welcome
from common.session import Session
from common.tls import server_context

M = TypeVar("M", bound=Message)
TIMEOUT = 10.0
_LENGTH = struct.Struct(">I")


class HubEnd:
    """The hub's end of one link of an agent."""

    def __init__(self, connection: ServerConnection, identity: Identity, hello: Hello, session: Session) -> None:
        self.connection = connection
        self.identity = identity
        self.hello = hello
        self.session = session
        self.resumed = False
        self.heartbeats: list[Heartbeat] = []
        self.seqs: list[int] = []

    async def receive(self, *, commit: bool = True) -> Message:
        """The next message but heartbeats (they are answered) and acks; a fact counts as committed if `commit`."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                frame = self.session.receive(await self.connection.recv(), time.monotonic())
                if frame is None or isinstance(frame.message, Ack):
                    continue
                if isinstance(frame.message, Heartbeat):
                    self.heartbeats.append(frame.message)
                    with suppress(ConnectionClosed):  # it may have said goodbye behind this heartbeat
                        await self.send(Beat(time.time()))
                    continue
                if frame.seq:
                    self.seqs.append(frame.seq)
                    if commit:
                        self.session.done(frame.seq)
                return frame.message

    async def expect(self, kind: type[M], *, commit: bool = True) -> M:
        message = await self.receive(commit=commit)
        assert isinstance(message, kind), message
        return message

    async def send(self, message: Message) -> None:
        await self.connection.send(self.session.send(message))

    async def acknowledge(self) -> None:
        if (data := self.session.ack()) is not None:
            await self.connection.send(data)

    def cut(self) -> None:
        """As if the network had gone."""
        self.connection.transport.abort()


class ScriptedHub:
    """Listens on a free port of the loopback; what it answers is in its attributes."""

    def __init__(self, folder: Path, hub_id: str = "h1", *, now: float | None = None) -> None:
        self.folder = folder
        self.hub_id = hub_id
        self.authority = Authority.create(hub_id, time.time() if now is None else now)
        self.shown_authority: bytes = self.authority.certificate
        self.arrivals: asyncio.Queue[HubEnd] = asyncio.Queue()
        self.hellos: list[Hello] = []
        self.refusals: list[Refuse] = []  # the next hellos are answered with these
        self.silent = False  # never answers a hello
        self.kept: Session | None = None
        self.epoch = 1
        self.heartbeat = 10.0
        self.date: float | None = None  # the hub's clock as GET /ca tells it; None is the truth
        self.now: Callable[[], float] = time.time
        self.sessions = 0
        self.join: Callable[[Join], Awaitable[Message | None]] | None = None
        self.ca_answer: Callable[[], Response] = self._ca
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.pem").write_bytes(self.authority.certificate)
        self.show(self.authority, hub_id)

    def show(
        self, authority: Authority, hub_id: str, *, now: float | None = None, lifetime: float | None = None
    ) -> None:
        """From the next start on the hub shows a certificate by this authority for this hub id."""
        key = new_key()
        request = make_request(key, "hub", hub_id)
        certificate = authority.issue(
            request, kind="hub", name=hub_id, now=time.time() if now is None else now, lifetime=lifetime
        )
        (self.folder / "hub.pem").write_bytes(certificate)
        (self.folder / "hub.key").write_bytes(key)

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedHub]:
        context = server_context(self.folder / "hub.pem", self.folder / "hub.key", self.folder / "ca.pem")
        server: Server = await serve(
            self._handle,
            "127.0.0.1",
            self.port,
            ssl=context,
            compression=None,
            ping_interval=None,
            process_request=self._request,
            close_timeout=1,
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            for connection in server.connections:
                connection.transport.abort()
            server.close()
            await server.wait_closed()

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        return self.ca_answer() if request.path == "/ca" else None

    def _ca(self) -> Response:
        return plain(self.shown_authority, self.date)

    async def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        if connection.request.path == "/join":
            message = decode(await connection.recv(), "anyone").message
            assert isinstance(message, Join)
            answer = await self.join(message) if self.join is not None else None
            if answer is not None:
                await connection.send(encode(answer, epoch=self.epoch))
            return
        certificate = connection.transport.get_extra_info("ssl_object").getpeercert(True)
        identity = identity_of(certificate, time.time(), "agent")
        first = decode(await connection.recv(), "agent").message
        assert isinstance(first, Hello)
        self.hellos.append(first)
        if self.silent:
            await connection.wait_closed()
            return
        answer: Message
        if self.refusals:
            answer = self.refusals.pop(0)
        else:
            self.sessions += 1
            terms = handshake.Terms(self.epoch, self.heartbeat)
            answer = handshake.answer(
                first,
                role="agent",
                name=identity.name,
                terms=terms,
                kept=self.kept,
                new_session=f"s{self.sessions}",
                now=self.now(),
            )
        if not isinstance(answer, Welcome):
            await connection.send(encode(answer, epoch=self.epoch))
            return
        if not answer.resumed or self.kept is None:
            self.kept = Session("agent", id=answer.session)
        self.kept.epoch = self.epoch
        end = HubEnd(connection, identity, first, self.kept)
        end.resumed = answer.resumed
        await connection.send(self.kept.send(answer))
        if answer.resumed:
            for data in self.kept.resume(first.received):
                await connection.send(data)
        self.arrivals.put_nowait(end)
        await connection.wait_closed()

    async def arrival(self) -> HubEnd:
        """The next link of an agent, after hello and welcome."""
        async with asyncio.timeout(TIMEOUT):
            return await self.arrivals.get()

    def issue(self, request: bytes, name: str, *, now: float | None = None, lifetime: float | None = None) -> bytes:
        return self.authority.issue(
            request, kind="agent", name=name, now=time.time() if now is None else now, lifetime=lifetime
        )

    def joined_state(
        self, path: Path, name: str = "web-1", *, now: float | None = None, lifetime: float = 86_400.0
    ) -> State:
        """A state folder as `join` leaves it, for the uplink; the hub must be serving, so that its port is known."""
        state = State(path)
        make_folder(path, 0o755)
        for folder in (state.uplink, state.runner, state.run):
            make_folder(folder)
        made = new_request(name)
        at = time.time() if now is None else now
        write_file(state.key, made.key)
        write_file(state.certificate, self.issue(made.request, name, now=at, lifetime=lifetime))
        write_file(state.authority, self.authority.certificate)
        validity = Validity(1, at - 300, at + lifetime)
        write_file(state.validity_file, str(validity.to_json()).replace("'", '"').encode())
        text = f'url = "{self.url}"\nname = "{name}"\nhub = "{self.hub_id}"\n'
        write_file(state.settings_file, text.encode())
        return state


def plain(body: bytes, date: float | None = None, status: http.HTTPStatus = http.HTTPStatus.OK) -> Response:
    headers = Headers({"Content-Length": str(len(body)), "Connection": "close", "Date": formatdate(date, usegmt=True)})
    return Response(status.value, status.phrase, headers, body)


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
