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

from starlette.responses import Response

from common.catalogue import Language, translate
from hub.chat.confirm_page import Done
from hub.chat.html_page import blocks, data_attributes, page, paragraph, passkey_button
from hub.chat.one_time_page import OneTimePage
from hub.chat.passkey_links import PasskeyLink, PasskeyLinks
from hub.core.passkeys import PasskeyAnswer, read_answer
from hub.core.rate_limits import Network


@dataclass(frozen=True, slots=True)
class PasskeyDeps:
    """What the page needs from the rest of the hub."""

    links: PasskeyLinks
    ask: Callable[[PasskeyLink], Awaitable[Mapping[str, Any] | None]]  # `creation_options`; None: no page for them
    add: Callable[[PasskeyLink, PasskeyAnswer], Awaitable[Done]]


class PasskeyPage(OneTimePage[PasskeyLink]):
    """The endpoint behind /passkey/{token}, for GET and POST."""

    kind = "passkey"

    def __init__(
        self,
        deps: PasskeyDeps,
        *,
        clock: Callable[[], float],
        trusted_proxies: tuple[Network, ...],
        count_refusal: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        super().__init__(deps.links, clock=clock, trusted_proxies=trusted_proxies, count_refusal=count_refusal)
        self._deps = deps

    def _language(self, link: PasskeyLink) -> Language:
        return link.language

    async def _show(self, link: PasskeyLink) -> Response:
        return _page(link, await self._deps.ask(link))

    def _is_answer(self, link: PasskeyLink, fields: Mapping[str, str]) -> bool:
        return read_answer(fields) is not None

    async def _act(self, token: str, link: PasskeyLink, fields: Mapping[str, str]) -> Response:
        answer = read_answer(fields)
        if answer is None:
            return self._gone(link.language, 400)
        done = await self._deps.add(link, answer)
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
