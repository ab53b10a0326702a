"""The confirm page over real HTTP: what it shows, what it takes, and what it gives away: nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import aiohttp
from starlette.applications import Starlette
from starlette.routing import Route

from hub.chat import http_server
from hub.chat.confirm_links import SECONDS, ConfirmLink, ConfirmLinks
from hub.chat.confirm_page import ConfirmDeps, ConfirmPage, Done, Shown
from hub.core.passkeys import PasskeyAnswer, request_options
from tests.each import each_of

NOW = 1_700_000_000.0
LINK = ConfirmLink("R1", 42, "bob", "hash", ("approve", "reject"), "ops", "en", NOW + SECONDS)
PLAN = "r42 waits\n```\nrm -rf '<b>&\"'\n```\n`inline` <script>alert(1)</script>"


@dataclass
class Rig:
    session: aiohttp.ClientSession
    port: int
    links: ConfirmLinks = field(default_factory=ConfirmLinks)
    shown: Shown = field(default_factory=lambda: Shown(PLAN))
    done: Done = field(default_factory=lambda: Done("done", ok=True))
    acts: list[tuple[ConfirmLink, str, str, str]] = field(default_factory=list)
    answers: list[PasskeyAnswer | None] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    now: float = NOW

    async def show(self, link: ConfirmLink) -> Shown:
        return self.shown

    async def act(self, link: ConfirmLink, act: str, code: str, why: str, answer: PasskeyAnswer | None) -> Done:
        self.acts.append((link, act, code, why))
        self.answers.append(answer)
        return self.done

    async def count(self, inlet: str, code: str, remote: str) -> None:
        self.refused.append((inlet, code, remote))

    async def call(self, token: str, method: str = "GET", **more: object) -> tuple[int, str, dict[str, str]]:
        url = f"http://127.0.0.1:{self.port}/confirm/{token}"
        async with self.session.request(method, url, **more) as answer:  # type: ignore[arg-type]
            return answer.status, await answer.text(), dict(answer.headers)

    async def post(self, token: str, **fields: str) -> tuple[int, str]:
        status, text, _ = await self.call(token, "POST", data=fields)
        return status, text


@contextlib.asynccontextmanager
async def rigged() -> AsyncIterator[Rig]:
    listener = http_server.bind("127.0.0.1:0")
    started, stop = asyncio.Event(), asyncio.Event()
    async with aiohttp.ClientSession() as session:
        rig = Rig(session, listener.getsockname()[1])
        page = ConfirmPage(
            ConfirmDeps(rig.links, rig.show, rig.act),
            clock=lambda: rig.now,
            trusted_proxies=(),
            count_refusal=rig.count,
        )
        app = Starlette(routes=[Route("/confirm/{token}", page.respond, methods=["GET", "POST"])])
        async with asyncio.TaskGroup() as group:
            group.create_task(http_server.serve(app, listener, started=started, stop=stop))
            await started.wait()
            try:
                yield rig
            finally:
                stop.set()


async def test_looking_acts_on_nothing_and_shows_the_plan_escaped() -> None:
    """As often as a chat's preview likes; no script, no style but our own, no trace in caches and referrers."""
    async with rigged() as rig:
        token = rig.links.give(LINK)
        for method in ("GET", "GET", "HEAD"):
            status, text, headers = await rig.call(token, method)
            assert status == 200
        status, text, headers = await rig.call(token)
        assert rig.acts == []
        assert "<pre>rm -rf &#x27;&lt;b&gt;&amp;&quot;&#x27;</pre>" in text
        assert "<code>inline</code> &lt;script&gt;" in text
        assert "<script" not in text
        assert "You decide as bob." in text
        assert token not in text
        assert 'name="code"' not in text
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert {key: headers[key] for key in ("Cache-Control", "Referrer-Policy", "X-Frame-Options")} == {
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
        }


async def test_a_yes_is_given_once_with_the_pages_form() -> None:
    """Code and reason as they were typed, in bounds; the link is over then."""
    async with rigged() as rig:
        rig.shown = replace(rig.shown, second_factor=True)
        token = rig.links.give(LINK)
        _, text, _ = await rig.call(token)
        form = re.search(r'name="form" value="([^"]+)"', text)
        assert form is not None
        assert 'name="code"' in text
        status, text = await rig.post(token, form=form[1], act="approve", code="123 456", why="x" * 1_000)
        assert (status, "<p>done</p>" in text) == (200, True)
        assert [(link.person, act, code, len(why)) for link, act, code, why in rig.acts] == [
            ("bob", "approve", "123456", 300)
        ]
        status, text = await rig.post(token, form=form[1], act="approve")
        assert status == 404
        assert "This link is over" in text
        assert "此链接已失效" in text
        assert len(rig.acts) == 1
        assert rig.refused == [("", "confirm_link", "127.0.0.1")]


async def test_a_wrong_code_may_be_corrected_a_few_times() -> None:
    """The page comes again with what is wrong; after the third one the link is over."""
    async with rigged() as rig:
        rig.done = Done("that code is not right", ok=False, again=True)
        token = rig.links.give(LINK)
        for _ in range(2):
            status, text = await rig.post(token, form=LINK.form, act="approve", code="1")
            assert (status, "that code is not right" in text, "<form" in text) == (403, True, True)
        status, text = await rig.post(token, form=LINK.form, act="approve", code="1")
        assert (status, "<form" in text) == (409, False)
        assert (await rig.post(token, form=LINK.form, act="approve"))[0] == 404


async def test_a_refusal_ends_the_link() -> None:
    """As an act does."""
    async with rigged() as rig:
        rig.done = Done("you may not", ok=False)
        token = rig.links.give(LINK)
        assert (await rig.post(token, form=LINK.form, act="reject"))[0] == 409
        assert (await rig.call(token))[0] == 404


