"""DingTalk as the tests need it: signed messages to a robot, and the addresses that its replies go to.

Refused as the platform refuses them: unknown properties, a text over 15,000 bytes, more than twenty messages a minute
into one conversation, a session that has ended, a token that does not hold.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.end_to_end.chats.server import ChatServer

APP_KEY: Final = "dingappkeyofthetests"
APP_SECRET: Final = "an-app-secret-of-the-tests"
ROBOT: Final = "dingrobot"
MAX_TEXT: Final = 15_000
MAX_A_MINUTE: Final = 20


def headers_at(now: float, secret: str = APP_SECRET) -> dict[str, str]:
    timestamp = str(int(now * 1000))
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), "sha256")
    return {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}


def robot_message(text: str, staff: str, session: str, *, until: float = 0.0, **more: Any) -> dict[str, Any]:
    """A message to the robot in a group, as documented."""
    now = time.time()
    return {
        "conversationId": "cidOps==",
        "conversationType": "2",
        "conversationTitle": "ops",
        "chatbotCorpId": "ding1",
        "chatbotUserId": "$:LWCP_v1:$bot",
        "msgId": f"msg{secrets.token_hex(8)}==",
        "senderNick": "Lee",
        "senderId": "$:LWCP_v1:$u",
        "senderStaffId": staff,
        "senderCorpId": "ding1",
        "isAdmin": False,
        "isInAtList": True,
        "atUsers": [{"dingtalkId": "$:LWCP_v1:$bot"}],
        "createAt": int(now * 1000),
        "sessionWebhook": session,
        "sessionWebhookExpiredTime": int((until or now + 5_400) * 1000),
        "robotCode": ROBOT,
        "msgtype": "text",
        "text": {"content": f" {text}"},
        **more,
    }


@dataclass
class FakeDingTalk(ChatServer):
    """Everything that was posted, as (by session or API, text)."""

    posted: list[tuple[str, str]] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    tokens: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    recent: deque[float] = field(default_factory=deque)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_session(self) -> str:
        self.sessions.add(key := secrets.token_hex(16))
        return f"{self.url}/robot/sendBySession?session={key}"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/robot/sendBySession", self._session),
            web.post("/v1.0/oauth2/accessToken", self._authenticate),
            web.post("/v1.0/robot/groupMessages/send", self._group),
        ]

    def seen(self) -> object:
        return self.posted, self.refusals

    async def _session(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        refused = (300001, "token is not exist") if request.query.get("session") not in self.sessions else None
        if set(body) != {"msgtype", "text", "at"} or body["msgtype"] != "text" or body["at"] != {"isAtAll": False}:
            refused = (400301, "invalid parameter")
        if refused is None and (request.content_length or 0) > MAX_TEXT + 200:
            refused = (400302, "too long")
        if refused is None and not self._admit():
            refused = (130101, "send too fast")
        if refused is not None:
            self.refusals.append(refused[1])
            return web.json_response({"errcode": refused[0], "errmsg": refused[1]})
        await self._take("session", body["text"]["content"])
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    async def _authenticate(self, request: web.Request) -> web.Response:
        if json.loads(await request.read()) != {"appKey": APP_KEY, "appSecret": APP_SECRET}:
            return web.json_response({"code": "invalidClientIdOrSecret", "message": "no"}, status=400)
        self.tokens.append(secrets.token_hex(16))
        return web.json_response({"accessToken": self.tokens[-1], "expireIn": 7200})

    async def _group(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if request.headers.get("x-acs-dingtalk-access-token") not in self.tokens[-1:]:
            return web.json_response({"code": "InvalidAuthentication", "message": "no"}, status=401)
        wanted = {"robotCode": ROBOT, "msgKey": "sampleText", "openConversationId": "cidOps=="}
        if {key: each for key, each in body.items() if key != "msgParam"} != wanted:
            self.refusals.append("parameters")
            return web.json_response({"code": "invalidParameter.param.invalid", "message": "no"}, status=400)
        if len(body["msgParam"].encode()) > MAX_TEXT or not self._admit():
            self.refusals.append("too long or too fast")
            return web.json_response({"code": "Forbidden.QpsLimit", "message": "no"}, status=403)
        await self._take("api", json.loads(body["msgParam"])["content"])
        return web.json_response({"processQueryKey": "k"})

    def _admit(self) -> bool:
        now = time.monotonic()
        while self.recent and self.recent[0] <= now - 60:
            self.recent.popleft()
        if len(self.recent) >= MAX_A_MINUTE:
            return False
        self.recent.append(now)
        return True

    async def _take(self, how: str, text: str) -> None:
        self.posted.append((how, text))
        async with self.changed:
            self.changed.notify_all()

    async def wait_for(self, words: str, since: int = 0) -> tuple[str, str]:
        """The first post with these words, as (by session or API, text)."""
        return await self.until(words, lambda: next((one for one in self.posted[since:] if words in one[1]), None))
