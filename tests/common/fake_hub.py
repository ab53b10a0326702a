"""A hub that a test plays by hand, over real TLS and real WebSockets: for first contacts, and links of either kind.

The hub's end of a link is the real `common.link.session` and `common.link.handshake`; its authority is a real one.
"""

from __future__ import annotations

import asyncio
import http
import ssl
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

from common.files import create_folder
from common.identity.certificates import (
    BACKDATE_SECONDS,
    LIFETIME,
    Authority,
    Identity,
    identity_from_der,
    make_request,
    new_key,
)
from common.identity.credential import CredentialFiles, Validity
from common.identity.csr import CredentialKind, create_key_request
from common.identity.tls import server_context
from common.link import handshake
from common.link.codec import decode, encode
from common.link.messages import Ack, Beat, Heartbeat, Hello, Join, Message, Refuse, Renew, Welcome
from common.link.session import Session
from tests.common.servers import TIMEOUT, connections_ended, stop_accepting

M = TypeVar("M", bound=Message)


class HubPeer:
    """The hub's end of one link."""

    def __init__(self, connection: ServerConnection, identity: Identity, hello: Hello, session: Session) -> None:
        self.connection = connection
        self.identity = identity
        self.hello = hello
        self.session = session
        self.resumed = False
        self.heartbeats: list[Heartbeat] = []
        self.seqs: list[int] = []

    async def receive(self, *, process: bool = True) -> Message:
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
                    if process:
                        self.session.mark_processed(frame.seq)
                return frame.message

    async def expect(self, kind: type[M], *, process: bool = True) -> M:
        message = await self.receive(process=process)
        assert isinstance(message, kind), message
        return message

    async def send(self, message: Message) -> None:
        await self.connection.send(self.session.send(message))

    async def send_ack(self) -> None:
        if (data := self.session.ack_frame()) is not None:
            await self.connection.send(data)

    def abort(self) -> None:
        """As if the network had gone."""
        self.connection.transport.abort()


