"""common.link.enrolment: the first contact of machines and people, with hubs that keep the rules and hubs that do
not.
"""

from __future__ import annotations

import asyncio
import http
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response

from common.errors import UserError, WorkFailed
from common.identity.certificates import Authority
from common.identity.csr import CredentialKind, create_key_request
from common.link.enrolment import (
    Enrolment,
    fetch_authority,
    fetch_pinned_authority,
    parse_authority_response,
    redeem_token,
    token_name,
)
from common.link.messages import Join, Joined, Message, Refuse, Welcome
from common.values import Address
from tests.common.fake_hub import FakeHub, http_response
from tests.each import each_of

TOKEN = "ann.canary-of-the-token"
HERE = Address("127.0.0.1", 1)
kinds = pytest.mark.parametrize("kind", ["agent", "operator"])


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    """A hub that gives ann a certificate of a machine; what it is asked is in `asked`."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        answering(hub, "agent")
        yield hub


def answering(hub: FakeHub, kind: CredentialKind, /, **changes: object) -> list[Join]:
    """From now on the hub answers like this; returns the list of what it will have been asked."""
    asked: list[Join] = []

    async def answer(message: Join) -> Message:
        asked.append(message)
        values = {
            "name": message.name,
            "certificate": hub.issue(message.request, message.name, kind=kind),
            "authority": hub.authority.certificate,
            "job_keys": {"00112233445566aa": bytes(range(32))},
            "hub": hub.hub_id,
        }
        return Joined(**(values | changes))  # type: ignore[arg-type]

    hub.join = answer
    return asked


def saying(hub: FakeHub, answer: Message | None) -> list[Join]:
    """The same with one answer, or none, for whoever asks."""
    asked: list[Join] = []

    async def say(message: Join) -> Message | None:
        asked.append(message)
        return answer

    hub.join = say
    return asked


async def contact(
    hub: FakeHub, kind: CredentialKind = "agent", *, now: float | None = None, pin: str = ""
) -> Enrolment:
    """A whole first contact, as `join` and `login` make it."""
    at = time.time() if now is None else now
    authority = await fetch_pinned_authority(hub.url, pin or hub.authority.pin, kind, at)
    return await redeem_token(hub.url, authority, TOKEN, create_key_request(kind, "ann"), kind, at)


@kinds
async def test_a_token_becomes_a_certificate(kind: CredentialKind, hub: FakeHub) -> None:
    """For a machine or a person: the hub hears token, name and request and nothing secret else; the answer is
    checked.
    """
    asked = answering(hub, kind)
    accepted = await contact(hub, kind)
    assert (accepted.joined.name, accepted.joined.hub) == ("ann", "h1")
    assert accepted.validity.generation == 1
    assert accepted.validity.not_after > time.time() + 3_600
    assert (asked[0].token, asked[0].name) == (TOKEN, "ann")
    assert b"PRIVATE" not in asked[0].request


@kinds
async def test_a_certificate_of_the_other_kind_is_refused(kind: CredentialKind, hub: FakeHub) -> None:
    """A machine's token makes no person, nor the other way round."""
    answering(hub, "operator" if kind == "agent" else "agent")
    with pytest.raises(WorkFailed, match=r"the hub sent a certificate for (agent|operator) where"):
        await contact(hub, kind)


async def test_another_authority_is_refused_before_anything_is_sent(hub: FakeHub) -> None:
    """Both pins are told, and no token leaves."""
    asked = answering(hub, "agent")
    expected = "sha256:" + "ab" * 32
    with pytest.raises(WorkFailed, match="shows another authority") as raised:
        await contact(hub, pin=expected)
    assert expected in str(raised.value)
    assert hub.authority.pin in str(raised.value)
    assert asked == []


async def test_a_middleman_with_the_right_authority_is_refused(tmp_path: Path) -> None:
    """Showing the public CA certificate is not enough: the connection that gets the token is verified against it."""
    hub = FakeHub(tmp_path / "hub")
    hub.use_certificate(Authority.create("h1", time.time()), "h1")
    asked = answering(hub, "agent")
    async with hub.serving():
        with pytest.raises(WorkFailed, match="by another CA"):
            await contact(hub)
    assert asked == []


async def test_an_agent_cannot_play_the_hub(tmp_path: Path) -> None:
    """A machine's certificate by the right authority does not get the token."""
    hub = FakeHub(tmp_path / "hub")
    made = create_key_request("agent", "web-9")
    (hub.folder / "hub.pem").write_bytes(hub.issue(made.request, "web-9"))
    (hub.folder / "hub.key").write_bytes(made.key)
    asked = answering(hub, "agent")
    async with hub.serving():
        with pytest.raises(WorkFailed, match="not a hub"):
            await contact(hub)
    assert asked == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("token_used", "the token has been used already; ask for a new one"),
        ("token_expired", "the token has expired; ask for a new one"),
        ("token_name", "the token is for another name; join under the name it was made for"),
        ("odd", "a\x1b[31m\nred one" + "!" * 5_000),
    ],
)
@kinds
async def test_the_hub_s_reason_is_shown(kind: CredentialKind, code: str, reason: str, hub: FakeHub) -> None:
    """A refusal is told in the hub's words, bounded and without control characters, with how to get another token."""
    saying(hub, Refuse(code, reason))
    with pytest.raises(WorkFailed) as raised:
        await contact(hub, kind)
    told = str(raised.value)
    assert told.startswith("the hub refused: ")
    assert reason.split("\x1b")[0] in told
    assert told.isprintable()
    assert len(told) < 700
    assert "canary" not in told
    assert ("answerback-hub token" if kind == "agent" else "answerback-hub operator add") in told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "web-2"}, "not for ann"),
        ({"hub": "../h"}, "not for ann"),
        ({"hub": "h2"}, "not the hub h2"),
        ({"certificate": b"nonsense"}, "the hub sent"),
    ],
)
async def test_an_answer_that_is_off_is_refused(changes: dict[str, object], words: str, hub: FakeHub) -> None:
    """For another name, from another hub, or with a broken certificate."""
    answering(hub, "agent", **changes)
    with pytest.raises(UserError, match=words):
        await contact(hub)


