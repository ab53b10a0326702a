"""How many messages one person, one conversation and one stranger may send, within what their inlet takes. Pure.

The inlet's own rate (`hub.chat.webhook`) bounds the hub's work; these keep one talker from using all of it up. A
stranger, whom no [people.NAME] knows, is only ever answered with that, so a few messages a minute are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.core.rate_limits import TokenBuckets

BURST_SECONDS: Final = 10.0
"""As many seconds' worth of messages may come at once."""
STRANGER_RATE: Final = 10 / 60
STRANGER_BURST: Final = 10.0


@dataclass(frozen=True, slots=True)
class OverRate:
    whose: str  # person | conversation | stranger
    wait: float  # seconds until there is room


class SenderLimits:
    def __init__(self, person_rate: float, conversation_rate: float) -> None:
        self._people = TokenBuckets(person_rate, person_rate * BURST_SECONDS)
        self._conversations = TokenBuckets(conversation_rate, conversation_rate * BURST_SECONDS)
        self._strangers = TokenBuckets(STRANGER_RATE, STRANGER_BURST)

    def check(self, inlet: str, conversation: str, user: str, person: str, now: float) -> OverRate | None:
        """None where the message is taken, which counts it; `person` is "" for a stranger."""
        room = f"{inlet}\n{conversation}"
        if wait := self._conversations.wait_time(room, now):
            return OverRate("conversation", wait)
        if person:
            if wait := self._people.try_acquire(person, now):
                return OverRate("person", wait)
        elif wait := self._strangers.try_acquire(f"{inlet}\n{user}", now):
            return OverRate("stranger", wait)
        self._conversations.try_acquire(room, now)
        return None
