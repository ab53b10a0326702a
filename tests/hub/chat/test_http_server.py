"""The HTTP server against real sockets: deadlines, sizes, smuggling, crowds, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from common.errors import UserError
from hub.chat import http_server
from hub.chat.http_server import HttpLimits
from hub.core.rate_limits import LOOPBACK, Network

QUICK = HttpLimits(head_seconds=0.2, keep_alive=1, grace=2)


@dataclass
class Echo:
    """An application that answers with what it got, and can be held."""

    gate: asyncio.Event
    entered: asyncio.Event
    seen: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen += 1
        self.entered.set()
        body = b""
        if scope["path"] != "/early":
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
                if not message["more_body"]:
                    break
        await self.gate.wait()
        names = b",".join(name for name, _ in scope["headers"])
        answer = b"%s %s %s" % (scope["method"].encode(), body, names)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@dataclass
class Running:
    port: int
    app: Echo
    stop: asyncio.Event
    done: asyncio.Task[None]

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def say(self, data: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        async with self.connection() as (reader, writer):
            writer.write(data)
            return await all_of(reader)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(45):
            while piece := await reader.read(65_536):
                data += piece
    return data


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(length)


@contextlib.asynccontextmanager
async def running(
    bounds: HttpLimits = QUICK,
    held: bool = False,
    trusted: Collection[Network] = LOOPBACK,
) -> AsyncIterator[Running]:
    listener = http_server.bind("127.0.0.1:0")
    app = Echo(asyncio.Event(), asyncio.Event())
    if not held:
        app.gate.set()
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serve = http_server.serve(app, listener, started=started, stop=stop, limits=bounds, trusted_proxies=trusted)
        done = group.create_task(serve)
        await started.wait()
        try:
            yield Running(listener.getsockname()[1], app, stop, done)
        finally:
            app.gate.set()
            stop.set()


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_one_address_has_its_share_of_the_connections() -> None:
    """Trust (A6): its own that has kept us waiting longest makes room. A trusted proxy sends for many, and has none."""
    bounds = replace(QUICK, head_seconds=300.0, address=3)
    for trusted, closes in (((), True), (LOOPBACK, False)):
        async with running(bounds, trusted=trusted) as server, contextlib.AsyncExitStack() as stack:
            first, _ = await stack.enter_async_context(server.connection())
            for _ in range(2):
                await stack.enter_async_context(server.connection())
            reader, writer = await stack.enter_async_context(server.connection())
            writer.write(LAST)
            assert b" 200 " in await all_of(reader)
            if closes:
                assert await all_of(first) == b""
            else:
                assert not first.at_eof()


async def test_a_request_is_answered_without_banner() -> None:
    """An ordinary request gets its answer, and the server does not say what it is."""
    async with running() as server:
        answer = await server.say(LAST)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nserver:" not in answer.lower()


async def test_requests_follow_one_another_on_a_connection() -> None:
    """Keep-alive and pipelining work, bodies of both kinds included."""
    async with running() as server, server.connection() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert b"POST abc" in await one_answer(reader)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
        )
        assert b"POST abcde" in await one_answer(reader)
        writer.write(GET + GET + LAST)
        assert (await all_of(reader)).count(b"200 OK") == 3


async def test_headers_that_dribble_are_cut_off() -> None:
    """A connection whose headers are not complete in time gets 408 and ends, however busily it sends."""
    async with running() as server, server.connection() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")

        async def dribble() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            dribbling = group.create_task(dribble())
            answer = await all_of(reader)
            dribbling.cancel()
        assert answer.startswith(b"HTTP/1.1 408")
        assert server.app.seen == 0


@pytest.mark.parametrize("sent", [b"", b"G", b"\r\n\r\n"])
async def test_a_connection_that_says_nothing_is_closed(sent: bytes) -> None:
    """Silence and empty lines do not hold a connection."""
    async with running() as server:
        async with asyncio.timeout(45):
            answer = await server.say(sent)
        assert b"200" not in answer


async def test_an_idle_connection_is_closed_after_keep_alive() -> None:
    """Also where it sends empty lines between requests to seem busy."""
    async with running() as server, server.connection() as (reader, writer):
        writer.write(GET)
        await one_answer(reader)
        writer.write(b"\r\n")
        async with asyncio.timeout(45):
            assert b"200" not in await all_of(reader)
    async with running() as server, server.connection() as (reader, writer):
        writer.write(GET)
        await one_answer(reader)
        async with asyncio.timeout(45):
            assert await all_of(reader) == b""


async def test_a_second_request_has_the_same_deadline() -> None:
    """The deadline for headers holds for every request of a connection."""
    async with running(replace(QUICK, keep_alive=30)) as server, server.connection() as (reader, writer):
        writer.write(GET)
        await one_answer(reader)
        writer.write(b"GET / HTTP/1.1\r\nHo")
        async with asyncio.timeout(45):
            assert (await all_of(reader)).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 8_192 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"A: " + b"b" * 4_000 + b"\r\n") * 9 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 1_000_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * 1_000_000, 431),
        (b"GET /" + b"a" * 8_192 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"a" * 1_000_000, 414),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 100, 431),
    ],
    ids=["lines", "long line", "total", "endless value", "endless name", "long path", "endless path", "trailers"],
)
async def test_headers_are_bounded(request_bytes: bytes, status: int) -> None:
    """Too many lines, too long a line, too much in all, complete or endless: refused before the application."""
    async with running(replace(QUICK, head_seconds=30)) as server:
        answer = await server.say(request_bytes)
        # Where more is under way than was read, the kernel may take the answer back with a reset.
        assert answer.startswith(b"HTTP/1.1 %d" % status) or (answer == b"" and len(request_bytes) > 65_536)
        assert b"200 OK" not in answer


async def test_the_bounds_themselves_are_allowed() -> None:
    """64 headers and one of almost 8 KiB pass."""
    async with running() as server:
        head = b"GET / HTTP/1.1\r\nConnection: close\r\nA: " + b"b" * 8_000 + b"\r\n" + b"A: b\r\n" * 62 + b"\r\n"
        assert b"200 OK" in await server.say(head)


SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
        b"X: y\nTransfer-Encoding: chunked\r\n",
        b"X: y\rTransfer-Encoding: chunked\r\n",
        b"X\0: y\r\n",
        b"X: a\0b\r\n",
        b": empty\r\n",
        b"X y: z\r\n",
    ],
)
async def test_what_two_servers_could_read_in_two_ways_is_refused(head: bytes) -> None:
    """Contradicting lengths, odd encodings, folded lines and bare line ends are 400, and hide no second request."""
    async with running() as server:
        answer = await server.say(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + SMUGGLED)
        assert b"200 OK" not in answer
        assert answer.startswith(b"HTTP/1.1 400")
        assert b'"error":"bad_request"' in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\0" * 100,
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused(data: bytes) -> None:
    """Other protocols and broken framing end the connection with 400, at the latest."""
    async with running() as server:
        answer = await server.say(data)
        assert b"200 OK" not in answer
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


async def test_trailers_do_not_become_headers() -> None:
    """A field behind a chunked body is not taken for a header that was checked before it."""
    async with running() as server:
        answer = await server.say(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Signature: forged\r\n\r\n"
        )
        assert answer.endswith(b"POST abc host,connection,transfer-encoding")


async def test_an_offered_upgrade_is_passed_over() -> None:
    """Some clients offer HTTP/2 with every request; their body is read and the connection goes on."""
    head = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    async with running() as server:
        offer = b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Length: 3\r\n\r\n"
        assert b"POST abc host,content-length" in await server.say(offer + b"abc" + LAST)
        async with server.connection() as (reader, writer):
            for piece in (offer[:70], offer[70:], b"ab", b"c"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            assert b"POST abc host,content-length" in await one_answer(reader)
            writer.write(offer + b"def" + LAST)
            assert b"POST def" in await one_answer(reader)
            assert b"200 OK" in await all_of(reader)


async def test_garbage_behind_a_request_does_not_spoil_its_answer() -> None:
    """The request that was whole is answered, then the connection ends."""
    async with running(held=True) as server, server.connection() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\x16\x03\x01garbage\r\n\r\n")
        await server.app.entered.wait()
        server.app.gate.set()
        answer = await all_of(reader)
        assert b"POST abc" in answer
        assert answer.count(b"HTTP/1.1 ") == 1


async def test_an_early_answer_ends_the_connection() -> None:
    """Where the application answers before the body's end, the rest is not read for as long as it keeps coming."""
    async with running() as server, server.connection() as (reader, writer):
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\nabc")
        assert b"200 OK" in await one_answer(reader)
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(45):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.01)


