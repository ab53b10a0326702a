"""A hub that a test plays by hand, over real TLS and real WebSockets: for first contacts, and links of either kind.

The hub's end of a link is the real `common.session` and `common.handshake`; its authority is a real one.
"""

from __future__ import annotations

import asyncio
import http
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Self, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from common import handshake
from common.certificate import Client, new_request
from common.codec import decode, encode
from common.credential import Credential, Validity
from common.files import make_folder
from common.identity import BACKDATED, LIFETIME, Authority, Identity, identity_of, make_request, new_key
from common.messages import Ack, Beat, Heartbeat, Hello, Join, Message, Refuse, Welcome
from common.session import Session
from common.tls import server_context

M = TypeVar("M", bound=Message)
TIMEOUT = 10.0


class HubEnd:
    """The hub's end of one link."""

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
    async def serving(self) -> AsyncIterator[Self]:
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
        role: handshake.Role = "console" if connection.request.path == "/console" else "agent"
        certificate = connection.transport.get_extra_info("ssl_object").getpeercert(True)
        identity = identity_of(certificate, time.time(), "operator" if role == "console" else "agent")
        first = decode(await connection.recv(), role).message
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
                role=role,
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
            self.kept = Session(role, id=answer.session)
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
        """The next link, after hello and welcome."""
        async with asyncio.timeout(TIMEOUT):
            return await self.arrivals.get()

    def issue(
        self,
        request: bytes,
        name: str,
        *,
        kind: Client = "agent",
        now: float | None = None,
        lifetime: float | None = None,
    ) -> bytes:
        return self.authority.issue(
            request, kind=kind, name=name, now=time.time() if now is None else now, lifetime=lifetime
        )

    def credential(
        self,
        folder: Path,
        name: str,
        *,
        kind: Client = "agent",
        now: float | None = None,
        lifetime: float | None = None,
    ) -> Credential:
        """What `name` has in `folder` after a first contact."""
        made, at = new_request(kind, name), time.time() if now is None else now
        certificate = self.issue(made.request, name, kind=kind, now=at, lifetime=lifetime)
        ours = Credential(folder, "start over")
        make_folder(folder)
        validity = Validity(1, at - BACKDATED, at + (LIFETIME[kind] if lifetime is None else lifetime))
        ours.keep(made.key, certificate, self.authority.certificate, validity)
        return ours


def plain(body: bytes, date: float | None = None, status: http.HTTPStatus = http.HTTPStatus.OK) -> Response:
    headers = Headers({"Content-Length": str(len(body)), "Connection": "close", "Date": formatdate(date, usegmt=True)})
    return Response(status.value, status.phrase, headers, body)
