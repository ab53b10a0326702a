"""Feishu as the tests need it: its API, as strict as its documentation, and its signed and encrypted deliveries.

Refused as the platform refuses them: unknown properties of a post or a card, a post over 30 KB, a `uuid` over 50
characters, more than five posts a second into one chat, a token that does not hold, a message that is not there.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from hub.chat.platforms.feishu_sign import encrypt, signature
from tests.end_to_end.chats.server import ChatServer, read_form

ENCRYPT_KEY: Final = b"an encrypt key of the tests"
TOKEN: Final = "v_token_of_the_tests"
APP_ID: Final = "cli_a1b2c3"
APP_SECRET: Final = "app-secret-of-the-tests"
BOT: Final = "ou_bot"
MAX_POST: Final = 30 * 1024
_TEMPLATES: Final = frozenset(("blue", "green", "grey", "orange", "red"))  # and more that we do not use
_BUTTON_TYPES: Final = frozenset(("default", "primary", "danger", "text"))

Shape = Mapping[str, Any]
_PLAIN: Final[Shape] = {"tag": {"plain_text"}, "content": str}
_BUTTON: Final[Shape] = {
    "tag": {"button"},
    "type": _BUTTON_TYPES,
    "text": _PLAIN,
    "behaviors": [{"type": {"callback"}, "value": dict}],
}
_ELEMENTS: Final[dict[str, Shape]] = {
    "markdown": {"tag": {"markdown"}, "content": str},
    "button": _BUTTON,
    "column": {"tag": {"column"}, "width": {"auto", "weighted"}, "elements": "elements"},
    "column_set": {"tag": {"column_set"}, "columns": "elements"},
}
_CARD: Final[Shape] = {
    "schema": {"2.0"},
    "config": {"update_multi": {True}, "summary": {"content": str}},
    "header": {"title": _PLAIN, "template": _TEMPLATES},
    "body": {"elements": "elements"},
}
_OPTIONAL: Final = frozenset({"header"})


def check_card(card: Any) -> None:
    """Raises ValueError where it has a property or a value that schema 2.0 does not have."""
    _check(card, _CARD, "card")


def _check(value: Any, shape: Any, where: str) -> None:
    if shape == "elements":
        if not isinstance(value, list) or not value:
            raise ValueError(f"{where}: not a list of elements")
        for index, element in enumerate(value):
            kind = element.get("tag") if isinstance(element, dict) else None
            if kind not in _ELEMENTS:
                raise ValueError(f"{where}[{index}]: there is no element {kind!r}")
            _check(element, _ELEMENTS[kind], f"{where}[{index}]")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError(f"{where}: not a list")
        for index, each in enumerate(value):
            _check(each, shape[0], f"{where}[{index}]")
    elif isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: not an object")
        if unknown := set(value) - set(shape):
            raise ValueError(f"{where}: unknown property {min(unknown)!r}")
        if missing := set(shape) - set(value) - _OPTIONAL:
            raise ValueError(f"{where}: no {min(missing)!r}")
        for key, each in value.items():
            _check(each, shape[key], f"{where}.{key}")
    elif isinstance(shape, (set, frozenset)):
        if value not in shape:
            raise ValueError(f"{where}: {value!r} is none of its values")
    elif not isinstance(value, shape):
        raise ValueError(f"{where}: not {shape.__name__}")


def text_of(card: dict[str, Any]) -> str:
    """What a card shows, entities decoded."""
    words = "\n".join(element["content"] for element in card["body"]["elements"] if element["tag"] == "markdown")
    return re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), words)


def values_of(card: dict[str, Any]) -> list[str]:
    """What its buttons say."""
    sets = [element for element in card["body"]["elements"] if element["tag"] == "column_set"]
    buttons = [column["elements"][0] for each in sets for column in each["columns"]]
    return [button["behaviors"][0]["value"]["say"] for button in buttons]


# ---- deliveries


def message_event(text: str, user: str, *, message_id: str = "", chat: str = "oc_ops", **more: Any) -> dict[str, Any]:
    """A message to the bot in a group."""
    message = {
        "message_id": message_id or f"om_{secrets.token_hex(8)}",
        "create_time": str(int(time.time() * 1000)),
        "chat_id": chat,
        "chat_type": "group",
        "message_type": "text",
        "content": json.dumps({"text": f"@_user_1 {text}"}),
        "mentions": [{"key": "@_user_1", "id": {"open_id": BOT}, "name": "Bot", "tenant_key": "t1"}],
        **more,
    }
    sender = {"sender_id": {"open_id": user, "union_id": "on_1", "user_id": "u1"}, "sender_type": "user"}
    return event("im.message.receive_v1", {"sender": sender, "message": message})


def click_event(say: object, user: str, card: str, *, chat: str = "oc_ops", event_id: str = "") -> dict[str, Any]:
    body = {
        "operator": {"open_id": user, "tenant_key": "t1"},
        "token": "c-1",
        "action": {"value": {"say": say}, "tag": "button"},
        "context": {"open_message_id": card, "open_chat_id": chat},
    }
    return event("card.action.trigger", body, event_id)


def event(kind: str, body: dict[str, Any], event_id: str = "") -> dict[str, Any]:
    header = {
        "event_id": event_id or secrets.token_hex(16),
        "event_type": kind,
        "create_time": str(int(time.time() * 1000)),
        "token": TOKEN,
        "app_id": APP_ID,
        "tenant_key": "t1",
    }
    return {"schema": "2.0", "header": header, "event": body}


def seal(body: Any, now: float, key: bytes = ENCRYPT_KEY) -> tuple[bytes, dict[str, str]]:
    """A delivery's body and headers."""
    plain = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    raw = json.dumps({"encrypt": encrypt(key, plain, secrets.token_bytes(16))}).encode()
    return raw, sign(raw, now, key)