async def test_at_the_limit_the_one_that_waited_longest_makes_room() -> None:
    """A thousand connections that never say anything do not keep an honest request out."""
    async with running(replace(QUICK, connections=20, head_seconds=60)) as server, contextlib.AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(server.connection()) for _ in range(40)]
        for _, writer in silent:
            writer.write(b"GET / HTTP/1.1\r\nX: ")
        assert b"200 OK" in await server.say(LAST)
        assert await all_of(silent[0][0]) == b""  # the first to come were the first to go


async def test_requests_in_hand_are_not_pushed_out() -> None:
    """Where everyone is being answered it is the new connection that goes."""
    async with (
        running(replace(QUICK, connections=2), held=True) as server,
        server.connection() as (first, first_writer),
        server.connection() as (second, second_writer),
    ):
        for writer in (first_writer, second_writer):
            server.app.entered.clear()
            writer.write(LAST)
            await server.app.entered.wait()
        assert await server.say(LAST) == b""
        server.app.gate.set()
        assert b"200 OK" in await all_of(first)
        assert b"200 OK" in await all_of(second)


async def test_a_slowloris_does_not_keep_honest_requests_waiting() -> None:
    """While three hundred connections dribble headers, requests are answered at once."""
    async with running(HttpLimits(connections=100)) as server, contextlib.AsyncExitStack() as stack:
        writers = []
        for _ in range(300):
            _, writer = await stack.enter_async_context(server.connection())
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")
            writers.append(writer)
        for round_ in range(10):
            for writer in writers[round_ * 30 : round_ * 30 + 30]:
                writer.write(b"X: y\r\n")
            async with asyncio.timeout(1):
                assert b"200 OK" in await server.say(LAST)


