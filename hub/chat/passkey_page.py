"""The page on which a person makes a passkey, /passkey/TOKEN: the link comes from their console (`answerback passkey
add`).

GET shows and does nothing. POST with the form of that page and what the browser answered makes one passkey for the
person whose link it is. Checks and limits are those of the confirm page.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from common.catalogue import translate
from hub.chat.confirm_page import TRIES, Done
from hub.chat.html_page import (
    blocks,
    data_attributes,
    is_from_here,
    page,
    paragraph,
    passkey_button,
    read_body,
)
from hub.chat.passkey_links import PasskeyLink, PasskeyLinks
from hub.core import strict_form
from hub.core.passkeys import PasskeyAnswer, read_answer
from hub.core.rate_limits import Network, TokenBuckets, client_address, network_key
from hub.core.strict_json import BadBody


@dataclass(frozen=True, slots=True)
class PasskeyDeps:
    """What the page needs from the rest of the hub."""

    links: PasskeyLinks
    ask: Callable[[PasskeyLink], Awaitable[Mapping[str, Any] | None]]  # `creation_options`; None: no page for them
    add: Callable[[PasskeyLink, PasskeyAnswer], Awaitable[Done]]


class PasskeyPage:
    """The endpoint behind /passkey/{token}, for GET and POST."""

    def __init__(
        self,
        deps: PasskeyDeps,
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
                return page("en", paragraph("passkey_gone"), 429)
            await self._count_refusal("", "passkey_link", remote)
            return page("en", paragraph("passkey_gone"), 404)
        if request.method != "POST":
            return _page(link, await self._deps.ask(link))
        try:
            fields = strict_form.parse(await read_body(request))
        except (BadBody, TimeoutError, ClientDisconnect):
            return page(link.language, paragraph("passkey_gone", link.language), 400)
        if (answer := read_answer(fields)) is None:
            return page(link.language, paragraph("passkey_gone", link.language), 400)
        taken = self._deps.links.take(token, fields.get("form", ""), now) if is_from_here(request) else None
        if taken is None:
            await self._count_refusal("", "passkey_form", remote)
            return page(link.language, paragraph("passkey_gone", link.language), 403)
        done = await self._deps.add(taken, answer)
        return page(link.language, blocks(done.text), 200 if done.ok else 409)


def _page(link: PasskeyLink, ask: Mapping[str, Any] | None) -> Response:
    language = link.language
    if ask is None:
        return page(language, paragraph("passkey_no_page", language), 409)
    values = {"person": link.person, "site": ask["rp"]["id"]}
    texts = {what: translate(language, f"passkey_{what}") for what in ("unable", "failed", "wait", "known")}
    said = {"ask": json.dumps(ask), "act": "add", **texts}
    body = blocks(translate(language, "passkey_make", **values)) + paragraph("passkey_trust", language)
    body += f'<form method="post" id="passkey"{data_attributes(said)}>'
    body += f'<input type="hidden" name="form" value="{escape(link.form)}">'
    return page(language, body + passkey_button(language, "passkey_create") + "</form>", script=True)