def sign(raw: bytes, now: float, key: bytes = ENCRYPT_KEY, nonce: str = "n0nce") -> dict[str, str]:
    timestamp = str(int(now))
    return {
        "x-lark-request-timestamp": timestamp,
        "x-lark-request-nonce": nonce,
        "x-lark-signature": signature(key, timestamp, nonce, raw),
    }


# ---- the API


class Refused(Exception):
    """An error of the API."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.code, self.message, self.status = code, message, status


@dataclass
class FakeFeishu(ChatServer):
    """Messages by id, each with all cards that it was."""

    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    replied_to: dict[str, str] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)  # people's messages, which can be replied to
    recalled: set[str] = field(default_factory=set)
    by_uuid: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    posted_files: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # by message
    refusals: list[Refused] = field(default_factory=list)
    posts: deque[float] = field(default_factory=deque)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/open-apis/auth/v3/tenant_access_token/internal", self._handler(self._authenticate)),
            web.post("/open-apis/im/v1/files", self._handler(self._put)),
            web.post("/open-apis/im/v1/messages", self._handler(self._send)),
            web.post("/open-apis/im/v1/messages/{id}/reply", self._handler(self._reply)),
            web.patch("/open-apis/im/v1/messages/{id}", self._handler(self._patch)),
            web.get("/open-apis/bot/v3/info", self._handler(self._info)),
        ]

    def seen(self) -> object:
        return {name: text_of(cards[-1]) for name, cards in self.messages.items()}, self.refusals

    def _handler(self, handle: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            try:
                form = request.content_type == "multipart/form-data"
                body = await read_form(request) if form else json.loads(await request.read() or b"{}")
                found = await handle(request, body)
            except Refused as refused:
                self.refusals.append(refused)
                return web.json_response({"code": refused.code, "msg": refused.message}, status=refused.status)
            async with self.changed:
                self.changed.notify_all()
            return web.json_response({"code": 0, "msg": "success", **found})

        return answer

    async def _authenticate(self, request: web.Request, body: Any) -> dict[str, Any]:
        if body != {"app_id": APP_ID, "app_secret": APP_SECRET}:
            raise Refused(10014, "app secret invalid", 200)
        if not self.tokens:
            self.tokens.append(f"t-{secrets.token_hex(8)}")
        return {"tenant_access_token": self.tokens[-1], "expire": 7200}

    async def _info(self, request: web.Request, body: Any) -> dict[str, Any]:
        self._authorize(request)
        return {"bot": {"app_name": "Answerback", "open_id": BOT}}

    async def _send(self, request: web.Request, body: Any) -> dict[str, Any]:
        if request.query != {"receive_id_type": "chat_id"}:
            raise Refused(230001, "receive_id_type")
        return self._take(request, body, {"receive_id", "msg_type", "content", "uuid"}, "")

    async def _reply(self, request: web.Request, body: Any) -> dict[str, Any]:
        parent = request.match_info["id"]
        if parent in self.recalled or parent not in (*self.said, *self.messages):
            raise Refused(230011, "The message is recalled.")
        return self._take(request, body, {"msg_type", "content", "reply_in_thread", "uuid"}, parent)

    def _take(self, request: web.Request, body: Any, known: set[str], parent: str) -> dict[str, Any]:
        self._authorize(request)
        if set(body) != known or body["msg_type"] not in ("interactive", "file") or len(body["uuid"]) > 50:
            raise Refused(230001, "invalid request parameter")
        if body["msg_type"] == "file":
            return self._take_file(body, parent)
        card = self._card(request, body)
        found = self.by_uuid.get(body["uuid"])
        if found is None:
            self._admit()
            found = self.by_uuid[body["uuid"]] = f"om_card{len(self.messages) + 1}"
            self.messages[found] = [card]
            self.replied_to[found] = parent
        return {"data": {"message_id": found, "chat_id": "oc_ops", "body": {"content": body["content"]}}}

    async def _put(self, request: web.Request, body: dict[str, tuple[str | None, bytes]]) -> dict[str, Any]:
        self._authorize(request)
        if set(body) != {"file_type", "file_name", "file"} or body["file_type"][1] != b"stream":
            raise Refused(234001, "Invalid request param.")
        if not body["file"][1]:
            raise Refused(234010, "File's size can't be 0.")
        key = f"file_v2_{secrets.token_hex(8)}"
        self.files[key] = body["file_name"][1].decode(), body["file"][1]
        return {"data": {"file_key": key}}

    def _take_file(self, body: Any, parent: str) -> dict[str, Any]:
        content = json.loads(body["content"])
        if set(content) != {"file_key"} or content["file_key"] not in self.files:
            raise Refused(230055, "The file key does not exist.")
        found = self.by_uuid.setdefault(body["uuid"], f"om_file{len(self.posted_files) + 1}")
        self.posted_files[found] = self.files[content["file_key"]]
        self.replied_to[found] = parent
        return {"data": {"message_id": found}}

    async def _patch(self, request: web.Request, body: Any) -> dict[str, Any]:
        self._authorize(request)
        key = request.match_info["id"]
        if key in self.recalled or key not in self.messages:
            raise Refused(230011, "The message is recalled.")
        if set(body) != {"content"}:
            raise Refused(230001, "invalid request parameter")
        self.messages[key].append(self._card(request, body))
        return {"data": {}}

    def _authorize(self, request: web.Request) -> None:
        if not self.tokens or request.headers.get("Authorization") != f"Bearer {self.tokens[-1]}":
            raise Refused(99991663, "Invalid access token for authorization.")

    def _card(self, request: web.Request, body: Any) -> dict[str, Any]:
        if (request.content_length or 0) > MAX_POST:
            raise Refused(230025, "The length of the message content reaches its limit.")
        try:
            card: dict[str, Any] = json.loads(body["content"])
            check_card(card)
        except (ValueError, TypeError) as error:
            raise Refused(230099, f"Failed to create card content: {error}") from None
        return card

    def _admit(self) -> None:
        now = time.monotonic()
        while self.posts and self.posts[0] <= now - 1:
            self.posts.popleft()
        if len(self.posts) >= 5:
            raise Refused(230020, "This operation triggers the frequency limit.")
        self.posts.append(now)

    async def wait_for(self, words: str, key: str = "") -> tuple[str, dict[str, Any]]:
        """The message whose newest card has these words."""
        return await self.until(
            words,
            lambda: next(
                (
                    (name, cards[-1])
                    for name, cards in self.messages.items()
                    if words in text_of(cards[-1]) and key in ("", name)
                ),
                None,
            ),
        )