@dataclass
class Late:
    """An application that answers the second request of a connection only when the client has gone."""

    entered: asyncio.Event
    wrong: bool = False  # what fails is the application's own
    seen: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen += 1
        if self.seen == 2:
            self.entered.set()
            connection = send.__self__.transport.get_protocol()  # type: ignore[attr-defined]
            while connection in connection.connections:
                await asyncio.sleep(0)
            if self.wrong:
                raise RuntimeError("a fault of ours")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("wrong", [False, True])
def test_a_client_that_goes_before_it_is_answered_is_no_fault(wrong: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Three requests at once, on the hub's event loop. What the application itself does wrong is logged."""

    async def main() -> None:
        listener, started, stop = http_server.bind("127.0.0.1:0"), asyncio.Event(), asyncio.Event()
        app = Late(asyncio.Event(), wrong)
        async with asyncio.TaskGroup() as group:
            group.create_task(http_server.serve(app, listener, started=started, stop=stop, limits=QUICK))
            await started.wait()
            _, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
            writer.write(GET * 3)
            await app.entered.wait()
            writer.transport.abort()
            stop.set()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    errors = [record.getMessage().strip() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == (["Exception in ASGI application"] if wrong else [])


async def test_stop_finishes_what_is_in_hand() -> None:
    """A request that has come is answered, idle connections are closed, new ones are refused, then `serve` returns."""
    async with (
        running(held=True) as server,
        server.connection() as (reader, writer),
        server.connection() as (idle, _),
    ):
        writer.write(GET)
        await server.app.entered.wait()
        server.stop.set()
        assert await all_of(idle) == b""
        server.app.gate.set()
        assert b"200 OK" in await all_of(reader)
        async with asyncio.timeout(45):
            await server.done
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_what_does_not_finish_is_cut_off() -> None:
    """A request that never ends does not hold up the shutdown beyond its grace."""
    async with running(replace(QUICK, grace=1), held=True) as server, server.connection() as (_, writer):
        writer.write(GET)
        await server.app.entered.wait()
        server.stop.set()
        async with asyncio.timeout(45):
            await server.done


async def test_a_cancelled_server_leaves_nothing_open() -> None:
    """Where another part of the hub fails, the port is free and the connections are gone."""
    async with running(held=True) as server, server.connection() as (reader, writer):
        writer.write(GET)
        await server.app.entered.wait()
        server.done.cancel()
        await asyncio.wait([server.done])
        assert await all_of(reader) == b""
        http_server.bind(f"127.0.0.1:{server.port}").close()


async def test_signals_are_left_alone() -> None:
    """The hub's own handlers stay in place while the server runs."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with running() as server:
        await server.say(LAST)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_port_in_use_is_named_with_the_cure() -> None:
    """Whoever starts a second hub is told which address, and which key to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"^{where} is in use: .*\[http\] listen"):
            http_server.bind(where)


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        ("192.0.2.1:8080", "not an address of this machine"),
        ("no.such.host.invalid:8080", "not an address to listen on"),
        ("8080", "not an address to listen on"),
        ("", "not an address to listen on"),
    ],
)
def test_an_address_that_cannot_be_used_is_explained(listen: str, problem: str) -> None:
    """Every failure to listen is a message with a cure and no traceback."""
    with pytest.raises(UserError, match=problem) as caught:
        http_server.bind(listen)
    assert "[http] listen" in caught.value.cure


async def test_ipv6_is_listened_on() -> None:
    """An address in brackets is IPv6."""
    try:
        listener = http_server.bind("[::1]:0")
    except UserError:
        pytest.skip("no IPv6 here")
    assert listener.family == socket.AF_INET6
    listener.close()
