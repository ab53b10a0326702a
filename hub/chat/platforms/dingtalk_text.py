"""DingTalk's messages to a robot as what was said, and replies as its plain text. No I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from common.catalogue import translate
from common.fields import MAX_TIME
from hub.chat.markup import fit_blocks, plain_text, split_blocks
from hub.chat.platforms.base import BadBody, Ignored, PictureRef, ReplyContent
from hub.chat.platforms.dingtalk_files import read_pictures
from hub.chat.platforms.fields import object_at, string_at
from hub.core.chat_text import neutralize_mentions

MAX_ID: Final = 200
MAX_TEXT: Final = 8_000
MAX_URL: Final = 1_000
MAX_PARTS: Final = 500
MAX_REPLY_BYTES: Final = 14_000
"""Bytes of a reply's text as JSON: 15,000 are documented for the robot's API, some 20,000 are said of the rest."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WORD: Final = re.compile(r"[A-Za-z0-9_.@:$+/=-]{1,128}", re.ASCII)
_DIRECT: Final = "1"


@dataclass(frozen=True, slots=True)
class Route:
    """How replies reach a conversation; kept as a message's `thread`."""

    until: float = 0.0  # seconds since the epoch, to which the conversation's own address holds; 0: not said
    group: bool = True
    robot: str = ""  # robotCode
    staff: str = ""  # the person's id in the organisation

    def __str__(self) -> str:
        return f"{self.until:.0f} {'group' if self.group else 'direct'} {self.robot or '-'} {self.staff or '-'}"

    @classmethod
    def parse(cls, text: str) -> Route:
        """The inverse of `str`; of anything else a route that leads nowhere but to the address."""
        words = text.split(" ")
        if len(words) != 4 or not words[0].isascii() or not words[0].isdigit():
            return cls()
        until, kind, robot, staff = words
        return cls(float(until), kind == "group", "" if robot == "-" else robot, "" if staff == "-" else staff)


@dataclass(frozen=True, slots=True)
class RobotMessage:
    """A message of a person to the robot."""

    message_id: str
    user: str
    conversation: str
    text: str
    session: str  # sessionWebhook, as it came
    route: Route
    addressed: bool
    sent_at: float
    pictures: tuple[PictureRef, ...] = ()


def read_robot(body: dict[str, Any]) -> RobotMessage | Ignored:
    """Raises BadBody that names the field."""
    sender = _name(body, "senderId")
    if sender == body.get("chatbotUserId"):
        return Ignored("the robot's own words")
    match body.get("msgtype"):
        case "text":
            text = string_at(object_at(body, "text"), "content", MAX_TEXT)
        case "richText":
            text = _rich_text(object_at(body, "content"))
        case "picture" | "file":
            text = ""
        case _:
            return Ignored("neither text nor a picture")
    text = text.strip()
    robot = _word(body.get("robotCode"))
    pictures = read_pictures(body, robot)
    if not text and not pictures:
        return Ignored("nothing said")
    direct = body.get("conversationType") == _DIRECT
    staff = body.get("senderStaffId")
    session = body.get("sessionWebhook")
    if session is not None and (type(session) is not str or len(session) > MAX_URL):
        raise BadBody(f"sessionWebhook: must be a string of at most {MAX_URL} characters")
    until = _time(body.get("sessionWebhookExpiredTime"))
    return RobotMessage(
        message_id=_name(body, "msgId"),
        user=_name(body, "senderStaffId") if staff else sender,
        conversation=_name(body, "conversationId"),
        text=text,
        pictures=pictures,
        session=session or "",
        route=Route(until, not direct, robot, _word(staff)),
        addressed=direct or body.get("isInAtList") is True,
        sent_at=_time(body.get("createAt")),
    )


def fit_text(content: ReplyContent) -> str:
    """A reply as plain text, cut where it is too long; a question that does not fit says only where it is decided."""
    blocks = split_blocks(neutralize_mentions(content.text))
    text, cut = fit_blocks(blocks, plain_text, _json_size, MAX_REPLY_BYTES, translate(content.language, "reply_cut"))
    if cut and content.kind == "question" and content.request is not None:
        head = plain_text(blocks[:1])[:200]
        return f"{head}\n{translate(content.language, 'ask_how_console', number=content.request.number)}"
    return text


def _json_size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))


def _rich_text(content: dict[str, Any]) -> str:
    """The text of a rich text message."""
    parts = content.get("richText")
    if type(parts) is not list or len(parts) > MAX_PARTS or not all(type(part) is dict for part in parts):
        raise BadBody(f"content.richText: must be a list of at most {MAX_PARTS} objects")
    text = "".join(string_at(part, "text", MAX_TEXT) for part in parts if "text" in part)
    if len(text) > MAX_TEXT:
        raise BadBody(f"content.richText: more than {MAX_TEXT} characters")
    return text


def _name(body: dict[str, Any], key: str) -> str:
    """An id, or what stands in logs and on screens."""
    value = string_at(body, key, MAX_ID)
    if not value or _CONTROL.search(value):
        raise BadBody(f"{key}: must be there, without control characters")
    return value


def _word(value: object) -> str:
    """A code of the platform's that can be part of a route; "" where it cannot."""
    return value if type(value) is str and value != "-" and _WORD.fullmatch(value) else ""


def _time(value: object) -> float:
    """Milliseconds as seconds, 0 where it is none."""
    return value / 1000 if type(value) is int and 0 <= value / 1000 <= MAX_TIME else 0.0
