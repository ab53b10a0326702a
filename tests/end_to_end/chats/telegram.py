"""Telegram as the tests need it: the Bot API as strict as its documentation, and people who write and click.

Refused as the platform refuses them: unknown tags, entities that are not nested, text over 4,096 UTF-16 units, callback
data over 64 bytes, changes that change nothing, messages that are not there, another token, more than one post a second
into one chat for long; and, stricter than the platform, unknown properties.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final

from aiohttp import ClientSession, web

from tests.end_to_end.chats.server import ChatServer, read_form

TOKEN: Final = "4839574812:AAFD39kkdpWt3ywyRZergyOLMaJhac60qcK"
SECRET: Final = "a-secret-of-the-tests_0123456789"
NAME: Final = "ops_bot"
GROUP: Final = -1001234567890
PEOPLE: Final = {"bob": 1001, "carol": 1002}
_MESSAGE: Final = frozenset({"chat_id", "text", "parse_mode", "link_preview_options", "reply_markup"})
_KNOWN: Final = {
    "sendMessage": _MESSAGE | {"message_thread_id", "reply_parameters"},
    "editMessageText": _MESSAGE | {"message_id"},
    "sendDocument": frozenset(
        {"chat_id", "caption", "disable_content_type_detection", "message_thread_id", "reply_parameters", "document"}
    ),
    "answerCallbackQuery": frozenset({"callback_query_id", "text"}),
    "getUpdates": frozenset({"offset", "limit", "timeout", "allowed_updates"}),
    "getMe": frozenset(),
}


class Parsed(HTMLParser):
    """Telegram's HTML as its documentation has it: these tags alone, nested properly; AssertionError else."""

    TAGS = frozenset({"pre", "code", "blockquote", "tg-time"})

    def __init__(self, marked: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.code = ""
        self.open: list[str] = []
        self.feed(marked)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.TAGS, tag
        assert not {"pre", "code"} & set(self.open), "code holds nothing else"
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"pre", "code"} & set(self.open):
            self.code += data


class Refused(Exception):
    """An error of the API."""

    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters


