"""DingTalk's outbound mode: Stream, by which an app is told its robot's messages over a WebSocket of its own. No I/O.

Source: open-dingtalk.github.io/developerpedia/docs/learn/stream/protocol.

    POST {api_url}/v1.0/gateway/connections/open  {"clientId", "clientSecret", "subscriptions"} -> endpoint and ticket
    frames   {"type": "SYSTEM" | "CALLBACK" | "EVENT", "headers": {"topic", "messageId", ...}, "data": JSON in a string}
    answers  {"code": 200, "message": "OK", "headers": {"messageId", "contentType"}, "data": JSON in a string}

The ticket holds for ninety seconds and one connection. `ping` is answered with its own data, `disconnect` by a new
connection. Messages to the robot are pushed once, whether they are acknowledged or not: what is said while the hub is
not connected is lost. Each goes to one of an app's connections: two hubs with the same app each hear half.

A frame that breaks the protocol ends the connection, with the reason. A message that cannot be read is answered with
400 and left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from common.version import VERSION
from hub.chat.platforms.base import BadBody, HttpCall, HttpResponse, Ignored, IncomingMessage
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import (
    Frame,
    Heard,
    OutboundCall,
    OutboundFailed,
    Socket,
    SocketCalls,
    failure_of_status,
)
from hub.core import strict_json
from hub.core.chat_text import inline_text

PATH: Final = "/v1.0/gateway/connections/open"
ROBOT_TOPIC: Final = "/v1.0/im/bot/messages/get"
SOCKET_HOSTS: Final = (
    "https://wss-open-connection.dingtalk.com",
    "https://wss-open-connection-union.dingtalk.com",
)
"""Where the sockets were seen to be. Another one is named in the inlet's `reply_hosts`."""
MAX_TICKET: Final = 500
MAX_MESSAGE_ID: Final = 200
MAX_PING: Final = 4_096  # characters of what a ping carries
_OK, _BAD, _UNKNOWN = 200, 400, 404
_SECRET_CURE: Final = "app_key and the AppSecret in secret_file are not of one app: copy both from the app's page"  # noqa: S105
_REFUSED: Final = frozenset({"authFailed", "invalidClientIdOrSecret"})

Read = Callable[[dict[str, Any]], IncomingMessage | Ignored]


class DingTalkStream:
    """The `SocketMode` of one app."""

    def __init__(self, api: str, app_key: str, app_secret: str, read: Read) -> None:
        """`read` reads the body of a message to the robot; it raises BadBody."""
        self._api = api
        self._app_key, self._app_secret = app_key, app_secret
        self._read = read

    def connect(self, cursor: str, now: float) -> SocketCalls:
        """One call; see `hub.chat.platforms.outbound`."""
        body = {
            "clientId": self._app_key,
            "clientSecret": self._app_secret,
            "subscriptions": [{"type": "CALLBACK", "topic": ROBOT_TOPIC}],
            "ua": f"answerback/{VERSION}",
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        answer = yield OutboundCall(HttpCall(self._api + PATH, compact_json(body), headers))
        found = answer_object(answer)
        if answer.status != 200:
            raise self._refusal(answer, found)
        endpoint, ticket = found.get("endpoint"), found.get("ticket")
        if type(endpoint) is not str or not endpoint.isascii() or not endpoint.startswith(("wss://", "ws://")):
            raise OutboundFailed("DingTalk gives no endpoint to connect to: check api_url")
        if type(ticket) is not str or not ticket or len(ticket) > MAX_TICKET:
            raise OutboundFailed("DingTalk gives no ticket to connect with")
        mark = "&" if "?" in endpoint else "?"
        return Socket(f"{endpoint}{mark}ticket={quote(ticket.encode('utf-8', 'replace'), safe='')}", ready=True)

    def _refusal(self, answer: HttpResponse, body: dict[str, Any]) -> OutboundFailed:
        code = body.get("code")
        if type(code) is not str:
            return failure_of_status(answer)
        if code in _REFUSED or answer.status == 401:
            return OutboundFailed(f"DingTalk refuses the app: {_SECRET_CURE}", "token")
        said = f"{code}: {body.get('message', '')}".replace(self._app_secret, "…")
        busy = answer.status == 429 or answer.status >= 500 or "Throttling" in code or "QpsLimit" in code
        reason = f"DingTalk answered {answer.status}, {inline_text(said, 150)}"
        return OutboundFailed(reason, "later" if busy else "token", failure_of_status(answer).retry_after)

    def hear(self, frame: Frame, now: float) -> Heard:
        raw = frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
        try:
            body = strict_json.parse(raw, long_keys=("data",), long_chars=len(raw))
        except BadBody as error:
            raise OutboundFailed(f"DingTalk sent a frame that cannot be read: {error}") from None
        if type(body) is not dict:
            raise OutboundFailed("DingTalk sent a frame that cannot be read: it is no JSON object")
        headers = body.get("headers")
        if type(headers) is not dict:
            headers = {}
        match body.get("type"), headers.get("topic"):
            case "SYSTEM", "ping":
                data = body.get("data")
                return Heard(send=_answer(headers, _OK, data if type(data) is str and len(data) <= MAX_PING else "{}"))
            case "SYSTEM", "disconnect":
                return Heard(again=True)
            case "CALLBACK", str(topic) if topic == ROBOT_TOPIC:
                return self._message(headers, body.get("data"))
            case "CALLBACK", _:
                return Heard(send=_answer(headers, _UNKNOWN, "{}"))
            case "EVENT", _:  # none is subscribed to; one that is not acknowledged comes again
                return Heard(send=_answer(headers, _OK, '{"status":"SUCCESS","message":""}'))
        return Heard()

    def _message(self, headers: dict[str, Any], data: object) -> Heard:
        try:
            if type(data) is not str:
                raise BadBody("data: must be JSON in a string")
            body = strict_json.parse(data.encode("utf-8", "surrogatepass"))
            if type(body) is not dict:
                raise BadBody("data: must be a JSON object")
            read = self._read(body)
        except BadBody:
            return Heard(send=_answer(headers, _BAD, '{"response":null}'))
        messages = (read,) if isinstance(read, IncomingMessage) else ()
        return Heard(messages, _answer(headers, _OK, '{"response":null}'))

    def beat(self, now: float) -> Frame:
        """None is asked for: the platform pings by itself, and knows WebSocket's own pings."""
        raise OutboundFailed("DingTalk takes no pings of ours")

    def closed(self, code: int) -> OutboundFailed:
        """No code of its own is documented."""
        return OutboundFailed(f"DingTalk closed the connection ({code or 'without a code'})")


def _answer(headers: dict[str, Any], code: int, data: str) -> tuple[Frame, ...]:
    """The answer to a frame; nothing where it has no id to be answered by."""
    key = headers.get("messageId")
    if type(key) is not str or not 0 < len(key) <= MAX_MESSAGE_ID:
        return ()
    answer = {
        "code": code,
        "headers": {"contentType": "application/json", "messageId": key},
        "message": {_OK: "OK", _BAD: "cannot be read"}.get(code, "not subscribed"),
        "data": data,
    }
    return (compact_json(answer).decode(),)
