"""An AI bot of WeCom (智能机器人) as a platform: members write to it one-to-one, and mention it in groups.

In and out over its long connection (`wecom_socket`). Out: `aibot_send_msg`, to a member or a group that has spoken with
the bot before. Each message also comes with a `response_url`, but that holds an hour and takes one reply, and a request
has more than one: its question, its outcome, hours later.

    texts   markdown, the only form that a bot may send by itself. A question is said whole, in several messages.
    cards   a question is followed by a `button_interaction` card. A bot may change a card within five seconds of a
            click, when nothing is decided yet; so it never does, and what follows is a new message. A button that is
            out of date is answered as its words would be.

WeCom has no key by which a bot's message is known again: one whose answer was lost may be said twice. Cards have an id.

Source: developer.work.weixin.qq.com, paths 101463 (long connection), 101138 (markdown), 101032 (cards).
"""

from __future__ import annotations

import re
from typing import Any, Final

from common.errors import UserError
from hub.chat.platforms.base import (
    POST_ONLY,
    BadSignature,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    NextCall,
    OutboundReply,
    ReceiveResult,
    WebhookRequest,
)
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.outbound import SocketCall
from hub.chat.platforms.wecom_config import WecomInlet
from hub.chat.platforms.wecom_socket import BUSY, WecomSocket, frame_of, new_id
from hub.chat.platforms.wecom_text import MARKDOWN, card_of, task_id, text_parts
from hub.core.callback_url import parse_api_url
from hub.core.lru import Lru

SEND: Final = "aibot_send_msg"
NOT_SUBSCRIBED: Final = 846609  # the connection is none, or not any more
POSTED: Final = "-"  # the ref of a card that is never changed
_ID: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_SOCKET: Final = re.compile(r"ws(?=s?://)", re.IGNORECASE)


class WecomBot:
    """`Platform` for `platform = "wecom"` with `outbound = true`."""

    kind = "wecom"
    methods = POST_ONLY
    can_update = True  # what is out of date is not posted any more; nothing is changed in place
    can_buttons = True
    pace = 2.0  # 30 messages a minute into one conversation
    outbound: WecomSocket

    def __init__(self, table: WecomInlet) -> None:
        """Raises UserError."""
        secret = table.secrets[0].decode("ascii", "replace")
        if _ID.fullmatch(secret) is None:
            raise UserError("secret_file has no Secret of an AI bot", "copy it from the bot's page, as one line")
        if _ID.fullmatch(table.bot_id) is None:
            raise UserError("bot_id is none", "copy the Bot ID from the bot's page")
        if _SOCKET.match(table.socket_url) is None:
            raise UserError("socket_url is no address of a WebSocket", "write wss://HOST, or leave it out")
        self._api, host = parse_api_url(_SOCKET.sub("http", table.socket_url, count=1))
        self._url = f"ws{self._api.removeprefix('http')}"
        self.hosts: tuple[str, ...] = (host,)
        self.outbound = WecomSocket(self._url, table.bot_id, secret, self._api)
        self._left: Lru[str, tuple[dict[str, Any], ...]] = Lru(1_000)  # a reply's messages that are still to be sent

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        raise BadSignature("nothing comes here by webhook: the hub asks WeCom", "outbound")

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        message = self._messages(reply)[0]
        key = new_id(SEND)
        frame = frame_of(SEND, key, {"chatid": reply.content.conversation} | message)
        return SocketCall(self._url, frame.encode("utf-8", "replace"), key=key)

    def _messages(self, reply: OutboundReply) -> tuple[dict[str, Any], ...]:
        """Those that are still to be sent."""
        messages = self._left.peek(reply.id)
        if messages is not None:
            return messages
        content = reply.content
        made: list[dict[str, Any]] = [
            {"msgtype": "markdown", "markdown": {"content": text}} for text in text_parts(content, MARKDOWN)
        ]
        if content.kind == "question" and (card := card_of(content, task_id(reply.id), MARKDOWN)) is not None:
            made.append({"msgtype": "template_card", "template_card": card})
        self._left.put(reply.id, tuple(made))
        return tuple(made)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        code = answer_object(response).get("errcode")
        messages = self._messages(reply)
        if type(code) is not int:
            return DeliveryFailed("the answer is none of WeCom's")
        if code in BUSY:
            return DeliveryFailed(f"WeCom takes no more messages now ({code})", "later", "" if code == -1 else "60")
        if code == NOT_SUBSCRIBED:
            return DeliveryFailed(f"the connection is not subscribed any more ({code})")
        if code and "template_card" not in messages[0]:
            cure = "has the member, or somebody in the group, written to the bot before?"
            return DeliveryFailed(f"WeCom refused the message with error {code}; {cure}", "refused")
        # A card that is refused is no loss: the words before it say how to answer, and it may have been there before.
        if len(messages) > 1:
            self._left.put(reply.id, messages[1:])
            return NextCall(self.render(reply, now))
        self._left.pop(reply.id)
        return Delivered(POSTED)
