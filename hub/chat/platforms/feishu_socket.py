"""Feishu's outbound mode: the long connection, by which an app is told its events over a WebSocket of its own. No I/O.

Sources: open.feishu.cn, "Receive events through a persistent connection", and the official SDKs (larksuite/oapi-sdk-go
and -python, ws/), which are all there is of the protocol's description:

    POST {api_url}/callback/ws/endpoint  {"AppID", "AppSecret"} -> the socket's URL and how to behave (ClientConfig)
    control frames                       ours: type "ping"; theirs: type "pong", with a newer ClientConfig at times
    data frames                          type "event" or "card": JSON as a webhook's body, in clear and unsigned, for
                                         the connection is proof; long ones in parts (`sum`, `seq`, `message_id`)
    acknowledgement                      the frame itself with {"code": 200}, and `data` with what answers a click

An event that is not acknowledged within three seconds comes again, as with webhooks; a click does not. Each event goes
to one of an app's connections (50 at most): two hubs with the same app each hear half.

A frame that breaks the protocol ends the connection, with the reason. An event that cannot be read is acknowledged and
left out, since it would never be another one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hub.chat.platforms.base import BadBody, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage, ReceiveResult
from hub.chat.platforms.feishu_frame import CONTROL, DATA, MAX_PAYLOAD, BadFrame, LarkFrame, read_frame, write_frame
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

PATH: Final = "/callback/ws/endpoint"
SOCKET_HOSTS: Final = (
    "https://msg-frontier.feishu.cn",
    "https://msg-frontier.larksuite.com",
    "https://msg-frontier-sg.larksuite.com",
)
"""Where the sockets of Feishu and Lark were seen to be. Another one is named in the inlet's `reply_hosts`."""
PING_EVERY: Final = 120.0  # seconds, where the platform does not say
MIN_PING, MAX_PING = 5, 600
MAX_SPREAD: Final = 60  # seconds
MAX_PARTS: Final = 64  # of one message
MAX_WHOLE: Final = MAX_PAYLOAD  # bytes of one message, put together
MAX_OPEN: Final = 8  # messages that wait for parts at the same time
PART_SECONDS: Final = 10.0  # after the last one that came; the SDKs wait for five
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_SERVICE: Final = re.compile(r"[?&]service_id=(?P<id>[0-9]{1,10})(?=&|$)", re.ASCII)
_TOO_MANY: Final = 1000040350
_SECRET_CURE: Final = "app_id and App Secret are not of one app: copy both from the app's page, and publish the app"  # noqa: S105
_TOO_MANY_CURE: Final = "the app has all the connections that it may have (50): end its other programs"
_CURES: Final[Mapping[int, str]] = {
    403: "the app may not connect: it must be a custom app of this organisation, published, and not disabled",
    514: _SECRET_CURE,
    10003: _SECRET_CURE,
    10014: _SECRET_CURE,
    1000040344: _SECRET_CURE,
    1000040345: _SECRET_CURE,
    1000040346: "app_id is not known there, or the app is not published with the subscription mode of a persistent "
    "connection: Events & Callbacks",
    _TOO_MANY: _TOO_MANY_CURE,
    1000040351: 'the app is not of this site: api_url = "https://open.larksuite.com" for Lark, none for Feishu',
}
_BUSY: Final = frozenset({1, 1000040343})
_AUTH_FAILED: Final = 514
_FORBIDDEN: Final = 403

Read = Callable[[dict[str, Any], float], ReceiveResult]


@dataclass(slots=True)
class _Parts:
    """A message of which not all has come."""

    parts: list[bytes | None]
    until: float
    size: int = 0


