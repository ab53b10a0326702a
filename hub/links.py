"""The port that agents and consoles dial: TLS 1.3, certificates, who may go where.

    GET /ca      anyone: the authority's certificate, public; a joining machine compares it with the pin it was given
    /join        anyone with a token: one `join`, one answer, goodbye
    /agent       a machine's certificate
    /console     a person's certificate

Who somebody is comes from the certificate alone; the hello must agree with it. One link a machine: a newer one closes
the older. Sessions outlive their connection for `SESSION_KEPT` seconds so that a short break repeats nothing and loses
nothing.
"""

from __future__ import annotations

import asyncio
import http
import secrets
import ssl
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, Literal

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from common import codec, handshake
from common.codec import BadFrame
from common.errors import UserError
from common.identity import Authority, BadIdentity, Identity, identity_of
from common.messages import Hello, Join, Message, Refuse, Welcome
from common.session import Session
from hub.agent_link import AgentLink
from hub.ca import JoinRefused, NotTrusted, authenticate, join
from hub.change import Effects
from hub.config import HubConfig
from hub.consoles import ConsoleLink, Desk
from hub.engine import Engine
from hub.fleet import Fleet
from hub.log import logger
from hub.store.engine import Store
from hub.store.verbs import Txn

SESSION_KEPT: Final = 300.0
FIRST_FRAME: Final = 5.0
MAX_FRAME: Final = 1024 * 1024
CLOSE_POLICY: Final = 1008

log = logger("links")


