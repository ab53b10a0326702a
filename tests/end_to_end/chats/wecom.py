"""WeCom as the tests need it: the API of a self-built app, as strict as its documentation, and its callbacks.

Refused as the platform refuses them: unknown properties, a text over 2,048 bytes, a card's id that was used before, a
response code that was used or never given, an access token that does not hold.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import ClientSession, web
from wechatpy.enterprise.crypto import WeChatCrypto

from hub.chat.platforms.wecom_xml import read_fields
from tests.end_to_end.chats.server import ChatServer, read_form

TOKEN: Final = "QDG6eK"
AES_KEY: Final = base64.b64encode(bytes(range(32))).decode().rstrip("=")
CORP: Final = "wx5823bf96d3bd56c7"
AGENT: Final = 1_000_002
SECRET: Final = "the app's secret"
_COMMON: Final = {"touser", "agentid", "msgtype", "enable_duplicate_check", "duplicate_check_interval"}
_CARD: Final = {"card_type", "main_title", "sub_title_text", "task_id", "button_list"}


@dataclass
class Card:
    user: str
    buttons: list[dict[str, Any]]
    word: str = ""  # what its buttons became


@dataclass
class WecomServer(ChatServer):
    """Messages by member, cards by task id."""

    said: list[tuple[str, str]] = field(default_factory=list)
    cards: dict[str, Card] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)  # response code -> task id, until it is used
    media: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)  # member, name, content
    tokens: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/cgi-bin/gettoken", self._gettoken),
            web.post("/cgi-bin/message/send", self._send),
            web.post("/cgi-bin/media/upload", self._put),
            web.post("/cgi-bin/message/update_template_card", self._update),
        ]

    def seen(self) -> object:
        return self.said, self.refused

    async def _gettoken(self, request: web.Request) -> web.Response:
        if dict(request.query) != {"corpid": CORP, "corpsecret": SECRET}:
            return self._error(40001, "gettoken")
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return web.json_response({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": 7200})

    async def _body(self, request: web.Request) -> dict[str, Any] | web.Response:
        if request.query.get("access_token") not in self.tokens:
            return self._error(40014, "access_token")
        body = await request.json()
        return body if body.get("agentid") == AGENT else self._error(40056, "agentid")

    async def _send(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        kind = body.get("msgtype")
        if set(body) - _COMMON != {kind} or not re.fullmatch(r"[\w.-]{1,64}", body["touser"]):
            return self._error(40035, f"properties {sorted(body)}")
        answer = {"errcode": 0, "errmsg": "ok", "msgid": secrets.token_hex(8)}
        if kind == "text":
            text = body["text"]["content"]
            if set(body["text"]) != {"content"} or not 1 <= len(text.encode()) <= 2_048:
                return self._error(40035, "text")
            if not (body.get("enable_duplicate_check") and (body["touser"], text) in self.said):
                self.said.append((body["touser"], text))
        elif kind == "template_card":
            card = body["template_card"]
            if set(card) != _CARD or card["card_type"] != "button_interaction":
                return self._error(40035, f"card {sorted(card)}")
            if not re.fullmatch(r"[0-9A-Za-z_\-@]{1,128}", card["task_id"]) or not 1 <= len(card["button_list"]) <= 6:
                return self._error(40035, "card's id or buttons")
            if any(
                set(each) != {"text", "style", "key"} or len(each["text"]) > 10 or each["style"] not in (1, 2, 3, 4)
                for each in card["button_list"]
            ):
                return self._error(40035, "buttons")
            if card["task_id"] in self.cards:
                return self._error(40058, "task_id was used before")
            self.cards[card["task_id"]] = Card(body["touser"], card["button_list"])
            answer["response_code"] = self._code(card["task_id"])
        elif kind == "file":
            if set(body["file"]) != {"media_id"} or body["file"]["media_id"] not in self.media:
                return self._error(40007, "media_id")
            self.files.append((body["touser"], *self.media[body["file"]["media_id"]]))
        else:
            return self._error(40008, "msgtype")
        await self._tell()
        return web.json_response(answer)

    async def _put(self, request: web.Request) -> web.Response:
        if request.query.get("access_token") not in self.tokens:
            return self._error(40014, "access_token")
        if set(request.query) != {"access_token", "type"} or request.query["type"] != "file":
            return self._error(40004, "type")
        form = await read_form(request)
        name, data = form.get("media", (None, b""))
        if set(form) != {"media"} or name is None or not 5 < len(data) <= 20 * 1024 * 1024:
            return self._error(40006, "media")
        media = secrets.token_hex(16)
        self.media[media] = name, data
        return web.json_response({"errcode": 0, "errmsg": "", "type": "file", "media_id": media, "created_at": "138"})

    async def _update(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        if set(body) != {"userids", "agentid", "response_code", "button"} or set(body["button"]) != {"replace_name"}:
            return self._error(40035, f"properties {sorted(body)}")
        task = self.codes.pop(body["response_code"], None)
        if task is None or body["userids"] != [self.cards[task].user]:
            return self._error(42_999, "response_code")
        self.cards[task].word, self.cards[task].buttons = body["button"]["replace_name"], []
        await self._tell()
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    def _code(self, task: str) -> str:
        code = secrets.token_urlsafe(24)
        self.codes[code] = task
        return code

    def _error(self, code: int, what: str) -> web.Response:
        self.refused.append(f"{code} {what}")
        return web.json_response({"errcode": code, "errmsg": what})

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def wait_said(self, user: str, words: str) -> str:
        """A message to this member that has these words."""
        return await self.until(
            words, lambda: next((text for to, text in self.said if to == user and words in text), None)
        )

    async def wait_card(self, word: str = "") -> tuple[str, Card]:
        """The newest card, once its buttons became this word; without one, once it is there."""
        cards = self.cards
        return await self.until(
            word, lambda: next(((task, card) for task, card in reversed(cards.items()) if card.word == word), None)
        )

    # ---- callbacks

    async def say(self, session: ClientSession, url: str, user: str, text: str, message_id: str = "") -> None:
        """A member writes to the app."""
        fields = {"MsgType": "text", "Content": text, "MsgId": message_id or str(secrets.randbits(62))}
        await self.deliver(session, url, user, fields)

    async def click(self, session: ClientSession, url: str, user: str, task: str, key: str) -> None:
        """A member presses a button of a card."""
        fields = {
            "MsgType": "event",
            "Event": "template_card_event",
            "EventKey": key,
            "TaskId": task,
            "CardType": "button_interaction",
            "ResponseCode": self._code(task),
        }
        await self.deliver(session, url, user, fields)

    async def deliver(self, session: ClientSession, url: str, user: str, fields: dict[str, str]) -> None:
        now = str(int(time.time()))
        inner = {"ToUserName": CORP, "FromUserName": user, "CreateTime": now, "AgentID": str(AGENT), **fields}
        document = "".join(f"<{key}><![CDATA[{value}]]></{key}>" for key, value in inner.items())
        nonce = secrets.token_hex(5)
        sealed = WeChatCrypto(TOKEN, AES_KEY, CORP).encrypt_message(f"<xml>{document}</xml>", nonce, now)
        envelope = read_fields(sealed.encode())
        body = f"<xml><ToUserName>{CORP}</ToUserName><Encrypt><![CDATA[{envelope['Encrypt']}]]></Encrypt></xml>"
        query = {"msg_signature": envelope["MsgSignature"], "timestamp": now, "nonce": nonce}
        async with session.post(url, params=query, data=body.encode()) as answer:
            assert (answer.status, await answer.read()) == (200, b"")

    async def prove(self, session: ClientSession, url: str) -> bytes:
        """What WeCom does when the URL is saved; returns what came back."""
        crypto = WeChatCrypto(TOKEN, AES_KEY, CORP)
        now = str(int(time.time()))
        envelope = read_fields(crypto.encrypt_message("1616140317555161061", "n1", now).encode())
        query = {"msg_signature": envelope["MsgSignature"], "timestamp": now, "nonce": "n1"}
        async with session.get(url, params=query | {"echostr": envelope["Encrypt"]}) as answer:
            assert answer.status == 200
            return await answer.read()