class FeishuSocket:
    """The `SocketMode` of one app."""

    def __init__(self, api: str, app_id: str, app_secret: str, read: Read) -> None:
        """`read` reads the body of an event; it raises BadBody."""
        self._api = api
        self._app_id, self._app_secret = app_id, app_secret
        self._read = read
        self._service = 0
        self._ping_every, self._spread = PING_EVERY, 0.0
        self._waiting: dict[str, _Parts] = {}  # by message_id, the oldest first

    # ---- connecting

    def connect(self, cursor: str, now: float) -> SocketCalls:
        """One call; see `hub.chat.platforms.outbound`. The URL that it gives is a secret, and holds once."""
        self._waiting.clear()
        self._ping_every, self._spread = PING_EVERY, 0.0
        body = compact_json({"AppID": self._app_id, "AppSecret": self._app_secret})
        headers = {"Content-Type": "application/json", "locale": "en"}
        answer = yield OutboundCall(HttpCall(self._api + PATH, body, headers))
        data = self._data(answer)
        url = data.get("URL")
        if type(url) is not str or not url.isascii() or not url.startswith(("wss://", "ws://")):
            raise OutboundFailed("Feishu gives no address to connect to")
        service = _SERVICE.search(url)
        if service is None or int(service["id"]) >= 2**31:
            raise OutboundFailed("the address that Feishu gives has no service_id")
        self._service = int(service["id"])
        self._configure(data.get("ClientConfig"))
        return Socket(url, first=(self.beat(now),), beat=self._ping_every)

    def _data(self, answer: HttpResponse) -> dict[str, Any]:
        """What the endpoint tells; raises OutboundFailed, with the cure."""
        body = answer_object(answer)
        code, data = body.get("code"), body.get("data")
        if type(code) is not int:
            if answer.status == 200:
                raise OutboundFailed("the answer is none of Feishu's: check api_url")
            raise failure_of_status(answer)
        if code == 0:
            return data if type(data) is dict else {}
        if cure := _CURES.get(code):
            raise OutboundFailed(f"Feishu answered {code}: {cure}", "token")
        said = inline_text(str(body.get("msg", "")).replace(self._app_secret, "…"), 120)
        busy = code in _BUSY or answer.status == 429 or answer.status >= 500
        raise OutboundFailed(f"Feishu answered {code}: {said}", "later" if busy else "token")

    def refused(self, status: int, headers: Mapping[str, str]) -> OutboundFailed | None:
        """Why the socket is not opened: the platform has headers of its own for that."""
        code, detail = headers.get("handshake-status", ""), headers.get("handshake-autherrcode", "")
        if not _NUMBER.fullmatch(code):
            return None
        if int(code) == _AUTH_FAILED and detail == str(_TOO_MANY):
            return OutboundFailed(f"Feishu answered {_TOO_MANY}: {_TOO_MANY_CURE}", "token")
        if int(code) == _FORBIDDEN:
            return OutboundFailed(f"Feishu answered {code}: {_CURES[_FORBIDDEN]}", "token")
        said = inline_text(headers.get("handshake-msg", ""), 120)
        return OutboundFailed(f"Feishu opens no connection ({code}): {said}")

    def _configure(self, config: object) -> None:
        """ClientConfig, in whole seconds: how often to ping, and over how long to come back (ReconnectNonce). How
        often to try (ReconnectCount, ReconnectInterval) is left to the hub, which never stops.
        """
        if type(config) is not dict:
            return
        ping, spread = config.get("PingInterval"), config.get("ReconnectNonce")
        if type(ping) is int and ping > 0:
            self._ping_every = float(min(max(ping, MIN_PING), MAX_PING))
        if type(spread) is int and spread >= 0:
            self._spread = float(min(spread, MAX_SPREAD))

    # ---- connected

    def beat(self, now: float) -> Frame:
        return write_frame(LarkFrame(self._service, CONTROL, (("type", "ping"),)))

    def hear(self, frame: Frame, now: float) -> Heard:
        if isinstance(frame, str):
            raise OutboundFailed("Feishu sent a frame that cannot be read: it is text")
        try:
            heard = read_frame(frame)
            if heard.method == CONTROL:
                return self._control(heard)
            if heard.method == DATA:
                return self._event(heard, now)
        except BadFrame as error:
            raise OutboundFailed(f"Feishu sent a frame that cannot be read: {error}") from None
        return Heard()

    def closed(self, code: int) -> OutboundFailed:
        """No code of its own is documented: such as a server's going down."""
        return OutboundFailed(f"Feishu closed the connection ({code or 'without a code'})", spread=self._spread)

    def _control(self, frame: LarkFrame) -> Heard:
        if frame.header("type") != "pong" or not frame.payload:
            return Heard()
        before = self._ping_every
        try:
            self._configure(strict_json.parse(frame.payload))
        except BadBody:
            return Heard()
        return Heard() if self._ping_every == before else Heard(beat=self._ping_every)

    def _event(self, frame: LarkFrame, now: float) -> Heard:
        if frame.header("type") not in ("event", "card"):
            return Heard()
        payload = self._whole(frame, now)
        if payload is None:
            return Heard()
        received: ReceiveResult | None = None
        try:
            body = strict_json.parse(payload)
            received = self._read(body, now) if type(body) is dict else None
        except BadBody:
            pass
        match received:
            case IncomingMessage(response=ImmediateResponse(body=said)):
                return Heard((received,), (_acknowledgement(frame, said, now),))
            case IncomingMessage():
                return Heard((received,), (_acknowledgement(frame, b"", now),))
            case ImmediateResponse(body=said):
                return Heard(send=(_acknowledgement(frame, said, now),))
        return Heard(send=(_acknowledgement(frame, b"", now),))

    def _whole(self, frame: LarkFrame, now: float) -> bytes | None:
        """The payload of a message once all its parts are there, in any order; raises BadFrame.

        A message of too many parts or bytes is left out. Of several that wait the oldest has to go.
        """
        key, payload = frame.header("message_id") or "", frame.payload or b""
        total, place = _count(frame, "sum", 1), _count(frame, "seq", 0)
        if total <= 1:
            return payload
        if place >= total:
            raise BadFrame("a part has a place that its message does not have")
        self._waiting = {name: one for name, one in self._waiting.items() if one.until > now}
        found = self._waiting.pop(key, None)
        if total > MAX_PARTS or not payload:
            return None
        if found is None or len(found.parts) != total:
            found = _Parts([None] * total, 0.0)
        found.size += len(payload) - len(found.parts[place] or b"")
        found.parts[place], found.until = payload, now + PART_SECONDS
        if found.size > MAX_WHOLE:
            return None
        whole = [part for part in found.parts if part is not None]
        if len(whole) == total:
            return b"".join(whole)
        self._waiting[key] = found
        while len(self._waiting) > MAX_OPEN:
            del self._waiting[next(iter(self._waiting))]
        return None


def _count(frame: LarkFrame, key: str, default: int) -> int:
    value = frame.header(key)
    if value is None:
        return default
    if not _NUMBER.fullmatch(value):
        raise BadFrame(f"its {key} is no number")
    return int(value)


def _acknowledgement(frame: LarkFrame, said: bytes, heard_at: float) -> Callable[[float], Frame]:
    """The frame that says that an event was taken, and answers it; `biz_rt` says how many milliseconds that took."""
    answer: dict[str, object] = {"code": 200}
    if said:
        answer["data"] = base64.b64encode(said).decode()
    payload = compact_json(answer)

    def at(moment: float) -> Frame:
        took = max(0, round((moment - heard_at) * 1000))
        headers = (*frame.headers, ("biz_rt", str(took)))
        return write_frame(replace(frame, headers=headers, payload=payload))

    return at
