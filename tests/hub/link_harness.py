"""A hub's link port on the loopback, on top of a `HubHarness`: the real TLS, the real sockets, and the other ends of
its links, machines and consoles, which a test plays by hand.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from common.identity.certificates import Authority, Identity, identity_from_pem, make_request, new_key, request_key
from common.identity.csr import CredentialKind
from common.identity.tls import client_context
from common.link.codec import Frame
from common.link.dial import HubRefused, open_link
from common.link.handshake import make_hello
from common.link.messages import Ack, Beat, Heartbeat, Hello, Message, Refuse, Report, Resync
from common.link.session import Session
from common.values import Address
from hub.core.records import IssuedCertificate, Person
from hub.engine.effects import Effects
from hub.links.agent import AgentLink
from hub.links.console import VerbTable
from hub.links.live_tls import LinkTls
from hub.links.server import LinkServer
from hub.store.transaction import Txn
from tests.hub.hub_harness import JOURNAL, HubHarness

M = TypeVar("M", bound=Message)
TIMEOUT = 45.0  # seconds: a limit, not a wait


class LinkPeer:
    """The far end of one link: a machine's uplink, or a console."""

    def __init__(self, connection: ClientConnection, session: Session, resumed: bool) -> None:
        self.connection = connection
        self.session = session
        self.resumed = resumed

    async def frame(self) -> Frame:
        """The next frame, acks and all, but for repeats."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                frame = self.session.receive(await self.connection.recv(), time.monotonic())
                if frame is not None:
                    return frame

    async def receive(self, *, process: bool = True) -> Message:
        """The next message but acks; a fact is dealt with (and so acknowledged with the next frame) if `deal`."""
        while True:
            frame = await self.frame()
            if frame.seq and process:
                self.session.mark_processed(frame.seq)
            if not isinstance(frame.message, Ack):
                return frame.message

    async def expect(self, kind: type[M], *, process: bool = True) -> M:
        message = await self.receive(process=process)
        assert isinstance(message, kind), message
        return message

    async def send(self, *messages: Message) -> None:
        for message in messages:
            await self.connection.send(self.session.send(message))

    async def wait_acknowledged(self) -> None:
        """Waits until everything that was sent is committed over there; nothing else may come meanwhile."""
        while self.session.unacked:
            assert isinstance((await self.frame()).message, Ack)

    async def round_trip(self) -> None:
        """There and back again: whatever was sent before has been read."""
        await self.send(Heartbeat())
        await self.expect(Beat)

    async def wait_closed(self) -> int:
        """Reads what is left until the hub has closed; the code, 1006 where there was none."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as error:
                return 1006 if error.rcvd is None else error.rcvd.code

    def abort(self) -> None:
        """As if the network had gone."""
        self.connection.transport.abort()


