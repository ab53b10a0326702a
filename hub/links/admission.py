"""Who of those that have proved who they are is told to come again later, before the store is asked anything.

Two reasons: whoever sent what is no frame, again and again, stays away for a while (`hub.core.link_penalty`); and where
so many machines are being let in that one more would only wait for the store, it comes again. People are let in.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from common.identity.certificates import Identity
from common.link.messages import Refuse
from hub.core.link_penalty import LinkPenalties

MAX_GREETING: Final = 160  # machines that are let in at a time; the others stand in line before TLS
MAX_BUSY: Final = 512  # from which on one that comes all the same is told to come again
BUSY: Final = "busy"
BUSY_RETRY_AFTER: Final = 5.0
PENALTY: Final = "penalty"


@dataclass(eq=False, slots=True)
class Greeting:
    """One whose hello is with the store."""

    identity: Identity
    ended: bool = False  # meanwhile

    def refusal(self) -> Refuse | None:
        name = self.identity.name
        why = f"{name} has lost its access this very moment: come again to be told why"
        return Refuse("revoked", why) if self.ended else None


class LinkAdmission:
    def __init__(self) -> None:
        self._penalties = LinkPenalties()
        self.greeting = 0  # those that the store is being asked about and told of
        self._greetings: dict[Greeting, None] = {}

    def is_ready(self) -> bool:
        """Whether more may come."""
        return self.greeting < MAX_GREETING

    @contextlib.contextmanager
    def letting_in(self, identity: Identity) -> Iterator[Greeting]:
        """While the store is asked about one, and told of it."""
        one = Greeting(identity)
        self._greetings[one] = None
        self.greeting += 1
        try:
            yield one
        finally:
            self.greeting -= 1
            del self._greetings[one]

    def end(self, revoked: Collection[str], removed: Collection[tuple[str, str]]) -> None:
        """These certificates, and those of these identities, count no more: also where the store has just said yes."""
        for one in self._greetings:
            identity = one.identity
            if identity.fingerprint in revoked or (identity.kind, identity.name) in removed:
                one.ended = True

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
