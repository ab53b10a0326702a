"""Notices that a chat sends our own words back to us, as a bridge does that repeats what it hears. Pure.

People do paste a reply now and then, so a few echoes are let through; beyond them a sender in a conversation is not
answered until the echoes have stopped for a while. Without that two robots talk to each other for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from hub.core.lru import Lru
from hub.core.rate_limits import TokenBuckets

MAX_CONVERSATIONS: Final = 1_000
MAX_REPLIES: Final = 16
"""Replies that are remembered of a conversation."""
MAX_COMPARED: Final = 200
"""Characters of a reply that are compared: bridges cut long ones."""
MIN_COMPARED: Final = 12
"""Shorter replies are what people say too."""
REPLY_TTL: Final = 600.0
ALLOWED_ECHOES: Final = 3.0
ECHOES_PER_SECOND: Final = 1 / 60

EchoVerdict = Literal["ok", "first", "braked"]
"""`first`: the one echo too many at which the brake is told of; `braked`: those after it."""


class EchoGuard:
    """What was said to each conversation lately, and who repeats it."""

    def __init__(self) -> None:
        self._replies: Lru[tuple[str, str], deque[tuple[str, float]]] = Lru(MAX_CONVERSATIONS)
        self._echoes = TokenBuckets(ECHOES_PER_SECOND, ALLOWED_ECHOES)
        self._braked: Lru[str, bool] = Lru(MAX_CONVERSATIONS)

    def note_reply(self, inlet: str, conversation: str, text: str, now: float) -> None:
        """A reply that goes to the conversation."""
        compared = _compared(text)[:MAX_COMPARED]
        if len(compared) < MIN_COMPARED:
            return
        said = self._replies.get((inlet, conversation))
        if said is None:
            said = deque(maxlen=MAX_REPLIES)
            self._replies.put((inlet, conversation), said)
        said.append((compared, now))

    def check(self, inlet: str, conversation: str, user: str, text: str, now: float) -> EchoVerdict:
        """Whether a message is to be answered."""
        said = self._replies.peek((inlet, conversation)) or ()
        heard = _compared(text)
        if not any(reply in heard for reply, at in said if now - at < REPLY_TTL):
            return "ok"
        sender = f"{inlet}\n{conversation}\n{user}"
        if not self._echoes.try_acquire(sender, now):
            self._braked.put(sender, False)
            return "ok"
        told = self._braked.get(sender) or False
        self._braked.put(sender, True)
        return "braked" if told else "first"


def _compared(text: str) -> str:
    """Without what bridges change: white space, quote marks, case."""
    return " ".join(text.replace(">", " ").replace("`", " ").split()).casefold()
