"""The deletion of a person's message in Telegram. Pure. https://core.telegram.org/bots/api#deletemessage

A bot deletes what people write to it in private, and in groups where it is an administrator that may delete messages;
in both within 48 hours.
"""

from __future__ import annotations

import re
from typing import Any, Final

from hub.chat.platforms.base import Delivered, DeliveryFailed, HttpResponse
from hub.chat.platforms.fields import answer_object
from hub.core.chat_text import inline_text

_MESSAGE: Final = re.compile(r"(?P<chat>-?[0-9]{1,20})/(?P<message>[0-9]{1,20})", re.ASCII)


def deleted_fields(event_id: str) -> dict[str, Any] | None:
    """Of deleteMessage; None for a click."""
    found = _MESSAGE.fullmatch(event_id)
    return None if found is None else {"chat_id": int(found["chat"]), "message_id": int(found["message"])}


def read_deletion(response: HttpResponse) -> Delivered | DeliveryFailed:
    """What became of it; a message that is not there any more is as good."""
    answer = answer_object(response)
    if answer.get("ok") is True:
        return Delivered()
    description, parameters = answer.get("description"), answer.get("parameters")
    said = inline_text(description, 150) if isinstance(description, str) else "no reason"
    if "not found" in said.lower() and "message" in said.lower():
        return Delivered()
    after = parameters.get("retry_after") if isinstance(parameters, dict) else None
    if response.status == 429 or response.status >= 500 or not answer:
        return DeliveryFailed(f"Telegram answered {response.status}", "later", str(after) if type(after) is int else "")
    return DeliveryFailed(f"Telegram: {said}; make the bot an administrator that may delete messages", "refused")
