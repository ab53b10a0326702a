"""agent.join: the first contact, with a hub that keeps the rules and with those that do not."""

from __future__ import annotations

import asyncio
import http
import json
import os
import ssl
import stat
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response

from agent.certificate import new_request
from agent.join import fetch_authority, join, name_in, parse_authority
from agent.state import Settings, State
from common.errors import UserError, WorkFailed
from common.identity import Authority, identity_in
from common.messages import Join, Joined, Message, Refuse, Welcome
from tests.agent.scripted import ScriptedHub, plain

TOKEN = "web-1.canary-of-the-token"
KEYS = {"00112233445566aa": bytes(range(32))}


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A folder that does not exist yet."""
    return State(tmp_path / "state")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[ScriptedHub]:
    """A hub that lets web-1 join."""
    async with ScriptedHub(tmp_path / "hub").serving() as hub:
        hub.join = lambda message: letting_in(hub, message)
        yield hub


async def letting_in(hub: ScriptedHub, message: Join, /, **changes: object) -> Message:
    values = {
        "name": message.name,
        "certificate": hub.issue(message.request, message.name),
        "authority": hub.authority.certificate,
        "job_keys": KEYS,
        "hub": hub.hub_id,
    }
    return Joined(**(values | changes))  # type: ignore[arg-type]


def files(state: State) -> set[str]:
    return {str(path.relative_to(state.path)) for path in state.path.rglob("*") if path.is_file()}


async def test_a_machine_joins(hub: ScriptedHub, state: State) -> None:
    """All files are there, private, and hold what the hub said; the key is the certificate's and was never sent."""
    asked: list[Join] = []

    async def answer(message: Join) -> Message:
        asked.append(message)
        return await letting_in(hub, message)

    hub.join = answer
    joined = await join(hub.url, TOKEN, hub.authority.pin, state)
    assert (joined.name, joined.hub) == ("web-1", "h1")
    assert (asked[0].token, asked[0].name) == (TOKEN, "web-1")
    assert state.settings() == Settings(hub.url, "web-1", "h1")
    assert tomllib.loads(state.settings_file.read_text()).keys() == {"url", "name", "hub"}
    assert state.authority.read_bytes() == hub.authority.certificate
    assert identity_in(state.certificate.read_bytes(), time.time(), "agent").name == "web-1"
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(state.certificate, state.key)
    assert b"PRIVATE" not in asked[0].request
    assert state.validity().generation == 1
    assert json.loads(state.trust.read_text()) == {
        "name": "web-1",
        "hub": "h1",
        "job_keys": {"00112233445566aa": bytes(range(32)).hex()},
    }
    assert state.policy.stat().st_size > 0
    assert TOKEN not in "".join(path.read_text() for path in state.path.rglob("*") if path.is_file())
    for path in state.path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert not {name for name in files(state) if name.endswith((".joining", ".next"))}


