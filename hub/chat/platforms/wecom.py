"""The `wecom` platform: a self-built app of WeCom (企业微信), one-to-one with each member; or an AI bot (`wecom_bot`).

In: encrypted XML at the callback URL (`wecom_crypto`, `wecom_xml`). The body is not parsed before the signature over
its encrypted part was verified; the part is cut out by a pattern. Every delivery is answered with an empty 200, since
WeCom would take anything else for a passive reply.

Out: POST /cgi-bin/message/send with an access token that is fetched when it is needed and kept until it ends.

    texts   plain `text` messages of at most 2,048 bytes: WeCom's markdown has neither code blocks nor an escape, so
            output would be read as markup. A question that is longer is said in several messages, never cut.
    cards   a question is followed by a `button_interaction` card. WeCom changes a card only by a response code, which
            it gives with the card and with each click, each for one change within 72 hours. So a card changes once,
            when its request is decided: its buttons become one word. What comes after that is a new message.

Source: developer.work.weixin.qq.com, paths 90238-90240, 90236 (send), 94888 (update), 90313 (error codes).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from common.catalogue import translate
from common.errors import UserError
from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    PlatformKind,
    ReceiveResult,
    ReplyContent,
    Stale,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.callback_crypto import RANDOM, seal
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import delivery_failure
from hub.chat.platforms.uploads import UploadCalls, UploadFile
from hub.chat.platforms.wecom_bot import WecomBot
from hub.chat.platforms.wecom_config import SETUP, WecomInlet, check_keys
from hub.chat.platforms.wecom_crypto import CallbackKey, open_envelope
from hub.chat.platforms.wecom_files import WecomPictures, read_picture
from hub.chat.platforms.wecom_socket import WecomSocket
from hub.chat.platforms.wecom_text import card_of, task_id, text_parts
from hub.chat.platforms.wecom_upload import upload_calls
from hub.chat.platforms.wecom_xml import read_fields
from hub.core.callback_url import parse_api_url
from hub.core.inlet_table import InletTable
from hub.core.lru import Lru

TOLERANCE: Final = 600  # seconds either way; WeCom documents none
MAX_SAID: Final = 8_000  # characters of what a member said
MAX_ID: Final = 200
TOKEN_MARGIN: Final = 300.0  # seconds before its end at which an access token is fetched anew
FRESH: Final = 60.0  # seconds within which a refused access token is not fetched once more
SEND: Final = "/cgi-bin/message/send"
UPDATE: Final = "/cgi-bin/message/update_template_card"
USED_UP: Final = "-"  # the ref of a card that cannot be changed any more

_ACK: Final = ImmediateResponse(b"", "text/plain")
_DOCTYPE: Final = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCRYPT: Final = re.compile(rb"<Encrypt>\s*(?:<!\[CDATA\[)?([0-9A-Za-z+/=]+)(?:\]\]>)?\s*</Encrypt>")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_NONCE: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BAD_TOKEN: Final = frozenset({40014, 41001, 42001, 42007, 42009})
_BUSY: Final = frozenset({-1, 45009, 45033, 50005})
_NO_ONE: Final = frozenset({60111, 81013, 82001, 40031, 46004})
_SETUP: Final = {
    40001: "the app's Secret is not right: check app_secret_file",
    40013: "corp_id is not right",
    40056: "agent_id is not right",
    40091: "the app's Secret is not right: check app_secret_file",
    48002: "the app may not send messages: look at its permissions",
    60020: "this hub's address is not allowed: add it to the app's trusted IPs (企业可信IP)",
    301002: "the app may not be used: check agent_id and app_secret_file, which must be of one app",
}


class WecomPlatform:
    """`Platform` for `platform = "wecom"`."""

    kind = "wecom"
    knows_repeats = True
    methods = frozenset({"GET", "POST"})
    can_update = True  # once, when the request is decided
    can_buttons = True
    pace = 2.0  # 30 messages a minute to one member
    outbound: WecomSocket | None = None  # an app has none; an AI bot does

    def __init__(self, table: InletTable) -> None:
        assert isinstance(table, WecomInlet)  # noqa: S101  of PLATFORM's own table
        self._keys = [CallbackKey.from_line(line) for line in table.secrets]
        self.proven_by = b""
        self._secret = b"".join(table.other_secrets.get("app_secret_file", ())[:1]).decode("ascii", "replace")
        if not self._secret:
            raise UserError("app_secret_file is empty", "write the app's Secret into it")
        self._corp, self._agent = table.corp_id, table.agent_id
        self._api, host = parse_api_url(table.api_url)
        self.hosts: tuple[str, ...] = (host,)
        self._token, self._token_at, self._token_until = "", 0.0, 0.0
        self.pictures = WecomPictures(self._api, self._authorize, self._forget, _BAD_TOKEN, _BUSY, _SETUP)
        self._codes: Lru[str, tuple[str, str]] = Lru(1_000)  # task id -> who clicked, the response code of the click
        self._left: Lru[str, tuple[_Step, ...]] = Lru(1_000)  # a reply's calls that are still to be made

    # ---- in

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        if request.method == "GET":
            return ImmediateResponse(self._open(request, request.query.get("echostr", ""), now), "text/plain")
        if _DOCTYPE.search(request.body):
            raise BadBody("the body has a DOCTYPE or an entity of its own")
        found = _ENCRYPT.findall(request.body)
        if len(found) != 1:
            raise BadSignature("the body has no Encrypt, or several", "no_signature")
        return self._read(read_fields(self._open(request, found[0].decode(), now)))

    def _open(self, request: WebhookRequest, encrypted: str, now: float) -> bytes:
        given = [request.query.get(key, "") for key in ("timestamp", "nonce", "msg_signature")]
        if not all(given) or not encrypted:
            raise BadSignature(
                "msg_signature, timestamp, nonce and the encrypted part must be there; is this URL the callback of a "
                "WeCom app?",
                "no_signature",
            )
        timestamp, nonce, signature = given
        if not _TIMESTAMP.fullmatch(timestamp) or not _NONCE.fullmatch(nonce):
            raise BadSignature("timestamp must be whole seconds, and nonce printable ASCII")
        # A plus sign that was not percent-encoded arrives as a space, which base64 does not have.
        message, key = open_envelope(self._keys, encrypted.replace(" ", "+"), timestamp, nonce, signature, self._corp)
        if abs(now - int(timestamp)) > TOLERANCE:
            raise Stale(f"timestamp is more than {TOLERANCE} s off; sign anew, or set the clocks")
        self.proven_by = key.line
        return message

    def _read(self, fields: dict[str, str]) -> ReceiveResult:
        if fields.get("AgentID", str(self._agent)) != str(self._agent):
            raise BadBody("AgentID: is another app's; set agent_id of this inlet")
        user = _name(fields, "FromUserName")
        if "|" in user or user.startswith("@"):  # they would address several, or all
            raise BadBody("FromUserName: is no member")
        sent_at = _TIMESTAMP.fullmatch(fields.get("CreateTime", ""))
        at = float(sent_at[0]) if sent_at else 0.0
        if fields.get("MsgType") == "event":
            return self._read_click(fields, user, at)
        if fields.get("MsgType") == "image" and (picture := read_picture(fields)) is not None:
            name = _name(fields, "MsgId")
            return IncomingMessage(
                name, user, user, "", pictures=(picture,), reply_url=self._api, sent_at=at, response=_ACK
            )
        if fields.get("MsgType") != "text":
            return _ACK  # voices, places
        text = fields.get("Content", "")
        if not 1 <= len(text) <= MAX_SAID:
            raise BadBody(f"Content: {len(text)} characters, must be 1 to {MAX_SAID}")
        return IncomingMessage(_name(fields, "MsgId"), user, user, text, reply_url=self._api, sent_at=at, response=_ACK)

    def _read_click(self, fields: dict[str, str], user: str, at: float) -> ReceiveResult:
        said = clicked_text(fields.get("EventKey"))
        if fields.get("Event") != "template_card_event" or said is None:
            return _ACK
        task, code = _name(fields, "TaskId"), fields.get("ResponseCode", "")
        if 0 < len(code) <= 1_024:
            self._codes.put(task, (user, code))
        # Events have no id: member, moment, card and button are the same on every try.
        digest = hashlib.sha256("\n".join((user, fields.get("CreateTime", ""), task, said)).encode()).hexdigest()[:32]
        return IncomingMessage(
            f"click-{digest}", user, user, said, reply_url=self._api, sent_at=at, button=True, response=_ACK
        )

    def example(self, now: float) -> WebhookRequest:
        """The echo with which WeCom proves the URL when it is saved."""
        key, timestamp, nonce = self._keys[0], f"{now:.0f}", secrets.token_hex(8)
        echo = seal(key.key, b"1616140317555161061", self._corp.encode(), secrets.token_bytes(RANDOM))
        signature = key.signature(timestamp, nonce, echo)
        query = {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": echo}
        return WebhookRequest(b"", {}, query, "GET")

    # ---- out

    def who_am_i(self, now: float) -> HttpCall:
        return self._token_call() if now >= self._token_until else self._agent_call()

    def read_identity(self, call: HttpCall, response: HttpResponse, now: float) -> str | NextCall | DeliveryFailed:
        body = _answer(response)
        if isinstance(body, DeliveryFailed):
            return body
        if "/cgi-bin/gettoken?" in call.url:
            return self._take_token(body, now) or NextCall(self._agent_call())
        name = body.get("name")
        if body["errcode"] or not isinstance(name, str):
            return _failure(body["errcode"])
        return f"the app {_CONTROL.sub('', name)[:60]} ({self._agent})"

    def _agent_call(self) -> HttpCall:
        token = quote(self._token, safe="")
        return HttpCall(f"{self._api}/cgi-bin/agent/get?access_token={token}&agentid={self._agent}", b"", method="GET")

    def _token_call(self) -> HttpCall:
        query = f"corpid={quote(self._corp, safe='')}&corpsecret={quote(self._secret, safe='')}"
        return HttpCall(f"{self._api}/cgi-bin/gettoken?{query}", b"", method="GET")

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        key = f"{reply.id} {reply.ref}"
        steps = self._left.peek(key)
        if steps is None:
            steps = self._steps(reply)
            self._left.put(key, steps)
        if now >= self._token_until:
            return self._token_call()
        body = json.dumps(steps[0].payload, ensure_ascii=False).encode()
        token = quote(self._token, safe="")
        return HttpCall(f"{self._api}{steps[0].path}?access_token={token}", body, {"Content-Type": "application/json"})

    def _steps(self, reply: OutboundReply) -> tuple[_Step, ...]:
        content = reply.content
        steps = []
        change = self._change(reply.ref, content)
        if change is not None:
            steps.append(change)
            if content.kind == "progress" and not content.jobs:
                return tuple(steps)  # "it runs": the card says so
        for text in text_parts(content):
            message: dict[str, Any] = {"msgtype": "text", "text": {"content": text}}
            if reply.repeated:  # only then: two answers with the same words are no repeat
                message |= {"enable_duplicate_check": 1, "duplicate_check_interval": 1800}
            steps.append(_Step(SEND, self._to(content.conversation) | message))
        if content.kind == "question" and (card := card_of(content, task_id(reply.id))) is not None:
            steps.append(
                _Step(SEND, self._to(content.conversation) | {"msgtype": "template_card", "template_card": card})
            )
        return tuple(steps)

    def _change(self, ref: str, content: ReplyContent) -> _Step | None:
        """The call that turns a card's buttons into a word, where its request was decided and a code for it is left."""
        task, _, rest = ref.partition(" ")
        if not task or content.request is None or content.request.state == "asking":
            return None
        user, _, code = rest.rpartition(" ")
        user, code = self._codes.peek(task) or (user, code)
        if not code:
            return None
        word = translate(content.language, f"request_is_{content.request.state}")
        body = {"userids": [user], "agentid": self._agent, "response_code": code, "button": {"replace_name": word}}
        return _Step(UPDATE, body)

    def _to(self, user: str) -> dict[str, Any]:
        return {"touser": user, "agentid": self._agent}

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        body = _answer(response)
        if isinstance(body, DeliveryFailed):
            return body
        if "/cgi-bin/gettoken?" in call.url:
            return self._take_token(body, now) or NextCall(self.render(reply, now))
        return self._take_answer(reply, body, now)

    def _authorize(self, now: float) -> Generator[OutboundCall, HttpResponse, str]:
        """An access token, for a call that is no reply; raises PictureFailed."""
        if now >= self._token_until:
            body = _answer((yield OutboundCall(self._token_call())))
            failed = body if isinstance(body, DeliveryFailed) else self._take_token(body, now)
            if failed is not None:
                raise delivery_failure(failed)
        return self._token

    def _forget(self, token: str) -> None:
        """A token that was refused, unless another one was fetched meanwhile."""
        if token == self._token:
            self._token_until = 0.0

    def _take_token(self, body: dict[str, Any], now: float) -> DeliveryFailed | None:
        token, seconds = body.get("access_token"), body.get("expires_in")
        if body["errcode"] or type(token) is not str or not token or type(seconds) is not int:
            return _failure(body["errcode"], setup="later")
        self._token, self._token_at = token, now
        self._token_until = now + max(FRESH, seconds - TOKEN_MARGIN)
        return None

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        return upload_calls(file, self._to(reply.content.conversation), f"{SEND}?", partial(self._ask, now))

    def _ask(
        self, now: float, path: str, body: bytes, kind: str
    ) -> Generator[HttpCall, HttpResponse, dict[str, Any] | DeliveryFailed]:
        """A call with an access token behind the path, which is fetched where there is none or it is refused once."""
        for _ in range(2):
            if now >= self._token_until:
                answer = _answer((yield self._token_call()))
                failed = answer if isinstance(answer, DeliveryFailed) else self._take_token(answer, now)
                if failed is not None:
                    return failed
            url = f"{self._api}{path}access_token={quote(self._token, safe='')}"
            answer = _answer((yield HttpCall(url, body, {"Content-Type": kind})))
            if isinstance(answer, DeliveryFailed) or not answer["errcode"]:
                return answer
            if answer["errcode"] not in _BAD_TOKEN:
                return _failure(answer["errcode"])
            self._token_until = 0.0
        return DeliveryFailed("WeCom refuses the access token it has just given", "later", "60")

    def _take_answer(self, reply: OutboundReply, body: dict[str, Any], now: float) -> DeliveryResult:
        code: int = body["errcode"]
        key = f"{reply.id} {reply.ref}"
        steps = self._left.peek(key) or self._steps(reply)
        step = steps[0]
        if code in _BAD_TOKEN:
            self._token_until = 0.0
            if now - self._token_at < FRESH:
                return DeliveryFailed(f"WeCom refuses the access token it has just given ({code})", "later", "60")
            return NextCall(self.render(reply, now))
        is_card = "template_card" in step.payload
        if code and code not in _BUSY and code not in _SETUP:
            if step.path == UPDATE:
                self._left.pop(key)
                self._forget_code(reply.ref)
                return CardGone(f"WeCom does not change the card any more ({code})")
            if not is_card:
                return _failure(code)
            code = 0  # the words before the card say how to answer; a card that was posted before is refused here too
            body = {}
        if code:
            return _failure(code, setup="later")
        if type(body.get("invaliduser")) is str and body["invaliduser"] and step.path == SEND:
            return DeliveryFailed("the member cannot use the app: look at its visible range", "gone")
        if step.path == UPDATE:
            self._forget_code(reply.ref)
        if len(steps) > 1:
            self._left.put(key, steps[1:])
            return NextCall(self.render(reply, now))
        self._left.pop(key)
        response_code = body.get("response_code")
        if is_card and type(response_code) is str and 0 < len(response_code) <= 1_024:
            return Delivered(f"{task_id(reply.id)} {reply.content.conversation} {response_code}")
        if is_card:
            return Delivered(task_id(reply.id))
        request = reply.content.request  # the first of two approvals leaves the card as it is, with its code
        return Delivered("" if request is not None and request.state == "asking" else USED_UP)

    def _forget_code(self, ref: str) -> None:
        self._codes.pop(ref.partition(" ")[0])


