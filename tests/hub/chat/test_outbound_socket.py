"""Outbound modes over a WebSocket: the supervisor with a platform's server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from hub.chat import outbound, outbound_socket
from hub.chat.inlets import Inlet
from hub.chat.outbound import OutboundState
from hub.chat.outbound_socket import MAX_FRAME, http_form
from hub.chat.platforms.base import DeliveryFailed, HttpCall, HttpResponse, IncomingMessage
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.outbound import (
    Frame,
    Heard,
    NoAnswer,
    OutboundCall,
    OutboundFailed,
    Polled,
    PollRound,
    Socket,
    SocketCall,
    SocketCalls,
    failure_of_status,
)
from hub.core.rate_limits import TokenBucket
from hub.store.store import Store
from tests.hub.chat.test_outbound import NOW, SECRET, Rig, running, store

__all__ = ["store"]


class Wire(GenericPlatform):
    """A platform that opens a socket for who asks: POST /open -> {"url": ..., "missed": [...]}, then frames."""

    kind = "wire"
    outbound: Wire

    def __init__(self, api: str, **more: Any) -> None:
        super().__init__([SECRET])
        self.api, self.more = api, more
        self.hosts = (api,)
        self.outbound = self

    def connect(self, cursor: str, now: float) -> SocketCalls:
        answer = yield OutboundCall(HttpCall(f"{self.api}/open", cursor.encode()))
        if answer.status != 200:
            raise failure_of_status(answer)
        body = json.loads(answer.body)
        missed = Polled(tuple(map(self.message, body["missed"])), "opened") if body["missed"] else None
        return Socket(body["url"], headers={"X-Who": "us"}, first=("hello",), missed=missed, **self.more)

    def fetched(self, numbers: list[int]) -> PollRound:
        answer = yield OutboundCall(HttpCall(f"{self.api}/seen", b""))
        if answer.status != 200 or not numbers:
            raise OutboundFailed("it cannot be fetched")
        return Polled(tuple(map(self.message, numbers)), "fetched", (HttpCall(f"{self.api}/seen", b""),))

    def message(self, n: int) -> IncomingMessage:
        return IncomingMessage(str(n), "kim", "ops", f"m{n}", sent_at=NOW)

    def hear(self, frame: Frame, now: float) -> Heard:
        body = json.loads(frame)
        if "fetch" in body:
            return Heard((self.message(body["n"]),), cursor=f"at {body['n']}", fetch=self.fetched(body["fetch"]))
        if "ready" in body:
            return Heard(takes_calls=True)
        if "answer" in body:
            return Heard(answer=(body["answer"], b"it says so"))
        if "when" in body:
            return Heard((self.message(body["when"]),), (lambda at: f"taken at {at:.0f}",))
        if "n" not in body:
            return Heard(**body)
        number = body["n"]
        ack: Frame = b"ack" if isinstance(frame, bytes) else f"ack {number}"
        return Heard((self.message(number),), (ack,), f"at {number}", (HttpCall(f"{self.api}/seen", b""),))

    def beat(self, now: float) -> Frame:
        if self.more.get("goodbye"):
            raise NoAnswer("the last beat was not answered")
        return "beat"

    def closed(self, code: int) -> OutboundFailed:
        if code == 4004:
            return OutboundFailed("the token is wrong", "token")
        return OutboundFailed(f"closed with {code}", spread=30.0 if code == 4900 else 0.0)

    def refused(self, status: int, headers: Mapping[str, str]) -> OutboundFailed | None:
        return OutboundFailed(f"{status}: {headers['x-why']}", "token") if "x-why" in headers else None


@dataclass
class Server:
    """`behave` is given each connection; `missed` what each opening tells."""

    behave: Callable[[web.WebSocketResponse], Any]
    missed: list[int] = field(default_factory=list)
    port: int = 0
    cursors: list[str] = field(default_factory=list)
    heard: list[Frame] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)  # of the connections that were closed
    seen: int = 0
    refuse: int = 0  # the status instead of a socket
    refuse_with: dict[str, str] = field(default_factory=dict)  # and its headers
    elsewhere: str = ""
    answers_pings: bool = True
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, change: Callable[[], object]) -> None:
        async with self.changed:
            change()
            self.changed.notify_all()

    async def wait_for(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(holds)

    async def _open(self, request: web.Request) -> web.Response:
        cursor = (await request.read()).decode()
        await self.note(lambda: self.cursors.append(cursor))
        url = self.elsewhere or f"ws://127.0.0.1:{self.port}/socket"
        return web.json_response({"url": url, "missed": self.missed})

    async def _seen(self, request: web.Request) -> web.Response:
        def one_more() -> None:
            self.seen += 1

        await self.note(one_more)
        return web.Response()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            return web.Response(status=self.refuse, headers=self.refuse_with)
        return await self._opened(request)

    async def _opened(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["X-Who"] == "us"
        socket = web.WebSocketResponse(timeout=0.1, autoping=self.answers_pings)
        await socket.prepare(request)

        async def read() -> None:
            async for message in socket:
                await self.note(lambda message=message: self.heard.append(message.data))  # type: ignore[misc]

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            await self.behave(socket)
            await reading
        await self.note(lambda: self.codes.append(socket.close_code))
        return socket

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        app = web.Application()
        app.router.add_post("/open", self._open)
        app.router.add_post("/seen", self._seen)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/elsewhere", self._opened)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def inlets(self, **more: Any) -> dict[str, Inlet]:
        """With fields of `Socket`."""
        api = f"http://127.0.0.1:{self.port}"
        return {"far": Inlet("far", Wire(api, **more), (api,))}


async def test_frames_are_acknowledged_after_their_commit(store: Store) -> None:
    """What was missed comes first; each acknowledgement follows its commit; a connection that is asked to be made
    anew goes on from the cursor.
    """
    gate = asyncio.Event()

    async def behave(socket: web.WebSocketResponse) -> None:
        if len(server.cursors) == 1:
            await socket.send_str('{"n": 2}')
            await gate.wait()
            await socket.send_bytes(b'{"n": 3}')
            await socket.send_str('{"again": true}')

    server = Server(behave, missed=[1])
    async with server.serving():
        rig = Rig(store, server.inlets())
        taking = rig.supervisor._accept

        async def accept(inlet: str, message: IncomingMessage) -> Any:
            if message.event_id == "2":
                assert "ack 2" not in server.heard
                gate.set()
            return await taking(inlet, message)

        rig.supervisor._accept = accept
        async with running(rig):
            await server.wait_for(lambda: len(server.cursors) == 2 and server.seen == 2)
        assert rig.texts == ["m1", "m2", "m3"]
        assert server.heard[:3] == ["hello", "ack 2", b"ack"]
        assert server.cursors == ["", "at 3"]
        (state,) = rig.supervisor.states()
        assert (state.connected_at, state.error) == (NOW, "")


async def test_what_could_not_be_stored_is_not_acknowledged(store: Store) -> None:
    """The connection is made anew, and the platform sends it again."""

    async def behave(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"n": 1}')

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets(), answers=[RuntimeError("the disk is full")])
        async with running(rig):
            await server.wait_for(lambda: "ack 1" in server.heard)
        assert server.heard == ["hello", "hello", "ack 1"]
        assert rig.texts == ["m1"]


@pytest.mark.parametrize(
    ("how", "says", "wait"),
    [
        ("token", "the token is wrong", 450.0),
        ("closed", "closed with 1012", 0.5),
        ("spread", "closed with 4900", 15.0),
        ("large", "a frame has more than 4194304 bytes", 0.5),
        ("odd", "a fault in the hub (JSONDecodeError)", 0.5),
        ("refused", "instead of opening a WebSocket", 450.0),
        ("why", "410: too many", 450.0),
        ("moved", "it answered 302 instead of opening a WebSocket", 0.5),
        ("elsewhere", "the socket goes to evil.example:443, which is not in reply_hosts", 0.5),
    ],
)
async def test_how_a_connection_ends(store: Store, how: str, says: str, wait: float) -> None:
    """Each end has its reason and its pause; the hub goes on."""

    async def behave(socket: web.WebSocketResponse) -> None:
        match how:
            case "token":
                await socket.close(code=4004)
            case "closed":
                await socket.close(code=1012)
            case "spread":
                await socket.close(code=4900)
            case "large":
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                    await socket.send_bytes(b"x" * (MAX_FRAME + 1))
            case "odd":
                await socket.send_str("no JSON")

    server = Server(behave, refuse={"refused": 403, "why": 410, "moved": 302}.get(how, 0))
    async with server.serving():
        if how == "why":
            server.refuse_with = {"X-Why": "too many"}
        if how == "moved":  # to a socket that would open
            server.refuse_with = {"Location": f"http://127.0.0.1:{server.port}/elsewhere"}
        if how == "elsewhere":
            server.elsewhere = "wss://evil.example/socket"
        rig = Rig(store, server.inlets())
        rig.open.clear()
        async with running(rig):
            await rig.until(lambda: rig.waits)
            (state,) = rig.supervisor.states()
        assert says in state.error, state.error
        assert rig.waits == [wait]
        assert state.connected_at == 0


async def test_what_a_frame_has_fetched_is_committed_before_its_messages(store: Store) -> None:
    """The frame's own cursor is the last; a round that comes to nothing ends the connection, and the cursor stays."""

    async def behave(socket: web.WebSocketResponse) -> None:
        wanted = [1, 2] if len(server.cursors) == 1 else []
        await socket.send_json({"n": 3 if wanted else 4, "fetch": wanted})
        if wanted:
            await server.wait_for(lambda: server.seen == 2)
            await socket.send_json({"again": True})

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets())
        rig.open.clear()
        async with running(rig):
            await rig.until(lambda: rig.waits)
            (state,) = rig.supervisor.states()
    assert rig.texts == ["m1", "m2", "m3"]
    assert rig.cursor() == "at 3"
    assert server.cursors == ["", "at 3"]
    assert state.error == "it cannot be fetched"