async def test_the_uplink_takes_what_join_wrote(hub: ScriptedHub, state: State) -> None:
    """The key's mode, the settings and the validity pass the uplink's own checks."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    state.check_key()
    os.close(state.hold_lock())
    assert state.validity().not_after > time.time() + 3_600


async def test_another_authority_is_refused_before_anything_is_sent(hub: ScriptedHub, state: State) -> None:
    """Both pins are told, no token leaves, and nothing is written."""
    asked: list[Join] = []

    async def answer(message: Join) -> Message:
        asked.append(message)
        return await letting_in(hub, message)

    hub.join = answer
    expected = "sha256:" + "ab" * 32
    with pytest.raises(WorkFailed, match="shows another authority") as raised:
        await join(hub.url, TOKEN, expected, state)
    assert expected in str(raised.value)
    assert hub.authority.pin in str(raised.value)
    assert asked == []
    assert not state.path.exists()


async def test_a_middleman_with_the_right_authority_is_refused(tmp_path: Path, state: State) -> None:
    """Showing the public CA certificate is not enough: the connection that gets the token is verified against it."""
    hub = ScriptedHub(tmp_path / "hub")
    hub.show(Authority.create("h1", time.time()), "h1")
    asked: list[Join] = []

    async def answer(message: Join) -> None:
        asked.append(message)

    hub.join = answer
    async with hub.serving():
        with pytest.raises(WorkFailed, match="by another CA"):
            await join(hub.url, TOKEN, hub.authority.pin, state)
    assert asked == []
    assert files(state) == {"uplink/lock"}


async def test_an_agent_cannot_play_the_hub(tmp_path: Path, state: State) -> None:
    """A machine's certificate by the right authority does not get the token."""
    hub = ScriptedHub(tmp_path / "hub")
    made = new_request("web-9")
    (hub.folder / "hub.pem").write_bytes(hub.issue(made.request, "web-9"))
    (hub.folder / "hub.key").write_bytes(made.key)
    async with hub.serving():
        with pytest.raises(WorkFailed, match="not a hub"):
            await join(hub.url, TOKEN, hub.authority.pin, state)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("token_used", "the token has been used already; ask for a new one"),
        ("token_expired", "the token has expired; ask for a new one"),
        ("token_name", "the token is for another name; join under the name it was made for"),
        ("odd", "a\x1b[31m\nred one"),
    ],
)
async def test_the_hub_s_reason_is_shown(code: str, reason: str, hub: ScriptedHub, state: State) -> None:
    """A refusal is told in the hub's words, without control characters, and leaves no key behind."""

    async def refuse(message: Join) -> Message:
        return Refuse(code, reason)

    hub.join = refuse
    with pytest.raises(WorkFailed) as raised:
        await join(hub.url, TOKEN, hub.authority.pin, state)
    told = str(raised.value)
    assert told.startswith("the hub refused: ")
    assert reason.split("\x1b")[0] in told
    assert told.isprintable()
    assert "canary" not in told
    assert files(state) == {"uplink/lock"}
    assert not state.joined()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "web-2"}, "not for web-1"),
        ({"hub": "../h"}, "not for web-1"),
        ({"hub": "h2"}, "not the hub h2"),
        ({"job_keys": {}}, "no keys"),
        ({"job_keys": {"a": b"short"}}, "no keys"),
        ({"certificate": b"nonsense"}, "the hub sent"),
    ],
)
async def test_an_answer_that_is_off_is_not_kept(
    changes: dict[str, object], words: str, hub: ScriptedHub, state: State
) -> None:
    """For another machine, from another hub, without keys or with a broken certificate: nothing is written."""
    hub.join = lambda message: letting_in(hub, message, **changes)
    with pytest.raises(UserError, match=words):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert files(state) == {"uplink/lock"}


