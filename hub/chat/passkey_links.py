"""The links to the page on which a person makes a passkey: one person, ten minutes, one use. No I/O.

As those to the confirm page (`hub.chat.confirm_links`) they live in memory alone, by the SHA-256 of their token. What
the browser is asked to sign is made with the link: an answer to another link, or a second one, is none.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from common.catalogue import Language
from hub.chat.one_time_links import OneTimeLinks

SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class PasskeyLink:
    person: str
    label: str
    language: Language
    until: float
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    form: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)  # proof that the page was seen


class PasskeyLinks(OneTimeLinks[PasskeyLink]):
    """One that the person had ends when another is given."""

    def __init__(self) -> None:
        super().__init__(lambda new, old: old.person == new.person)
