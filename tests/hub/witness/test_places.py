"""Each place as it is really called: a socket, an HTTP server, the outbox."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from common.audit.checkpoint import read_notes
from hub.chat.http_client import open_session
from hub.core.sigv4 import AccessKey, sign_request
from hub.witness.file import WitnessFile
from hub.witness.places import (
    ChatPlace,
    FilePlace,
    S3Place,
    Signed,
    SyslogPlace,
    WebhookPlace,
    WitnessFailed,
)
from tests.common.audit.logs import HUB, KEY, a_log
from tests.hub.hub_harness import NOW, HubHarness

MARK = a_log().marks[2]
SIGNED = Signed(HUB, KEY)
ACCESS = AccessKey("witness", "very secret")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(connections=2, per_host=2, seconds=5.0) as made:
        yield made


class Server:
    """Keeps what it is sent; answers `status`, and 412 for an object that is there."""

    def __init__(self) -> None:
        self.status = 200
        self.calls: list[tuple[str, str, dict[str, str], bytes]] = []
        self.objects: set[str] = set()

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append((request.method, request.path, headers, await request.read()))
        if request.method == "PUT" and self.status == 200:
            if headers.get("if-none-match") == "*" and request.path in self.objects:
                return web.Response(status=412)
            self.objects.add(request.path)
        return web.Response(status=self.status)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def seqs(text: bytes) -> list[int]:
    return [mark.seq for hub, mark in read_notes(text.splitlines()) if hub == HUB and mark.is_by(HUB, KEY.public)]


async def test_the_file(tmp_path: Path) -> None:
    place = FilePlace(WitnessFile(tmp_path / "w", HUB), SIGNED)
    await place.put(MARK, NOW)
    assert seqs((tmp_path / "w").read_bytes()) == [9]
    with pytest.raises(WitnessFailed, match="No such file"):
        await FilePlace(WitnessFile(tmp_path / "none" / "w", HUB), SIGNED).put(MARK, NOW)


async def test_syslog(tmp_path: Path) -> None:
    """A local socket and UDP get one datagram with the line, in the form of syslog."""
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local, socket.socket(type=socket.SOCK_DGRAM) as remote:
        local.bind(path)
        remote.bind(("127.0.0.1", 0))
        for end, address in ((local, path), (remote, f"127.0.0.1:{remote.getsockname()[1]}")):
            end.settimeout(5)
            await SyslogPlace(address, SIGNED).put(MARK, NOW)
            data = await asyncio.to_thread(end.recv, 4096)
            assert data.startswith(b"<86>answerback-hub: answerback-checkpoint answerback/hub-1 9 ")
            assert seqs(data.rstrip(b"\0")) == [9]
    for address in (str(tmp_path / "none"), "nowhere.invalid:514"):
        with pytest.raises(WitnessFailed):
            await SyslogPlace(address, SIGNED).put(MARK, NOW)


async def test_a_webhook(session: aiohttp.ClientSession) -> None:
    """JSON with the note in both forms and the token; any answer but 2xx is told, and no token in it."""
    server = Server()
    async with server.serve() as url:
        place = WebhookPlace(f"{url}/here", b"t0ken", SIGNED, lambda: session)
        await place.put(MARK, NOW)
        ((method, path, headers, body),) = server.calls
        told: dict[str, Any] = json.loads(body)
        assert (method, path, headers["authorization"]) == ("POST", "/here", "Bearer t0ken")
        assert (told["hub"], told["seq"]) == (HUB, 9)
        assert seqs(told["note"].encode()) == seqs(told["line"].encode()) == [9]
        server.status = 503
        with pytest.raises(WitnessFailed, match="it answers 503") as failed:
            await place.put(MARK, NOW)
        assert "t0ken" not in str(failed.value)
    with pytest.raises(WitnessFailed, match=r"cannot connect|no answer"):
        await place.put(MARK, NOW)


async def test_a_bucket(session: aiohttp.ClientSession) -> None:
    """An object a note, whose request verifies; never written over; locked where that is wanted."""
    server = Server()
    async with server.serve() as url:
        await S3Place(f"{url}/audit/pre/", ACCESS, "eu-1", 86_400.0, SIGNED, lambda: session).put(MARK, NOW)
        ((method, path, headers, body),) = server.calls
        assert (method, path) == ("PUT", f"/audit/pre/{HUB}/000000000009-{MARK.hash[:16]}.note")
        assert seqs(body) == [9]
        names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        given = {name: headers[name] for name in names if name not in ("host", "x-amz-date", "x-amz-content-sha256")}
        again = sign_request("PUT", url + path, given, body, ACCESS, "eu-1", NOW)
        assert again["authorization"] == headers["authorization"]
        assert (headers["if-none-match"], headers["x-amz-object-lock-mode"]) == ("*", "COMPLIANCE")
        assert headers["x-amz-object-lock-retain-until-date"] == "2027-01-16T08:00:00Z"
        plain = S3Place(f"{url}/audit/pre", ACCESS, "eu-1", 0.0, SIGNED, lambda: session)
        await plain.put(MARK, NOW)  # there already: that is as good
        assert len(server.objects) == 1
        assert not any(name.startswith("x-amz-object-lock") for name in server.calls[-1][2])
        server.status = 403
        with pytest.raises(WitnessFailed, match="it answers 403"):
            await plain.put(MARK, NOW)


async def test_a_conversation(harness: HubHarness) -> None:
    """Through the outbox, where somebody has written to the bot; the inlet has to take more than final replies."""
    woken: list[int] = []
    place = ChatPlace("ops:room", harness.store, harness.composer, SIGNED, lambda: woken.append(1))
    with pytest.raises(WitnessFailed, match="nobody has written"):
        await place.put(MARK, NOW)
    await harness.submit("help", conversation="room")
    await place.put(MARK, NOW)
    body = json.loads(harness.replies()[-1].body)
    assert (body["conversation"], woken) == ("room", [1])
    assert seqs(body["text"].encode()) == [9]
