"""The checks of a verified message before it is stored, the same for webhooks and outbound modes. Pure."""

from __future__ import annotations

from dataclasses import replace

from hub.chat.inlets import Inlet
from hub.chat.platforms.base import IncomingMessage
from hub.core import callback_url


class ReplyUrlRefused(Exception):
    """Replies may not be posted to where the message asks for them; `str()` says why, and the cure."""


def admit(inlet: Inlet, message: IncomingMessage) -> IncomingMessage:
    """The message as it is stored: its id is unique within the inlet. Raises ReplyUrlRefused."""
    if inlet.id_scope == "conversation":
        message = replace(message, event_id=f"{message.conversation}/{message.event_id}")
    if message.reply_url:
        reason = callback_url.check(message.reply_url, inlet.reply_hosts)
        if reason is not None:
            cure = f"set reply_hosts of [inlets.{inlet.name}] in hub.toml, or leave reply_url out"
            raise ReplyUrlRefused(f"{reason}; {cure}")
    return message
