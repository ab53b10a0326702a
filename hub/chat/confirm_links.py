"""The links to confirm pages: one person, one request, one plan, ten minutes, one use. No I/O.

They live in memory alone, by the SHA-256 of their token: a hub that was restarted knows none of them, and nobody can
take one out of the store. A link ends with the act that it was used for, with its time, with the third wrong code, and
where the same person asks for another one for that request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from common.catalogue import Language
from hub.core.lru import Lru

SECONDS: Final = 600.0
MAX_LINKS: Final = 1_000
MAX_FAILURES: Final = 3  # wrong codes: fewer than lock the person
_TOKEN_CHARS: Final = 43  # 256 bits in base64url


@dataclass(frozen=True, slots=True)
class ConfirmLink:
    """What a link may be used for."""

    request: str  # ULID
    number: int
    person: str
    plan_hash: str  # of the plan that it was asked for; another plan needs another link
    acts: tuple[str, ...]  # approve, reject
    inlet: str  # where it was given
    language: Language
    until: float
    form: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)  # proof that the page was seen
    failures: int = 0


class ConfirmLinks:
    def __init__(self) -> None:
        self._links: Lru[bytes, ConfirmLink] = Lru(MAX_LINKS)

    def give(self, link: ConfirmLink) -> str:
        """A new token for it; one that the same person had for the request ends."""
        for key in list(self._links):
            other = self._links.peek(key)
            if other is not None and (other.request, other.person) == (link.request, link.person):
                self._links.pop(key)
        token = secrets.token_urlsafe(32)
        self._links.put(_digest(token), link)
        return token

    def find(self, token: str, now: float) -> ConfirmLink | None:
        if len(token) != _TOKEN_CHARS:
            return None
        link = self._links.peek(_digest(token))
        return link if link is not None and now < link.until else None

    def take(self, token: str, form: str, now: float) -> ConfirmLink | None:
        """The link, which nobody else can use from now on; None where it is none or the form is not its page's."""
        link = self.find(token, now)
        if link is None or not hmac.compare_digest(link.form.encode(), form.encode("utf-8", "replace")):
            return None
        return self._links.pop(_digest(token))

    def give_back(self, token: str, link: ConfirmLink) -> bool:
        """After a wrong code; False where it was one too many, and the link ends."""
        after = replace(link, failures=link.failures + 1)
        if after.failures >= MAX_FAILURES:
            return False
        self._links.put(_digest(token), after)
        return True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