@dataclass
class FakeTelegram(ChatServer):
    """Messages by id, each with all states that it had; updates until they are told to be forgotten."""

    messages: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    documents: list[tuple[str, bytes, str]] = field(default_factory=list)  # name, content, caption
    updates: list[dict[str, Any]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    posts: deque[float] = field(default_factory=deque)
    numbers: int = 100

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/bot{token}/{method}", self._handle),
        ]

    def seen(self) -> object:
        return {number: states[-1]["text"] for number, states in self.messages.items()}, self.refused

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            if request.content_type == "multipart/form-data":
                result = await self._send_document(request)
            else:
                token, method = request.match_info["token"], request.match_info["method"]
                result = await self._answer(token, method, await request.read())
        except Refused as refused:
            self.refused.append(refused.description)
            body = {"ok": False, "error_code": refused.status, "description": refused.description}
            return web.json_response(body | {"parameters": refused.parameters}, status=refused.status)
        return web.json_response({"ok": True, "result": result})

    async def _answer(self, token: str, method: str, raw: bytes) -> Any:
        if token != TOKEN:
            raise Refused(401, "Unauthorized")
        fields = json.loads(raw)
        if method not in _KNOWN:
            raise Refused(404, "Not Found")
        if unknown := set(fields) - _KNOWN[method]:
            raise Refused(400, f"Bad Request: unknown {min(unknown)}")
        match method:
            case "getMe":
                return {"id": int(TOKEN.partition(":")[0]), "is_bot": True, "first_name": "Ops", "username": NAME}
            case "getUpdates":
                return await self._get_updates(**fields)
            case "answerCallbackQuery":
                self.answered.append(fields["callback_query_id"])
                return True
            case "sendMessage":
                return await self._send(fields)
        return await self._edit(fields)

    async def _get_updates(self, offset: int, limit: int, timeout: int, allowed_updates: list[str]) -> Any:
        if not (1 <= limit <= 100 and 0 <= timeout <= 50):
            raise Refused(400, "Bad Request: limit or timeout")
        if offset < 0:
            self.updates = self.updates[offset:]
        else:
            self.updates = [update for update in self.updates if update["update_id"] >= offset]
        try:
            async with asyncio.timeout(timeout), self.changed:
                while not self.updates:
                    await self.changed.wait()
        except TimeoutError:
            pass
        return [update for update in self.updates if set(update) & set(allowed_updates)][:limit]

    async def _send(self, fields: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        while self.posts and self.posts[0] < now - 2:
            self.posts.popleft()
        if len(self.posts) >= 3:
            raise Refused(429, "Too Many Requests: retry after 1", retry_after=1)
        self._check(fields)
        answered = fields.get("reply_parameters", {})
        if set(answered) - {"message_id", "allow_sending_without_reply"}:
            raise Refused(400, "Bad Request: reply_parameters")
        self.posts.append(now)
        self.numbers += 1
        self.messages[self.numbers] = [fields]
        await self._tell()
        return self._message(self.numbers)

    async def _send_document(self, request: web.Request) -> dict[str, Any]:
        if request.match_info["token"] != TOKEN:
            raise Refused(401, "Unauthorized")
        form = await read_form(request)
        if request.match_info["method"] != "sendDocument" or (unknown := set(form) - _KNOWN["sendDocument"]):
            raise Refused(400, f"Bad Request: unknown {min(unknown)}")
        name, data = form.pop("document", (None, b""))
        if name is None or not data:
            raise Refused(400, "Bad Request: file must be non-empty")
        fields = {key: value.decode() for key, (_, value) in form.items()}
        if fields["chat_id"] != str(GROUP) or len(fields["caption"].encode("utf-16-le")) // 2 > 1_024:
            raise Refused(400, "Bad Request: chat not found, or the caption is too long")
        if set(json.loads(fields.get("reply_parameters", "{}"))) - {"message_id", "allow_sending_without_reply"}:
            raise Refused(400, "Bad Request: reply_parameters")
        self.documents.append((name, data, fields["caption"]))
        await self._tell()
        chat = {"id": GROUP, "type": "supergroup", "title": "ops"}
        document = {"file_id": "BQAC", "file_unique_id": "AgAD", "file_name": name, "file_size": len(data)}
        return {"message_id": self._number(), "date": int(time.time()), "chat": chat, "document": document}

    async def _edit(self, fields: dict[str, Any]) -> dict[str, Any]:
        number = fields["message_id"]
        if number not in self.messages or number in self.deleted:
            raise Refused(400, "Bad Request: message to edit not found")
        self._check(fields)
        last = self.messages[number][-1]
        if (fields["text"], fields.get("reply_markup")) == (last["text"], last.get("reply_markup")):
            raise Refused(400, "Bad Request: message is not modified: specified new message content is the same")
        self.messages[number].append(fields)
        await self._tell()
        return self._message(number)

    def _check(self, fields: dict[str, Any]) -> None:
        if fields["chat_id"] != GROUP:
            raise Refused(400, "Bad Request: chat not found")
        if fields.get("parse_mode") != "HTML":
            raise Refused(400, "Bad Request: parse_mode")
        try:
            shown = Parsed(fields["text"]).text
        except (AssertionError, IndexError) as error:
            raise Refused(400, f"Bad Request: can't parse entities: {error}") from None
        if not shown.strip():
            raise Refused(400, "Bad Request: message text is empty")
        if len(shown.encode("utf-16-le")) // 2 > 4_096:
            raise Refused(400, "Bad Request: message is too long")
        for button in buttons(fields):
            if set(button) != {"text", "callback_data"} or not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")

    def _message(self, number: int) -> dict[str, Any]:
        chat = {"id": GROUP, "type": "supergroup", "title": "ops"}
        return {"message_id": number, "date": int(time.time()), "chat": chat, "text": self.messages[number][-1]["text"]}

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # ---- people

    async def say(self, who: str, text: str, key: str = "message", **more: Any) -> dict[str, Any]:
        """A person writes in the group; the update."""
        command = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        message = {
            "message_id": self._number(),
            "date": int(time.time()),
            "from": {"id": PEOPLE[who], "is_bot": False, "first_name": who},
            "chat": {"id": GROUP, "type": "supergroup", "title": "ops"},
            "text": text,
            "entities": command if text[0] == "/" else [],
            **more,
        }
        return await self._update(key, message)

    async def click(self, who: str, value: str, message: int) -> dict[str, Any]:
        """A person presses a button of a message; the update."""
        query = {
            "id": str(secrets.randbits(62)),
            "from": {"id": PEOPLE[who], "is_bot": False, "first_name": who},
            "message": self._message(message),
            "chat_instance": "1",
            "data": value,
        }
        return await self._update("callback_query", query)

    async def _update(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        update = {"update_id": self._number(), key: value}
        self.updates.append(update)
        await self._tell()
        return update

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    async def deliver(self, session: ClientSession, url: str, update: dict[str, Any]) -> Any:
        """Posts an update to a webhook as Telegram does; what it was answered."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
        async with session.post(url, json=update, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def wait_for(self, words: str, key: int = 0) -> tuple[int, dict[str, Any]]:
        """The message whose newest state has these words."""
        return await self.until(
            words,
            lambda: next(
                (
                    (number, states[-1])
                    for number, states in self.messages.items()
                    if words in Parsed(states[-1]["text"]).text and key in (0, number)
                ),
                None,
            ),
        )

    async def wait_forgotten(self, update: dict[str, Any]) -> None:
        """Until the bot has told that it has this update."""
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: update not in self.updates)


def buttons(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [button for row in fields.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


def values(fields: dict[str, Any]) -> list[str]:
    return [button["callback_data"] for button in buttons(fields)]
