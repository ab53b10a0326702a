"""The links to confirm pages: one person, one request, one plan, ten minutes, one use. No I/O.

They live in memory alone, by the SHA-256 of their token: a hub that was restarted knows none of them, and nobody can
take one out of the store. A link ends with the act that it was used for, with its time, with the third wrong code, and
where the same person asks for another one for that request.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from common.catalogue import Language
from hub.chat.one_time_links import OneTimeLinks

SECONDS: Final = 600.0
MAX_FAILURES: Final = 3  # wrong codes: fewer than lock the person


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


class ConfirmLinks(OneTimeLinks[ConfirmLink]):
    """One that the same person had for the request ends when another is given."""

    def __init__(self) -> None:
        super().__init__(lambda new, old: (old.request, old.person) == (new.request, new.person))

    def give_back(self, token: str, link: ConfirmLink) -> bool:
        """After a wrong code; False where it was one too many, and the link ends."""
        after = replace(link, failures=link.failures + 1)
        if after.failures >= MAX_FAILURES:
            return False
        self.put(token, after)
        return True
