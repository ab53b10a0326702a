"""Who of those that have proved who they are is told to come again later, before the store is asked anything.

Two reasons: whoever sent what is no frame, again and again, stays away for a while (`hub.core.link_penalty`); and where
so many machines are being let in that one more would only wait for the store, it comes again. People are let in.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Final

from common.identity.certificates import Identity
from common.link.messages import Refuse
from hub.core.link_penalty import LinkPenalties

MAX_GREETING: Final = 64  # machines that are let in at a time; the others stand in line before TLS
MAX_BUSY: Final = 512  # from which on one that comes all the same is told to come again
BUSY: Final = "busy"
BUSY_RETRY_AFTER: Final = 5.0
PENALTY: Final = "penalty"


class LinkAdmission:
    def __init__(self) -> None:
        self._penalties = LinkPenalties()
        self.greeting = 0  # machines whose hello or whose first row is with the store

    def is_ready(self) -> bool:
        """Whether more may come."""
        return self.greeting < MAX_GREETING

    @contextlib.contextmanager
    def letting_in(self) -> Iterator[None]:
        """While the store is asked about one, or told of it."""
        self.greeting += 1
        try:
            yield
        finally:
            self.greeting -= 1

    def refuse(self, identity: Identity, now: float) -> Refuse | None:
        """The refusal, with the time to wait; nothing is read for it."""
        wait = self._penalties.wait(f"{identity.kind} {identity.name}", now)
        if wait:
            why = f"{identity.name} has sent what is no frame, again and again: wait"
            return Refuse(PENALTY, why, max(1.0, wait))
        return busy() if identity.kind == "agent" and self.greeting >= MAX_BUSY else None

    def note_bad_frame(self, identity: Identity, now: float) -> float:
        """One more of them; the seconds to stay away."""
        return self._penalties.note(f"{identity.kind} {identity.name}", now)


def busy() -> Refuse:
    """Machines add up to a quarter of the time by themselves; this spreads them further."""
    retry_after = BUSY_RETRY_AFTER * (1 + secrets.randbelow(1_000) / 1_000)
    return Refuse(BUSY, "too many machines come at once; come again", retry_after)
