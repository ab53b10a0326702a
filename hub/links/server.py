"""The port that agents and consoles dial: TLS 1.3, certificates, who may go where.

    GET /ca      anyone: the authority's certificate, public; a joining machine compares it with the pin it was given
    /join        anyone with a token: one `join`, one answer, goodbye
    /renew       a certificate, valid or run out: one `renew`, one answer, goodbye (hub/links/renewal.py)
    /copied      a machine's certificate on another machine, whose agent serves nothing: one `hello`, goodbye
    /agent       a machine's certificate, valid now
    /console     a person's certificate, valid now

Who somebody is comes from the certificate alone; the hello must agree with it. Whoever comes to /agent or /console with
a certificate of ours that is not valid now is let as far as the hello, to be told why and to be known by name. One link
a machine: a newer one closes the older. Sessions outlive their connection for `SESSION_TTL` seconds so that a short
break repeats nothing and loses nothing.
"""

from __future__ import annotations

import asyncio
import http
import secrets
import socket
import ssl
from collections.abc import Callable, Collection, Iterable
from typing import Final, Literal

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from common.errors import UserError, WorkFailed
from common.identity.certificates import Identity
from common.link import codec, handshake
from common.link.codec import BadFrame
from common.link.compatibility import orders_protocol
from common.link.messages import Cancel, Forget, Hello, Message, Refuse, Welcome
from common.link.session import Session
from hub.config import HubConfig
from hub.engine.effects import Effects
from hub.engine.engine import Engine
from hub.identity.agents import AgentRegistry
from hub.identity.authorities import LiveAuthorities
from hub.links.admission import BUSY, LinkAdmission
from hub.links.agent import CLOSE_POLICY_VIOLATION, CLOSE_TRY_AGAIN_LATER, AgentLink
from hub.links.closing import announce_restart, close_all, release_held
from hub.links.connected import touch
from hub.links.console import ConsoleLink, VerbTable
from hub.links.entering import Entering, Entrance
from hub.links.handover import Handover
from hub.links.holders import HolderChecks
from hub.links.join import JoinEntrance
from hub.links.listener import LinkListener, bind
from hub.links.logins import LoginUses
from hub.links.paths import answer_request
from hub.links.peer import peer_of
from hub.links.refusals import BAD_FRAME, TLS, LinkRefusals
from hub.links.renewal import FIRST_FRAME_TIMEOUT, RenewalEntrance
from hub.links.send_queue import SendQueue
from hub.links.trust import PeerTrust, TrustUpdates, told_digest
from hub.links.websocket import LinkConnection, bound_unread
from hub.log import logger
from hub.store.store import Store

SESSION_TTL: Final = 300.0

IdentityKey = tuple[str, str]
"""Kind and name of an identity: ("agent", "web-1")."""

log = logger("links")


