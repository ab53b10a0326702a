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
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from email.utils import formatdate
from typing import Final, Literal

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from common import codec, handshake
from common.codec import BadFrame
from common.errors import UserError, WorkFailed
from common.identity import Authority, BadIdentity, Identity, identity_of
from common.messages import Cancel, Forget, Hello, Join, Message, Refuse, Welcome
from common.session import Session
from hub.agent_link import GOING_AWAY, POLICY, AgentLink
from hub.ca import JoinRefused, NotTrusted, authenticate, join
from hub.change import Effects
from hub.config import HubConfig
from hub.consoles import ConsoleLink, Desk
from hub.engine import Engine
from hub.fleet import Fleet
from hub.limits import Refusal, Refusals
from hub.log import logger
from hub.records import Agent
from hub.store.engine import Store
from hub.store.verbs import Txn
from hub.wire import Wire

SESSION_KEPT: Final = 300.0
FIRST_FRAME: Final = 5.0
MAX_FRAME: Final = 1024 * 1024
MAX_FACTS: Final = 32  # of a machine, and characters of each
MAX_FACT: Final = 200
AT_ONCE: Final = 200  # links that are closed at a time
GOODBYE_WITHIN: Final = 5.0

Standing = tuple[str, str]
"""Kind and name of an identity: ("agent", "web-1")."""

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
        self._refusals = Refusals()
        self._tasks: asyncio.TaskGroup | None = None
        self.listening = False
        self.ports: tuple[int, ...] = ()  # what it listens on: tests and port 0

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
        self.ports = tuple(socket.getsockname()[1] for socket in server.sockets)
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
                self._tasks = None
        await self._write_refusals(self._refusals.due(self._clock(), all_of_them=True))

    async def _say_goodbye(self) -> None:
        """Tells every machine over how many seconds to spread its return: about 300 handshakes a second are fine."""
        spread = max(0.2, len(self._agents) / 300)
        links = self._links()
        try:
            async with asyncio.timeout(GOODBYE_WITHIN):
                await _close_all(links, GOING_AWAY, "the hub is restarting", spread)
        except TimeoutError:
            log.warning("links.goodbye_cut_short", links=len(links))

    def _links(self) -> list[AgentLink | ConsoleLink]:
        return [*self._agents.values(), *self._consoles]

    # ---- before the upgrade

    def _before_upgrade(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        path, now = request.path.partition("?")[0], self._clock()
        if path == "/ca":
            return _plain(http.HTTPStatus.OK, self._authority.certificate, now, "application/x-pem-file")
        if path not in ("/agent", "/console", "/join"):
            return _plain(http.HTTPStatus.NOT_FOUND, b"there is nothing here\n", now)
        if path != "/join" and self._peer(connection) is None:
            return _plain(http.HTTPStatus.FORBIDDEN, b"a certificate of this hub is needed here\n", now)
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
            await connection.close(POLICY, "no first frame in time")
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
        except JoinRefused as error:
            answer = Refuse(error.code, error.reason)
            await self._turned_away("join", error.code, message.name[:64])
        else:
            log.info("join.accepted", name=message.name[:64])
            await self._fleet.look_at(message.name)
            await self._desk.refresh()
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close()

    async def _welcome(
        self, connection: ServerConnection, kind: Literal["agent", "operator"], kept: Callable[[str], Session | None]
    ) -> tuple[Identity, Hello, Welcome] | None:
        """The first frame answered; None after a refusal was sent. `kept` gives the session held for a name, if any.

        Where it is a welcome nothing is awaited between `kept` and the return: the answer still holds for the caller.
        """
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
        await self._turned_away(kind, answer.code, identity.name if identity else "unknown")
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close(POLICY, answer.code)
        return None

    def _heartbeat(self) -> float:
        return max(self._config.links.heartbeat, handshake.heartbeat_interval(len(self._agents)))

    async def _turned_away(self, path: str, code: str, name: str) -> None:
        """One audit row for whoever was refused; of a flood, a few rows and a sum."""
        rows = self._refusals.note(path, code, name, self._clock())
        if rows:
            log.warning("link.refused", path=path, name=name, code=code)
        await self._write_refusals(rows)

    async def _write_refusals(self, rows: Sequence[Refusal]) -> None:
        def unit(txn: Txn) -> None:
            for row in rows:
                joining = row.inlet == "join"
                actor = "unknown" if joining else row.remote
                data = {"path": row.inlet, "code": row.code, "count": row.count}
                txn.audit("join.refused" if joining else "link.refused", row.remote, actor, data, row.at)

        if rows:
            await self._store.write(unit)

    # ---- machines

    async def _agent(self, connection: ServerConnection) -> None:
        welcomed = await self._welcome(connection, "agent", self._session_of)
        if welcomed is None or self._tasks is None:
            return
        identity, hello, welcome = welcomed
        link, wire = self._take_over(self._tasks, connection, identity, hello, welcome)
        try:
            await self._greet(identity, hello)
            self._fleet.came(identity.name)
            log.info("agent.connected", agent=identity.name, resumed=welcome.resumed, version=hello.version[:40])
            await link.run(wire)
        except NotTrusted as error:  # since a moment ago
            await link.close(POLICY, error.code)
        finally:
            await self._left(link)

    def _take_over(
        self,
        tasks: asyncio.TaskGroup,
        connection: ServerConnection,
        identity: Identity,
        hello: Hello,
        welcome: Welcome,
    ) -> tuple[AgentLink, Wire]:
        """The machine's one link from now on. Awaits nothing: of two connections at once, one is the newer."""
        name = identity.name
        older = self._agents.get(name) or self._kept.pop(name, None)
        if older is not None and welcome.resumed:
            link = older
        else:
            if older is not None:
                older.hang_up("a newer link of the same machine is here")
                older.give_up()
            session = Session("agent", id=welcome.session, epoch=self._engine.epoch)
            link = AgentLink(name, identity, session, self._engine, tasks, self._clock, self._config.links.window)
        self._agents[name] = link
        return link, link.attach(connection, identity, welcome, hello.received if welcome.resumed else None)

    async def _greet(self, identity: Identity, hello: Hello) -> None:
        """Records who is here; raises NotTrusted where that has ended since the hello was answered."""
        now = self._clock()
        facts = {key[:MAX_FACT]: value[:MAX_FACT] for key, value in list((hello.facts or {}).items())[:MAX_FACTS]}

        def unit(txn: Txn) -> Agent:
            before = authenticate(txn, identity, now)
            if not isinstance(before, Agent):
                raise NotTrusted("identity", "not the certificate of a machine")
            after = replace(before, last_seen=now, version=hello.version[:40], facts=facts)
            txn.save_agent(before, after)
            return after

        self._fleet.learn(await self._store.write(unit))

    async def _left(self, link: AgentLink) -> None:
        """Keeps the session of a machine whose connection has ended, unless a newer one is here already."""
        name, now = link.name, self._clock()
        if self._agents.get(name) is not link or link.connected:
            return
        del self._agents[name]
        if not link.broken:
            link.kept_until = now + SESSION_KEPT
            self._kept[name] = link
        self._fleet.left(name)
        log.info("agent.disconnected", agent=name)
        try:
            await self._store.write(lambda txn: txn.touch_agents([(name, now, None)]))
        except WorkFailed as error:
            log.warning("agent.last_seen_unsaved", agent=name, reason=str(error))

    def _session_of(self, name: str) -> Session | None:
        link = self._link_of(name)
        return None if link is None or link.broken else link.session

    def _link_of(self, name: str) -> AgentLink | None:
        """The machine's link, or what is kept of it while it is away: what is said to that goes on with the session."""
        return self._agents.get(name) or self._kept.get(name)

    # ---- people

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
        for name, job, kill in effects.cancels:
            self._say(name, Cancel(job, kill))
        for name, jobs in effects.forgets.items():
            self._say(name, *map(Forget, jobs))
        for name, job in effects.settled:
            if (link := self._link_of(name)) is not None:
                link.settled(job)
        for name in effects.locked:
            self._kept.pop(name, None)
            if (link := self._agents.get(name)) is not None:
                log.warning("link.locked", agent=name)
                link.hang_up("locked")

    def _say(self, name: str, *messages: Message) -> None:
        link = self._link_of(name)
        if link is not None and self._tasks is not None:
            self._tasks.create_task(link.say(*messages), name=f"say {name}")

    def wake(self, names: Iterable[str]) -> None:
        """Says "look at the queue" to these machines' links; a hint, never the truth."""
        for name in names:
            link = self._agents.get(name)
            if link is not None:
                link.hand_out()

    async def close_untrusted(self, revoked: Collection[str], outcast: Collection[Standing]) -> None:
        """Closes the links whose certificate is among the revoked fingerprints, or whose owner is an outcast."""
        links = [
            link
            for link in self._links()
            if link.identity.fingerprint in revoked or (link.identity.kind, link.identity.name) in outcast
        ]
        for link in links:
            log.warning("link.revoked", kind=link.identity.kind, name=link.identity.name)
        await _close_all(links, POLICY, "revoked")

    async def close_lost(self, now: float) -> None:
        """Drops the links of those not heard of in three heartbeats, and forgets sessions nobody came back to."""
        for link in self._links():
            if link.session.lost(now):
                log.warning("link.lost", kind=link.identity.kind, name=link.identity.name)
                link.drop()
        for name in [name for name, kept in self._kept.items() if kept.kept_until <= now]:
            del self._kept[name]
        await self._write_refusals(self._refusals.due(now))

    def count(self) -> tuple[int, int]:
        """Machines and consoles linked now."""
        return len(self._agents), len(self._consoles)


async def _close_all(links: Sequence[AgentLink | ConsoleLink], code: int, reason: str, spread: float = 0.0) -> None:
    """Closes them side by side: a peer that does not answer costs the others nothing."""
    for index in range(0, len(links), AT_ONCE):
        async with asyncio.TaskGroup() as closing:
            for link in links[index : index + AT_ONCE]:
                closing.create_task(link.close(code, reason, spread))


def _plain(status: http.HTTPStatus, body: bytes, now: float, kind: str = "text/plain") -> Response:
    """A whole answer; its Date lets a machine that joins see that its clock is off."""
    date = formatdate(now, usegmt=True)
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Date": date, "Connection": "close"})
    return Response(status.value, status.phrase, headers, body)
