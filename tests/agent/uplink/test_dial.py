"""agent.uplink.dial: who is dialled and believed, and what is said when it does not work."""

from __future__ import annotations

import http
import socket
import ssl
import time
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from agent.state import State
from agent.uplink.dial import open_link, unreachable
from common.codec import BadFrame
from common.errors import UserError, WorkFailed
from common.handshake import make_hello
from common.identity import Authority
from common.tls import client_context
from tests.agent.scripted import ScriptedHub, plain


async def opening(state: State) -> None:
    """One try to open a link with what is in `state`."""
    context = client_context(state.authority.read_bytes(), state.certificate, state.key)
    opened = await open_link(state.settings(), context, make_hello("agent", "web-1", None), None)
    await opened.connection.close()


async def test_a_hub_of_another_id_is_not_greeted(tmp_path: Path) -> None:
    """A certificate of the right authority for another hub gets no hello."""
    hub = ScriptedHub(tmp_path / "hub")
    hub.show(hub.authority, "h2")
    async with hub.serving():
        state = hub.joined_state(tmp_path / "state")
        with pytest.raises(UserError, match="not the hub h1"):
            await opening(state)
    assert hub.hellos == []


async def test_a_hub_of_another_authority_is_not_greeted(tmp_path: Path) -> None:
    """Another authority ends the handshake and is said to be one."""
    hub = ScriptedHub(tmp_path / "hub")
    hub.show(Authority.create("h1", time.time()), "h1")
    async with hub.serving():
        state = hub.joined_state(tmp_path / "state")
        with pytest.raises(WorkFailed, match="by another CA"):
            await opening(state)
    assert hub.hellos == []


@pytest.mark.parametrize(("age", "words"), [(200 * 86_400.0, "expired"), (-86_400.0, "not valid yet")])
async def test_clocks_that_do_not_agree_are_named(age: float, words: str, tmp_path: Path) -> None:
    """A hub's certificate that is over or not yet valid by this machine's clock points at the clocks."""
    then = time.time() - age
    hub = ScriptedHub(tmp_path / "hub", now=then - 86_400)
    hub.show(hub.authority, "h1", now=then)
    async with hub.serving():
        state = hub.joined_state(tmp_path / "state")
        with pytest.raises(WorkFailed, match=words) as raised:
            await opening(state)
    assert "clock" in str(raised.value)


async def test_a_closed_port_is_said_to_be_one(hub: ScriptedHub, tmp_path: Path) -> None:
    """Where nobody listens the address is in the message."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub.port = unused.getsockname()[1]
        state = hub.joined_state(tmp_path / "state")
        with pytest.raises(WorkFailed, match=f"nobody listens at 127.0.0.1:{hub.port}"):
            await opening(state)


async def test_a_port_without_tls_is_said_to_be_one(hub: ScriptedHub, tmp_path: Path) -> None:
    """A plain WebSocket server is not a hub's link port."""

    async def nobody(connection: ServerConnection) -> None: ...

    async with serve(nobody, "127.0.0.1", 0) as server:
        hub.port = server.sockets[0].getsockname()[1]
        state = hub.joined_state(tmp_path / "state")
        with pytest.raises(WorkFailed, match="broke off the opening"):
            await opening(state)


async def test_a_web_server_is_said_to_be_one(hub: ScriptedHub, tmp_path: Path) -> None:
    """An HTTP status instead of a WebSocket is told."""
    hub._request = lambda connection, request: plain(b"no", None, http.HTTPStatus.NOT_FOUND)  # type: ignore[method-assign]
    async with ScriptedHub.serving(hub_at(hub, tmp_path)) as other:
        state = other.joined_state(tmp_path / "state")
        with pytest.raises(WorkFailed, match="HTTP 404"):
            await opening(state)


def hub_at(hub: ScriptedHub, tmp_path: Path) -> ScriptedHub:
    """Another hub that answers every request with 404."""
    other = ScriptedHub(tmp_path / "other")
    other._request = hub._request  # type: ignore[method-assign]
    return other


async def test_a_hub_that_says_nothing_is_given_up(
    hub: ScriptedHub, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The welcome has a time limit."""
    hub.silent = True
    monkeypatch.setattr("agent.uplink.dial.OPEN_TIMEOUT", 0.2)
    with pytest.raises(WorkFailed, match="said nothing"):
        await opening(state)


@pytest.mark.parametrize("heartbeat", [0.0, -1.0, 1e9])
async def test_a_welcome_out_of_range_is_refused(heartbeat: float, hub: ScriptedHub, state: State) -> None:
    """Heartbeats that could never or always be due are not accepted."""
    hub.heartbeat = heartbeat
    with pytest.raises(BadFrame, match="out of range"):
        await opening(state)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "does not answer"),
        (ConnectionRefusedError(111, "refused"), "nobody listens"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "does not speak TLS"),
    ],
)
def test_what_went_wrong_is_said_in_words(error: OSError, words: str) -> None:
    """Each way not to reach a hub has its own sentence, with the address and a cure."""
    told = unreachable("hub:8443", error)
    assert words in told.problem
    assert "hub:8443" in told.problem
    assert told.cure
