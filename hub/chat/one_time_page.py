"""A page that is opened with a link of one use: who may look, and what is asked before anything is done.

GET shows and does nothing, whoever asks: chats look at links by themselves. POST with the form of that very page, from
that page, takes the link, which ends. Addresses that try tokens are counted, and slowed down.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Final, Generic

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from common.catalogue import Language
from hub.chat.html_page import is_from_here, page, paragraph, read_body
from hub.chat.one_time_links import L, OneTimeLinks
from hub.core import strict_form
from hub.core.rate_limits import Network, TokenBuckets, client_address, network_key
from hub.core.strict_json import BadBody

TRIES: Final = 20.0  # a minute from one address (IPv6: one /64)


class OneTimePage(ABC, Generic[L]):
    """The endpoint behind /KIND/{token}, for GET and POST."""

    kind: ClassVar[str]
    """Of the refusals' codes and of the sentence that says that a link is gone."""

    def __init__(
        self,
        links: OneTimeLinks[L],
        *,
        clock: Callable[[], float],
        trusted_proxies: tuple[Network, ...],
        count_refusal: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        """`count_refusal` is that of `Refusals`: inlet, code, address."""
        self._links = links
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._count_refusal = count_refusal
        self._tries = TokenBuckets(TRIES / 60, TRIES)

    async def respond(self, request: Request) -> Response:
        now = self._clock()
        peer = request.client.host if request.client else ""
        remote = client_address(peer, request.headers.get("x-forwarded-for", ""), self._trusted_proxies) or peer
        token = request.path_params["token"]
        link = self._links.find(token, now)
        if link is None:
            if self._tries.try_acquire(network_key(remote), now):
                return self._gone(None, 429)
            await self._count_refusal("", f"{self.kind}_link", remote)
            return self._gone(None, 404)
        if request.method != "POST":
            return await self._show(link)
        language = self._language(link)
        try:
            fields = strict_form.parse(await read_body(request))
        except (BadBody, TimeoutError, ClientDisconnect):
            return self._gone(language, 400)
        if not self._is_answer(link, fields):
            return self._gone(language, 400)
        taken = self._links.take(token, fields.get("form", ""), now) if is_from_here(request) else None
        if taken is None:
            await self._count_refusal(self._inlet(link), f"{self.kind}_form", remote)
            return self._gone(language, 403)
        return await self._act(token, taken, fields)

    def _gone(self, language: Language | None, status: int) -> Response:
        return page(language or "en", paragraph(f"{self.kind}_gone", language), status)

    @abstractmethod
    def _language(self, link: L) -> Language: ...

    def _inlet(self, link: L) -> str:
        """Where the link was given; "" for no inlet."""
        return ""

    @abstractmethod
    async def _show(self, link: L) -> Response: ...

    @abstractmethod
    def _is_answer(self, link: L, fields: Mapping[str, str]) -> bool:
        """Whether the form is one that the page could have sent."""

    @abstractmethod
    async def _act(self, token: str, link: L, fields: Mapping[str, str]) -> Response:
        """Does what the page was for; the link has ended."""
