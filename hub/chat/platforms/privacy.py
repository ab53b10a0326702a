"""Who sees what is said: what a platform tells of it, and how words are taken away again. Pure.

The code of a second factor that was said in chat is used up by that (`hub.engine.said_codes`); its message is removed
where the platform lets the bot do so. Such a call is made from the outbox like a reply, a few times at most.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, runtime_checkable

from hub.chat.platforms.base import Delivered, DeliveryFailed, HttpCall, HttpResponse, NextCall, Platform

REMOVAL: Final = "removal"
"""The kind of a reply that deletes the message it answers; its text is what is said where that cannot be done."""
Sight = Literal["seen", "unseen"]
"""Whether others may see words that cannot be removed: a slash command is seen by nobody."""


@runtime_checkable
class RemovesMessages(Protocol):
    """A platform that knows what of people's words nobody else sees, or whose API deletes them."""

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        """The call that deletes a person's message, by what it came with; or who sees it where there is none."""
        ...

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed | NextCall:
        """`Delivered` where the message is gone; `refused` where the bot has no right to delete it."""
        ...


@runtime_checkable
class TellsDirect(Protocol):
    """A platform whose direct conversations are told by more than their id's being the user's."""

    def is_direct(self, conversation: str, thread: str) -> bool:
        """Whether only the person and the bot are in it."""
        ...


def is_alone(platform: Platform | None, user: str, conversation: str, thread: str) -> bool:
    """Whether a person is alone with the bot in a conversation; a chat may call those after the user."""
    return conversation == user or (isinstance(platform, TellsDirect) and platform.is_direct(conversation, thread))


def sight_of(platform: Platform | None, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
    """The call that removes a message, or who sees it."""
    if isinstance(platform, RemovesMessages):
        return platform.removal(event_id, conversation, thread)
    return "seen"