async def test_what_is_decided_already_has_no_form() -> None:
    """It says so."""
    async with rigged() as rig:
        rig.shown = Shown("r42 is over", open=False)
        _, text, _ = await rig.call(rig.links.give(LINK))
        assert "r42 is over" in text
        assert "<form" not in text


async def test_forms_that_are_not_ours_do_nothing() -> None:
    """Another secret, an act that the link does not have, JSON, a huge or broken body; the link holds all the same."""
    async with rigged() as rig:
        token = rig.links.give(replace(LINK, acts=("approve",), form="f" * 43))
        assert (await rig.post(token, form="other", act="approve"))[0] == 403
        assert (await rig.post(token, form="f" * 43, act="reject"))[0] == 400
        assert (await rig.post(token, form="f" * 43))[0] == 400
        assert (await rig.post(token, form="f" * 43, act="approve", why="x" * 7_000))[0] == 400
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for data, headers in (
            (b"{}", {"Content-Type": "application/json"}),
            (b"", kind),
            (b"act=approve&act=approve", kind),
            (b"act=%ff", kind),
            (b"\xff", kind),
        ):
            assert (await rig.call(token, "POST", data=data, headers=headers))[0] == 400
        assert (await rig.call(token, "PUT"))[0] == 405
        assert rig.acts == []
        assert (await rig.post(token, form="f" * 43, act="approve"))[0] == 200


ASK = request_options("https://hub.example", b"c" * 32, ["AAAA"])


async def test_where_a_passkey_signs_the_page_has_our_one_script() -> None:
    """Trust: named by its hash, and nothing else runs; what it is to ask stands escaped in an attribute; rejecting
    takes no script; without scripts the page says what else can be done, in the link's language.
    """
    async with rigged() as rig:
        rig.shown = replace(rig.shown, ask={**ASK, "odd": '"><script>alert(1)</script>'}, second_factor=True)
        for language, said in (("en", "Turn them on for this page"), ("zh", "请为本页启用脚本")):
            token = rig.links.give(replace(LINK, language=language))  # type: ignore[arg-type]
            status, text, headers = await rig.call(token)
            assert status == 200
            assert re.findall(r"<script[^>]*>", text) == ["<script>"]
            script = text.split("<script>")[1].split("</script>")[0]
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            policy = headers["Content-Security-Policy"]
            assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'sha256-" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"\son[a-z]+=|javascript:|(?:src|href)=", text.replace(script, ""))
            found = re.search(r'data-ask="([^"]*)"', text)
            assert found is not None
            assert json.loads(html.unescape(found[1])) == rig.shown.ask
            forms = text.split("<form ")[1:]
            assert [('name="code"' in one, 'value="reject"' in one) for one in forms] == [(True, False), (False, True)]
            assert 'value="approve"' not in text
            assert said in text.split("<noscript>")[1].split("</noscript>")[0]


async def test_what_the_passkey_answered_goes_to_the_act() -> None:
    """As bytes, with the code; what is no base64url is empty, and the hub says so."""
    async with rigged() as rig:
        rig.shown = replace(rig.shown, ask=ASK)
        given = {"credential": "AAAA", "client_data": "e30", "authenticator_data": "AAE", "signature": "AQ"}
        for fields, answer in (
            (given, PasskeyAnswer("AAAA", b"{}", b"\x00\x01", b"\x01")),
            ({**given, "signature": "A Q", "client_data": "="}, PasskeyAnswer("AAAA", b"", b"\x00\x01", b"")),
            ({}, None),
        ):
            token = rig.links.give(LINK)
            assert (await rig.post(token, form=LINK.form, act="approve", code="123456", **fields))[0] == 200
            assert rig.acts[-1][1:3] == ("approve", "123456")
            assert rig.answers[-1] == answer


async def test_who_cannot_sign_can_reject() -> None:
    """No button that would only refuse; no script."""
    async with rigged() as rig:
        rig.shown = replace(rig.shown, approvable=False, second_factor=True)
        _, text, _ = await rig.call(rig.links.give(LINK))
        assert ('value="reject"' in text, 'value="approve"' in text, 'name="code"' in text) == (True, False, False)
        assert "<script" not in text
        _, text, _ = await rig.call(rig.links.give(replace(LINK, acts=("approve",))))
        assert "<form" not in text


async def test_a_form_from_another_site_does_nothing() -> None:
    """Trust: the browser says so; also where somebody has the form's secret. The link holds."""
    async with rigged() as rig:
        token = rig.links.give(LINK)
        fields = {"form": LINK.form, "act": "approve"}
        for site in ("cross-site", "same-site", "x"):
            assert (await rig.call(token, "POST", data=fields, headers={"Sec-Fetch-Site": site}))[0] == 403
        assert rig.acts == []
        assert (await rig.call(token, "POST", data=fields, headers={"Sec-Fetch-Site": "same-origin"}))[0] == 200


async def test_guessing_is_slowed_down() -> None:
    """Twenty a minute from one address; a link that holds is not kept from its owner there."""
    async with rigged() as rig:
        token = rig.links.give(LINK)
        seen = [(await rig.call("x" * 43))[0] for _ in range(22)]
        assert seen == [404] * 20 + [429] * 2
        assert (await rig.call(token))[0] == 200


@each_of("token", ["", "x", "x" * 44, "é" * 43, "." * 43])
def test_tokens_of_another_form_are_none(token: str) -> None:
    """Whatever stands in the path."""
    assert ConfirmLinks().find(token, NOW) is None
