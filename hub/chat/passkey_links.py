"""The links to the page on which a person makes a passkey: one person, ten minutes, one use. No I/O.

As those to the confirm page (`hub.chat.confirm_links`) they live in memory alone, by the SHA-256 of their token. What
the browser is asked to sign is made with the link: an answer to another link, or a second one, is none.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

from common.catalogue import Language
from hub.core.lru import Lru

SECONDS: Final = 600.0
MAX_LINKS: Final = 1_000
_TOKEN_CHARS: Final = 43  # 256 bits in base64url


@dataclass(frozen=True, slots=True)
class PasskeyLink:
    person: str
    label: str
    language: Language
    until: float
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    form: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)  # proof that the page was seen


class PasskeyLinks:
    def __init__(self) -> None:
        self._links: Lru[bytes, PasskeyLink] = Lru(MAX_LINKS)

    def give(self, link: PasskeyLink) -> str:
        """A new token for it; one that the person had ends."""
        for key in list(self._links):
            other = self._links.peek(key)
            if other is not None and other.person == link.person:
                self._links.pop(key)
        token = secrets.token_urlsafe(32)
        self._links.put(_digest(token), link)
        return token

    def find(self, token: str, now: float) -> PasskeyLink | None:
        if len(token) != _TOKEN_CHARS:
            return None
        link = self._links.peek(_digest(token))
        return link if link is not None and now < link.until else None

    def take(self, token: str, form: str, now: float) -> PasskeyLink | None:
        """The link, which ends; None where it is none or the form is not its page's."""
        link = self.find(token, now)
        if link is None or not hmac.compare_digest(link.form.encode(), form.encode("utf-8", "replace")):
            return None
        return self._links.pop(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
