"""The long connection of a WeCom AI bot (智能机器人): its frames and its state. Pure.

https://developer.work.weixin.qq.com/document/path/101463 , and Tencent's `wecom-aibot-python-sdk`.

A frame is JSON: `{"cmd", "headers": {"req_id"}, "body"}`; an answer has the `req_id` of what it answers, `errcode` and
no `cmd`. We subscribe with Bot ID and Secret, then `aibot_msg_callback` and `aibot_event_callback` come. They need no
answer, and what comes while nobody is connected is lost: WeCom hands it to no one later.

A bot has one connection. Another one takes its place, which is told by `disconnected_event`; we leave it then, instead
of taking the place again and again.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import BadBody, IncomingMessage
from hub.chat.platforms.fields import object_at, string_at
from hub.chat.platforms.outbound import Frame, Heard, OutboundFailed, Socket, SocketCalls
from hub.core import strict_json

BEAT: Final = 30.0  # seconds, as WeCom asks for
MAX_UNANSWERED: Final = 2  # pings
MAX_SAID: Final = 8_000  # characters of what a member said
MAX_ID: Final = 200
MAX_ITEMS: Final = 20  # of a message of texts and pictures
BUSY: Final = frozenset({-1, 45009, 45033})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class WecomSocket:
    """`SocketMode` of one bot."""

    def __init__(self, url: str, bot: str, secret: str, reply_url: str) -> None:
        """`url` is the socket's, `reply_url` what messages name as the address of their replies."""
        self._url = url
        self._bot = bot
        self._secret = secret
        self._reply_url = reply_url
        self._subscription = self._ping = ""
        self._subscribed = False
        self._unanswered = 0

    def connect(self, cursor: str, now: float) -> SocketCalls:
        self._subscription, self._ping = new_id("aibot_subscribe"), ""
        self._subscribed, self._unanswered = False, 0
        first = frame_of("aibot_subscribe", self._subscription, {"bot_id": self._bot, "secret": self._secret})
        yield from ()  # no calls lead to it
        return Socket(self._url, first=(first,), beat=BEAT)

    def hear(self, frame: Frame, now: float) -> Heard:
        data = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
        try:
            body = strict_json.parse(data)
            if type(body) is not dict:
                return Heard()
            match body.get("cmd"):
                case "aibot_msg_callback":
                    message = read_message(object_at(body, "body"), self._bot, self._reply_url)
                case "aibot_event_callback":
                    message = self._hear_event(object_at(body, "body"))
                case _:
                    return self._hear_answer(body, data)
        except BadBody:
            return Heard()  # what cannot be read must not hold up the rest
        return Heard() if message is None else Heard((message,))

    def _hear_answer(self, body: Mapping[str, Any], data: bytes) -> Heard:
        key, code = string_at(object_at(body, "headers"), "req_id", MAX_ID), body.get("errcode")
        if key == self._subscription:
            if type(code) is not int or code:
                raise _refused(code)
            self._subscribed = True
            return Heard(takes_calls=True)
        if key == self._ping:
            self._unanswered = 0
            return Heard()
        return Heard(answer=(key, data))

    def _hear_event(self, body: Mapping[str, Any]) -> IncomingMessage | None:
        event = body.get("event")
        kind = event.get("eventtype") if type(event) is dict else event
        if kind == "disconnected_event":
            cure = "end that program, or give it a bot of its own"
            raise OutboundFailed(f"another program has connected as this AI bot; {cure}", "token")
        if kind != "template_card_event" or type(event) is not dict:
            return None  # somebody opened the conversation, liked an answer
        inner = event.get("template_card_event")
        said = clicked_text((inner if type(inner) is dict else event).get("event_key"))
        if said is None:
            return None
        return read_said(body, self._bot, self._reply_url, said, button=True)

    def beat(self, now: float) -> Frame:
        if not self._subscribed:
            raise OutboundFailed("WeCom does not answer the subscription")
        if self._unanswered >= MAX_UNANSWERED:
            raise OutboundFailed(f"WeCom did not answer {self._unanswered} pings")
        self._unanswered += 1
        self._ping = new_id("ping")
        return json.dumps({"cmd": "ping", "headers": {"req_id": self._ping}})

    def closed(self, code: int) -> OutboundFailed:
        return OutboundFailed("WeCom closed the connection" + (f" ({code})" if code else ""))


def new_id(command: str) -> str:
    """A `req_id` that was not there before."""
    return f"{command}_{secrets.token_hex(8)}"


def frame_of(command: str, key: str, body: Mapping[str, Any]) -> str:
    return json.dumps({"cmd": command, "headers": {"req_id": key}, "body": body}, ensure_ascii=False)


def read_message(body: Mapping[str, Any], bot: str, reply_url: str) -> IncomingMessage | None:
    """What a member said; None for pictures, files and voice; raises BadBody."""
    match body.get("msgtype"):
        case "text":
            text = string_at(object_at(body, "text"), "content", MAX_SAID)
        case "mixed":
            items = object_at(body, "mixed").get("msg_item")
            if type(items) is not list or len(items) > MAX_ITEMS or not all(type(item) is dict for item in items):
                raise BadBody(f"msg_item: must be a list of at most {MAX_ITEMS} objects")
            texts = [object_at(item, "text") for item in items if item.get("msgtype") == "text"]
            text = "\n".join(string_at(item, "content", MAX_SAID) for item in texts)
        case _:
            return None
    if len(text) > MAX_SAID or "\x00" in text:
        raise BadBody(f"the text must have at most {MAX_SAID} characters, none of them NUL")
    return read_said(body, bot, reply_url, text.strip()) if text.strip() else None


def read_said(
    body: Mapping[str, Any], bot: str, reply_url: str, text: str, *, button: bool = False
) -> IncomingMessage | None:
    """Who said it where; None where it is not of our bot."""
    if body.get("aibotid", bot) != bot:
        return None
    user, name = _name(object_at(body, "from"), "userid"), _name(body, "msgid")
    group = body.get("chattype") == "group"
    return IncomingMessage(
        event_id=f"click-{name}" if button else name,
        user=user,
        conversation=_name(body, "chatid") if group else user,
        text=text,
        reply_url=reply_url,
        sent_at=_moment(body),
        button=button,
    )


def _moment(body: Mapping[str, Any]) -> float:
    """Seconds since the epoch, given in seconds or milliseconds; 0 where it is not there."""
    at = body.get("create_time")
    if type(at) is not int or not 0 <= at < 10**14:
        return 0.0
    return at / 1000 if at > 10**11 else float(at)


def _name(body: Mapping[str, Any], key: str) -> str:
    value = string_at(body, key, MAX_ID)
    if not value or _CONTROL.search(value):
        raise BadBody(f"{key}: must be 1 to {MAX_ID} characters without control characters")
    return value


def _refused(code: object) -> OutboundFailed:
    """Of the subscription."""
    said = f" ({code})" if type(code) is int else ""
    if type(code) is int and code in BUSY:
        return OutboundFailed(f"WeCom takes no connection now{said}", "later", 60.0)
    cure = "bot_id and the Secret in secret_file must be those of one AI bot in API mode with a long connection"
    return OutboundFailed(f"WeCom refuses the AI bot{said}; {cure}", "token")
