"""The page that makes a passkey, over real HTTP: what it shows, what it takes, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.routing import Route

from hub.chat import http_server
from hub.chat.confirm_page import Done
from hub.chat.passkey_links import SECONDS, PasskeyLink, PasskeyLinks
from hub.chat.passkey_page import PasskeyDeps, PasskeyPage
from hub.core.passkeys import PasskeyAnswer, creation_options

NOW = 1_700_000_000.0
LINK = PasskeyLink("bob", "phone", "en", NOW + SECONDS, b"c" * 32)
ANSWER = {"client_data": "e30", "authenticator_data": "AAE"}


@dataclass
class Rig:
    session: aiohttp.ClientSession
    port: int
    links: PasskeyLinks = field(default_factory=PasskeyLinks)
    origin: str = "https://hub.example"
    done: Done = field(default_factory=lambda: Done("made\n```\nadd '<b>'\n```", ok=True))
    added: list[tuple[str, PasskeyAnswer]] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)

    async def ask(self, link: PasskeyLink) -> dict[str, Any] | None:
        return creation_options(link.person, self.origin, link.challenge, "h") if self.origin else None

    async def add(self, link: PasskeyLink, answer: PasskeyAnswer) -> Done:
        self.added.append((link.person, answer))
        return self.done

    async def count(self, inlet: str, code: str, remote: str) -> None:
        self.refused.append((inlet, code, remote))

    async def call(self, token: str, method: str = "GET", **more: object) -> tuple[int, str, dict[str, str]]:
        url = f"http://127.0.0.1:{self.port}/passkey/{token}"
        async with self.session.request(method, url, **more) as answer:  # type: ignore[arg-type]
            return answer.status, await answer.text(), dict(answer.headers)


@contextlib.asynccontextmanager
async def rigged() -> AsyncIterator[Rig]:
    listener = http_server.bind("127.0.0.1:0")
    started, stop = asyncio.Event(), asyncio.Event()
    async with aiohttp.ClientSession() as session:
        rig = Rig(session, listener.getsockname()[1])
        page = PasskeyPage(
            PasskeyDeps(rig.links, rig.ask, rig.add),
            clock=lambda: NOW,
            trusted_proxies=(),
            count_refusal=rig.count,
        )
        app = Starlette(routes=[Route("/passkey/{token}", page.respond, methods=["GET", "POST"])])
        async with asyncio.TaskGroup() as group:
            group.create_task(http_server.serve(app, listener, started=started, stop=stop))
            await started.wait()
            try:
                yield rig
            finally:
                stop.set()


async def test_looking_makes_nothing_and_says_what_the_trust_rests_on() -> None:
    """As often as one likes, in the language of the console; what the browser is asked for is the link's."""
    async with rigged() as rig:
        for language, said in (("en", "whoever holds the hub could show you"), ("zh", "控制 hub 的人可能")):
            token = rig.links.give(replace(LINK, language=language))  # type: ignore[arg-type]
            for method in ("GET", "HEAD", "GET"):
                status, text, headers = await rig.call(token, method)
                assert status == 200
            found = re.search(r'data-ask="([^"]*)"', text)
            assert found is not None
            ask = json.loads(html.unescape(found[1]))
            assert (ask["rp"]["id"], ask["user"]["name"]) == ("hub.example", "bob")
            assert ask["challenge"] == "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M"
            assert said in text
            assert "<noscript>" in text
            assert token not in text
            assert "script-src 'sha256-" in headers["Content-Security-Policy"]
            assert headers["Cache-Control"] == "no-store"
        assert rig.added == []
        rig.origin = ""
        status, text, _ = await rig.call(token)
        assert (status, "<form" in text, "public_url" in text) == (409, False, True)


async def test_an_answer_is_taken_once() -> None:
    """With the page's form; the link is over then, whatever came of it. What it says is escaped."""
    async with rigged() as rig:
        token = rig.links.give(LINK)
        status, text, _ = await rig.call(token, "POST", data={"form": LINK.form, "act": "add", **ANSWER})
        assert (status, "<pre>add &#x27;&lt;b&gt;&#x27;</pre>" in text) == (200, True)
        assert rig.added == [("bob", PasskeyAnswer("", b"{}", b"\x00\x01"))]
        status, text, _ = await rig.call(token, "POST", data={"form": LINK.form, **ANSWER})
        assert (status, "This link is over" in text, "此链接已失效" in text) == (404, True, True)
        rig.done = Done("no", ok=False)
        token = rig.links.give(LINK)
        assert (await rig.call(token, "POST", data={"form": LINK.form, **ANSWER}))[0] == 409
        assert (await rig.call(token))[0] == 404
        assert len(rig.added) == 2
        assert rig.refused == [("", "passkey_link", "127.0.0.1")] * 2


async def test_forms_that_are_not_ours_make_nothing() -> None:
    """Trust: another secret, another site, no answer, JSON, a huge or broken body; the link holds all the same."""
    async with rigged() as rig:
        token = rig.links.give(LINK)
        good = {"form": LINK.form, **ANSWER}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for data, headers, expected in (
            ({**good, "form": "x"}, {}, 403),
            (good, {"Sec-Fetch-Site": "cross-site"}, 403),
            ({"form": LINK.form}, {}, 400),
            ({**good, "more": "x" * 7_000}, {}, 400),
            (b"{}", {"Content-Type": "application/json"}, 400),
            (b"", form, 400),
            (b"client_data=%ff", form, 400),
        ):
            assert (await rig.call(token, "POST", data=data, headers=headers))[0] == expected, data
        assert (await rig.call(token, "PUT"))[0] == 405
        assert rig.added == []
        assert (await rig.call(token, "POST", data=good))[0] == 200


async def test_guessing_is_slowed_down() -> None:
    """Twenty a minute from one address; a link that holds is not kept from its owner there."""
    async with rigged() as rig:
        token = rig.links.give(LINK)
        assert [(await rig.call("x" * 43))[0] for _ in range(22)] == [404] * 20 + [429] * 2
        assert (await rig.call(token))[0] == 200
