"""The removal of a message in which a second factor's code was said: an entry of the outbox that is no reply.

It is tried a few times within a minute, since the code is used up anyway; where the platform or the bot's rights do not
let us, the conversation is told what it carries along: that others can read the code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hub.chat.platforms.base import (
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    NextCall,
    OutboundReply,
    Platform,
    ReplyContent,
)
from hub.chat.platforms.privacy import REMOVAL, RemovesMessages
from hub.core.records import Reply
from hub.core.unreadable import is_unreadable

MAX_ATTEMPTS: Final = 4


def is_removal(reply: Reply) -> bool:
    return not reply.request_id and not is_unreadable(reply.body) and ReplyContent.from_json(reply.body).kind == REMOVAL


def removal_call(platform: Platform, posting: OutboundReply) -> HttpCall | DeliveryFailed:
    """The call that removes it, now."""
    content = posting.content
    if isinstance(platform, RemovesMessages):
        call = platform.removal(content.in_reply_to, content.conversation, content.thread)
        if isinstance(call, HttpCall):
            return call
    return DeliveryFailed("the platform removes no such message", "gone")


def removal_result(
    platform: Platform, posting: OutboundReply, call: HttpCall, response: HttpResponse
) -> Delivered | DeliveryFailed | NextCall:
    assert isinstance(platform, RemovesMessages)  # noqa: S101  its call was made
    result = platform.read_removal(call, response)
    if isinstance(result, DeliveryFailed) and result.kind == "refused":
        return replace(result, kind="gone")  # a right does not come by waiting
    return result


def notice_after(reply: Reply, now: float) -> Reply | None:
    """What is said where it could not be removed; None where nobody else was there."""
    content = ReplyContent.from_json(reply.body)
    if not content.text:
        return None
    body = replace(content, kind="progress").to_json()
    return replace(reply, id=0, body=body, created_at=now, next_at=now, attempts=0, state="pending", error="")