@dataclass(frozen=True, slots=True)
class _Step:
    """One call to the API, without its access token."""

    path: str
    payload: dict[str, Any]


def _answer(response: HttpResponse) -> dict[str, Any] | DeliveryFailed:
    """The JSON of an answer, with its `errcode`."""
    status = result_of_status(response)
    if isinstance(status, DeliveryFailed):
        return status
    body = answer_object(response)
    if not body or type(body.setdefault("errcode", 0)) is not int:
        return DeliveryFailed("the answer is none of WeCom's API")
    return body


def _failure(code: int, setup: str = "refused") -> DeliveryFailed:
    """Of an error code; WeCom's own words are left out, since they name addresses and tokens."""
    if code in _SETUP:
        return DeliveryFailed(f"WeCom: {_SETUP[code]} ({code})", "later", "300")
    if code in _BUSY:
        return DeliveryFailed(f"WeCom takes no more messages now ({code})", "later", "" if code == -1 else "60")
    if code in _NO_ONE:
        return DeliveryFailed(f"WeCom knows no such member in the app's visible range ({code})", "gone")
    return DeliveryFailed(f"WeCom refused the message with error {code}", "later" if setup == "later" else "refused")


def _name(fields: dict[str, str], key: str) -> str:
    value = fields.get(key, "")
    if not 1 <= len(value) <= MAX_ID or _CONTROL.search(value):
        raise BadBody(f"{key}: must be 1 to {MAX_ID} characters without control characters")
    return value


def create(table: InletTable) -> WecomPlatform | WecomBot:
    """A self-built app, or with `outbound` an AI bot; raises UserError."""
    assert isinstance(table, WecomInlet)  # noqa: S101  of PLATFORM's own table
    check_keys(table)
    return WecomBot(table) if table.outbound else WecomPlatform(table)


PLATFORM: Final = PlatformKind("wecom", "WeCom", WecomInlet, create, setup=SETUP)
