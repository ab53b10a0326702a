"""tui.client.inlet: a person's end of the generic inlet."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from common.errors import UserError, WorkFailed
from hub.chat.platforms.base import WebhookRequest
from hub.chat.platforms.generic import GenericPlatform
from tests.each import each_of
from tui.client.inlet import MAX_QUEUED, InletAccess, ReplyPort, message_body, post, read_access, read_answer

HUB = """
[http]
listen = "0.0.0.0:8080"
[inlets.ops]
platform = "generic"
secret_file = "secrets/ops"
[inlets.other]
platform = "standard"
secret_file = "secrets/none"
[people.alice]
roles = ["admin"]
chat = ["ops:U1", "other:U2"]
[people.bob]
roles = ["viewer"]
"""
ACCESS = InletAccess("ops", "http://127.0.0.1:1/webhook/ops", (b"first secret", b"second secret"), {})


def hub_folder(folder: Path, text: str = HUB) -> Path:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "ops").write_bytes(b"first secret\n\nsecond secret\n")
    (folder / "secrets" / "ops").chmod(0o600)
    (folder / "hub.toml").write_text(text)
    return folder / "hub.toml"


def test_the_inlet_is_found_in_hub_toml(tmp_path: Path) -> None:
    """Its address as this machine reaches it, its secrets, and who is who there."""
    found = read_access(hub_folder(tmp_path))
    assert (found.name, found.url) == ("ops", "http://127.0.0.1:8080/webhook/ops")
    assert (found.secrets, found.people) == ((b"first secret", b"second secret"), {"alice": "U1"})


@each_of(
    ("text", "inlet", "told"),
    [
        (HUB, "other", "there is no inlet other of platform generic: there are: ops"),
        (HUB.replace("generic", "standard"), "", "0 inlets of platform generic: add [inlets.ops]"),
        (HUB.replace("standard", "generic"), "", "2 inlets of platform generic: name one with --inlet: ops, other"),
        (HUB.replace("0.0.0.0:8080", "here"), "", "[http] listen: not an address"),
        (HUB.replace("secrets/ops", "secrets/no"), "", "there is no such file"),
        ("x", "", "not TOML"),
        ("inlets = 5", "", "0 inlets"),
        ("[inlets]\nops = 5\n[people]\na = 1", "", "0 inlets"),
    ],
)
def test_what_keeps_one_out(text: str, inlet: str, told: str, tmp_path: Path) -> None:
    """Each with the cure, and no traceback whatever the file holds."""
    with pytest.raises(UserError) as raised:
        read_access(hub_folder(tmp_path, text), inlet)
    assert told in str(raised.value)


def test_the_hub_takes_what_is_signed(tmp_path: Path) -> None:
    """The hub's own platform verifies and parses a message with a picture."""
    event, body = message_body("U1", "room", "what is \udcff this", "http://127.0.0.1:9/r", (b"\x89PNG",))
    given = GenericPlatform(ACCESS.secrets).receive(WebhookRequest(body, {"x-signature": ACCESS.sign(body)}), 0.0)
    assert (given.event_id, given.user, given.conversation) == (event, "U1", "room")  # type: ignore[union-attr]
    assert given.images == (b"\x89PNG",)  # type: ignore[union-attr]
    assert base64.b64encode(b"\x89PNG") in body


@each_of(
    ("answer", "ok", "text"),
    [
        (b'HTTP/1.1 200 OK\r\nx: y\r\n\r\n{"ok":true,"number":7}', True, "HTTP 200"),
        (
            b'HTTP/1.1 400 Bad\r\n\r\n{"error":"x","message":"set it\\u001b[2J"}',
            False,
            "set it\\x1b[2J",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", False, "what answers is no hub (HTTP 502)"),
        (b"", False, "what answers is no hub (HTTP 0)"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", False, "what answers is no hub (HTTP 200)"),
    ],
)
def test_answers(answer: bytes, ok: bool, text: str) -> None:
    """Only a 2xx of a hub means that the message is on disk; the hub's own words are told, safely."""
    found = read_answer(answer)
    assert (found.ok, found.text) == (ok, text)


async def test_a_hub_that_is_away() -> None:
    """One sentence with address and cure."""
    with pytest.raises(WorkFailed, match=r"no hub takes messages at 127\.0\.0\.1:1: start it"):
        await post(ACCESS, b"{}")


async def deliver(url: str, body: bytes, **headers: str) -> str:
    """Posts a reply; the status line of the answer."""
    place, _, path = url.removeprefix("http://").partition("/")
    host, _, port = place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
    writer.write(f"POST /{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)
    status = (await reader.readline()).decode().strip()
    writer.close()
    return status


async def test_replies_come_in_once_and_signed() -> None:
    """Of a signed reply one is taken, however often it is posted; others are refused and not shown."""
    port = ReplyPort(ACCESS)
    url = await port.open()
    body = json.dumps({"text": "hi"}).encode()
    signed = {"X_Signature": ACCESS.sign(body), "X_Answerback_Reply": "r.1"}
    try:
        assert await deliver(url, body, **signed) == "HTTP/1.1 200 OK"
        assert await deliver(url, body, **signed) == "HTTP/1.1 200 OK"
        assert await deliver(url, body, X_Signature="0" * 64) == "HTTP/1.1 401 Unauthorized"
        assert await deliver(url, body, X_Signature="ü") == "HTTP/1.1 401 Unauthorized"
        assert await deliver(url + "x", body, **signed) == "HTTP/1.1 404 Not Found"
        assert await deliver(url, b"", Content_Length="99999999") in ("HTTP/1.1 413 Content Too Large", "")
        nonsense = b"[1]"
        assert await deliver(url, nonsense, X_Signature=ACCESS.sign(nonsense)) == "HTTP/1.1 200 OK"
    finally:
        port.close()
    assert (port.replies.get_nowait(), port.replies.empty(), port.refused) == ({"text": "hi"}, True, 2)


async def test_a_full_chat_is_not_flooded() -> None:
    """Where nobody shows what came, the hub is told to come again, and memory stays bounded."""
    port = ReplyPort(ACCESS)
    url = await port.open()
    try:
        for _ in range(MAX_QUEUED):
            port.replies.put_nowait({})
        body = b"{}"
        assert await deliver(url, body, X_Signature=ACCESS.sign(body)) == "HTTP/1.1 503 Service Unavailable"
        port.replies.get_nowait()
        assert await deliver(url, body, X_Signature=ACCESS.sign(body)) == "HTTP/1.1 200 OK"
    finally:
        port.close()
