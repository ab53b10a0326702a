"""Updates of Telegram's Bot API as messages of ours. Pure. https://core.telegram.org/bots/api#update

    message          what a person wrote; its id is "<chat>/<message>", the same by webhook and by getUpdates
    edited_message   the same id, and `edited`
    callback_query   a click; its id is "click/<query>"

All else is ignored, and so is what no person wrote here themselves: words of bots (also those of an inline bot that a
person sends), of channels and anonymous administrators, and forwarded words.

Offsets and lengths of entities are UTF-16 units. A mention inside code is no entity, so it stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import BadBody, Ignored, IncomingMessage
from hub.chat.platforms.fields import object_at
from hub.chat.platforms.telegram_files import read_pictures

MAX_TEXT: Final = 8_000
MAX_ENTITIES: Final = 1_000
MAX_QUERY_ID: Final = 64
_RUN_COMMANDS: Final = frozenset({"run", "answerback", "ask"})
"""Commands whose words are the message: /run df -h on web-1. Others are words themselves: /approve r42 k7f2."""
_BETWEEN: Final = " \t\r\n,:，：\u3000"
_QUERY_ID: Final = re.compile(rf"[\w-]{{1,{MAX_QUERY_ID}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bot:
    id: int
    name: str  # without @


def click_id(update: Any) -> str:
    """The id of a click, which is to be answered whatever it says; "" for an update of another kind."""
    query = update.get("callback_query") if type(update) is dict else None
    found = query.get("id") if type(query) is dict else None
    return found if type(found) is str and _QUERY_ID.fullmatch(found) else ""


def read_update(update: Any, bot: Bot, reply_url: str) -> IncomingMessage | Ignored:
    """A parsed update; raises BadBody that names the field."""
    if type(update) is not dict or type(update.get("update_id")) is not int:
        raise BadBody("update_id: must be there and be an integer; only updates of the Bot API are taken")
    if "callback_query" in update:
        return _click(object_at(update, "callback_query"), reply_url)
    for key in ("message", "edited_message"):
        if key in update:
            return _message(object_at(update, key), bot, reply_url, edited=key == "edited_message")
    return Ignored("an update of another kind")


def _click(query: dict[str, Any], reply_url: str) -> IncomingMessage | Ignored:
    sender = object_at(query, "from")
    if sender.get("is_bot") is True:
        return Ignored("a bot clicked")
    if not (query_id := click_id({"callback_query": query})):
        raise BadBody("callback_query.id: must be there, a short text")
    if "message" not in query:
        return Ignored("a click on a message that is in no chat")
    message = object_at(query, "message")
    text = clicked_text(query.get("data"))
    if text is None:
        return Ignored("a button that is not ours")
    return IncomingMessage(
        event_id=f"click/{query_id}",
        user=str(_integer(sender, "id")),
        conversation=str(_integer(object_at(message, "chat"), "id")),
        text=text,
        reply_url=reply_url,
        thread=_thread(message),
        button=True,
    )


def _message(message: dict[str, Any], bot: Bot, reply_url: str, *, edited: bool) -> IncomingMessage | Ignored:
    if "from" not in message or "sender_chat" in message:
        return Ignored("written in the name of a chat: nobody to ask the rights of")
    sender = object_at(message, "from")
    if sender.get("is_bot") is True or "via_bot" in message:
        return Ignored("a bot's words")
    if "forward_origin" in message or "forward_date" in message:
        return Ignored("forwarded words")
    chat = object_at(message, "chat")
    words, marks = ("text", "entities") if "text" in message else ("caption", "caption_entities")
    pictures = () if edited else read_pictures(message)
    if words not in message and not pictures:
        return Ignored("a message without words")
    called = "" if pictures else "help"
    said = _said(_text(message, words), _entities(message, marks), bot, called) if words in message else ("", False)
    if said is None:
        return Ignored("a command for another bot")
    text, addressed = said
    conversation = _integer(chat, "id")
    return IncomingMessage(
        event_id=f"{conversation}/{_integer(message, 'message_id')}",
        user=str(_integer(sender, "id")),
        conversation=str(conversation),
        text=text,
        pictures=pictures,
        reply_url=reply_url,
        thread=_thread(message),
        sent_at=float(_integer(message, "edit_date" if edited and "edit_date" in message else "date")),
        addressed=addressed or chat.get("type") == "private" or _answers(message, bot),
        edited=edited,
    )


def _said(text: str, entities: list[dict[str, Any]], bot: Bot, called: str) -> tuple[str, bool] | None:
    """The words without the bot's name, and whether it was there; `called` where there are no others. None for a
    command for another bot.
    """
    units = text.encode("utf-16-le")
    addressed = False
    for entity in entities:
        kind = entity.get("type")
        if kind not in ("bot_command", "mention", "text_mention"):
            continue
        start, end = _span(entity, len(units) // 2)
        before, word, after = _cut(units, start, end)
        if kind == "bot_command":
            if before.strip():
                continue  # within a sentence it is a word
            name, _, whose = word[1:].partition("@")
            if whose and whose.casefold() != bot.name.casefold():
                return None
            return _command(name.lower(), after, called), True
        if not _is_bot(entity, word, bot):
            continue
        addressed = True
        if not before.strip(_BETWEEN):
            return after.strip(_BETWEEN) or called, True
        if not after.strip(_BETWEEN):
            return before.strip(_BETWEEN), True
    return text.strip(), addressed


def _command(name: str, rest: str, called: str) -> str:
    if name == "start":
        return "help"  # what Telegram sends where somebody opens the bot, with a parameter that is not theirs
    if name in _RUN_COMMANDS:
        return rest.strip() or called
    return f"{name} {rest.strip()}".strip()


def _is_bot(entity: dict[str, Any], word: str, bot: Bot) -> bool:
    if entity["type"] == "mention":
        return word.casefold() == f"@{bot.name}".casefold()
    user = entity.get("user")
    return type(user) is dict and user.get("id") == bot.id


def _answers(message: dict[str, Any], bot: Bot) -> bool:
    """It answers a message of the bot. In a topic every message answers the topic's first, in form."""
    first = message.get("reply_to_message")
    if type(first) is not dict or "forum_topic_created" in first:
        return False
    author = first.get("from")
    return type(author) is dict and author.get("id") == bot.id