async def test_calls_go_over_the_socket_while_it_is_ready(store: Store) -> None:
    """Sent as they are, answered by their keys; not before the platform takes them, and not after its end."""
    gate = asyncio.Event()

    async def behave(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"n": 1}')
        await gate.wait()
        await socket.send_str('{"ready": true}')
        await server.wait_for(lambda: "call" in server.heard)
        await socket.send_str('{"answer": "k1"}')
        await server.wait_for(lambda: "last" in server.heard)
        await socket.close()

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets())
        rig.open.clear()
        sockets = rig.supervisor._sockets
        async with running(rig):
            await rig.until(lambda: rig.taken)
            early = await sockets.call("far", SocketCall("", b"early", key="k0"))
            gate.set()
            async with asyncio.timeout(20):
                while "far" not in sockets._open:
                    await asyncio.sleep(0)
            answered = await sockets.call("far", SocketCall("", b"call", key="k1"))
            ended = await sockets.call("far", SocketCall("", b"last", key="k2"))
            await rig.until(lambda: rig.waits)
            late = await sockets.call("far", SocketCall("", b"late", key="k3"))
    assert answered == HttpResponse(200, {}, b"it says so")
    assert ended == DeliveryFailed("its connection ended before the answer")
    assert early == late == DeliveryFailed("its connection is not open")
    assert server.heard == ["hello", "ack 1", "call", "last"]


