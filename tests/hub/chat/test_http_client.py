"""Calls to the APIs of chats, against a server on loopback."""

from __future__ import annotations

import ssl

import aiohttp
import pytest
from aiohttp import web

from hub.chat.http_client import FAILURES, describe_failure, make_call, open_session
from hub.chat.platforms.base import HttpCall


async def test_an_answer_is_read_to_its_limit_however_it_arrives() -> None:
    """In many pieces, whole up to the limit and cut beyond it; redirects are answers; names in lower case."""

    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"X-One": "1"})
        await response.prepare(request)
        for _ in range(10):
            await response.write(b"0123456789")
        return response

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/pieces"})

    app = web.Application()
    app.router.add_post("/pieces", pieces)
    app.router.add_get("/away", away)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with open_session(connections=4, per_host=4, seconds=5) as session:
            whole, complete = await make_call(session, HttpCall(f"{root}/pieces", b""), 100)
            assert (whole.body, complete, whole.headers["x-one"]) == (b"0123456789" * 10, True, "1")
            cut, complete = await make_call(session, HttpCall(f"{root}/pieces", b""), 99)
            assert (len(cut.body), complete) == (99, False)
            moved, _ = await make_call(session, HttpCall(f"{root}/away", b"", method="GET"), 99, 5)
            assert moved.status == 302
            with pytest.raises(FAILURES) as caught:
                await make_call(session, HttpCall("http://127.0.0.1:9/secret-path", b""), 99)
            said = describe_failure(caught.value, 5)
            assert said.startswith("cannot connect")
            assert "secret" not in said
    finally:
        await runner.cleanup()


def test_failures_are_said_in_words() -> None:
    """What a person can act on, and never the URL."""
    assert describe_failure(TimeoutError(), 2.5) == "no answer within 2.5 s"
    assert "certificate" in describe_failure(ssl.SSLError(), 1)
    assert "closed the connection" in describe_failure(aiohttp.ServerDisconnectedError(), 1)
    assert describe_failure(aiohttp.ClientPayloadError("http://x/secret"), 1) == (
        "no answer that can be read (ClientPayloadError)"
    )
