"""The `feishu` platform: an app of Feishu, or of Lark (`api_url`), with a bot. Source: open.feishu.cn.

In: events on the long connection that the hub opens (`outbound`, `feishu_socket`), or posted by the platform. With an
Encrypt Key, and nothing else should face the internet:

    X-Lark-Signature  hex SHA-256 of timestamp, nonce, Encrypt Key and the raw body, which is still encrypted
    body              {"encrypt": base64 of IV and AES-256-CBC with PKCS#7; the key is SHA-256 of the Encrypt Key}

Without one, the Verification Token in the body is all that proves the sender. The handshake (`url_verification`) comes
unsigned in either case; with a key it must be encrypted, and it must have the token.

Out: the API, with a tenant access token that lives for two hours and is fetched with app_id and App Secret. Replies
are cards (`feishu_card`), posted as replies to the message, with a `uuid` by which a post that is repeated within an
hour is known; changes of a card are PATCHes of it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common.catalogue import translate
from common.config import required, setting
from common.errors import UserError
from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import (
    POST_ONLY,
    BadBody,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.feishu_card import card_json
from hub.chat.platforms.feishu_event import MAX_ID, MessageEvent, read_click, read_message
from hub.chat.platforms.feishu_files import FeishuPictures
from hub.chat.platforms.feishu_sign import FeishuKeys
from hub.chat.platforms.feishu_socket import SOCKET_HOSTS, FeishuSocket
from hub.chat.platforms.feishu_upload import upload_calls
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import OutboundCall, SocketMode
from hub.chat.platforms.pictures import delivery_failure
from hub.chat.platforms.uploads import UploadCalls, UploadFile, reader
from hub.core.callback_url import parse_api_url
from hub.core.chat_text import inline_text
from hub.core.inlet_table import InletTable
from hub.core.lru import Lru

MAX_CHALLENGE: Final = 1_000
MAX_CLICKS: Final = 1_000
CLICK_TWICE: Final = 2.0
"""Seconds within which the same click again is the same one: people report that one comes twice under two ids."""
TOKEN_MARGIN: Final = 300.0
"""Seconds before its end from which a token is fetched anew; the old one holds until its end."""
FRESH: Final = 30.0
"""Seconds within which a token that was never taken is not fetched again: it would not be the cure."""
_AUTH_PATH: Final = "/open-apis/auth/v3/tenant_access_token/internal"
_MESSAGES: Final = "/open-apis/im/v1/messages"
_JSON: Final = "application/json; charset=utf-8"

_TOKEN_CODES: Final = frozenset({99991661, 99991663, 99991664, 99991668, 99991671, 99991677})
_BUSY_CODES: Final = frozenset({99991400, 230020, 230049})  # too often; the last: the same post is under way
_CARD_GONE_CODES: Final = frozenset({230011, 230031, 230050, 230110})  # recalled, older than 14 days, not seen, deleted
_NOT_THERE_CODES: Final = frozenset({230011, 230019, 230071, 230110})  # what is replied to: recalled, its topic is gone
_CURES: Final[Mapping[int, str]] = {
    10003: "app_id is not known there: copy it from the app's page",
    10014: "the App Secret is not the app's: write it into app_secret_file",
    99991672: "give the app the scopes im:message and im:message:send_as_bot, and publish it",
    230002: "the bot is not in the group: add it",
    230006: "switch on the app's Bot capability, and publish it",
    230013: "the person is outside the app's availability: widen it, and publish the app",
    230018: "the group lets only its owner speak",
    230027: "give the app the scopes im:message and im:message:send_as_bot, and publish it",
    230028: "the organisation's content check refuses the text",
    230035: "the bot may not speak in the group",
    232009: "the group was dissolved",
}
_GONE_CODES: Final = frozenset({230002, 230028, 232009})


@dataclass(frozen=True, slots=True, kw_only=True)
class FeishuInlet(InletTable):
    """An app of Feishu or Lark."""

    secret_file: Path = required(
        "The app's Verification Token (Events & Callbacks, Encryption Strategy). Several, one a line, all hold. With "
        "`outbound`, which needs none: the App Secret."
    )
    app_id: str = required('The app\'s App ID, "cli_…" (Credentials & Basic Info).')
    app_secret_file: Path | None = setting(
        None,
        "The app's App Secret (Credentials & Basic Info), with which replies are posted. May be left out with "
        "`outbound`: it is in secret_file then.",
    )
    outbound: bool = setting(
        False,
        "Whether the hub opens the app's long connection, so that no port need be open; the app's subscription mode "
        "must be that.",
    )
    encrypt_key_file: Path | None = setting(
        None,
        "The app's Encrypt Key (Events & Callbacks, Encryption Strategy): deliveries are then signed and encrypted. "
        "Without it, whoever has seen one delivery can forge others. Several, one a line, all hold.",
    )
    api_url: str = setting("https://open.feishu.cn", "Where its API is; of Lark: https://open.larksuite.com.")
    bot_open_id: str = setting(
        "", "The bot's own id, \"ou_…\"; left out, a mention with the name that `bot` has counts as the bot's."
    )


class FeishuPlatform:
    """`Platform` for `platform = "feishu"`."""

    kind = "feishu"
    knows_repeats = True
    methods = POST_ONLY
    can_update = True
    can_buttons = True
    tells_deadline: Final = True
    outbound: SocketMode | None  # where it asks for its events
    pace = 0.2  # five posts a second into one group, for all bots in it

    def __init__(self, table: InletTable) -> None:
        """Raises UserError."""
        if not isinstance(table, FeishuInlet):
            raise TypeError(f"not a table of this platform: {type(table).__name__}")
        self._api, host = parse_api_url(table.api_url)
        self.hosts: tuple[str, ...] = (host,)
        self._app_id = table.app_id
        secrets = table.other_secrets.get("app_secret_file", ()) or (table.secrets if table.outbound else ())
        if not table.app_id or not secrets:
            raise UserError("app_id or app_secret_file is empty", "copy both from the app's Credentials & Basic Info")
        self._app_secret = _text(secrets[0], "app_secret_file")
        self._keys = FeishuKeys(table.secrets, table.other_secrets.get("encrypt_key_file", ()))
        self.outbound = None
        if table.outbound:
            self.hosts += SOCKET_HOSTS
            self.outbound = FeishuSocket(self._api, self._app_id, self._app_secret, self.read)
        self._bot, self._bot_id = table.bot, table.bot_open_id
        self._token, self._token_until, self._token_since = "", 0.0, 0.0
        self._token_taken = False  # a call with it succeeded
        self.pictures = FeishuPictures(self._api, self._authorize, self._forget, _TOKEN_CODES)
        self._clicks: Lru[str, tuple[float, str]] = Lru(MAX_CLICKS)

    @property
    def proven_by(self) -> bytes:
        return self._keys.proven_by

    @proven_by.setter
    def proven_by(self, line: bytes) -> None:
        self._keys.proven_by = line

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        if self.outbound is not None:
            raise BadSignature("this inlet asks Feishu for its events and takes none here", "outbound")
        body = self._keys.open(request, now)
        if body.get("type") == "url_verification":
            challenge = body.get("challenge")
            if type(challenge) is not str or len(challenge) > MAX_CHALLENGE:
                raise BadBody(f"challenge: must be a string of at most {MAX_CHALLENGE} characters")
            return ImmediateResponse(compact_json({"challenge": challenge}))
        return self.read(body, now)

    def read(self, body: dict[str, Any], now: float) -> ReceiveResult:
        """An event, whichever way it came; raises BadBody."""
        header, event = body.get("header"), body.get("event")
        if body.get("schema") != "2.0" or type(header) is not dict or type(event) is not dict:
            return Ignored("no event of schema 2.0")
        if header.get("app_id") != self._app_id:
            raise BadBody("header.app_id: the event is of another app than app_id of the inlet")
        match header.get("event_type"):
            case "im.message.receive_v1":
                return self._message(read_message(event, self._bot, self._bot_id))
            case "card.action.trigger":
                return self._click(header, event, now)
        return Ignored("no message")

    def _message(self, event: MessageEvent | Ignored) -> ReceiveResult:
        if isinstance(event, Ignored):
            return event
        return IncomingMessage(
            event_id=event.message_id,
            user=event.user,
            conversation=event.chat,
            text=event.text,
            pictures=event.pictures,
            reply_url=self._api,
            thread=event.message_id + (" thread" if event.threaded else "") + (" p2p" if event.direct else ""),
            sent_at=event.sent_at,
            addressed=event.addressed,
        )

    def _click(self, header: dict[str, Any], event: dict[str, Any], now: float) -> ReceiveResult:
        """A click is not delivered again, and its response is shown to who clicked: empty, or a sentence."""
        click = read_click(header, event)
        said = clicked_text(click.say)
        if said is None:
            return ImmediateResponse(compact_json(_toast("button_stale")))
        key = f"{click.card} {click.user} {said}"
        before = self._clicks.peek(key)
        event_id = before[1] if before is not None and 0 <= now - before[0] <= CLICK_TWICE else click.event_id
        self._clicks.put(key, (now, event_id))
        return IncomingMessage(
            event_id=event_id,
            user=click.user,
            conversation=click.chat,
            text=said,
            reply_url=self._api,
            thread=click.card,
            sent_at=click.sent_at,
            button=True,
            response=ImmediateResponse(b"{}"),
        )

    def is_direct(self, conversation: str, thread: str) -> bool:
        return thread.endswith(" p2p")

    def example(self, now: float) -> WebhookRequest | None:
        """The handshake, as the platform sends it when the URL is saved there."""
        if self.outbound is not None:
            return None
        return self._keys.sign(compact_json({"type": "url_verification", "challenge": f"{now:.0f}"}), now)

    # ---- out

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        return self._post(reply) if self._has_token(now) else self._token_call()

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        return upload_calls(self.render(reply, now), file, self._api, reader(self, reply, now))

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        if call.url == self._api + _AUTH_PATH:
            failed = self._take_token(response, now)
            return failed if failed is not None else NextCall(self._post(reply))
        answer = _Answer(response)
        if answer.code == 0:
            self._token_taken = True
            data = answer.body.get("data")
            ref = data.get("message_id") if type(data) is dict else None
            return Delivered(ref if type(ref) is str and len(ref) <= MAX_ID else reply.ref)
        if answer.code in _TOKEN_CODES:
            return self._renew(reply, call, now)
        if reply.ref and answer.code in _CARD_GONE_CODES:
            return CardGone(f"the card cannot be changed any more ({answer.code})")
        if call.url.endswith("/reply") and answer.code in _NOT_THERE_CODES:
            return NextCall(self._post(reply, to_chat=True))
        return self._failed(answer)

    def who_am_i(self, now: float) -> HttpCall:
        return self._info_call() if self._has_token(now) else self._token_call()

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | NextCall | DeliveryFailed:
        if call.url == self._api + _AUTH_PATH:
            failed = self._take_token(response, now)
            return failed if failed is not None else NextCall(self._info_call())
        answer = _Answer(response)
        if answer.code != 0:
            return self._failed(answer)
        bot = answer.body.get("bot")
        name, open_id = (bot.get("app_name"), bot.get("open_id")) if type(bot) is dict else ("", "")
        return f"{inline_text(str(name), 100)} (bot_open_id {inline_text(str(open_id), 100)})"

    def _has_token(self, now: float) -> bool:
        return bool(self._token) and now < self._token_until

    def _token_call(self) -> HttpCall:
        body = compact_json({"app_id": self._app_id, "app_secret": self._app_secret})
        return HttpCall(self._api + _AUTH_PATH, body, {"Content-Type": _JSON})

    def _info_call(self) -> HttpCall:
        return HttpCall(self._api + "/open-apis/bot/v3/info", b"", self._headers(), "GET")

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": _JSON, "Authorization": f"Bearer {self._token}"}

    def _authorize(self, now: float) -> Generator[OutboundCall, HttpResponse, dict[str, str]]:
        """The headers of a call that gets a file; raises PictureFailed."""
        if not self._has_token(now):
            failed = self._take_token((yield OutboundCall(self._token_call())), now)
            if failed is not None:
                raise delivery_failure(failed)
        return {"Authorization": f"Bearer {self._token}"}

    def _forget(self, headers: Mapping[str, str]) -> None:
        """A token that was refused, unless another one was fetched meanwhile."""
        if headers.get("Authorization") == f"Bearer {self._token}":
            self._token = ""

    def _take_token(self, response: HttpResponse, now: float) -> DeliveryFailed | None:
        answer = _Answer(response)
        token, expire = answer.body.get("tenant_access_token"), answer.body.get("expire")
        if answer.code != 0:
            return self._failed(answer)
        if type(token) is not str or not token.isascii() or not token.isprintable() or type(expire) is not int:
            return DeliveryFailed("there is no token in the answer to app_id and App Secret")
        self._token, self._token_since, self._token_taken = token, now, False
        self._token_until = now + max(expire - TOKEN_MARGIN, expire / 2)
        return None

    def _renew(self, reply: OutboundReply, call: HttpCall, now: float) -> DeliveryResult:
        """The token is refused. Another reply may have fetched a new one meanwhile; a second one is no cure."""
        if self._token and call.headers.get("Authorization") != f"Bearer {self._token}":
            return NextCall(self._post(reply))
        if self._token and not self._token_taken and now - self._token_since < FRESH:
            return DeliveryFailed("a token that was just fetched is refused")
        self._token = ""
        return NextCall(self._token_call())

    def _post(self, reply: OutboundReply, *, to_chat: bool = False) -> HttpCall:
        content = reply.content
        card = card_json(content)
        if reply.ref:
            return HttpCall(
                f"{self._api}{_MESSAGES}/{reply.ref}", compact_json({"content": card}), self._headers(), "PATCH"
            )
        message: dict[str, Any] = {"msg_type": "interactive", "content": card, "uuid": reply.id}
        if content.thread and not to_chat:
            parent, *marks = content.thread.split(" ")
            message["reply_in_thread"] = "thread" in marks
            return HttpCall(f"{self._api}{_MESSAGES}/{parent}/reply", compact_json(message), self._headers())
        message["receive_id"] = content.conversation
        return HttpCall(f"{self._api}{_MESSAGES}?receive_id_type=chat_id", compact_json(message), self._headers())

    def _failed(self, answer: _Answer) -> DeliveryFailed:
        if answer.code in _BUSY_CODES or answer.status == 429:
            headers = answer.headers
            after = headers.get("x-ogw-ratelimit-reset", "") or headers.get("retry-after", "")
            return DeliveryFailed(f"too many calls ({answer.code or answer.status})", "later", after)
        if answer.code is None:
            failed = result_of_status(HttpResponse(answer.status, answer.headers))
            return failed if isinstance(failed, DeliveryFailed) else DeliveryFailed("the answer is no JSON of the API")
        said = inline_text(str(answer.body.get("msg", "")), 120)
        for secret in (self._app_secret, self._token):
            said = said.replace(secret, "…") if secret else said
        reason = f"the API answered {answer.code}: {_CURES.get(answer.code, said)}"
        if answer.code in _GONE_CODES:
            return DeliveryFailed(reason, "gone")
        return DeliveryFailed(reason, "later" if answer.status >= 500 else "refused")


class _Answer:
    """An answer of the API: errors come with 200 or 400, and a `code` in the body; None where there is none."""

    def __init__(self, response: HttpResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.body = answer_object(response)
        code = self.body.get("code")
        self.code = code if type(code) is int else None


def _toast(key: str) -> dict[str, Any]:
    """What is shown to who clicked, in the language of their client."""
    english = translate("en", key)
    return {"toast": {"type": "info", "content": english, "i18n": {"en_us": english, "zh_cn": translate("zh", key)}}}


def _text(secret: bytes, key: str) -> str:
    try:
        return secret.decode("ascii")
    except UnicodeDecodeError:
        raise UserError(f"{key} is not ASCII", "write what the app's page shows, and nothing else") from None


PLATFORM: Final = PlatformKind(
    "feishu",
    "Feishu / Lark",
    FeishuInlet,
    FeishuPlatform,
    (
        (
            "Open open.feishu.cn/app (Lark: open.larksuite.com/app), create a Custom App, and add the Bot capability.",
            "打开 open.feishu.cn/app（Lark：open.larksuite.com/app），创建企业自建应用，并添加“机器人”能力。",
        ),
        (
            "Credentials & Basic Info: App ID goes to app_id, App Secret into app_secret_file.",
            "凭证与基础信息：App ID 填入 app_id，App Secret 写入 app_secret_file。",
        ),
        (
            "Events & Callbacks, Encryption Strategy: make an Encrypt Key, into encrypt_key_file; the Verification "
            "Token goes into secret_file.",
            "事件与回调 > 加密策略：生成 Encrypt Key 并写入 encrypt_key_file；Verification Token 写入 secret_file。",
        ),
        (
            "Permissions & Scopes: im:message, im:message:send_as_bot, im:message.group_at_msg:readonly, "
            "im:message.p2p_msg:readonly, im:resource.",
            "权限管理：im:message、im:message:send_as_bot、im:message.group_at_msg:readonly、im:message.p2p_msg:readonly、"
            "im:resource。",
        ),
        (
            "With the hub running: Events & Callbacks, Event Configuration and again Callback Configuration: send to "
            "developer's server, {url}. Or write outbound = true, with the App Secret in secret_file and nothing else, "
            "and choose there to receive through a persistent connection. Add the event im.message.receive_v1 and the "
            "callback card.action.trigger.",
            "在 hub 运行时：事件与回调 > 事件配置、回调配置，均选择“将事件/回调发送至开发者服务器”，填写 {url}。"
            "或者写 outbound = true（secret_file 中只需 App Secret），并在该处选择“使用长连接接收事件/回调”。"
            "添加事件 im.message.receive_v1 和回调 card.action.trigger。",
        ),
        (
            "Version Management & Release: create a version, publish it, and add the bot to the group.",
            "版本管理与发布：创建版本并发布，然后把机器人加入群。",
        ),
    ),
)