class LinkHarness:
    """See the module. `desk` has no verbs but those that a test puts in."""

    def __init__(self, harness: HubHarness, **links: Any) -> None:
        self.harness = harness
        inside_links = replace(harness.config.links, listen=Address("127.0.0.1", 0), **links)
        object.__setattr__(harness.config, "links", inside_links)
        folder = harness.config.folder
        self.desk = VerbTable(refresh=harness.people.refresh, renew=harness.engine.renew)
        self.tls = LinkTls(folder, harness.authorities.now)
        self.links = LinkServer(
            store=harness.store,
            fleet=harness.fleet,
            engine=harness.engine,
            verb_table=self.desk,
            authorities=harness.authorities,
            job_keys=harness.keys.job_keys,
            hub_id=harness.keys.hub_id,
            config=harness.config,
            tls=lambda: self.tls.context,
            clock=harness.clock,
        )
        harness.engine.wakes.tell = self.links.say
        places, handover = harness.engine.places, self.links.handover
        places.hold, places.free = handover.hold_place, handover.free_place
        self.stop = asyncio.Event()
        self.ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._peers: list[LinkPeer] = []
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}
        self.identities: dict[str, Identity] = {}
        harness.fan_out.subscribe(self._on_effects)
        harness.fan_out.subscribe_agents(lambda name: self._changed.set())

    def _on_effects(self, effects: Effects) -> None:
        self.links.on_commit(effects)
        self._changed.set()

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.links.ports[0]}"

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds; looked at after every commit with effects, and whenever a machine comes or goes."""
        async with asyncio.timeout(TIMEOUT):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    # ---- who dials

    def tls_context(self, kind: CredentialKind, name: str, *, authority: Authority | None = None) -> ssl.SSLContext:
        """What `name` dials with, made once: a certificate that the store knows; by another authority, one that it
        does not.
        """
        if authority is None and (kind, name) in self._contexts:
            return self._contexts[kind, name]
        ours, now = self.harness.keys.authority, self.harness.clock.now
        key = new_key()
        request = make_request(key, kind, name)
        certificate = (authority or ours).issue(request, kind=kind, name=name, now=now)
        file = self.harness.folder / f"{kind}-{name}.pem"
        file.write_bytes(certificate + key)
        context = client_context(ours.certificate, file, file)
        if authority is None:
            self._contexts[kind, name] = context
            self.identities[name] = identity = identity_from_pem(certificate, now)
            row = IssuedCertificate(
                identity.fingerprint, kind, name, 1, now, identity.not_after, key_hash=request_key(request)
            )
            self.harness.write(lambda txn: txn.add_credential(row))
        return context

    async def connect_agent(
        self, name: str = "web-1", session: Session | None = None, hello: Hello | None = None
    ) -> LinkPeer:
        """Hello and welcome, and where the session goes on, what the hub has missed; no report yet."""
        greeting = hello or make_hello("agent", name, session)
        return await self._open(greeting, session, self.tls_context("agent", name))

    async def connect_reported_agent(self, name: str = "web-1", journal: str = JOURNAL, **held: str) -> LinkPeer:
        """A machine that has had the answer to its report, of these jobs: it may be handed others."""
        end = await self.connect_agent(name)
        await end.send(Report(journal, "boot", held))
        await end.expect(Resync)
        await self.settled(name)
        return end

    async def settled(self, name: str) -> None:
        """Waits until a look at the machine's queue that has begun is over."""
        while (link := self.links._agents.get(name)) is not None and link._dispatching:
            await asyncio.sleep(0)

    async def connect_console(self, name: str = "alice") -> LinkPeer:
        def add(txn: Txn) -> None:
            if txn.person(name) is None:
                txn.add_person(Person(name, (), self.harness.clock.now))

        self.harness.write(add)
        return await self._open(make_hello("console", name, None), None, self.tls_context("operator", name))

    async def expect_refusal(self, name: str = "web-1", hello: Hello | None = None, **other: Any) -> Refuse:
        """What the hub says to a machine that it does not let in."""
        with pytest.raises(HubRefused) as caught:
            await self._open(hello or make_hello("agent", name, None), None, self.tls_context("agent", name, **other))
        return caught.value.refusal

    async def _open(self, hello: Hello, previous: Session | None, context: ssl.SSLContext) -> LinkPeer:
        opened = await open_link(self.url, self.harness.keys.hub_id, context, hello, previous)
        resumed = opened.welcome.resumed
        session = previous if previous is not None and resumed else Session("hub", id=opened.welcome.session)
        end = LinkPeer(opened.connection, session, resumed)
        self._peers.append(end)
        if resumed:
            for data in session.resume(opened.welcome.received):
                await end.connection.send(data)
        return end

    # ---- inside

    def link(self, name: str = "web-1") -> AgentLink:
        """The hub's end of a machine's link."""
        return self.links._agents[name]

    def abort_all(self) -> None:
        for end in self._peers:
            end.abort()


@asynccontextmanager
async def serve_links(harness: HubHarness, **links: Any) -> AsyncIterator[LinkHarness]:
    """The port, open; `links` are other values of [links]."""
    port, started = LinkHarness(harness, **links), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serve = tasks.create_task(port.links.serve(started, port.stop))
        serve.add_done_callback(lambda _: port.ended.set())
        await started.wait()
        for machine in harness.fleet.agents():  # a house says that they are here; now they have to dial in
            harness.fleet.set_offline(machine.name)
        try:
            yield port
        finally:
            port.abort_all()
            port.stop.set()


@contextmanager
def blocked_writer(harness: HubHarness) -> Iterator[Callable[[], None]]:
    """The store's writer is busy until the block ends, or what is given is called: what is written waits behind it.
    Fails where nobody lets it go: the block itself may have waited for a write.
    """
    busy, free = threading.Event(), threading.Event()
    let_go: list[bool] = []

    def unit(txn: Txn) -> None:
        busy.set()
        let_go.append(free.wait(TIMEOUT))

    thread = threading.Thread(target=lambda: harness.write(unit))
    thread.start()
    busy.wait(TIMEOUT)
    try:
        yield free.set
    finally:
        free.set()
        thread.join()
    assert let_go == [True], "the block waited for a write"
