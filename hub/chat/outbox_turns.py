"""Which of the replies that are due are posted next: answers and questions before news of what still runs, and within
both the inlets and their conversations take turns, so that nobody's answer stands behind somebody else's pile. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from hub.core.fair_queue import NEVER, FairQueue, Key
from hub.core.records import Reply

NEWS_FLOOR: Final = 4
"""Answers that go before a piece of news, at most, while one waits."""


def in_turns(due: Sequence[Reply], most: int) -> list[Reply]:
    """At most `most` of them; `due` is in the order in which they are due. Where all of them are, nobody waits for
    anybody, and what they say is not looked into.
    """
    if len(due) <= most:
        return sorted(due, key=_is_news)
    line: FairQueue[Reply] = FairQueue((NEVER, NEWS_FLOOR), total=len(due))
    for reply in due:
        line.put(int(_is_news(reply)), Key(reply.inlet, _conversation(reply)), reply)
    popped = (line.pop() for _ in range(most))
    return [reply for reply in popped if reply is not None]


def _is_news(reply: Reply) -> bool:
    return reply.kind == "progress"


def _conversation(reply: Reply) -> str:
    """ "" of what cannot be read: whoever posts it says so."""
    try:
        return str(json.loads(reply.body).get("conversation", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""
