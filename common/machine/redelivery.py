"""Why a job was handed to its machine again, in words: the same in chat, on the command line and in the console.

A job says how often it came back, provably not started, and the code of the last time: one of RETRY_CODES
(common.link.messages), or "lost" where the machine had no record of it.
"""

from __future__ import annotations

from typing import Final

from common.catalogue import Sentence

_CODES: Final = frozenset({"restarted", "stopping", "busy", "disk", "lost"})


def redelivery_sentence(count: int, code: str) -> Sentence | None:
    """`delivered again (2): its runner was restarted`; None for a job that never came back."""
    if count <= 0:
        return None
    why = Sentence(f"redelivered_{code}" if code in _CODES else "redelivered_other")
    return Sentence("redelivered", {"count": count, "why": why})
