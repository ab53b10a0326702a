"""Events of Matrix rooms as messages of ours. Pure. https://spec.matrix.org/v1.13/client-server-api/#instant-messaging

Events come from strangers' servers: whatever is not of the form is left out, and nothing here raises. Ignored are words
of bots (`m.notice`), of ourselves, emotes, stickers, files, and what was sent to be shown as something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import IncomingMessage

MAX_TEXT: Final = 8_000
MAX_ID: Final = 255
"""Bytes of an id: https://spec.matrix.org/v1.13/appendices/#size-limits"""
CARD: Final = "dev.answerback.card"
"""The key of a card's content that has what a reaction on it says, by emoji; our own, so no client shows it."""
REACTIONS: Final = {"approve": "✅", "reject": "❌"}
_EMOJI: Final = {"✅": "✅", "✔": "✅", "👍": "✅", "❌": "❌", "✖": "❌", "👎": "❌"}
_VARIANTS: Final = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")  # text or emoji style, skin tones
_USER: Final = re.compile(r"@[!-9;-~]*:[A-Za-z0-9.\-:\[\]]+", re.ASCII)
_ROOM: Final = re.compile(r"![!-~]+", re.ASCII)
_EVENT: Final = re.compile(r"\$[!-~]+", re.ASCII)
_MEDIA: Final = re.compile(r"mxc://([A-Za-z0-9.\-:\[\]]{1,255})/([A-Za-z0-9_-]{1,255})", re.ASCII)
_BETWEEN: Final = " \t\r\n,:，：\u3000"
_REPLY_FALLBACK: Final = re.compile(r"> <@[^>\n]*>[^\n]*\n(?:>[^\n]*\n)*\n")


@dataclass(frozen=True, slots=True)
class Me:
    """Who the bot is."""

    user: str  # @answerback:example.org
    names: tuple[str, ...] = ()  # what else it is called, where people write to it


@dataclass(frozen=True, slots=True)
class Said:
    """A message whose pictures are not fetched yet, and whose first version is not looked at yet."""

    message: IncomingMessage
    mentioned: bool
    picture: tuple[str, str] | None = None  # server and media id
    replaces: str = ""  # the event that it edits


@dataclass(frozen=True, slots=True)
class Reaction:
    event_id: str
    room: str
    user: str
    target: str  # the event that it stands on
    emoji: str
    sent_at: float