async def test_a_certificate_for_another_key_is_refused(hub: FakeHub) -> None:
    """A certificate that our key cannot prove is of no use."""
    answering(hub, "agent", certificate=hub.issue(create_key_request("agent", "ann").request, "ann"))
    with pytest.raises(WorkFailed, match="another key"):
        await contact(hub)


@pytest.mark.parametrize("answer", [None, Welcome(1, "s", False, 0, 1.0, 0.0, "0")])
async def test_a_hub_that_does_not_answer(answer: Message | None, hub: FakeHub) -> None:
    """A connection that is closed without an answer, or one that makes no sense, is an error with a cure."""
    saying(hub, answer)
    with pytest.raises(WorkFailed, match=r"did not answer|something else") as raised:
        await contact(hub)
    assert raised.value.cure


@pytest.mark.parametrize(("off", "words"), [(-7_200.0, "2 hours behind"), (400.0, "7 minutes ahead of")])
async def test_a_clock_that_is_off_is_told_before_the_token_is_used(off: float, words: str, hub: FakeHub) -> None:
    """By how much and which way, with how to set it, and no token sent."""
    asked = answering(hub, "agent")
    hub.date = time.time()
    with pytest.raises(WorkFailed, match=f"clock is {words} the hub's") as raised:
        await contact(hub, now=time.time() + off)
    assert "has not been used" in str(raised.value)
    assert asked == []


@each_of("token", ["", "ann", "ann.", ".secret", "../x.secret", "a b.secret", "ann." + "x" * 600])
def test_what_is_no_token_is_said_to_be_none(token: str) -> None:
    """Without a name or a secret, or too long: refused, and not repeated in the message."""
    with pytest.raises(UserError, match="no token") as raised:
        token_name(token, "agent")
    assert "secret" not in str(raised.value)


def test_names_may_have_dots() -> None:
    """The name is what stands before the last dot."""
    assert token_name("web-1.example.org.c2VjcmV0", "agent") == "web-1.example.org"


@pytest.mark.parametrize("pin", ["", "sha256:", "sha1:" + "0" * 64, "0" * 64, "sha256:" + "0" * 63])
async def test_a_pin_that_is_none_is_refused(pin: str) -> None:
    """There is no first contact without a whole pin."""
    with pytest.raises(UserError, match="CA pin"):
        await fetch_pinned_authority("wss://127.0.0.1:1", pin, "operator", 0.0)


# ---- GET /ca


@asynccontextmanager
async def sending(data: bytes, *, then_hold: bool, tmp_path: Path) -> AsyncIterator[int]:
    """A TLS server that sends `data` whatever is asked; gives its port."""
    hub = FakeHub(tmp_path / "odd")
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
    async with sending(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, then_hold=True, tmp_path=tmp_path) as port:
        with pytest.raises(WorkFailed, match="more than a certificate"):
            await fetch_authority(Address("127.0.0.1", port), "agent")


async def test_an_answer_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole exchange has one time limit."""
    monkeypatch.setattr("common.link.enrolment.OPEN_TIMEOUT", 0.3)
    async with sending(b"HTTP/1.1 200 OK\r\n", then_hold=True, tmp_path=tmp_path) as port:
        with pytest.raises(WorkFailed, match="does not answer"):
            await fetch_authority(Address("127.0.0.1", port), "agent")


@pytest.mark.parametrize(
    "answer",
    [
        Response(404, "Not Found", Headers(), b"no"),
        http_response(b"moved", None, http.HTTPStatus.FOUND),
    ],
)
async def test_a_web_server_is_no_hub(answer: Response, hub: FakeHub) -> None:
    """Any status but 200 is an address that is wrong."""
    hub.ca_response = lambda: answer
    with pytest.raises(WorkFailed, match="no hub's link port"):
        await contact(hub)


@pytest.mark.parametrize("extra", [b"", b"certificate"])
async def test_more_or_less_than_one_certificate_is_none(extra: bytes, hub: FakeHub) -> None:
    """A second certificate that rides along with the pinned one is not accepted, nor is an empty body."""
    other = Authority.create("h2", time.time()).certificate
    hub.served_authority = hub.authority.certificate + other if extra else b""
    with pytest.raises(WorkFailed, match="sent no certificate"):
        await contact(hub)


async def test_a_hub_that_is_not_there() -> None:
    """A closed port is told as such."""
    with pytest.raises(WorkFailed, match=r"nobody listens at 127\.0\.0\.1:1: "):
        await fetch_authority(HERE, "operator")


@each_of(
    "head",
    [b"", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"],
)
def test_what_is_not_http_is_refused(head: bytes) -> None:
    """Answers without a status line, or without an end of their head."""
    with pytest.raises(WorkFailed):
        parse_authority_response(head, HERE)


@each_of(
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
    answer = parse_authority_response(b"HTTP/1.1 200 OK\r\ndate: " + date + b"\r\n\r\npem", HERE)
    assert (answer.pem, answer.date) == ("pem", expected)
