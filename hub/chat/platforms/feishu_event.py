"""Feishu's events as what was said and clicked: `im.message.receive_v1` and `card.action.trigger`. No I/O.

A message's `content` is a JSON document in a string; mentions stand in it as "@_user_1", explained by `mentions`. The
bot's own is left out. Another's is put in marks, ‹Li Lei›: names are of people's own choosing, and one that is called
"web-1 reboot" must not be read as a machine and a command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.fields import MAX_TIME
from hub.chat.platforms.base import BadBody, Ignored, PictureRef
from hub.chat.platforms.feishu_files import read_pictures
from hub.chat.platforms.fields import matched_at, object_at, string_at
from hub.core import strict_json

MAX_ID: Final = 200
MAX_TEXT: Final = 8_000
MAX_NAME: Final = 64
MAX_MENTIONS: Final = 200
MAX_ELEMENTS: Final = 2_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_KEY: Final = re.compile(r"@_(?:user_\d{1,6}|all)\b", re.ASCII)
_NOT_NAME: Final = re.compile(r"[^\w .·-]+")


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A message of a person."""

    message_id: str
    user: str  # open_id
    chat: str  # chat_id
    text: str
    threaded: bool
    addressed: bool
    sent_at: float
    direct: bool = False  # in a conversation of the person and the bot alone
    pictures: tuple[PictureRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ClickEvent:
    event_id: str
    user: str
    chat: str
    card: str  # message_id
    sent_at: float
    say: object  # what the button's value says; not checked


def read_message(event: dict[str, Any], bot: str, bot_id: str) -> MessageEvent | Ignored:
    """Raises BadBody that names the field. `bot` is the bot's name, `bot_id` its open_id where it is known."""
    sender, message = object_at(event, "sender"), object_at(event, "message")
    if sender.get("sender_type") != "user":
        return Ignored("not from a person")
    kind = message.get("message_type")
    if kind not in ("text", "post", "image", "file"):
        return Ignored("neither text nor a picture")
    content = strict_json.parse(string_at(message, "content", 4 * MAX_TEXT).encode())
    if type(content) is not dict:
        raise BadBody("message.content: must be a JSON object")
    words, mentioned = _mentions(message, bot, bot_id)
    match kind:
        case "text":
            text = string_at(content, "text", 4 * MAX_TEXT)
        case "post":
            text = _post_text(content)
        case _:
            text = ""
    message_id = _identifier(message, "message_id")
    pictures = read_pictures(kind, content, message_id)
    text = _KEY.sub(lambda match: words.get(match[0], match[0]), text).strip()
    if len(text) > MAX_TEXT:
        raise BadBody(f"message.content: {len(text)} characters, must be at most {MAX_TEXT}")
    if not text and not pictures and (not mentioned or kind == "file"):
        return Ignored("nothing said")
    return MessageEvent(
        message_id=message_id,
        user=_identifier(object_at(sender, "sender_id"), "open_id"),
        chat=_identifier(message, "chat_id"),
        text=text or ("" if pictures else f"@{bot}"),
        pictures=pictures,
        threaded=bool(message.get("thread_id")),
        addressed=mentioned or message.get("chat_type") == "p2p",
        direct=message.get("chat_type") == "p2p",
        sent_at=_time(message.get("create_time")),
    )


def read_click(header: dict[str, Any], event: dict[str, Any]) -> ClickEvent:
    """Raises BadBody that names the field."""
    operator, context, action = object_at(event, "operator"), object_at(event, "context"), object_at(event, "action")
    value = action.get("value")
    return ClickEvent(
        event_id=_identifier(header, "event_id"),
        user=_identifier(operator, "open_id"),
        chat=_identifier(context, "open_chat_id"),
        card=_identifier(context, "open_message_id"),
        sent_at=_time(header.get("create_time")),
        say=value.get("say") if type(value) is dict else None,
    )


def _mentions(message: dict[str, Any], bot: str, bot_id: str) -> tuple[Mapping[str, str], bool]:
    """What stands for each key of a mention, and whether one of them is the bot's."""
    words, mentioned = {"@_all": "‹all›"}, False
    mentions = message.get("mentions") or []
    if type(mentions) is not list or len(mentions) > MAX_MENTIONS:
        raise BadBody(f"message.mentions: must be a list of at most {MAX_MENTIONS}")
    for mention in mentions:
        if type(mention) is not dict or type(key := mention.get("key")) is not str:
            raise BadBody("message.mentions: must be objects with a key")
        if _is_bot(mention, bot, bot_id):
            words[key], mentioned = "", True
        else:
            name = " ".join(_NOT_NAME.sub(" ", str(mention.get("name", ""))[:MAX_NAME]).split())
            words[key] = f"‹{name}›"
    return words, mentioned


def _is_bot(mention: dict[str, Any], bot: str, bot_id: str) -> bool:
    ids, name = mention.get("id"), mention.get("name")
    if bot_id:
        return type(ids) is dict and ids.get("open_id") == bot_id
    return mention.get("mentioned_type") != "user" and type(name) is str and name.casefold() == bot.casefold()


def _post_text(content: dict[str, Any]) -> str:
    """The text of a rich text message, line by line: what is not text is left out."""
    title, rows = content.get("title"), content.get("content")
    if type(rows) is not list:
        raise BadBody("message.content: content must be a list of lines")
    lines = [title] if type(title) is str and title else []
    count = 0
    for row in rows:
        if type(row) is not list or not all(type(element) is dict for element in row):
            raise BadBody("message.content: a line must be a list of objects")
        count += len(row)
        if count > MAX_ELEMENTS:
            raise BadBody(f"message.content: more than {MAX_ELEMENTS} elements")
        lines.append("".join(map(_element_text, row)))
    return "\n".join(lines)


def _element_text(element: dict[str, Any]) -> str:
    text = element.get("text")
    match element.get("tag"):
        case "at":
            key = element.get("user_id")
            return key if type(key) is str and _KEY.fullmatch(key) else "‹›"
        case "code_block":
            return f"```\n{text.rstrip()}\n```" if type(text) is str else ""
        case "text" | "a" | "md":
            return text if type(text) is str else ""
    return ""


def _identifier(body: dict[str, Any], key: str) -> str:
    """An id of the platform's: it will stand in URLs, in logs and on screens."""
    return matched_at(body, key, _ID, "an id of letters, digits, - and _")


def _time(value: object) -> float:
    """Milliseconds, or a callback's microseconds (16 digits), in a string as seconds; 0 where it is none."""
    if type(value) is not str or not (value.isascii() and value.isdigit() and len(value) <= 16):
        return 0.0
    at = int(value) / (1_000_000 if len(value) == 16 else 1000)
    return at if at <= MAX_TIME else 0.0