class LinkServer:
    def __init__(
        self,
        *,
        store: Store,
        fleet: AgentRegistry,
        engine: Engine,
        verb_table: VerbTable,
        authorities: LiveAuthorities,
        job_keys: dict[str, bytes],
        hub_id: str,
        config: HubConfig,
        tls: Callable[[], ssl.SSLContext],
        clock: Callable[[], float],
        wall: Callable[[], float] | None = None,
    ) -> None:
        """`clock` never jumps: sessions and their deadlines go by it. `wall` is the wall clock, by which certificates
        are valid and a machine's clock is off; None: the same.
        """
        self._wall = wall or clock
        self._store = store
        self._fleet = fleet
        self._engine = engine
        self._verb_table = verb_table
        self._authorities = authorities
        self._trust = TrustUpdates(store, authorities, self._wall, lambda: len(self._agents))
        self._config = config
        self._tls = tls
        self._clock = clock
        self._agents: dict[str, AgentLink] = {}
        self._consoles: set[ConsoleLink] = set()
        self._detached: dict[str, AgentLink] = {}
        self._refusals = LinkRefusals(store, fleet, clock)
        self._logins = LoginUses(store, clock)
        self._admission = LinkAdmission()
        self.handover = Handover(engine, self._agents, self._link_of)
        self._holders = HolderChecks(engine, fleet)
        self._entrance = Entrance(store, engine, self._holders, self._admission)
        self._renewals = RenewalEntrance(engine, self._refusals, clock)
        self._joins = JoinEntrance(
            store=store,
            engine=engine,
            authorities=authorities,
            job_keys=job_keys,
            hub_id=hub_id,
            refusals=self._refusals,
            clock=clock,
            wall=self._wall,
            refused=self._count_failure,
            joined=self._joined,
        )
        self._listener: LinkListener | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self.listening = False
        self.ports: tuple[int, ...] = ()  # what it listens on: tests and port 0

    def configure(self, config: HubConfig) -> None:
        """Takes heartbeat and window of a hub.toml that was read again, for the links to come."""
        self._config = config

    async def serve(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        sockets = await self._bind()
        self.ports = tuple(each.getsockname()[1] for each in sockets)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._listener = listener = LinkListener(
                tls=self._tls,
                tasks=tasks,
                before_upgrade=self._before_upgrade,
                handle=self._handle_connection,
                tls_failed=self._tls_failed,
                ready=self._admission.is_ready,
            )
            listener.start(sockets)
            self.listening = True
            started.set()
            try:
                await stop.wait()
            finally:
                self.listening = False
                listener.close()
                names = list(self._agents)
                await announce_restart(list(self._agents.values()), list(self._consoles))
                await listener.wait_closed()
                await touch(self._store, [(name, self._clock(), None) for name in names])
                self._tasks = None
        await self._refusals.flush(everything=True)

    async def _bind(self) -> list[socket.socket]:
        host, port = self._config.links.listen
        try:
            return await bind(host, port)
        except OSError as error:
            cure = "stop what listens there, or set [links] listen in hub.toml to another port"
            raise UserError(f"cannot listen for machines on {host}:{port} ({error.strerror})", cure) from None

    def _all_links(self) -> list[AgentLink | ConsoleLink]:
        return [*self._agents.values(), *self._consoles]

    # ---- before the upgrade

    def _before_upgrade(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        answer = answer_request(connection, request, self._authorities.now.current.certificate, self._wall())
        if answer is not None:
            self._count_failure(connection)
            if answer.status_code == http.HTTPStatus.FORBIDDEN:
                address = peer_of(connection, self._clock()).address
                self._tell(request.path.partition("?")[0].strip("/"), "no_certificate", address, "", address)
        return answer

    def _tls_failed(self, address: str, code: str, reason: str) -> None:
        self._tell(TLS, code, address, reason, address)

    def _tell(self, path: str, code: str, name: str, reason: str, address: str = "") -> None:
        """Has it written, where nothing can wait for that."""
        if self._tasks is not None:
            self._tasks.create_task(self._refusals.record_if_possible(path, code, name, reason, address))

    def _count_failure(self, connection: ServerConnection) -> None:
        """Of those who have proved nothing; what somebody does who is known is not his neighbours' fault."""
        if self._listener is not None and isinstance(connection, LinkConnection):
            self._listener.fail(connection)

    # ---- connections

    async def _handle_connection(self, connection: LinkConnection) -> None:
        assert connection.request is not None  # noqa: S101 - set by the handshake
        path = connection.request.path.partition("?")[0]
        try:
            if path == "/join":
                await self._joins.serve(connection)
            elif path == "/renew":
                await self._renewals.serve(connection, peer_of(connection, self._wall()))
            elif path == "/agent":
                await self._agent(connection)
            elif path == "/copied":
                await self._copied(connection)
            else:
                await self._console(connection)
        except ConnectionClosed:
            pass
        except TimeoutError:
            self._count_failure(connection)
            await connection.close(CLOSE_POLICY_VIOLATION, "no first frame in time")
        except WorkFailed as error:
            log.warning("link.not_taken", path=path, reason=str(error))
            await connection.close(CLOSE_TRY_AGAIN_LATER, "the hub's store takes nothing now; come again")
        except BadFrame as error:
            await self._note_bad_frame(connection, path.strip("/"), error)
            await connection.close(error.close_code, "bad frame")

    async def _note_bad_frame(self, connection: LinkConnection, path: str, error: BadFrame) -> None:
        """A row of it; who has proved who they are stays away for a while, of others the address has fewer turns."""
        now = self._clock()
        peer = peer_of(connection, now)
        if peer.identity is None or path == "join":
            self._count_failure(connection)
            await self._refusals.record(path, BAD_FRAME, peer.address, str(error), peer.address)
            return
        name, wait = peer.identity.name, self._admission.note_bad_frame(peer.identity, now)
        log.warning("link.bad_frame", path=path, name=name, error=str(error)[:200], stays_away=wait)
        await self._refusals.record(path, BAD_FRAME, name, str(error))

    async def _receive_first(self, connection: ServerConnection) -> bytes | str:
        async with asyncio.timeout(FIRST_FRAME_TIMEOUT):
            return await connection.recv()

    async def _joined(self, name: str) -> None:
        await self._fleet.reload(name)
        self._drop_replaced(name)
        await self._verb_table.refresh()

    def _drop_replaced(self, name: str) -> None:
        """A machine has joined under this name: what was linked as it before holds a certificate that is revoked."""
        older = self._agents.get(name) or self._detached.pop(name, None)
        if older is not None:
            older.close_nowait("joined anew")
            older.end_session()

    async def _handshake(
        self,
        connection: LinkConnection,
        kind: Literal["agent", "operator"],
        find_session: Callable[[str], Session | None],
    ) -> tuple[Identity, Hello, Welcome, Entering] | None:
        """The first frame answered; None after a refusal was sent. `kept` gives the session held for a name, if any.
        The last of the answer is what was found at the door.

        Where it is a welcome nothing is awaited between `kept` and the return: the answer still holds for the caller.
        """
        now, wall = self._clock(), self._wall()
        peer = peer_of(connection, wall)
        identity = peer.identity
        role: handshake.LinkRole = "agent" if kind == "agent" else "console"
        hello = codec.decode(await self._receive_first(connection), role, codec.HANDSHAKE_LIMITS).message
        answer: Welcome | Refuse
        entering = Entering()
        if identity is None or identity.kind != kind:
            answer = Refuse("identity", f"this path takes the certificate of an {kind}")
        elif (refused := self._admission.refuse(identity, now)) is not None:
            answer = refused
        else:
            name = identity.name

            def answer_now(held: bool = False) -> Welcome | Refuse:
                return handshake.answer_hello(
                    hello,
                    role=role,
                    name=name,
                    parameters=self._link_parameters(),
                    session=None if held else find_session(name),
                    new_session=secrets.token_hex(8),
                    now=wall if kind == "agent" else now,
                )

            entering = await self._entrance.enter(
                peer, identity, hello, now, wall, lambda: isinstance(answer_now(), Welcome)
            )
            answer = entering.refusal if entering.refusal is not None else answer_now(entering.held)
        if identity is not None and isinstance(answer, Welcome) and isinstance(hello, Hello):
            if self._listener is not None:
                self._listener.let_in(connection)
            return identity, hello, answer, entering
        assert isinstance(answer, Refuse)  # noqa: S101 - a welcome was returned above
        if answer.code != BUSY:  # that one costs the store nothing
            await self._refusals.record(kind, answer.code, identity.name if identity else "unknown", answer.reason)
            await self._refusals.note(peer, answer.code)
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close(CLOSE_POLICY_VIOLATION, answer.code)
        return None

    async def _copied(self, connection: ServerConnection) -> None:
        """A copy of a machine's state folder says so, and goes; the machine's own link goes on."""
        now = self._clock()
        hello = codec.decode(await self._receive_first(connection), "agent", codec.HANDSHAKE_LIMITS).message
        answer = await self._holders.note_copy(peer_of(connection, self._wall()).identity, hello, now)
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close(CLOSE_POLICY_VIOLATION, answer.code)

    def _link_parameters(self) -> handshake.LinkParameters:
        mark, spread = self._engine.sealed_mark(), handshake.return_spread(self._fleet.count())
        return handshake.LinkParameters(self._engine.epoch, self._heartbeat(), mark=mark, spread=spread)

    def _heartbeat(self) -> float:
        return max(self._config.links.heartbeat, handshake.heartbeat_interval(len(self._agents)))

    # ---- machines

    async def _agent(self, connection: LinkConnection) -> None:
        welcomed = await self._handshake(connection, "agent", self._session_of)
        if welcomed is None or self._tasks is None:
            return
        identity, hello, welcome, entering = welcomed
        link, wire = self._attach_agent(self._tasks, connection, identity, hello, welcome)
        link.estranged, link.held = link.estranged or entering.estranged, entering.held
        try:
            self._fleet.set_online(identity.name)
            held = {"held": True} if link.held else {}
            log.info(
                "agent.connected", agent=identity.name, resumed=welcome.resumed, version=hello.version[:40], **held
            )
            await self._trust.tell(link)
            if link.held and not self._store.room.read_only:
                await release_held([link])  # since a moment ago
            await link.run(wire)
        finally:
            await self._detach_agent(link)

    def _attach_agent(
        self,
        tasks: asyncio.TaskGroup,
        connection: ServerConnection,
        identity: Identity,
        hello: Hello,
        welcome: Welcome,
    ) -> tuple[AgentLink, SendQueue]:
        """The machine's one link from now on. Awaits nothing: of two connections at once, one is the newer."""
        name = identity.name
        older = self._agents.get(name) or self._detached.pop(name, None)
        if older is not None and welcome.resumed:
            link = older
        else:
            if older is not None:
                older.close_nowait("a newer link of the same machine is here")
                older.end_session()
            session = Session("agent", id=welcome.session, epoch=self._engine.epoch)
            clocks, window = (self._clock, self._wall), self._config.links.window
            renew, trusted = self._renewals.on_link, self._trust.heard
            link = AgentLink(
                name, identity, session, self._engine, tasks, clocks, window, renew, self._heartbeat, trusted
            )
        self._agents[name] = link
        link.orders_protocol = orders_protocol(hello, welcome.protocol)
        link.trust = PeerTrust(told_digest(hello))
        return link, link.attach(connection, identity, welcome, hello.received if welcome.resumed else None)

    async def _detach_agent(self, link: AgentLink) -> None:
        """Keeps the session of a machine whose connection has ended, unless a newer one is here already."""
        name, now = link.name, self._clock()
        if self._agents.get(name) is not link or link.connected:
            return
        del self._agents[name]
        if not link.broken:
            link.session_expires_at = now + SESSION_TTL
            self._detached[name] = link
        self._fleet.set_offline(name, now)
        if self.listening:  # else it is written for all of them together
            log.info("agent.disconnected", agent=name)
            await touch(self._store, [(name, now, None)])

    def _session_of(self, name: str) -> Session | None:
        link = self._link_of(name)
        return None if link is None or link.broken else link.session

    def _link_of(self, name: str) -> AgentLink | None:
        """The machine's link, or what is kept of it while it is away: what is said to that goes on with the session."""
        return self._agents.get(name) or self._detached.get(name)

    # ---- people

    async def _console(self, connection: LinkConnection) -> None:
        welcomed = await self._handshake(connection, "operator", lambda name: None)
        if welcomed is None or self._tasks is None:
            return
        identity, hello, welcome, _ = welcomed
        ended, tasks = await self._logins.note(identity), self._tasks
        if tasks is None:
            return
        bound_unread(connection)
        session = Session("console", id=welcome.session, epoch=self._engine.epoch, interval=welcome.heartbeat)
        link = ConsoleLink(identity, connection, session, self._verb_table, tasks, self._clock, self._trust.heard)
        link.trust = PeerTrust(told_digest(hello))
        self._consoles.add(link)
        if ended:
            tasks.create_task(self.close_untrusted(set(ended), ()), name=f"replaced {identity.name}")
        try:
            await self._trust.note_link(identity, link.trust.digest)
            await link.run(welcome, lambda: self._trust.tell(link))
        finally:
            self._consoles.discard(link)

    # ---- the CAs

    def tell_trust(self) -> None:
        """The CAs have changed: every link is told what it is to trust, and whether to renew."""
        if self._tasks is not None:
            for link in self._all_links():
                self._tasks.create_task(self._trust.tell(link), name=f"trust {link.identity.name}")

    # ---- from inside the hub

    def on_commit(self, effects: Effects) -> None:
        """What the links of agents do with a commit's effects; `hub.api.notifications` notifies consoles."""
        self.handover.on_commit(effects, self._tasks)
        self.wake(effects.wake)
        for name, job, kill in effects.cancels:
            self.say(name, Cancel(job, kill))
        for name, jobs in effects.forgets.items():
            self.say(name, *map(Forget, jobs))
        for name, job in effects.settled:
            if (link := self._link_of(name)) is not None:
                link.job_settled(job)
        for signed in effects.key_changes:
            for name, link in self._agents.items():
                if signed.change.is_for(name) and self._tasks is not None:
                    self._tasks.create_task(link.offer(signed.to_bytes()), name=f"key change {name}")
        self._admission.end((), {("agent", name) for name in effects.locked})
        for name in effects.locked:
            self._detached.pop(name, None)
            if (link := self._agents.get(name)) is not None:
                log.warning("link.locked", agent=name)
                link.close_nowait("locked")
            if self._tasks is not None:
                self._tasks.create_task(self._fleet.reload(name), name=f"reload {name}")

    def say(self, name: str, *messages: Message) -> None:
        """Sends this to a machine, where it has a link."""
        if (link := self._link_of(name)) is not None and self._tasks is not None:
            self._tasks.create_task(link.send(*messages), name=f"say {name}")

    def wake(self, names: Iterable[str]) -> None:
        """Says "look at the queue" to these machines' links; a hint, never the truth."""
        for name in names:
            link = self._agents.get(name)
            if link is not None:
                link.request_dispatch()

    async def close_untrusted(self, revoked: Collection[str], removed: Collection[IdentityKey]) -> None:
        """Closes the links whose certificate is among the revoked fingerprints, or whose owner is an outcast."""
        self._admission.end(revoked, removed)
        if not revoked and not removed:
            return  # as every two seconds, for ten thousand links
        links = [
            link
            for link in self._all_links()
            if link.identity.fingerprint in revoked or (link.identity.kind, link.identity.name) in removed
        ]
        for link in links:
            log.warning("link.revoked", kind=link.identity.kind, name=link.identity.name)
        await close_all(links, CLOSE_POLICY_VIOLATION, "revoked")

    async def close_lost(self, now: float) -> None:
        """Drops the links of those not heard of in three heartbeats, and forgets sessions nobody came back to."""
        for link in self._all_links():
            if link.session.timed_out(now):
                log.warning("link.lost", kind=link.identity.kind, name=link.identity.name)
                link.abort()
        for name in [name for name, kept in self._detached.items() if kept.session_expires_at <= now]:
            del self._detached[name]
        await self._refusals.flush()

    async def release(self) -> None:
        """There is room again: machines whose links were held come anew."""
        await release_held([link for link in [*self._agents.values(), *self._detached.values()] if link.held])

    def raise_epoch(self, epoch: int) -> None:
        """Every machine's session goes on at the hub's new epoch."""
        for link in [*self._agents.values(), *self._detached.values()]:
            link.session.epoch = epoch

    def count_links(self) -> tuple[int, int]:
        """Machines and consoles linked now."""
        return len(self._agents), len(self._consoles)
