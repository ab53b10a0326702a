"""Which replies may be in chat already, and how a repeat says that it is one. Pure.

The outbox has no mark that a post was begun: it would cost a commit. What was pending when this hub started may have
been posted by the one before; of what this one tried it knows itself what became of each attempt. A reply that was
posted, and whose result could not be written, is not posted again by the same hub.

Platforms that know a repeat by an id, or can be asked, have `knows_repeats`: there nobody sees one. In other chats a
repeat says so in its first line.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

from common.catalogue import translate
from hub.chat.platforms.base import Delivered, DeliveryFailed, OutboundReply
from hub.chat.reply_text import plain_text
from hub.core.lru import Lru
from hub.core.records import Reply

MAX_KNOWN: Final = 10_000
"""Replies of which it is known what became of them; where more are under way, one may be marked as a repeat that is
none.
"""


@runtime_checkable
class KnowsRepeats(Protocol):
    """A platform that posts a repeat so that it is seen once, or marks it as one by itself."""

    knows_repeats: bool


class Attempts:
    """What is known of the posts that were tried."""

    def __init__(self, newest: int = 0) -> None:
        """`newest` is the outbox's last id as the hub starts."""
        self._newest_of_before = newest
        self._not_there: Lru[int, bool] = Lru(MAX_KNOWN)  # tried, and none of the attempts has posted it
        self._heirs: Lru[int, bool] = Lru(MAX_KNOWN)  # newer states of cards that may be there
        self._posted: Lru[int, Delivered] = Lru(MAX_KNOWN)  # posted, and the outbox does not say so yet

    def may_be_there(self, reply: Reply) -> bool:
        """Whether a post of it now may be a repeat."""
        if reply.id <= self._newest_of_before or reply.id in self._heirs:
            return True
        return reply.attempts > 0 and reply.id not in self._not_there

    def note_overtaken(self, older: Reply, newer: Reply) -> None:
        """`newer` is posted in the place of `older`, a state of the same card."""
        if self.may_be_there(older):
            self._heirs.put(newer.id, True)

    def note_result(self, reply: Reply, result: Delivered | DeliveryFailed) -> None:
        """Before the result is written to the outbox."""
        if isinstance(result, Delivered):
            self._posted.put(reply.id, result)
        elif result.unsent and not self.may_be_there(reply):
            self._not_there.put(reply.id, True)
        else:
            self._not_there.pop(reply.id)

    def posted(self, reply: Reply) -> Delivered | None:
        """What a post of it gave whose result could not be written."""
        return self._posted.peek(reply.id)

    def forget(self, reply: Reply) -> None:
        """The outbox says what became of it."""
        for known in (self._posted, self._not_there, self._heirs):
            known.pop(reply.id)


def marked_for_people(platform: object, posting: OutboundReply) -> OutboundReply:
    """A repeat that the platform cannot tell says so in words; a change of a posted card shows the same twice."""
    if not posting.repeated or posting.ref or (isinstance(platform, KnowsRepeats) and platform.knows_repeats):
        return posting
    content = posting.content
    note = plain_text(translate(content.language, "reply_repeated"), content.language)
    return replace(posting, body=replace(content, text=f"{note}\n{content.text}").to_json())
