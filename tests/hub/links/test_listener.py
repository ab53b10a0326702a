"""The port before anybody is known: real sockets, real TLS, and peers that behave as they like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable

import pytest

from common.errors import WorkFailed
from common.identity.certificates import Authority
from common.identity.tls import client_context
from common.link.dial import dial
from common.link.enrolment import fetch_pinned_authority
from hub.chat import gated_port
from hub.chat.gated_port import GatedPort
from hub.core.arrivals import ArrivalLimits
from hub.links import admission, listener
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import TIMEOUT, LinkHarness, serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[[ArrivalLimits], None]:
    return lambda given: monkeypatch.setattr(gated_port, "limits_here", lambda: given)


@contextlib.asynccontextmanager
async def silent(port: LinkHarness, count: int, address: str = "127.0.0.2") -> AsyncIterator[list[socket.socket]]:
    """Connections that say nothing, and are accepted when this is entered."""
    loop, sockets = asyncio.get_running_loop(), []
    try:
        for _ in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            sock.bind((address, 0))
            sockets.append(sock)
            await loop.sock_connect(sock, ("127.0.0.1", port.links.ports[0]))
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


async def closed(sock: socket.socket) -> bool:
    """Waits until the hub has closed it."""
    async with asyncio.timeout(TIMEOUT):
        try:
            return await asyncio.get_running_loop().sock_recv(sock, 1) == b""
        except ConnectionError:
            return True


def doorway(port: LinkHarness) -> GatedPort:
    assert port.links._listener is not None
    return port.links._listener.port


async def settled(holds: Callable[[], bool]) -> None:
    """Waits for what the other end of a socket does, of which nothing else tells."""
    async with asyncio.timeout(TIMEOUT):
        while not holds():
            await asyncio.sleep(0.005)


async def test_who_says_nothing_is_bounded_by_address(
    harness: HubHarness, limits: Callable[[ArrivalLimits], None]
) -> None:
    """What is beyond it is closed at once, without TLS; and a machine elsewhere finds the port as ever."""
    limits(ArrivalLimits(address=5))
    async with serve_links(harness) as port, silent(port, 8) as sockets:
        for late in sockets[5:]:
            assert await closed(late)
        assert len(doorway(port)) == 5
        assert doorway(port).turned_away == 3
        await port.connect_reported_agent()
        assert len(doorway(port)) == 5  # who is known counts no more


async def test_in_all_they_are_bounded_too_and_make_room(
    harness: HubHarness, limits: Callable[[ArrivalLimits], None]
) -> None:
    """A crowd that only holds connections keeps nobody out."""
    limits(ArrivalLimits(total=6, address=6))
    async with serve_links(harness) as port, silent(port, 6) as sockets:
        await settled(lambda: len(doorway(port)) == 6)
        await port.connect_reported_agent()
        assert any([await closed(sockets[0])])
        assert len(doorway(port)) <= 6


async def test_an_office_behind_one_address_comes_back(harness: HubHarness) -> None:
    """Many at once stand in line and are served; nobody is refused."""
    async with serve_links(harness) as port:
        context = port.tls_context("agent", "web-1")
        async with asyncio.timeout(TIMEOUT):
            ends = await asyncio.gather(*(dial(port.url, "agent", context) for _ in range(60)))
        assert (len(doorway(port)), doorway(port).turned_away) == (60, 0)
        for end in ends:
            end.transport.abort()


async def test_an_address_that_proves_nothing_gets_few_turns(
    harness: HubHarness, limits: Callable[[ArrivalLimits], None]
) -> None:
    """Paths that are none, no certificate, a foreign certificate: all of it counts. A machine behind the same address
    still gets its turn."""
    limits(ArrivalLimits(failures=3.0, failure_rate=0.001, failing_rate=1_000.0))
    async with serve_links(harness) as port:
        context = client_context(harness.keys.authority.certificate)
        for path in ("nothing", "agent"):
            with pytest.raises(WorkFailed):
                await dial(port.url, path, context)
        assert not doorway(port).queue.is_failing("127.0.0.1", asyncio.get_running_loop().time())
        foreign = port.tls_context("agent", "web-1", authority=Authority.create("hub-other", time.time()))
        with pytest.raises(WorkFailed):
            await dial(port.url, "agent", foreign)
        await settled(lambda: doorway(port).queue.is_failing("127.0.0.1", asyncio.get_running_loop().time()))
        assert doorway(port).queue.is_failing("127.0.0.1", asyncio.get_running_loop().time())
        await port.connect_reported_agent()


async def test_one_that_begins_tls_and_stops_is_not_waited_for(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "OPEN_TIMEOUT", 0.2)
    async with serve_links(harness) as port, silent(port, 2) as (first, second):
        first.send(b"\x16\x03\x01")
        assert await closed(first)
        assert await closed(second)
        assert len(doorway(port)) == 0


async def test_no_tls_is_begun_with_one_that_has_given_up(harness: HubHarness) -> None:
    """Else a hub that is behind would work for those alone who have gone."""
    async with serve_links(harness) as port:
        port.links._admission.greeting = admission.MAX_GREETING
        async with silent(port, 3) as sockets:
            for sock in sockets[:2]:
                sock.send(b"\x16\x03\x01")
                sock.close()
            await settled(lambda: doorway(port).queue.waiting == 3)
            port.links._admission.greeting = 0
            await settled(lambda: doorway(port).queue.waiting == 0)
            assert (doorway(port).turned_away, len(doorway(port))) == (2, 1)


async def test_a_port_that_closes_lets_go_of_those_in_line(harness: HubHarness) -> None:
    async with serve_links(harness) as port, silent(port, 20) as sockets:
        await settled(lambda: len(doorway(port)) == 20)
        port.stop.set()
        for sock in sockets:
            assert await closed(sock)
        await port.ended.wait()
        assert len(doorway(port)) == 0


async def test_another_context_holds_from_the_next_connection_on(harness: HubHarness) -> None:
    async with serve_links(harness) as port:
        await port.connect_reported_agent()
        port.tls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with pytest.raises(WorkFailed):
            await fetch_pinned_authority(port.url, harness.keys.authority.pin, "agent", harness.clock.now)
        assert port.link().connected