async def test_the_beat_goes_on_while_nothing_is_said(store: Store) -> None:
    """As often as the platform asks for, at most once a second."""

    async def behave(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"beat": 0.01}')

    server = Server(behave)
    async with server.serving(), running(Rig(store, server.inlets())):
        await server.wait_for(lambda: server.heard.count("beat") == 2)


async def test_a_socket_that_is_ready_at_once_is_connected_before_anything_is_said(store: Store) -> None:
    """Where it is not, that takes a frame. An acknowledgement may say when it is sent."""
    say = asyncio.Event()

    async def behave(socket: web.WebSocketResponse) -> None:
        await say.wait()
        await socket.send_str('{"when": 1}')

    for ready in (True, False):
        say.clear()
        server = Server(behave)
        async with server.serving(), running(Rig(store, server.inlets(ready=ready))) as rig:
            await server.wait_for(lambda server=server: server.heard == ["hello"])  # type: ignore[misc]
            (state,) = rig.supervisor.states()
            if ready:
                async with asyncio.timeout(20):
                    while not state.connected_at:
                        await asyncio.sleep(0)
            assert state.connected_at == (NOW if ready else 0.0)
            say.set()
            await server.wait_for(lambda server=server: server.heard == ["hello", f"taken at {NOW:.0f}"])  # type: ignore[misc]
            assert rig.texts == ["m1"]


async def test_the_first_beat_may_come_sooner_than_the_others(store: Store) -> None:
    """As where a platform spreads the first beats of its clients over one interval."""

    async def behave(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"beat": 3600, "beat_in": 0.01}')

    server = Server(behave)
    async with server.serving(), running(Rig(store, server.inlets())):
        await server.wait_for(lambda: "beat" in server.heard)