def is_user(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ID and _USER.fullmatch(value) is not None


def is_room(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ID and _ROOM.fullmatch(value) is not None


def is_event(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ID and _EVENT.fullmatch(value) is not None


def server_of(user: str) -> str:
    return user.partition(":")[2]


def events_of(value: object) -> Iterator[dict[str, Any]]:
    """The events of a list that have an id and a sender of the form."""
    for event in value if isinstance(value, list) else ():
        if isinstance(event, dict) and is_event(event.get("event_id")) and is_user(event.get("sender")):
            yield event


def moment(event: dict[str, Any]) -> float:
    """When it was sent, in seconds since the epoch, by its sender's server; 0 where it does not say."""
    at = event.get("origin_server_ts")
    return at / 1000 if type(at) is int and 0 <= at < 10**14 else 0.0


def read_reaction(event: dict[str, Any], room: str, me: Me) -> Reaction | None:
    """A reaction that may be a button of ours; None for any other event."""
    relation = _relation(event.get("content"))
    key = relation.get("key")
    if event.get("type") != "m.reaction" or event["sender"] == me.user or relation.get("rel_type") != "m.annotation":
        return None
    emoji = _EMOJI.get(_VARIANTS.sub("", key)) if isinstance(key, str) and len(key) <= 16 else None
    if emoji is None or not is_event(relation.get("event_id")):
        return None
    return Reaction(event["event_id"], room, event["sender"], relation["event_id"], emoji, moment(event))


def reaction_message(reaction: Reaction, card: object, me: Me, reply_url: str) -> IncomingMessage | None:
    """What the reaction says, by the card that it stands on; None where that is no card of ours.

    What counts is what the card said when it was posted, not what it says now: a plan that was changed meanwhile has
    another code, so nobody approves by a reaction what they did not see.
    """
    if not isinstance(card, dict) or card.get("sender") != me.user or card.get("room_id") not in (None, reaction.room):
        return None
    content = card.get("content")
    values = content.get(CARD) if isinstance(content, dict) else None
    text = clicked_text(values.get(reaction.emoji)) if isinstance(values, dict) else None
    if text is None:
        return None
    return IncomingMessage(
        event_id=reaction.event_id,
        user=reaction.user,
        conversation=reaction.room,
        text=text,
        reply_url=reply_url,
        thread=_thread(_relation(content)),
        sent_at=reaction.sent_at,
        button=True,
    )


def read_message(event: dict[str, Any], room: str, me: Me, reply_url: str) -> Said | None:
    """What a person said; None for what is not for us."""
    content = event.get("content")
    if event.get("type") != "m.room.message" or event["sender"] == me.user or not isinstance(content, dict):
        return None
    relation = _relation(content)
    replaces = ""
    if relation.get("rel_type") == "m.replace":
        replaces, new = relation.get("event_id", ""), content.get("m.new_content")
        if not is_event(replaces) or not isinstance(new, dict):
            return None
        content = new
    picture = None
    match content.get("msgtype"):
        case "m.text":
            words = content.get("body")
        case "m.image":
            picture = _picture(content.get("url"))
            # A caption is there only where `filename` says that `body` is not the file's name.
            words = content.get("body") if content.get("filename") not in (None, content.get("body")) else ""
        case _:
            return None
    if not isinstance(words, str) or not _is_text(words):
        return None
    if "m.in_reply_to" in relation:
        words = _REPLY_FALLBACK.sub("", words, count=1) if words.startswith("> <") else words
    text, named = strip_name(words, me)
    mentions = content.get("m.mentions")
    users = mentions.get("user_ids") if isinstance(mentions, dict) else None
    mentioned = named or (isinstance(users, list) and me.user in users[:100])
    if not text and picture is None:
        if not mentioned:
            return None
        text = "help"
    message = IncomingMessage(
        event_id=replaces or event["event_id"],
        user=event["sender"],
        conversation=room,
        text=text,
        reply_url=reply_url,
        thread=_thread(relation),
        sent_at=moment(event),
        addressed=mentioned,
        edited=bool(replaces),
    )
    return Said(message, mentioned, picture, replaces)


def thread_of(event: object) -> str:
    """The root of the thread that an event is in, or ""."""
    return _thread(_relation(event.get("content"))) if isinstance(event, dict) else ""


def strip_name(words: str, me: Me) -> tuple[str, bool]:
    """The words without the bot's name before or after them, and whether it was there.

    A name alone is one where it has @ before it or : or , after it: who says "answerback is down" calls nobody.
    """
    text = words.strip()
    lower = text.casefold()
    for name in _names(me):
        if lower.startswith(name):
            rest = text[len(name) :]
            called = name.startswith("@") or rest.lstrip(" ")[:1] in (":", ",", "：", "，")
            if called and (not rest or rest[0] in _BETWEEN):
                return rest.strip(_BETWEEN), True
        if name.startswith("@") and lower.endswith(name) and text[: -len(name)][-1:].isspace():
            return text[: -len(name)].strip(_BETWEEN), True
    return text, False


def _names(me: Me) -> Iterable[str]:
    local = me.user[1:].partition(":")[0]
    plain = {name.casefold() for name in (*me.names, local) if name}
    return sorted({me.user.casefold(), *plain, *(f"@{name}" for name in plain)}, key=len, reverse=True)


def _relation(content: object) -> dict[str, Any]:
    relation = content.get("m.relates_to") if isinstance(content, dict) else None
    return relation if isinstance(relation, dict) else {}


def _thread(relation: dict[str, Any]) -> str:
    root = relation.get("event_id")
    return root if relation.get("rel_type") == "m.thread" and isinstance(root, str) and is_event(root) else ""


def _picture(url: object) -> tuple[str, str] | None:
    """Server and id; None also for pictures of encrypted rooms, which have no `url`."""
    match = _MEDIA.fullmatch(url) if isinstance(url, str) else None
    return None if match is None else (match[1], match[2])


def _is_text(words: str) -> bool:
    """Whether it can be stored: bounded, no half of a surrogate pair, no NUL."""
    if len(words) > MAX_TEXT or "\x00" in words:
        return False
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True
