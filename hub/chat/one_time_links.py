"""Links that somebody is given for one act on a page of the hub, by the SHA-256 of their token. No I/O.

They live in memory alone: a restart ends them, and whoever still wants one asks again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from hub.core.lru import Lru

MAX_LINKS: Final = 1_000
_TOKEN_CHARS: Final = 43  # 256 bits in base64url


class OneTimeLink(Protocol):
    @property
    def until(self) -> float: ...

    @property
    def form(self) -> str:
        """Proof that the page was seen."""


L = TypeVar("L", bound=OneTimeLink)


class OneTimeLinks(Generic[L]):
    def __init__(self, replaces: Callable[[L, L], bool]) -> None:
        """`replaces` says whether a new link (the first) ends an older one (the second)."""
        self._replaces = replaces
        self._links: Lru[bytes, L] = Lru(MAX_LINKS)

    def give(self, link: L) -> str:
        """A new token for it; those that it replaces end."""
        for key in list(self._links):
            other = self._links.peek(key)
            if other is not None and self._replaces(link, other):
                self._links.pop(key)
        token = secrets.token_urlsafe(32)
        self.put(token, link)
        return token

    def put(self, token: str, link: L) -> None:
        self._links.put(_digest(token), link)

    def find(self, token: str, now: float) -> L | None:
        if len(token) != _TOKEN_CHARS:
            return None
        link = self._links.peek(_digest(token))
        return link if link is not None and now < link.until else None

    def take(self, token: str, form: str, now: float) -> L | None:
        """The link, which nobody else can use from now on; None where it is none or the form is not its page's."""
        link = self.find(token, now)
        if link is None or not hmac.compare_digest(link.form.encode(), form.encode("utf-8", "replace")):
            return None
        return self._links.pop(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