async def test_a_certificate_for_another_key_is_not_kept(hub: ScriptedHub, state: State) -> None:
    """A certificate that our key cannot prove is refused."""
    hub.join = lambda message: letting_in(hub, message, certificate=hub.issue(new_request("web-1").request, "web-1"))
    with pytest.raises(WorkFailed, match="another key"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert not state.joined()


@pytest.mark.parametrize("answer", [None, Welcome(1, "s", False, 0, 1.0, 0.0, "0")])
async def test_a_hub_that_does_not_answer(answer: Message | None, hub: ScriptedHub, state: State) -> None:
    """A connection that is closed without an answer, or one that makes no sense, is an error with a cure."""

    async def say(message: Join) -> Message | None:
        return answer

    hub.join = say
    with pytest.raises(WorkFailed, match=r"did not answer|something else") as raised:
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert raised.value.cure


async def test_a_clock_that_is_off_is_told_before_the_token_is_used(hub: ScriptedHub, state: State) -> None:
    """Two hours behind the hub: said so, with how to set it, and no token sent."""
    asked: list[Join] = []

    async def answer(message: Join) -> None:
        asked.append(message)

    hub.join = answer
    hub.date = time.time()
    with pytest.raises(WorkFailed, match="clock is 2 hours behind the hub's") as raised:
        await join(hub.url, TOKEN, hub.authority.pin, state, wall=lambda: time.time() - 7_200)
    assert "has not been used" in str(raised.value)
    assert asked == []


async def test_joining_twice_needs_force(hub: ScriptedHub, state: State) -> None:
    """A joined folder is kept; with force the identity is replaced and the edited policy stays."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    with pytest.raises(UserError, match="has joined already: it is web-1 of hub h1; give --force"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    before = state.key.read_bytes()
    state.policy.write_text("# mine\n")
    state.next_key.write_text("left over")
    await join(hub.url, "web-2.another-token", hub.authority.pin, state, force=True)
    assert state.settings().name == "web-2"
    assert state.key.read_bytes() != before
    assert state.policy.read_text() == "# mine\n"
    assert not state.next_key.exists()


async def test_a_folder_at_work_is_not_joined(hub: ScriptedHub, state: State) -> None:
    """Not even with force while an uplink holds it."""
    await join(hub.url, TOKEN, hub.authority.pin, state)
    lock = state.hold_lock()
    try:
        with pytest.raises(UserError, match="another uplink"):
            await join(hub.url, TOKEN, hub.authority.pin, state, force=True)
    finally:
        os.close(lock)
    assert state.joined()


async def test_a_folder_that_cannot_be_written_does_not_cost_the_token(hub: ScriptedHub, state: State) -> None:
    """A file in the place of the runner's folder is found before the hub hears of the token."""
    asked: list[Join] = []

    async def answer(message: Join) -> None:
        asked.append(message)

    hub.join = answer
    state.path.mkdir()
    state.runner.write_text("in the way")
    with pytest.raises(UserError, match="is not a folder"):
        await join(hub.url, TOKEN, hub.authority.pin, state)
    assert asked == []


@pytest.mark.parametrize("token", ["", "web-1", "web-1.", ".secret", "../x.secret", "a b.secret", "web-1." + "x" * 600])
def test_what_is_no_token_is_said_to_be_none(token: str) -> None:
    """Without a name or a secret, or too long: refused, and not repeated in the message."""
    with pytest.raises(UserError, match="not a join token") as raised:
        name_in(token)
    assert "secret" not in str(raised.value)


def test_names_may_have_dots() -> None:
    """The name is what stands before the last dot."""
    assert name_in("web-1.example.org.c2VjcmV0") == "web-1.example.org"


@pytest.mark.parametrize("pin", ["", "sha256:", "sha1:" + "0" * 64, "0" * 64, "sha256:" + "0" * 63])
async def test_a_pin_that_is_none_is_refused(pin: str, state: State) -> None:
    """There is no way to join without a whole pin."""
    with pytest.raises(UserError, match="CA pin"):
        await join("wss://127.0.0.1:1", TOKEN, pin, state)


# ---- GET /ca


@asynccontextmanager
async def answering(data: bytes, *, then_hold: bool, tmp_path: Path) -> AsyncIterator[int]:
    """A TLS server that sends `data` whatever is asked; gives its port."""
    hub = ScriptedHub(tmp_path / "odd")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(hub.folder / "hub.pem", hub.folder / "hub.key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if then_hold:
            await reader.read()  # until the other side goes
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    """More than 64 KiB is refused without waiting for the rest."""
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, then_hold=True, tmp_path=tmp_path) as port:
        with pytest.raises(WorkFailed, match="more than a certificate"):
            await fetch_authority("127.0.0.1", port)


async def test_an_answer_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole exchange has one time limit."""
    monkeypatch.setattr("agent.join.OPEN_TIMEOUT", 0.3)
    async with answering(b"HTTP/1.1 200 OK\r\n", then_hold=True, tmp_path=tmp_path) as port:
        with pytest.raises(WorkFailed, match="does not answer"):
            await fetch_authority("127.0.0.1", port)


@pytest.mark.parametrize(
    "answer",
    [
        Response(404, "Not Found", Headers(), b"no"),
        plain(b"moved", None, http.HTTPStatus.FOUND),
    ],
)
async def test_a_web_server_is_no_hub(answer: Response, hub: ScriptedHub, state: State) -> None:
    """Any status but 200 is an address that is wrong."""
    hub.ca_answer = lambda: answer
    with pytest.raises(WorkFailed, match="no hub's link port"):
        await join(hub.url, TOKEN, hub.authority.pin, state)


@pytest.mark.parametrize("extra", [b"", b"certificate"])
async def test_more_or_less_than_one_certificate_is_none(extra: bytes, hub: ScriptedHub, state: State) -> None:
    """A second certificate that rides along with the pinned one is not accepted, nor is an empty body."""
    other = Authority.create("h2", time.time()).certificate
    hub.shown_authority = hub.authority.certificate + other if extra else b""
    with pytest.raises(WorkFailed, match="sent no certificate"):
        await join(hub.url, TOKEN, hub.authority.pin, state)


async def test_a_hub_that_is_not_there(state: State) -> None:
    """A closed port is told as such."""
    with pytest.raises(WorkFailed, match=r"nobody listens at 127\.0\.0\.1:1: "):
        await join("wss://127.0.0.1:1", TOKEN, "sha256:" + "0" * 64, state)


@pytest.mark.parametrize(
    "head",
    [b"", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"],
)
def test_what_is_not_http_is_refused(head: bytes) -> None:
    """Answers without a status line, or without an end of their head."""
    with pytest.raises(WorkFailed):
        parse_authority(head, "hub:1")


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (b"Sun, 22 Nov 2026 10:00:00 GMT", 1_795_341_600.0),
        (b"yesterday", None),
        (b"\xff", None),
        (b"Sun, 99 Nov 99999 10:00:00 GMT", None),
    ],
)
def test_the_hub_s_clock_is_read_where_it_is_told(date: bytes, expected: float | None) -> None:
    """A Date header counts where it is one."""
    answer = parse_authority(b"HTTP/1.1 200 OK\r\ndate: " + date + b"\r\n\r\npem", "hub:1")
    assert (answer.pem, answer.date) == ("pem", expected)
