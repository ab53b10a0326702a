"""The `dingtalk` platform: the robot of an organisation's own app in DingTalk. Source: open.dingtalk.com.

In: messages to the robot, over a connection that the hub opens (`outbound`, `dingtalk_socket`), or posted to the
webhook, with two headers:

    timestamp  milliseconds since the epoch
    sign       base64 HMAC-SHA256 of "<timestamp>\\n<AppSecret>" with the AppSecret as key

The body is not signed: whoever has seen one pair of headers can make up bodies until it is too old. So the window is
five minutes, each `msgId` is handled once, TLS must reach to the proxy, and the address for replies that comes with a
message (`sessionWebhook`) is taken on DingTalk's own host alone. A robot that encrypts its messages (`aes_key_file`)
has no such hole. Events of the app may come to the same address (`event_token_file`, `event_aes_key_file`).

Out: plain text to `sessionWebhook`, which holds for some 90 minutes, and after that, where `app_key` is there, by the
robot's API with an access token. Nothing that was posted can be changed, and its buttons can only open pages: what can
be decided is said as words to write, "approve r42 k7f2".
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common.config import required, setting
from common.errors import UserError
from hub.chat.platforms.base import (
    EXAMPLE_TEXT,
    EXAMPLE_USER,
    POST_ONLY,
    BadBody,
    BadSignature,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    Ignored,
    IncomingMessage,
    NextCall,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    Stale,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.callback_crypto import RANDOM, seal, unseal
from hub.chat.platforms.dingtalk_event import EventKeys, read_aes_key
from hub.chat.platforms.dingtalk_files import FILE_HOSTS, DingTalkPictures
from hub.chat.platforms.dingtalk_socket import SOCKET_HOSTS, DingTalkStream
from hub.chat.platforms.dingtalk_text import RobotMessage, Route, fit_text, read_robot
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import OutboundCall, SocketMode
from hub.chat.platforms.pictures import delivery_failure
from hub.core import strict_json
from hub.core.callback_url import BadURL, parse, parse_allowed_host, parse_api_url
from hub.core.chat_text import inline_text
from hub.core.inlet_table import InletTable

TOLERANCE: Final = 300.0  # seconds either way; the platform allows an hour
MIN_SECRET: Final = 16
SESSION_MARGIN: Final = 30.0
TOKEN_MARGIN: Final = 300.0
FRESH: Final = 30.0
"""Seconds within which a token that was never taken is not fetched again: it would not be the cure."""
_TIMESTAMP: Final = re.compile(r"[0-9]{13}", re.ASCII)
_BUSY: Final = frozenset({-1, 90018, 90030, 130101, 410100})  # too often, or the system is busy
_CURES: Final[Mapping[int, str]] = {
    310000: "the robot's security settings refuse it: its keywords, or its list of addresses",
    300001: "the conversation's address does not hold any more; set app_key, and later replies go by the API",
}
_API_CURES: Final[Mapping[str, str]] = {
    "Forbidden.AccessDenied.AccessTokenPermissionDenied": "give the app the permission qyapi_robot_sendmsg",
    "invalidParameter.robotCode.auth": "app_key is not the robot's app: copy its Client ID",
    "invalidClientIdOrSecret": "app_key and the AppSecret in secret_file are not of one app",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DingTalkInlet(InletTable):
    """A robot of DingTalk."""

    secret_file: Path = required(
        "The app's AppSecret (Client Secret), which signs the robot's messages. Several, one a line, all hold."
    )
    app_key: str = setting(
        "",
        "The app's AppKey (Client ID): with it, replies reach a conversation also after its 90 minutes. `outbound` "
        "needs it.",
    )
    outbound: bool = setting(
        False,
        "Whether the hub opens the app's Stream connection, so that no port need be open; the robot's message "
        "receiving mode must be Stream.",
    )
    aes_key_file: Path | None = setting(
        None, "The robot's AES key, 43 characters, where its HTTP settings have one: messages are then encrypted."
    )
    event_token_file: Path | None = setting(None, "Of the app's event subscription, where it posts here: the Token.")
    event_aes_key_file: Path | None = setting(None, "And its AES key, 43 characters.")
    session_url: str = setting("https://oapi.dingtalk.com", "The only host on which a message may ask to be answered.")
    api_url: str = setting("https://api.dingtalk.com", "Where its API is.")
    picture_hosts: tuple[str, ...] = setting(
        FILE_HOSTS, "Hosts that pictures are fetched from, without a token; the log names one that is missing here."
    )


def sign(secret: bytes, timestamp: str) -> bytes:
    """The value of the header `sign`."""
    return base64.b64encode(hmac.digest(secret, timestamp.encode() + b"\n" + secret, "sha256"))


class DingTalkPlatform:
    """`Platform` for `platform = "dingtalk"`."""

    kind = "dingtalk"
    methods = POST_ONLY
    can_update = False
    can_buttons = False
    outbound: SocketMode | None  # where it asks for its messages
    pace = 3.0  # twenty messages a minute into one group

    def __init__(self, table: InletTable) -> None:
        """Raises UserError."""
        if not isinstance(table, DingTalkInlet):
            raise TypeError(f"not a table of this platform: {type(table).__name__}")
        if any(len(secret) < MIN_SECRET or not secret.isascii() for secret in table.secrets):
            raise UserError("the AppSecret is too short, or not ASCII", "copy it from the app's page")
        self._secrets = table.secrets
        self.proven_by = b""
        self._app_key = table.app_key
        self._aes_keys = tuple(
            read_aes_key(line, "aes_key_file") for line in table.other_secrets.get("aes_key_file", ())
        )
        self._events = EventKeys.of(table.other_secrets, table.app_key)
        self._session, session_host = parse_api_url(table.session_url)
        self._api, api_host = parse_api_url(table.api_url)
        self.hosts: tuple[str, ...] = (session_host, api_host)
        self.outbound = None
        if table.outbound:
            if not table.app_key:
                raise UserError("outbound needs app_key", "copy the Client ID from the app's page")
            self.hosts += SOCKET_HOSTS
            self.outbound = DingTalkStream(self._api, table.app_key, table.secrets[0].decode(), self.read)
        for entry in table.picture_hosts:
            parse_allowed_host(entry, "picture_hosts")
        self.pictures = DingTalkPictures(self._api, self._app_key, self._authorize, self._forget, table.picture_hosts)
        self._token, self._token_until, self._token_since = "", 0.0, 0.0
        self._token_taken = False  # a call with it succeeded

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        if self.outbound is not None:
            raise BadSignature("this inlet asks DingTalk for its messages and takes none here", "outbound")
        if {"signature", "msg_signature"} & set(request.query):
            if self._events is None:
                raise BadSignature(
                    "an event came; set event_token_file and event_aes_key_file, or end its subscription"
                )
            return self._events.receive(request, now)
        self._verify(request, now)
        return self.read(self._opened(request.body))

    def read(self, body: dict[str, Any]) -> IncomingMessage | Ignored:
        """A message to the robot, whichever way it came; raises BadBody."""
        message = read_robot(body)
        return message if isinstance(message, Ignored) else self._incoming(message)

    def _verify(self, request: WebhookRequest, now: float) -> None:
        timestamp, given = request.headers.get("timestamp", ""), request.headers.get("sign", "")
        if not (timestamp and given):
            raise BadSignature("the headers timestamp and sign must be there", "no_signature")
        found = b""
        for secret in self._secrets:  # all of them, so that timing does not reveal which one matched
            expected = sign(secret, timestamp if _TIMESTAMP.fullmatch(timestamp) else "")
            if hmac.compare_digest(expected, given.encode("latin-1", "replace")):
                found = secret
        if not found or not _TIMESTAMP.fullmatch(timestamp):
            raise BadSignature("sign does not fit the timestamp; check the AppSecret in the inlet's secret_file")
        age = now - int(timestamp) / 1000
        if abs(age) > TOLERANCE:
            off = f"{abs(age):.0f} s {'old' if age > 0 else 'ahead'}"
            raise Stale(f"timestamp is {off}, at most {TOLERANCE:.0f} s are accepted; set the clocks")
        self.proven_by = found

    def _opened(self, raw: bytes) -> dict[str, Any]:
        body = strict_json.parse(raw, long_keys=("encrypt",), long_chars=len(raw))
        if type(body) is not dict:
            raise BadBody("the body must be a JSON object")
        encrypted = body.get("encrypt")
        if not self._aes_keys:
            if encrypted is not None:
                raise BadBody("the message is encrypted; write the robot's AES key into aes_key_file")
            return body
        opened = [unseal(key, encrypted) if type(encrypted) is str else None for key in self._aes_keys]
        found = next((each for each in opened if each is not None), None)
        try:
            inner = strict_json.parse(found[0]) if found is not None else None
        except BadBody:
            inner = None
        if type(inner) is not dict:  # one answer to all: a forger learns nothing about the padding
            raise BadSignature("the message is not encrypted with the robot's AES key; check aes_key_file")
        return inner

    def _incoming(self, message: RobotMessage) -> IncomingMessage:
        reply_url = message.session
        if reply_url:
            try:
                root, target = parse(self._session), parse(reply_url)
            except BadURL:
                target = None
            if target is None or (target.scheme, target.authority) != (root.scheme, root.authority):
                raise BadBody("sessionWebhook: it is not on the host of session_url")
        elif self._app_key and message.route.robot:
            reply_url = self._api
        return IncomingMessage(
            event_id=message.message_id,
            user=message.user,
            conversation=message.conversation,
            text=message.text,
            pictures=message.pictures,
            reply_url=reply_url,
            thread=str(message.route),
            sent_at=message.sent_at,
            addressed=message.addressed,
        )

    def is_direct(self, conversation: str, thread: str) -> bool:
        return bool(thread) and not Route.parse(thread).group

    def example(self, now: float) -> WebhookRequest | None:
        """A message to the robot of somebody whom nobody knows; it names no address, so that nothing is answered."""
        if self.outbound is not None:
            return None
        body: dict[str, Any] = {
            "msgId": f"test-{now:.0f}-{secrets.token_hex(4)}",
            "senderId": EXAMPLE_USER,
            "conversationId": EXAMPLE_USER,
            "conversationType": "1",
            "msgtype": "text",
            "text": {"content": EXAMPLE_TEXT},
        }
        if self._aes_keys:
            body = {"encrypt": seal(self._aes_keys[0], compact_json(body), b"", secrets.token_bytes(RANDOM))}
        timestamp = str(int(now * 1000))
        return WebhookRequest(
            compact_json(body), {"timestamp": timestamp, "sign": sign(self._secrets[0], timestamp).decode()}
        )

    # ---- out

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        route = Route.parse(reply.content.thread)
        held = route.until == 0 or now < route.until - SESSION_MARGIN
        if reply.url.startswith(self._session + "/") and (held or not self._can_use_api(route)):
            body = {"msgtype": "text", "text": {"content": fit_text(reply.content)}, "at": {"isAtAll": False}}
            return HttpCall(reply.url, compact_json(body), {"Content-Type": "application/json"})
        return self._api_call(reply, now)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        body = answer_object(response)
        if call.url == self._token_url:
            failed = self._take_token(response, body, now)
            return failed if failed is not None else NextCall(self._send_call(reply))
        if call.url.startswith(self._api + "/v1.0/robot/"):
            return self._handle_api(reply, call, response, now)
        code = body.get("errcode")
        if type(code) is not int:
            result = result_of_status(response)
            return result if isinstance(result, DeliveryFailed) else DeliveryFailed("the answer has no errcode")
        if code == 0:
            return Delivered()
        if code in _BUSY or response.status == 429:
            return DeliveryFailed(f"too many messages ({code})", "later", response.headers.get("retry-after", "60"))
        if self._can_use_api(Route.parse(reply.content.thread)):
            return NextCall(self._api_call(reply, now))
        said = _CURES.get(code) or inline_text(str(body.get("errmsg", "")).replace(reply.url, "…"), 120)
        return DeliveryFailed(f"DingTalk answered {code}: {said}", "gone" if code == 300001 else "refused")

    def who_am_i(self, now: float) -> HttpCall | None:
        return self._token_call() if self._app_key else None

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | DeliveryFailed:
        failed = self._take_token(response, answer_object(response), now)
        return failed if failed is not None else f"the app {inline_text(self._app_key, 100)}"

    @property
    def _token_url(self) -> str:
        return self._api + "/v1.0/oauth2/accessToken"

    def _can_use_api(self, route: Route) -> bool:
        return bool(self._app_key and route.robot and (route.group or route.staff))

    def _api_call(self, reply: OutboundReply, now: float) -> HttpCall:
        return self._send_call(reply) if self._token and now < self._token_until else self._token_call()

    def _token_call(self) -> HttpCall:
        body = {"appKey": self._app_key, "appSecret": self._secrets[0].decode()}
        return HttpCall(self._token_url, compact_json(body), {"Content-Type": "application/json"})

    def _send_call(self, reply: OutboundReply) -> HttpCall:
        content = reply.content
        route = Route.parse(content.thread)
        message: dict[str, Any] = {
            "robotCode": route.robot,
            "msgKey": "sampleText",
            "msgParam": compact_json({"content": fit_text(content)}).decode(),
        }
        if route.group:
            path, message["openConversationId"] = "groupMessages/send", content.conversation
        else:
            path, message["userIds"] = "oToMessages/batchSend", [route.staff]
        headers = {"Content-Type": "application/json", "x-acs-dingtalk-access-token": self._token}
        return HttpCall(f"{self._api}/v1.0/robot/{path}", compact_json(message), headers)

    def _authorize(self, now: float) -> Generator[OutboundCall, HttpResponse, str]:
        """An access token, for a call that is no reply; raises PictureFailed."""
        if not self._token or now >= self._token_until:
            response = yield OutboundCall(self._token_call())
            failed = self._take_token(response, answer_object(response), now)
            if failed is not None:
                raise delivery_failure(failed)
        return self._token

    def _forget(self, token: str) -> None:
        """A token that was refused, unless another one was fetched meanwhile."""
        if token == self._token:
            self._token = ""

    def _take_token(self, response: HttpResponse, body: dict[str, Any], now: float) -> DeliveryFailed | None:
        token, expire = body.get("accessToken"), body.get("expireIn")
        if response.status != 200:
            return self._failed(response, body)
        if type(token) is not str or not token.isascii() or not token.isprintable() or type(expire) is not int:
            return DeliveryFailed("there is no token in the answer to app_key and AppSecret")
        self._token, self._token_since, self._token_taken = token, now, False
        self._token_until = now + max(expire - TOKEN_MARGIN, expire / 2)
        return None

    def _handle_api(self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float) -> DeliveryResult:
        body = answer_object(response)
        if response.status == 200:
            self._token_taken = True
            if body.get("flowControlledStaffIdList"):
                return DeliveryFailed("too many messages to this person", "later", "60")
            if body.get("invalidStaffIdList"):
                return DeliveryFailed("the person is not in the organisation any more", "gone")
            return Delivered()
        if response.status == 401 or body.get("code") == "InvalidAuthentication":
            if self._token and call.headers.get("x-acs-dingtalk-access-token") != self._token:
                return NextCall(self._send_call(reply))  # another reply fetched a new one meanwhile
            if self._token and not self._token_taken and now - self._token_since < FRESH:
                return DeliveryFailed("a token that was just fetched is refused")
            self._token = ""
            return NextCall(self._token_call())
        return self._failed(response, body)

    def _failed(self, response: HttpResponse, body: dict[str, Any]) -> DeliveryFailed:
        code = body.get("code")
        if type(code) is not str or response.status >= 500 or response.status == 429:
            failed = result_of_status(response)
            return failed if isinstance(failed, DeliveryFailed) else DeliveryFailed("the answer is none of the API's")
        if "Throttling" in code or "QpsLimit" in code or "flowControl" in code:
            return DeliveryFailed("too many calls", "later", response.headers.get("retry-after", "60"))
        said = _API_CURES.get(code) or inline_text(str(body.get("message", "")), 120)
        for secret in (self._secrets[0].decode(), self._token):
            said = said.replace(secret, "…") if secret else said
        return DeliveryFailed(f"the API answered {inline_text(code, 80)}: {said}", "refused")


PLATFORM: Final = PlatformKind(
    "dingtalk",
    "DingTalk",
    DingTalkInlet,
    DingTalkPlatform,
    (
        (
            "Open open-dev.dingtalk.com, Application development: create an internal app, and add the Robot to it.",
            "打开 open-dev.dingtalk.com，应用开发，创建企业内部应用，并添加“机器人”能力。",
        ),
        (
            "Credentials and basic information: Client Secret (AppSecret) goes into secret_file, Client ID (AppKey) to "
            "app_key.",
            "凭证与基础信息：Client Secret（AppSecret）写入 secret_file，Client ID（AppKey）填入 app_key。",
        ),
        (
            "Robot: message receiving mode HTTP, message receiving address {url}. Or write outbound = true and choose "
            "the mode Stream: then the hub opens the connection.",
            "机器人：消息接收模式选择 HTTP 模式，消息接收地址填写 {url}。"
            "或者写 outbound = true，并选择 Stream 模式：由 hub 主动建立连接。",
        ),
        (
            "Permissions: qyapi_robot_sendmsg, so that replies arrive after a conversation's 90 minutes.",
            "权限管理：开通 qyapi_robot_sendmsg，使超过 90 分钟的会话也能收到回复。",
        ),
        (
            "Publish a version, and add the robot to the group; there, messages begin with @ and the robot's name.",
            "发布版本，并将机器人添加到群；群内消息需先 @机器人。",
        ),
    ),
)