class FakeHub:
    """Listens on a free port of the loopback; what it answers is in its attributes."""

    def __init__(self, folder: Path, hub_id: str = "h1", *, now: float | None = None) -> None:
        self.folder = folder
        self.hub_id = hub_id
        self.authority = Authority.create(hub_id, time.time() if now is None else now)
        self.served_authority: bytes = self.authority.certificate
        self.links: asyncio.Queue[HubPeer] = asyncio.Queue()
        self.hellos: list[Hello] = []
        self.mark = ""  # the position that it tells
        self.older = False  # of a version that knows no positions
        self.refusals: list[Refuse] = []  # the next hellos are answered with these
        self.silent = False  # never answers a hello
        self.session: Session | None = None
        self.epoch = 1
        self.heartbeat = 10.0
        self.protocol = handshake.PROTOCOL
        self.date: float | None = None  # the hub's clock as GET /ca tells it; None is the truth
        self.now: Callable[[], float] = time.time
        self.sessions = 0
        self.join: Callable[[Join], Awaitable[Message | None]] | None = None
        self.renewal: Callable[[Identity, Renew], Message] = lambda identity, request: Refuse("unknown", "no")
        self.context: ssl.SSLContext | None = None
        self.ca_response: Callable[[], Response] = self._ca
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.pem").write_bytes(self.authority.certificate)
        self.use_certificate(self.authority, hub_id)

    def use_certificate(
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

    def replace_authority(self) -> None:
        """The hub has another CA from now on, and nothing of the one before."""
        self.authority = Authority.create(self.hub_id, time.time())
        self.served_authority = self.authority.certificate
        self.use_certificate(self.authority, self.hub_id)
        if self.context is not None:
            self.context.load_cert_chain(self.folder / "hub.pem", self.folder / "hub.key")

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        self.context = server_context(self.folder / "hub.pem", self.folder / "hub.key", self.folder / "ca.pem")
        server: Server = await serve(
            self._handle,
            "127.0.0.1",
            self.port,
            ssl=self.context,
            compression=None,
            ping_interval=None,
            process_request=self._request,
            process_response=self._tell_time,
            close_timeout=1,
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            await stop_accepting(server.sockets)
            for connection in server.connections:
                connection.transport.abort()
            server.close()
            await server.wait_closed()
            await connections_ended(server.server)

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        return self.ca_response() if request.path == "/ca" else None

    def _tell_time(self, connection: ServerConnection, request: Request, response: Response) -> None:
        if self.date is not None:
            response.headers.pop("Date", None)
            response.headers["Date"] = formatdate(self.date, usegmt=True)

    def renew_certificate(self, *, now: float) -> None:
        """Connections from now on are shown a certificate that was issued then."""
        self.use_certificate(self.authority, self.hub_id, now=now)
        assert self.context is not None
        self.context.load_cert_chain(self.folder / "hub.pem", self.folder / "hub.key")

    def _ca(self) -> Response:
        return http_response(self.served_authority, self.date)

    async def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        if connection.request.path == "/join":
            message = decode(await connection.recv(), "anyone").message
            assert isinstance(message, Join)
            answer = await self.join(message) if self.join is not None else None
            if answer is not None:
                await connection.send(encode(answer, epoch=self.epoch))
            return
        role: handshake.LinkRole = "console" if connection.request.path == "/console" else "agent"
        certificate = connection.transport.get_extra_info("ssl_object").getpeercert(True)
        identity = identity_from_der(certificate, None)
        if connection.request.path == "/renew":
            request = decode(await connection.recv(), "agent" if identity.kind == "agent" else "console").message
            assert isinstance(request, Renew)
            await connection.send(encode(self.renewal(identity, request), epoch=self.epoch))
            await connection.wait_closed()
            return
        first = decode(await connection.recv(), role).message
        assert isinstance(first, Hello)
        self.hellos.append(first)
        if first.heard and self.older:
            await connection.close(1008, "bad frame")  # as a version that does not know the field
            return
        if self.silent:
            await connection.wait_closed()
            return
        answer: Message
        if self.refusals:
            answer = self.refusals.pop(0)
        elif time.time() >= identity.not_after:
            answer = Refuse("expired", "the certificate has expired")
        else:
            self.sessions += 1
            terms = handshake.LinkParameters(self.epoch, self.heartbeat, protocol=self.protocol, mark=self.mark)
            answer = handshake.answer_hello(
                first,
                role=role,
                name=identity.name,
                parameters=terms,
                session=self.session,
                new_session=f"s{self.sessions}",
                now=self.now(),
            )
        if not isinstance(answer, Welcome):
            await connection.send(encode(answer, epoch=self.epoch))
            return
        if not answer.resumed or self.session is None:
            self.session = Session(role, id=answer.session)
        self.session.epoch = self.epoch
        end = HubPeer(connection, identity, first, self.session)
        end.resumed = answer.resumed
        await connection.send(self.session.send(answer))
        if answer.resumed:
            for data in self.session.resume(first.received):
                await connection.send(data)
        self.links.put_nowait(end)
        await connection.wait_closed()

    async def next_link(self) -> HubPeer:
        """The next link, after hello and welcome."""
        async with asyncio.timeout(TIMEOUT):
            return await self.links.get()

    def issue(
        self,
        request: bytes,
        name: str,
        *,
        kind: CredentialKind = "agent",
        now: float | None = None,
        lifetime: float | None = None,
    ) -> bytes:
        return self.authority.issue(
            request, kind=kind, name=name, now=time.time() if now is None else now, lifetime=lifetime
        )

    def create_credential(
        self,
        folder: Path,
        name: str,
        *,
        kind: CredentialKind = "agent",
        now: float | None = None,
        lifetime: float | None = None,
    ) -> CredentialFiles:
        """What `name` has in `folder` after a first contact."""
        made, at = create_key_request(kind, name), time.time() if now is None else now
        certificate = self.issue(made.request, name, kind=kind, now=at, lifetime=lifetime)
        ours = CredentialFiles(folder, "start over")
        create_folder(folder)
        validity = Validity(1, at - BACKDATE_SECONDS, at + (LIFETIME[kind] if lifetime is None else lifetime))
        ours.install(made.key, certificate, self.authority.certificate, validity)
        return ours


def http_response(body: bytes, date: float | None = None, status: http.HTTPStatus = http.HTTPStatus.OK) -> Response:
    headers = Headers({"Content-Length": str(len(body)), "Connection": "close", "Date": formatdate(date, usegmt=True)})
    return Response(status.value, status.phrase, headers, body)
