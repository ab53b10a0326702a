"""common.link.dial: who is dialled and believed, and what is said when it does not work; for agents and consoles."""

from __future__ import annotations

import http
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from common.errors import UserError, WorkFailed
from common.identity.certificates import Authority
from common.identity.tls import client_context
from common.link.codec import BadFrame
from common.link.dial import HubRefused, OpenLink, UntimelyHub, connect_error, open_link
from common.link.handshake import LinkRole, make_hello
from common.link.messages import Refuse
from common.link.session import StaleEpoch
from tests.common.fake_hub import FakeHub, http_response

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    """A hub that serves."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        yield hub


async def opening(
    hub: FakeHub, role: LinkRole = "agent", epoch: int = 0, *, check_time: bool = True, known: float = 0.0
) -> OpenLink:
    """One try to open a link with a good credential; a link that came to be is closed again."""
    kind, name = ("operator", "alice") if role == "console" else ("agent", "web-1")
    ours = hub.create_credential(hub.folder / "ours", name, kind=kind)  # type: ignore[arg-type]
    context = client_context(ours.authority.read_bytes(), ours.certificate, ours.key, check_time=check_time)
    hello = make_hello(role, name, None, epoch=epoch)
    opened = await open_link(hub.url, "h1", context, hello, None, known=known)
    await opened.connection.close()
    return opened


@pytest.mark.parametrize("role", ["agent", "console"])
async def test_a_link_is_opened_in_the_role_of_the_hello(role: LinkRole, hub: FakeHub) -> None:
    """Agents and consoles have a path each; the hub hears whom the certificate and the hello name, and in which
    version.
    """
    opened = await opening(hub, role)
    assert (opened.welcome.resumed, opened.epoch) == (False, 1)
    end = await hub.next_link()
    assert end.identity.kind == ("operator" if role == "console" else "agent")
    request = end.connection.request
    assert request is not None
    assert request.path == f"/{role}"
    assert request.headers["User-Agent"].startswith(f"answerback-{role}/")


async def test_a_refusal_is_handed_on(hub: FakeHub) -> None:
    """Whoever dialled decides what a no means."""
    hub.refusals.append(Refuse("revoked", "no longer", 5.0))
    with pytest.raises(HubRefused) as raised:
        await opening(hub)
    assert raised.value.refusal == Refuse("revoked", "no longer", 5.0)


async def test_a_hub_that_is_behind_is_refused(hub: FakeHub) -> None:
    """An epoch below one that was heard is a restored backup's, or a zombie's."""
    with pytest.raises((StaleEpoch, HubRefused)):
        await opening(hub, epoch=7)


async def test_a_hub_of_another_id_is_not_greeted(tmp_path: Path) -> None:
    """A certificate of the right authority for another hub gets no hello."""
    hub = FakeHub(tmp_path / "hub")
    hub.use_certificate(hub.authority, "h2")
    async with hub.serving():
        with pytest.raises(UserError, match="not the hub h1"):
            await opening(hub)
    assert hub.hellos == []


async def test_a_hub_of_another_authority_is_not_greeted(tmp_path: Path) -> None:
    """Another authority ends the handshake and is said to be one."""
    hub = FakeHub(tmp_path / "hub")
    hub.use_certificate(Authority.create("h1", time.time()), "h1")
    async with hub.serving():
        with pytest.raises(WorkFailed, match="by another CA"):
            await opening(hub)
    assert hub.hellos == []


@pytest.mark.parametrize(("age", "words"), [(200 * 86_400.0, "expired"), (-86_400.0, "not valid yet")])
async def test_clocks_that_do_not_agree_are_named(age: float, words: str, tmp_path: Path) -> None:
    """A hub's certificate that is over or not yet valid by this machine's clock points at the clocks."""
    then = time.time() - age
    hub = FakeHub(tmp_path / "hub", now=then - 86_400)
    hub.use_certificate(hub.authority, "h1", now=then)
    async with hub.serving():
        with pytest.raises(WorkFailed, match=words) as raised:
            await opening(hub)
    assert "clock" in str(raised.value)


async def test_a_clock_that_is_behind_is_no_reason_to_stay_away(tmp_path: Path) -> None:
    """Trust: the hub's certificate. One of the future is the authority's all the same; one that has run out is refused,
    also where this clock, being behind, does not see it: a moment that is certainly past is known.
    """
    now = time.time()
    hub = FakeHub(tmp_path / "hub", now=now - 86_400)
    hub.use_certificate(hub.authority, "h1", now=now + 31_557_600)
    async with hub.serving():
        await opening(hub, check_time=False)
        await opening(hub, check_time=False, known=now + 31_557_600)
        with pytest.raises(UntimelyHub, match="expired"):
            await opening(hub, check_time=False, known=now + 2 * 31_557_600)
        hub.renew_certificate(now=now - 31_557_600)
        with pytest.raises(UntimelyHub, match="expired"):
            await opening(hub, check_time=False)


async def test_a_closed_port_is_said_to_be_one(tmp_path: Path) -> None:
    """Where nobody listens the address is in the message."""
    hub = FakeHub(tmp_path / "hub")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub.port = unused.getsockname()[1]
        with pytest.raises(WorkFailed, match=f"nobody listens at 127.0.0.1:{hub.port}"):
            await opening(hub)


async def test_a_port_without_tls_is_said_to_be_one(tmp_path: Path) -> None:
    """A plain WebSocket server is not a hub's link port."""

    async def nobody(connection: ServerConnection) -> None: ...

    hub = FakeHub(tmp_path / "hub")
    async with serve(nobody, "127.0.0.1", 0) as server:
        hub.port = server.sockets[0].getsockname()[1]
        with pytest.raises(WorkFailed, match="broke off the opening"):
            await opening(hub)


@pytest.mark.parametrize(
    ("status", "words"),
    [(http.HTTPStatus.NOT_FOUND, "HTTP 404"), (http.HTTPStatus.FORBIDDEN, "does not know this certificate")],
)
async def test_an_http_answer_is_told(
    status: http.HTTPStatus, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status instead of a WebSocket: a web server's, or a hub's to whom it does not know."""
    hub = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(hub, "_request", lambda connection, request: http_response(b"no", None, status))
    async with hub.serving():
        with pytest.raises(WorkFailed, match=words):
            await opening(hub)


async def test_a_hub_that_says_nothing_is_given_up(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The welcome has a time limit."""
    hub.silent = True
    monkeypatch.setattr("common.link.dial.OPEN_TIMEOUT", 0.2)
    with pytest.raises(WorkFailed, match="said nothing"):
        await opening(hub)


@pytest.mark.parametrize("heartbeat", [0.0, -1.0, 1e9])
async def test_a_welcome_out_of_range_is_refused(heartbeat: float, hub: FakeHub) -> None:
    """Heartbeats that could never or always be due are not accepted."""
    hub.heartbeat = heartbeat
    with pytest.raises(BadFrame, match="out of range"):
        await opening(hub)


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
    told = connect_error("hub:8443", error)
    assert words in told.problem
    assert "hub:8443" in told.problem
    assert told.cure


def test_dialling_needs_no_cryptography() -> None:
    """An agent's uplink dials, and must stay small."""
    program = (
        "import sys, common.link.dial; assert not [name for name in sys.modules if name.startswith('cryptography')]"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