def _thread(message: dict[str, Any]) -> str:
    """The topic of a forum. Outside of forums the number is that of a chain of answers, where nothing can be posted."""
    return str(_integer(message, "message_thread_id")) if message.get("is_topic_message") is True else ""


def _entities(message: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = message.get(key, [])
    if type(found) is not list or len(found) > MAX_ENTITIES or not all(type(entity) is dict for entity in found):
        raise BadBody(f"{key}: must be a list of at most {MAX_ENTITIES} objects")
    return found


def _span(entity: dict[str, Any], length: int) -> tuple[int, int]:
    start, size = _integer(entity, "offset"), _integer(entity, "length")
    if start < 0 or size < 1 or start + size > length:
        raise BadBody("an entity is not within the text")
    return start, start + size


def _cut(units: bytes, start: int, end: int) -> tuple[str, str, str]:
    try:
        return (
            units[: 2 * start].decode("utf-16-le"),
            units[2 * start : 2 * end].decode("utf-16-le"),
            units[2 * end :].decode("utf-16-le"),
        )
    except UnicodeDecodeError:
        raise BadBody("an entity begins or ends within a character") from None


def _integer(parent: dict[str, Any], key: str) -> int:
    found = parent.get(key)
    if type(found) is not int:
        raise BadBody(f"{key}: must be there and be an integer")
    return found


def _text(parent: dict[str, Any], key: str) -> str:
    found = parent.get(key)
    if type(found) is not str or len(found) > MAX_TEXT:
        raise BadBody(f"{key}: must be a text of at most {MAX_TEXT} characters")
    return found
