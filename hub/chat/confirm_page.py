"""The confirm page, /confirm/TOKEN: shows exactly what would run, and takes a yes or a no, for chats without buttons.

GET shows and acts on nothing, whoever asks: chats look at links by themselves. POST with the form of that page acts as
the person whose link it is, with the same checks as in chat, and with the second factor where the rule asks for it.
Where the rule is critical the person's passkey signs the yes (`hub.core.passkeys`), for which the page has a script;
else it has none.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final, Protocol

from starlette.responses import Response

from common.catalogue import Language, translate
from hub.chat.confirm_links import ConfirmLink, ConfirmLinks
from hub.chat.html_page import blocks, data_attributes, page, passkey_button
from hub.chat.one_time_page import OneTimePage
from hub.core.passkeys import PasskeyAnswer, read_answer
from hub.core.rate_limits import Network

MAX_WHY: Final = 300


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as its page shows it."""

    text: str  # what would run exactly, in the marks of `hub.core.chat_text`
    open: bool = True  # it waits for this very decision
    second_factor: bool = False
    approvable: bool = True  # by this person, here
    ask: Mapping[str, Any] | None = None  # what a passkey is asked, where one has to sign (`request_options`)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act; `again`: the same page may be tried again, with another code."""

    text: str
    ok: bool
    again: bool = False


class Act(Protocol):
    async def __call__(
        self, link: ConfirmLink, act: str, code: str, why: str, answer: PasskeyAnswer | None
    ) -> Done: ...


@dataclass(frozen=True, slots=True)
class ConfirmDeps:
    """What the page needs from the rest of the hub."""

    links: ConfirmLinks
    show: Callable[[ConfirmLink], Awaitable[Shown]]
    act: Act


class ConfirmPage(OneTimePage[ConfirmLink]):
    """The endpoint behind /confirm/{token}, for GET and POST."""

    kind = "confirm"

    def __init__(
        self,
        deps: ConfirmDeps,
        *,
        clock: Callable[[], float],
        trusted_proxies: tuple[Network, ...],
        count_refusal: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        super().__init__(deps.links, clock=clock, trusted_proxies=trusted_proxies, count_refusal=count_refusal)
        self._deps = deps

    def _language(self, link: ConfirmLink) -> Language:
        return link.language

    def _inlet(self, link: ConfirmLink) -> str:
        return link.inlet

    async def _show(self, link: ConfirmLink) -> Response:
        return _page(link, await self._deps.show(link))

    def _is_answer(self, link: ConfirmLink, fields: Mapping[str, str]) -> bool:
        return fields.get("act", "") in link.acts

    async def _act(self, token: str, link: ConfirmLink, fields: Mapping[str, str]) -> Response:
        code = fields.get("code", "").replace(" ", "")[:16]
        why = fields.get("why", "")[:MAX_WHY]
        done = await self._deps.act(link, fields.get("act", ""), code, why, read_answer(fields))
        if done.again and self._deps.links.give_back(token, link):
            return _page(link, await self._deps.show(link), blocks(done.text), 403)
        return page(link.language, blocks(done.text), 200 if done.ok else 409)


def _page(link: ConfirmLink, shown: Shown, before: str = "", status: int = 200) -> Response:
    """The request with its forms; `before` is HTML that stands above it."""
    language, body = link.language, before + blocks(shown.text)
    if not shown.open:
        return page(language, body, status)
    body += f"<p>{escape(translate(language, 'confirm_as', person=link.person))}</p>"
    code = _input(
        language, "confirm_code", 'name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="8"'
    )
    why = _input(language, "confirm_why", f'name="why" maxlength="{MAX_WHY}"') if "reject" in link.acts else ""
    secret = f'<input type="hidden" name="form" value="{escape(link.form)}">'
    if shown.ask is None:
        acts = [act for act in link.acts if shown.approvable or act != "approve"]
        fields = (code if shown.second_factor and shown.approvable else "") + why
        buttons = "".join(_button(language, act) for act in acts)
        return page(language, f'{body}<form method="post">{secret}{fields}{buttons}</form>' if acts else body, status)
    texts = {what: translate(language, f"passkey_{what}") for what in ("unable", "failed", "wait")}
    said = {"ask": json.dumps(shown.ask), "act": "approve", **texts}
    body += f'<form method="post" id="passkey"{data_attributes(said)}>{secret}{code if shown.second_factor else ""}'
    body += passkey_button(language, "passkey_sign") + "</form>"
    if "reject" in link.acts:
        body += f'<form method="post">{secret}{why}{_button(language, "reject")}</form>'
    return page(language, body, status, script=True)


def _input(language: Language, label: str, attributes: str) -> str:
    return f"<p><label>{escape(translate(language, label))}<br><input {attributes}></label></p>"


def _button(language: Language, act: str) -> str:
    return f'<button class="{act}" name="act" value="{act}">{escape(translate(language, f"button_{act}"))}</button>'
