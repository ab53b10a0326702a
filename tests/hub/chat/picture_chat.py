"""A made-up chat that only names its pictures, for the tests of how they are fetched: its platform and its server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from hub.chat.inlets import Inlet
from hub.chat.platforms.base import HttpCall, HttpResponse, PictureRef
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.outbound import OutboundCall, OutboundFailed
from hub.chat.platforms.pictures import MAX_PICTURE, PictureFailed, PictureFetch, PictureSource, picture_of, plain_call

PNG = b"\x89PNG\r\n\x1a\n and what follows"
TOKEN = "Bearer a-token-of-the-chat"


def drive(
    source: PictureSource, picture: PictureRef | str, *answers: HttpResponse, now: float = 1_700_000_000.0
) -> Driven:
    """A fetch that gets these answers, one a call; all of them must be asked for."""
    ref = PictureRef(picture) if isinstance(picture, str) else picture
    fetch, calls = source.fetch(ref, now), []
    left = list(answers)
    try:
        out = next(fetch)
        while True:
            calls.append(out.call)
            assert left, f"one more call: {out.call}"
            out = fetch.send(left.pop(0))
    except StopIteration as end:
        assert not left
        return Driven(end.value, calls)
    except (PictureFailed, OutboundFailed) as failed:
        assert not left
        return Driven(failed, calls)


@dataclass(frozen=True)
class Driven:
    """What a fetch came to, and the calls that it made."""

    result: bytes | PictureFailed | OutboundFailed
    calls: list[HttpCall]

    @property
    def kind(self) -> str:
        return self.result.kind if isinstance(self.result, PictureFailed) else type(self.result).__name__

    @property
    def said(self) -> str:
        return str(self.result)


def answer(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """An answer of JSON, or of these bytes."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, names, body if isinstance(body, bytes) else json.dumps(body).encode())


class AlbumPlatform(GenericPlatform):
    """Names are file names; or `via URL`, which is called with nothing of ours, or `told URL`, with the token."""

    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = ()
    pictures: AlbumPlatform

    def __init__(self, api: str, *, seconds: float = 10.0) -> None:
        super().__init__([b"a secret of some length"])
        self.api = api
        self.hosts = (api,)
        self.seconds = seconds
        self.pictures = self

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        kind, _, url = picture.name.partition(" ")
        headers = {"Authorization": TOKEN}
        if kind == "via":
            return picture_of((yield plain_call(url)))
        if kind == "fault":
            raise ZeroDivisionError(url)
        target = url if kind == "told" else f"{self.api}/files/{picture.name}"
        call = HttpCall(target, b"", headers, "GET")
        answer = yield OutboundCall(call, self.seconds, MAX_PICTURE)
        if kind == "forever":
            while True:
                yield OutboundCall(call)
        return picture_of(answer)


@dataclass
class Album:
    """The chat's server; `asked` is what was asked for, with the Authorization header."""

    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: str = ""  # where a redirect leads
    failing: int = 0  # how often `flaky` is unavailable yet
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None  # what `held` waits for

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append((name, request.headers.get("Authorization", "")))
        match name:
            case "big":
                return web.Response(body=PNG + bytes(MAX_PICTURE))
            case "full":
                return web.Response(body=PNG + bytes(MAX_PICTURE - len(PNG)))
            case "html":
                return web.Response(text="<!doctype html><title>Sign in</title>", content_type="image/png")
            case "gone":
                return web.Response(status=404)
            case "forbidden":
                return web.Response(status=403)
            case "away":
                return web.Response(status=302, headers={"Location": self.elsewhere})
            case "slow":
                await self.closing.wait()
            case "cut":
                part = web.StreamResponse(headers={"Content-Length": "1000"})
                await part.prepare(request)
                await part.write(PNG)
                assert request.transport is not None
                request.transport.close()
                return part
            case "held":
                await (self.hold or self.closing).wait()
            case "flaky" if self.failing:
                self.failing -= 1
                return web.Response(status=503, headers={"Retry-After": "7"})
            case "wide":
                return web.Response(body=b"RIFF    WEBP", headers={"Content-Type": "text/html"})
        return web.Response(body=PNG)


@asynccontextmanager
async def album() -> AsyncIterator[Album]:
    chat = Album()
    app = web.Application()
    app.router.add_get("/files/{name}", chat.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    chat.port = runner.addresses[0][1]
    try:
        yield chat
    finally:
        chat.closing.set()
        await runner.cleanup()


def inlets_of(platform: AlbumPlatform, name: str = "ops") -> dict[str, Inlet]:
    return {name: Inlet(name, platform, ("http://127.0.0.1",))}