class Links:
    def __init__(
        self,
        *,
        store: Store,
        fleet: Fleet,
        engine: Engine,
        desk: Desk,
        authority: Authority,
        job_keys: dict[str, bytes],
        hub_id: str,
        config: HubConfig,
        tls: ssl.SSLContext,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._engine = engine
        self._desk = desk
        self._authority = authority
        self._job_keys = job_keys
        self._hub_id = hub_id
        self._config = config
        self._tls = tls
        self._clock = clock
        self._agents: dict[str, AgentLink] = {}
        self._consoles: set[ConsoleLink] = set()
        self._kept: dict[str, AgentLink] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.listening = False

    async def serve(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        host, port = self._config.links.listen
        try:
            server: Server = await serve(
                self._connected,
                host,
                port,
                ssl=self._tls,
                compression=None,
                max_size=MAX_FRAME,
                max_queue=16,
                open_timeout=10,
                close_timeout=2,
                ping_interval=None,
                process_request=self._before_upgrade,
                server_header=None,
            )
        except OSError as error:
            cure = "stop what listens there, or set [links] listen in hub.toml to another port"
            raise UserError(f"cannot listen for machines on {host}:{port} ({error.strerror})", cure) from None
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self.listening = True
            started.set()
            try:
                await stop.wait()
            finally:
                self.listening = False
                await self._say_goodbye()
                server.close(close_connections=True)
                await server.wait_closed()

    async def _say_goodbye(self) -> None:
        """Tells every machine over how many seconds to spread its return: about 300 handshakes a second are fine."""
        spread = max(0.2, len(self._agents) / 300)
        links: list[AgentLink | ConsoleLink] = [*self._agents.values(), *self._consoles]
        for index in range(0, len(links), 200):
            async with asyncio.timeout(2), asyncio.TaskGroup() as closing:
                for link in links[index : index + 200]:
                    closing.create_task(link.close(1001, "the hub is restarting", spread))

    # ---- before the upgrade

    def _before_upgrade(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/ca":
            return _plain(http.HTTPStatus.OK, self._authority.certificate, "application/x-pem-file")
        if path not in ("/agent", "/console", "/join"):
            return _plain(http.HTTPStatus.NOT_FOUND, b"there is nothing here\n")
        if path != "/join" and self._peer(connection) is None:
            return _plain(http.HTTPStatus.FORBIDDEN, b"a certificate of this hub is needed here\n")
        return None

    def _peer(self, connection: ServerConnection) -> Identity | None:
        tls = connection.transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        if not der:
            return None
        try:
            return identity_of(der, self._clock())
        except BadIdentity:
            return None

    # ---- connections

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # noqa: S101 - set by the handshake
        path = connection.request.path.partition("?")[0]
        try:
            if path == "/join":
                await self._join(connection)
            elif path == "/agent":
                await self._agent(connection)
            else:
                await self._console(connection)
        except ConnectionClosed:
            pass
        except TimeoutError:
            await connection.close(CLOSE_POLICY, "no first frame in time")
        except BadFrame as error:
            log.warning("link.bad_frame", path=path, error=str(error)[:200])
            await connection.close(error.close_code, "bad frame")

    async def _first(self, connection: ServerConnection) -> bytes | str:
        async with asyncio.timeout(FIRST_FRAME):
            return await connection.recv()

    async def _join(self, connection: ServerConnection) -> None:
        message = codec.decode(await self._first(connection), "anyone", codec.FIRST).message
        assert isinstance(message, Join)  # noqa: S101 - the only type that `anyone` may send
        now = self._clock()
        answer: Message
        try:
            answer = await self._store.write(
                lambda txn: join(txn, self._authority, message, self._job_keys, self._hub_id, now)
            )
            log.info("join.accepted", name=message.name[:64])
        except JoinRefused as error:
            code = error.code
            log.warning("join.refused", name=message.name[:64], code=code)
            answer = Refuse(code, error.reason)
            await self._store.write(
                lambda txn: txn.audit("join.refused", message.name[:64], "unknown", {"code": code}, now)
            )
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close()
        await self._fleet.refresh()
        await self._desk.refresh()

    async def _welcome(
        self, connection: ServerConnection, kind: Literal["agent", "operator"], kept: Callable[[str], Session | None]
    ) -> tuple[Identity, Hello, Welcome] | None:
        """The first frame answered; None after a refusal was sent. `kept` gives the session held for a name, if any."""
        identity, now = self._peer(connection), self._clock()
        role: handshake.Role = "agent" if kind == "agent" else "console"
        hello = codec.decode(await self._first(connection), role, codec.FIRST).message
        answer: Welcome | Refuse
        if identity is None or identity.kind != kind:
            answer = Refuse("identity", f"this path takes the certificate of an {kind}")
        else:
            trusted = identity
            try:
                await self._store.read(lambda txn: authenticate(txn, trusted, now))
            except NotTrusted as error:
                answer = Refuse(error.code, error.reason)
            else:
                terms = handshake.Terms(self._engine.epoch, self._heartbeat())
                answer = handshake.answer(
                    hello,
                    role=role,
                    name=identity.name,
                    terms=terms,
                    kept=kept(identity.name),
                    new_session=secrets.token_hex(8),
                    now=now,
                )
        if identity is not None and isinstance(answer, Welcome) and isinstance(hello, Hello):
            return identity, hello, answer
        assert isinstance(answer, Refuse)  # noqa: S101 - a welcome was returned above
        name, code = identity.name if identity else "unknown", answer.code
        log.warning("link.refused", kind=kind, name=name, code=code)
        await self._store.write(lambda txn: txn.audit("link.refused", name, name, {"code": code, "kind": kind}, now))
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close(CLOSE_POLICY, code)
        return None

    def _heartbeat(self) -> float:
        return max(self._config.links.heartbeat, handshake.heartbeat_interval(len(self._agents)))

    async def _agent(self, connection: ServerConnection) -> None:
        welcomed = await self._welcome(connection, "agent", self._session_of)
        if welcomed is None or self._tasks is None:
            return
        identity, hello, welcome = welcomed
        name, now = identity.name, self._clock()
        older = self._agents.pop(name, None)
        link = older or self._kept.pop(name, None)
        if older is not None:
            await older.close(CLOSE_POLICY, "a newer link of the same machine is here")
        first: list[bytes] = []
        if link is None or not welcome.resumed:
            session = Session("agent", id=welcome.session, epoch=self._engine.epoch)
            link = AgentLink(name, identity, session, self._engine, self._tasks, self._clock, self._config.links.window)
            first = [session.send(welcome)]
        else:
            first = [link.session.send(welcome), *link.session.resume(hello.received)]
        link.session.interval = welcome.heartbeat
        link.session.heard(now)
        facts, version = hello.facts or {}, hello.version[:40]

        def greet(txn: Txn) -> None:
            before = txn.agent(name)
            if before is not None:
                txn.save_agent(before, replace(before, last_seen=now, version=version, facts=facts))

        await self._store.write(greet)
        await self._fleet.refresh()
        self._agents[name] = link
        self._fleet.came(name)
        log.info("agent.connected", agent=name, resumed=welcome.resumed, version=version)
        try:
            await link.run(connection, identity, first)
        finally:
            if self._agents.get(name) is link and not link.connected:
                del self._agents[name]
                link.kept_until = self._clock() + SESSION_KEPT
                self._kept[name] = link
                self._fleet.left(name)
                log.info("agent.disconnected", agent=name)

    def _session_of(self, name: str) -> Session | None:
        link = self._agents.get(name) or self._kept.get(name)
        return None if link is None or link.broken else link.session

    async def _console(self, connection: ServerConnection) -> None:
        welcomed = await self._welcome(connection, "operator", lambda name: None)
        if welcomed is None or self._tasks is None:
            return
        identity, _, welcome = welcomed
        session = Session("console", id=welcome.session, epoch=self._engine.epoch, interval=welcome.heartbeat)
        link = ConsoleLink(identity, connection, session, self._desk, self._tasks, self._clock)
        self._consoles.add(link)
        try:
            await link.run(welcome)
        finally:
            self._consoles.discard(link)

    # ---- from inside the hub

    def after(self, effects: Effects) -> None:
        """What links do with the effects of a commit."""
        self.wake(effects.wake)
        for console in self._consoles:
            console.after(effects)
        if self._tasks is None:
            return
        for name, job, kill in effects.cancels:
            link = self._agents.get(name)
            if link is not None:
                self._tasks.create_task(link.cancel(job, kill))
        for name, job in effects.settled:
            link = self._agents.get(name)
            if link is not None:
                self._tasks.create_task(link.settled(job))

    def wake(self, names: Iterable[str]) -> None:
        """Says "look at the queue" to these machines' links; a hint, never the truth."""
        for name in names:
            link = self._agents.get(name)
            if link is not None:
                link.hand_out()

    async def close_untrusted(self, revoked: set[str]) -> None:
        """Closes the links whose certificate is among the revoked fingerprints."""
        links: list[AgentLink | ConsoleLink] = [*self._agents.values(), *self._consoles]
        for link in links:
            if link.identity.fingerprint in revoked:
                log.warning("link.revoked", name=link.identity.name)
                await link.close(CLOSE_POLICY, "revoked")

    async def close_lost(self, now: float) -> None:
        """Closes the links of machines not heard of in three heartbeats, and forgets sessions nobody came back to."""
        for link in [link for link in self._agents.values() if link.session.lost(now)]:
            log.warning("agent.lost", agent=link.name)
            await link.close(1011, "not heard of in time")
        for name in [name for name, kept in self._kept.items() if kept.kept_until <= now]:
            del self._kept[name]

    def count(self) -> tuple[int, int]:
        """Machines and consoles linked now."""
        return len(self._agents), len(self._consoles)


def _plain(status: http.HTTPStatus, body: bytes, kind: str = "text/plain") -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(status.value, status.phrase, headers, body)
