"""The confirm page, /confirm/TOKEN: shows exactly what would run, and takes a yes or a no, for chats without buttons.

GET shows and acts on nothing, whoever asks: chats look at links by themselves. POST with the form of that page acts as
the person whose link it is, with the same checks as in chat, and with the second factor where the rule asks for it. No
scripts; nothing is kept by browsers or told to other sites.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from common.catalogue import Language, translate
from hub.chat.confirm_links import ConfirmLink, ConfirmLinks
from hub.chat.markup import Block, Code, split_blocks
from hub.core import strict_form
from hub.core.rate_limits import Network, TokenBuckets, client_address, network_key
from hub.core.strict_json import BadBody

MAX_FORM: Final = 4_096
MAX_WHY: Final = 300
TRIES: Final = 20.0  # a minute from one address (IPv6: one /64)
_BODY_SECONDS: Final = 10.0
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:1em auto;padding:0 1em}"
    "pre{background:#f2f2f2;padding:.6em;white-space:pre-wrap;overflow-wrap:anywhere}"
    "button,input{font:inherit;padding:.5em 1em;margin:.3em .3em .3em 0}"
    "button.approve{background:#0a5;color:#fff;border:0}button.reject{background:#c33;color:#fff;border:0}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as its page shows it."""

    text: str  # what would run exactly, in the marks of `hub.core.chat_text`
    open: bool = True  # it waits for this very decision
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act; `again`: the same page may be tried again, with another code."""

    text: str
    ok: bool
    again: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmDeps:
    """What the page needs from the rest of the hub."""

    links: ConfirmLinks
    show: Callable[[ConfirmLink], Awaitable[Shown]]
    act: Callable[[ConfirmLink, str, str, str], Awaitable[Done]]  # link, act, code, why


class ConfirmPage:
    """The endpoint behind /confirm/{token}, for GET and POST."""

    def __init__(
        self,
        deps: ConfirmDeps,
        *,
        clock: Callable[[], float],
        trusted_proxies: tuple[Network, ...],
        count_refusal: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        """`count_refusal` is that of `Refusals`: inlet, code, address."""
        self._deps = deps
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._count_refusal = count_refusal
        self._tries = TokenBuckets(TRIES / 60, TRIES)

    async def respond(self, request: Request) -> Response:
        now = self._clock()
        peer = request.client.host if request.client else ""
        remote = client_address(peer, request.headers.get("x-forwarded-for", ""), self._trusted_proxies) or peer
        token = request.path_params["token"]
        link = self._deps.links.find(token, now)
        if link is None:
            if self._tries.try_acquire(network_key(remote), now):
                return _page("en", _text("confirm_gone"), 429)
            await self._count_refusal("", "confirm_link", remote)
            return _page("en", _text("confirm_gone"), 404)
        if request.method != "POST":
            return _page(link.language, _form(link, await self._deps.show(link)))
        try:
            fields = strict_form.parse(await _body(request))
        except (BadBody, TimeoutError, ClientDisconnect):
            return _page(link.language, _text("confirm_gone", link.language), 400)
        act = fields.get("act", "")
        if act not in link.acts:
            return _page(link.language, _text("confirm_gone", link.language), 400)
        taken = self._deps.links.take(token, fields.get("form", ""), now)
        if taken is None:
            await self._count_refusal(link.inlet, "confirm_form", remote)
            return _page(link.language, _text("confirm_gone", link.language), 403)
        code = fields.get("code", "").replace(" ", "")[:16]
        done = await self._deps.act(taken, act, code, fields.get("why", "")[:MAX_WHY])
        if done.again and self._deps.links.give_back(token, taken):
            return _page(link.language, _blocks(done.text) + _form(taken, await self._deps.show(taken)), 403)
        return _page(link.language, _blocks(done.text), 200 if done.ok else 409)


async def _body(request: Request) -> bytes:
    """Raises BadBody where it is none of our forms."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise BadBody("not a form")
    data = bytearray()
    async with asyncio.timeout(_BODY_SECONDS):
        async for piece in request.stream():
            data += piece
            if len(data) > MAX_FORM:
                raise BadBody("the form is too large")
    return bytes(data)


def _form(link: ConfirmLink, shown: Shown) -> str:
    if not shown.open:
        return _blocks(shown.text)
    language = link.language
    parts = [_blocks(shown.text), f"<p>{escape(translate(language, 'confirm_as', person=link.person))}</p>"]
    parts.append(f'<form method="post"><input type="hidden" name="form" value="{escape(link.form)}">')
    if shown.second_factor:
        label = escape(translate(language, "confirm_code"))
        parts.append(
            f'<p><label>{label}<br><input name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="8">'
            "</label></p>"
        )
    if "reject" in link.acts:
        label = escape(translate(language, "confirm_why"))
        parts.append(f'<p><label>{label}<br><input name="why" maxlength="{MAX_WHY}"></label></p>')
    for act in link.acts:
        label = escape(translate(language, f"button_{act}"))
        parts.append(f'<button class="{act}" name="act" value="{act}">{label}</button>')
    return "".join([*parts, "</form>"])


def _text(key: str, language: Language | None = None) -> str:
    """In both languages where it is not known which one is read."""
    languages: tuple[Language, ...] = ("en", "zh") if language is None else (language,)
    return "".join(f"<p>{escape(translate(one, key))}</p>" for one in languages)


def _blocks(text: str) -> str:
    return "".join(map(_block, split_blocks(text)))


def _block(block: Block) -> str:
    if isinstance(block, Code):
        return f"<pre>{escape(block.text)}</pre>"
    spans = "".join(
        f"<code>{escape(span.text)}</code>" if span.code else escape(span.text) for span in block.spans
    )  # fmt: skip
    return f"<blockquote>{spans}</blockquote>" if block.quote else f"<p>{spans}</p>"


def _page(language: Language, body: str, status: int = 200) -> Response:
    head = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Answerback</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    )
    more: dict[str, Any] = {"Retry-After": "60"} if status == 429 else {}
    return Response(f"{head}<body>{body}</body></html>", status, {**HEADERS, **more}, "text/html")
