"""Messages of Discord's gateway as messages of ours. Pure. https://docs.discord.com/developers/resources/message

A message is known by its id, which its edits have as well. A thread is a channel of its own. What a person typed comes
with ids in place of names: a mention of the bot is left out, others are words (`@kim`, `#645027906669510667`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hub.chat.platforms.base import BadBody, Ignored, IncomingMessage
from hub.chat.platforms.discord_files import read_files
from hub.chat.platforms.discord_interaction import created_at
from hub.chat.platforms.fields import matched_at, object_at, string_at

MAX_TEXT: Final = 8_000
"""Characters of a message; Discord lets people write 4,000."""
MAX_MENTIONS: Final = 200
CALLED: Final = "hi"
"""What a mention of the bot alone means."""
ID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_SPOKEN: Final = (0, 19)
"""Types of a person's words: a message, and one that answers another."""
_NAME: Final = re.compile(r"[\w.-]{1,32}")
_MARK: Final = re.compile(
    r"<(?:@!?(?P<user>[0-9]{1,20})|@&(?P<role>[0-9]{1,20})|#(?P<room>[0-9]{1,20})"
    r"|/(?P<command>[^<>:\n]{1,100}):[0-9]{1,20}|a?:(?P<emoji>\w{1,32}):[0-9]{1,20}|(?P<link>https?://[^<>\s]{1,4000}))>",
    re.ASCII,
)
_BOT: Final = "\ue000"
"""Stands for a mention of the bot until all of them are taken out; a private character, dropped from what comes in."""
_LEADING: Final = re.compile(rf"\A(?:\s*{_BOT}[\s,:，：]*)+")
_INNER: Final = re.compile(rf"[ \t]*{_BOT}")


def read_message(body: Any, me: str, reply_url: str, *, edited: bool = False) -> IncomingMessage | Ignored:
    """A message that was written or, where `edited`, changed; `me` is the bot's own id. Raises BadBody."""
    if type(body) is not dict:
        raise BadBody("a message must be a JSON object")
    if edited and (type(body.get("edited_timestamp")) is not str or "author" not in body or "content" not in body):
        return Ignored("a preview of a link, or the like: the words are the same")
    author = object_at(body, "author")
    user = matched_at(author, "id", ID, "an id of Discord")
    if author.get("bot") is True or author.get("system") is True or "webhook_id" in body or user == me:
        return Ignored("the bot's own words, or another bot's")
    if body.get("type", 0) not in _SPOKEN:
        return Ignored("no words of a person")
    people = _mentioned(body)
    names = {person["id"]: person["username"] for person in people}
    text, called = read_text(string_at(body, "content", MAX_TEXT), me, names)
    pictures = () if edited else read_files(body.get("attachments"))
    if not text and not pictures:
        return Ignored("a message without words, or without the right to read them")
    event = matched_at(body, "id", ID, "an id of Discord")
    return IncomingMessage(
        event_id=event,
        user=user,
        conversation=matched_at(body, "channel_id", ID, "an id of Discord"),
        text="" if text == CALLED and pictures else text,
        pictures=pictures,
        reply_url=reply_url,
        sent_at=_moment(body["edited_timestamp"], event) if edited else created_at(event),
        addressed=called or "guild_id" not in body or me in names or _answers(body, me),
        edited=edited,
    )


def read_text(text: str, me: str, names: Mapping[str, str]) -> tuple[str, bool]:
    """What the person typed, and whether it calls the bot; `names` are those of mentioned people by their ids."""
    called = False

    def word(match: re.Match[str]) -> str:
        nonlocal called
        if match["user"]:
            called = called or match["user"] == me
            return _BOT if match["user"] == me else f"@{names.get(match['user'], match['user'])}"
        if match["role"]:
            return f"@{match['role']}"
        if match["room"]:
            return f"#{match['room']}"
        if match["command"]:
            return f"/{match['command']}"
        return f":{match['emoji']}:" if match["emoji"] else match["link"]

    said = _MARK.sub(word, text.replace(_BOT, ""))
    if called:
        said = _INNER.sub("", _LEADING.sub("", said)).strip() or CALLED
    return said.strip(), called


def _mentioned(body: Mapping[str, Any]) -> list[dict[str, str]]:
    """Who is mentioned, as id and username; the id where the name is none that can stand in a text."""
    found = body.get("mentions", [])
    if type(found) is not list or len(found) > MAX_MENTIONS or not all(type(one) is dict for one in found):
        raise BadBody(f"mentions: must be a list of at most {MAX_MENTIONS} objects")
    people = []
    for one in found:
        identity, name = matched_at(one, "id", ID, "an id of Discord"), one.get("username")
        named = type(name) is str and _NAME.fullmatch(name) is not None
        people.append({"id": identity, "username": str(name) if named else identity})
    return people


def _answers(body: Mapping[str, Any], me: str) -> bool:
    """It answers a message of the bot."""
    first = body.get("referenced_message")
    author = first.get("author") if type(first) is dict else None
    return type(author) is dict and author.get("id") == me


def _moment(stamp: str, event: str) -> float:
    """ISO 8601 as seconds since the epoch; when the message was written where it is none."""
    try:
        at = datetime.fromisoformat(stamp)
        return at.timestamp() if at.tzinfo is not None else created_at(event)
    except (ValueError, OverflowError):
        return created_at(event)