async def test_a_beat_that_is_not_answered_ends_the_connection(store: Store) -> None:
    """With the platform's own code of farewell, as every connection that we end; then it is made anew."""

    async def behave(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"beat": 3600, "beat_in": 0}')

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets(goodbye=4900))
        rig.open.clear()
        async with running(rig):
            await rig.until(lambda: rig.waits)
            assert [state.error for state in rig.supervisor.states()] == ["the last beat was not answered"]
            await server.wait_for(lambda: server.codes == [4900])
            rig.open.set()
            await server.wait_for(lambda: len(server.cursors) == 2)


async def test_a_greeting_is_no_success(store: Store) -> None:
    """A platform that greets whoever comes and then refuses the token: one line, however often it is tried."""

    async def behave(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"works": false}')
        await socket.close(code=4004)

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets())
        with capture_logs() as logs:
            async with running(rig):
                await server.wait_for(lambda: len(server.cursors) == 3)
        said = [entry["event"] for entry in logs if entry["log_level"] in ("info", "error")]
        assert said == ["inlet.not_connected"]


async def test_a_connection_is_heard_out_while_its_successor_is_made(store: Store) -> None:
    """What the platform still sends on the old one is committed and acknowledged there, until it ends."""
    done = asyncio.Event()

    async def behave(socket: web.WebSocketResponse) -> None:
        if len(server.cursors) == 1:
            await socket.send_str('{"again": true, "linger": 20, "wait": 2}')
            await server.wait_for(lambda: len(server.cursors) == 2)
            await socket.send_str('{"n": 1}')
            await server.wait_for(lambda: "ack 1" in server.heard)
            await socket.send_str('{"again": true, "linger": 20}')
            done.set()

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets())
        async with running(rig):
            await asyncio.wait_for(done.wait(), 20)
            await server.wait_for(lambda: server.codes == [1000])
        assert rig.texts == ["m1"]
        assert rig.waits == [2.0]
        assert len(server.cursors) == 2


async def test_no_connection_is_left_behind_by_an_inlet_that_goes(store: Store) -> None:
    """One that is heard out ends with its inlet."""

    opened: list[int] = []

    async def behave(socket: web.WebSocketResponse) -> None:
        await server.note(lambda: opened.append(1))
        if len(opened) == 1:
            await socket.send_str('{"again": true, "linger": 3600}')

    server = Server(behave)
    async with server.serving():
        rig = Rig(store, server.inlets())
        async with running(rig):
            await server.wait_for(lambda: len(opened) == 2)
            rig.inlets.clear()
            rig.supervisor.reconfigure()
            await server.wait_for(lambda: len(server.codes) == 2)


def test_a_socket_may_be_at_any_host_of_the_platforms_domain(store: Store) -> None:
    """By TLS, and where the domain is its own; hosts of the inlet stay good."""
    rig = Rig(store, Server(lambda socket: None, port=7_000).inlets())
    inlet = rig.inlets["far"]
    assert isinstance(inlet.platform, Wire)
    feed = outbound._Feed(inlet, inlet.platform, TokenBucket(1, 1), OutboundState("far"))
    assert rig.supervisor._checked(feed, "https://gw-7.chat.example/x", "chat.example").host == "gw-7.chat.example"
    assert rig.supervisor._checked(feed, "http://127.0.0.1:7000/", "chat.example").port == 7_000
    for url in ("https://chat.example.evil.example/", "https://evilchat.example/", "http://gw-7.chat.example/"):
        with pytest.raises(OutboundFailed):
            rig.supervisor._checked(feed, url, "chat.example")
    with pytest.raises(OutboundFailed):
        rig.supervisor._checked(feed, "https://gw-7.chat.example/x")


async def test_a_connection_that_was_cut_in_silence_is_opened_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said for long, and pings have no answer: what nobody closed is noticed all the same."""
    monkeypatch.setattr(outbound_socket, "PING_SECONDS", 0.1)

    async def behave(socket: web.WebSocketResponse) -> None:
        await server.wait_for(lambda: len(server.cursors) >= 2)

    server = Server(behave, answers_pings=False)
    async with server.serving(), running(Rig(store, server.inlets())):
        await server.wait_for(lambda: len(server.cursors) >= 2)


def test_hosts_of_sockets_are_checked_as_those_of_calls() -> None:
    """wss is https, ws is http."""
    assert [http_form(url) for url in ("wss://a/b", "ws://a", "https://a")] == ["https://a/b", "http://a", "https://a"]
