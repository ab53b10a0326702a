"""A hub's link port on the loopback, on top of a `House`: the real TLS, the real sockets, and the other ends of its
links, machines and consoles, which a test plays by hand.
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

from common.certificate import Client
from common.codec import Frame
from common.config import Address
from common.dial import HubRefused, open_link
from common.handshake import make_hello
from common.identity import Authority, Identity, identity_in, make_request, new_key, request_key
from common.messages import Ack, Beat, Heartbeat, Hello, Message, Refuse, Report, Resync
from common.session import Session
from common.tls import client_context, server_context
from hub.agent_link import AgentLink
from hub.change import Effects
from hub.consoles import Desk
from hub.links import Links
from hub.records import Credential, Person
from hub.store.verbs import Txn
from tests.hub.house import JOURNAL, House

M = TypeVar("M", bound=Message)
TIMEOUT = 10.0


class End:
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

    async def receive(self, *, deal: bool = True) -> Message:
        """The next message but acks; a fact is dealt with (and so acknowledged with the next frame) if `deal`."""
        while True:
            frame = await self.frame()
            if frame.seq and deal:
                self.session.done(frame.seq)
            if not isinstance(frame.message, Ack):
                return frame.message

    async def expect(self, kind: type[M], *, deal: bool = True) -> M:
        message = await self.receive(deal=deal)
        assert isinstance(message, kind), message
        return message

    async def send(self, *messages: Message) -> None:
        for message in messages:
            await self.connection.send(self.session.send(message))

    async def acknowledged(self) -> None:
        """Waits until everything that was sent is committed over there; nothing else may come meanwhile."""
        while self.session.unacked:
            assert isinstance((await self.frame()).message, Ack)

    async def turn(self) -> None:
        """There and back again: whatever was sent before has been read."""
        await self.send(Heartbeat())
        await self.expect(Beat)

    async def closed(self) -> int:
        """Reads what is left until the hub has closed; the code, 1006 where there was none."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as error:
                return 1006 if error.rcvd is None else error.rcvd.code

    def cut(self) -> None:
        """As if the network had gone."""
        self.connection.transport.abort()


class Port:
    """See the module. `desk` has no verbs but those that a test puts in."""

    def __init__(self, inside: House, **links: Any) -> None:
        self.inside = inside
        inside_links = replace(inside.config.links, listen=Address("127.0.0.1", 0), **links)
        object.__setattr__(inside.config, "links", inside_links)
        folder = inside.config.folder
        self.desk = Desk(refresh=inside.people.refresh, renew=inside.engine.renew)
        self.links = Links(
            store=inside.store,
            fleet=inside.fleet,
            engine=inside.engine,
            desk=self.desk,
            authority=inside.keys.authority,
            job_keys=inside.keys.job_keys,
            hub_id=inside.keys.hub_id,
            config=inside.config,
            tls=server_context(folder.certificate, folder.key, folder.ca_certificate),
            clock=inside.clock,
        )
        self.stop = asyncio.Event()
        self.ended = asyncio.Event()
        self._news = asyncio.Event()
        self._ends: list[End] = []
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}
        self.identities: dict[str, Identity] = {}
        inside.engine.after = self._after
        inside.fleet.on_change = lambda name: self._news.set()

    def _after(self, effects: Effects) -> None:
        self.inside.effects.append(effects)
        self.links.after(effects)
        self._news.set()

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.links.ports[0]}"

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds; looked at after every commit with effects, and whenever a machine comes or goes."""
        async with asyncio.timeout(TIMEOUT):
            while not holds():
                self._news.clear()
                await self._news.wait()

    # ---- who dials

    def context(self, kind: Client, name: str, *, authority: Authority | None = None) -> ssl.SSLContext:
        """What `name` dials with, made once: a certificate that the store knows; by another authority, one that it
        does not.
        """
        if authority is None and (kind, name) in self._contexts:
            return self._contexts[kind, name]
        ours, now = self.inside.keys.authority, self.inside.clock.now
        key = new_key()
        request = make_request(key, kind, name)
        certificate = (authority or ours).issue(request, kind=kind, name=name, now=now)
        file = self.inside.folder / f"{kind}-{name}.pem"
        file.write_bytes(certificate + key)
        context = client_context(ours.certificate, file, file)
        if authority is None:
            self._contexts[kind, name] = context
            self.identities[name] = identity = identity_in(certificate, now)
            row = Credential(
                identity.fingerprint, kind, name, 1, now, identity.not_after, key_hash=request_key(request)
            )
            self.inside.write(lambda txn: txn.add_credential(row))
        return context

    async def agent(self, name: str = "web-1", kept: Session | None = None, hello: Hello | None = None) -> End:
        """Hello and welcome, and where the session goes on, what the hub has missed; no report yet."""
        greeting = hello or make_hello("agent", name, kept)
        return await self._open(greeting, kept, self.context("agent", name))

    async def reported(self, name: str = "web-1", journal: str = JOURNAL, **held: str) -> End:
        """A machine that has had the answer to its report, of these jobs: it may be handed others."""
        end = await self.agent(name)
        await end.send(Report(journal, "boot", held))
        await end.expect(Resync)
        return end

    async def console(self, name: str = "alice") -> End:
        def add(txn: Txn) -> None:
            if txn.person(name) is None:
                txn.add_person(Person(name, (), self.inside.clock.now))

        self.inside.write(add)
        return await self._open(make_hello("console", name, None), None, self.context("operator", name))

    async def refused(self, name: str = "web-1", hello: Hello | None = None, **other: Any) -> Refuse:
        """What the hub says to a machine that it does not let in."""
        with pytest.raises(HubRefused) as caught:
            await self._open(hello or make_hello("agent", name, None), None, self.context("agent", name, **other))
        return caught.value.refusal

    async def _open(self, hello: Hello, kept: Session | None, context: ssl.SSLContext) -> End:
        opened = await open_link(self.url, self.inside.keys.hub_id, context, hello, kept)
        resumed = opened.welcome.resumed
        session = kept if kept is not None and resumed else Session("hub", id=opened.welcome.session)
        end = End(opened.connection, session, resumed)
        self._ends.append(end)
        if resumed:
            for data in session.resume(opened.welcome.received):
                await end.connection.send(data)
        return end

    # ---- inside

    def link(self, name: str = "web-1") -> AgentLink:
        """The hub's end of a machine's link."""
        return self.links._agents[name]

    def hang_up(self) -> None:
        for end in self._ends:
            end.cut()


@asynccontextmanager
async def serving(inside: House, **links: Any) -> AsyncIterator[Port]:
    """The port, open; `links` are other values of [links]."""
    port, started = Port(inside, **links), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serve = tasks.create_task(port.links.serve(started, port.stop))
        serve.add_done_callback(lambda _: port.ended.set())
        await started.wait()
        for machine in inside.fleet.agents():  # a house says that they are here; now they have to dial in
            inside.fleet.left(machine.name)
        try:
            yield port
        finally:
            port.hang_up()
            port.stop.set()


@contextmanager
def held(inside: House) -> Iterator[Callable[[], None]]:
    """The store's writer is busy until the block ends, or what is given is called: what is written waits behind it."""
    busy, free = threading.Event(), threading.Event()

    def unit(txn: Txn) -> None:
        busy.set()
        free.wait(TIMEOUT)

    thread = threading.Thread(target=lambda: inside.write(unit))
    thread.start()
    busy.wait(TIMEOUT)
    try:
        yield free.set
    finally:
        free.set()
        thread.join()
