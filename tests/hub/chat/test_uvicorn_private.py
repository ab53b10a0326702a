"""What the HTTP server relies upon in uvicorn and httptools without their promise, part by part. After an upgrade, what
fails here says what has moved; the cure is in hub/chat/uvicorn_private.py, or the version that is pinned stays.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import ssl
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from hub.chat.gated_port import GatedPort
from hub.chat.uvicorn_private import EventServer, HttpConnection, status_line

ROOT = Path(__file__).resolve().parents[3]
OURS = ROOT / "hub" / "chat" / "uvicorn_private.py"

METHODS: list[tuple[type, str, list[str], bool, str]] = [
    # class, method, its parameters, whether it is awaited, what it is for
    (uvicorn.Server, "serve", ["self", "sockets"], True, "runs all of these"),
    (uvicorn.Server, "startup", ["self", "sockets"], True, "accepts connections: overridden"),
    (uvicorn.Server, "main_loop", ["self"], True, "waits for the end: overridden"),
    (uvicorn.Server, "on_tick", ["self", "counter"], True, "renews the Date header"),
    (uvicorn.Server, "shutdown", ["self", "sockets"], True, "ends: overridden"),
    (uvicorn.Server, "capture_signals", ["self"], False, "takes signals: overridden"),
    (HttpToolsProtocol, "connection_made", ["self", "transport"], False, "a connection begins: overridden"),
    (HttpToolsProtocol, "connection_lost", ["self", "exc"], False, "a connection ends: overridden"),
    (HttpToolsProtocol, "data_received", ["self", "data"], False, "bytes come: overridden"),
    (HttpToolsProtocol, "shutdown", ["self"], False, "closes a connection once it is idle"),
    (HttpToolsProtocol, "on_message_begin", ["self"], False, "the parser begins a request: overridden"),
    (HttpToolsProtocol, "on_url", ["self", "url"], False, "the parser has part of the target: overridden"),
    (HttpToolsProtocol, "on_header", ["self", "name", "value"], False, "the parser has a header: overridden"),
    (HttpToolsProtocol, "on_headers_complete", ["self"], False, "starts the application: overridden"),
    (HttpToolsProtocol, "on_message_complete", ["self"], False, "the body has ended: overridden"),
    (HttpToolsProtocol, "on_response_complete", ["self"], False, "a response has ended: overridden"),
    (HttpToolsProtocol, "_unset_keepalive_if_required", ["self"], False, "stops the timer of idle connections"),
    (FlowControl, "pause_reading", ["self"], False, "reads no more from a client"),
]


@pytest.mark.parametrize(
    ("owner", "name", "parameters", "awaited", "purpose"),
    METHODS,
    ids=lambda value: value if type(value) is str else "",
)
def test_a_method_is_called_as_it_was(
    owner: type, name: str, parameters: list[str], awaited: bool, purpose: str
) -> None:
    """Its parameters, by name and order, and whether it is a coroutine."""
    method: Callable[..., Any] | None = getattr(owner, name, None)
    where = f"uvicorn's {owner.__name__}.{name}"
    assert method is not None, f"{where} is gone ({purpose})"
    assert list(inspect.signature(method).parameters) == parameters, f"{where} has other parameters ({purpose})"
    assert inspect.iscoroutinefunction(method) is awaited, f"{where} is awaited differently ({purpose})"


def test_a_server_s_state_has_what_it_had() -> None:
    """Connections and tasks as sets, which a shutdown waits for, and a count."""
    state = vars(ServerState())
    kinds = {"connections": set, "tasks": set, "total_requests": int, "default_headers": list}
    for name, kind in kinds.items():
        assert isinstance(state.get(name), kind), f"uvicorn's ServerState.{name} is no {kind.__name__} any more"
    server = uvicorn.Server(uvicorn.Config(application, log_config=None))
    assert server.should_exit is False, "uvicorn's Server.should_exit"
    assert isinstance(server.server_state, ServerState), "uvicorn's Server.server_state"


def test_a_request_s_state_has_what_it_had() -> None:
    """What a request in hand is told by, and told."""
    given = inspect.signature(RequestResponseCycle.__init__).parameters
    made: Any = RequestResponseCycle(**dict.fromkeys(list(given)[1:]))
    for name in ("response_started", "response_complete", "disconnected"):
        assert getattr(made, name, None) is False, f"uvicorn's RequestResponseCycle.{name}"
    for name in ("keep_alive", "message_event"):
        assert name in given, f"uvicorn's RequestResponseCycle.{name}"


def test_status_lines_end_with_a_line_s_end() -> None:
    """Every status that is answered before the application is asked."""
    for status in (400, 408, 414, 431):
        assert status_line(status).startswith(b"HTTP/1.1 %d " % status)
        assert status_line(status).endswith(b"\r\n")


def test_the_parser_calls_back_by_name() -> None:
    """In this order; an error in a callback comes out as HttpParserError, an upgrade as HttpParserUpgrade with the
    place where the rest begins.
    """
    calls: list[str] = []
    names = ("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete")
    record = SimpleNamespace(**{name: (lambda *_, name=name: calls.append(name)) for name in names})
    parser = httptools.HttpRequestParser(record)
    parser.feed_data(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb")
    assert calls == ["on_message_begin", "on_url", "on_header", "on_header", *names[3:]]
    assert (parser.get_method(), parser.get_http_version(), parser.should_upgrade()) == (b"POST", "1.1", False)

    def fail(*_: object) -> None:
        raise ValueError

    record.on_url = fail
    with pytest.raises(httptools.HttpParserError):
        httptools.HttpRequestParser(record).feed_data(b"GET / HTTP/1.1\r\n\r\n")
    del record.on_url
    offer = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    with pytest.raises(httptools.HttpParserUpgrade) as upgrade:
        httptools.HttpRequestParser(record).feed_data(offer + b"rest")
    assert upgrade.value.args[0] == len(offer)


class Transport(asyncio.Transport):
    """Records what is written and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.paused = False

    def write(self, data: object) -> None:
        self.written += bytes(data)  # type: ignore[call-overload]  # bytes of some kind

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers once the body has ended, or its client is gone."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def connected() -> tuple[HttpConnection, Transport, EventServer]:
    def no_port(context: ssl.SSLContext, connect: Callable[[], asyncio.Protocol]) -> GatedPort:
        raise AssertionError("without TLS there is none")

    server = EventServer(uvicorn.Config(application, log_config=None), asyncio.Event(), asyncio.Event(), no_port)
    connection = HttpConnection(server.config, server.server_state, {})
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport, server


async def test_a_connection_tells_where_its_request_is() -> None:
    """Before, while and after it is answered; idle it has a timer, which can be stopped."""
    connection, transport, server = connected()
    assert (connection.connection_count, connection.is_answering) == (1, False)
    connection.data_received(b"POST /path HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    assert (connection.url, connection.headers[0]) == (b"/path", (b"host", b"a"))
    assert (connection.is_answering, connection.is_answered) == (True, False)
    connection.data_received(b"b")
    await asyncio.gather(*server.server_state.tasks)
    assert (connection.is_answering, connection.is_answered) == (False, True)
    assert transport.written.endswith(b"\r\n\r\nok")
    assert connection.timeout_keep_alive_task is not None, "an idle connection has no timer any more"
    connection.cancel_keepalive()
    assert connection.timeout_keep_alive_task is None
    assert server.server_state.total_requests == 1
    connection.count_request()
    assert server.server_state.total_requests == 2
    connection.abort_connection()
    assert (transport.closed, connection.connection_count) == (True, 0)


async def test_a_connection_closes_after_its_response() -> None:
    """And reads nothing until then."""
    connection, transport, server = connected()
    connection.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb")
    connection.close_after_response()
    assert transport.paused
    await asyncio.gather(*server.server_state.tasks)
    assert transport.closed


async def test_a_request_is_broken_off() -> None:
    """The application learns that its client is gone, and answers no more."""
    connection, transport, server = connected()
    connection.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    assert connection.break_off_request() is False
    await asyncio.gather(*server.server_state.tasks)
    assert transport.written == b""
    connection.renew_parser()
    connection.data_received(b"GET / HTTP/1.1\r\n")
    assert connection.url == b"/"


def test_versions_are_exact() -> None:
    """Inner parts may move with any release."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("uvicorn", "httptools"):
        assert any(line.startswith(f"{name}==") for line in extras["hub"]), f"{name} is not pinned"


def test_no_other_file_touches_them() -> None:
    """Inner modules of uvicorn, and the attributes that lead into its state."""
    inner = {"cycle", "flow", "server_state", "pipeline", "_unset_keepalive_if_required", "timeout_keep_alive_task"}
    for path in (ROOT / "hub").rglob("*.py"):
        if path == OURS:
            continue
        text = path.read_text()
        assert "from uvicorn." not in text, path
        if "uvicorn" in text:
            used = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
            assert not used & inner, path
