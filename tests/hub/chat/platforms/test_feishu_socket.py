"""hub.chat.platforms.feishu_socket: the long connection, frame by frame, and over a real socket.

The recorded frames are those of `test_feishu_frame`: what the official SDK's server side makes, and what its own client
answers to it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any, Final

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import BadSignature, HttpResponse, IncomingMessage, WebhookRequest
from hub.chat.platforms.feishu import FeishuPlatform
from hub.chat.platforms.feishu_frame import CONTROL, DATA, LarkFrame, read_frame, write_frame
from hub.chat.platforms.feishu_socket import (
    MAX_OPEN,
    MAX_PARTS,
    MAX_PING,
    MAX_SPREAD,
    MAX_WHOLE,
    MIN_PING,
    PART_SECONDS,
    PATH,
    PING_EVERY,
    SOCKET_HOSTS,
    FeishuSocket,
)
from hub.chat.platforms.outbound import Frame, Heard, OutboundFailed, Socket, outbound_mode
from hub.store.store import Store
from tests.each import each_of
from tests.end_to_end.chats.feishu import APP_ID, APP_SECRET, click_event, event, message_event
from tests.hub.chat.platforms.test_feishu import API, NOW, TABLE
from tests.hub.chat.platforms.test_feishu_frame import recorded
from tests.hub.chat.test_outbound import Rig, running, store

__all__ = ["store"]

SERVICE: Final = 33554678
URL: Final = "wss://msg-frontier.feishu.cn/ws/v2?fpid=493&aid=1&device_id=73&access_key=k&service_id=33554678&ticket=t"
CONFIG: Final = {"ReconnectCount": -1, "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": 90}
CLICK: Final = "approve r1 k7f2"


def platform(**more: Any) -> FeishuPlatform:
    """An inlet with the App Secret alone."""
    table = replace(TABLE, outbound=True, app_secret_file=None, secrets=(APP_SECRET.encode(),), other_secrets={})
    return FeishuPlatform(replace(table, **more))


def mode_of(made: FeishuPlatform) -> FeishuSocket:
    mode = outbound_mode(made)
    assert isinstance(mode, FeishuSocket)
    return mode


def connect(mode: FeishuSocket, answer: object = None, status: int = 200) -> Socket:
    """Connects with this answer; the call that was made is checked."""
    calls = mode.connect("", NOW)
    call = next(calls).call
    assert (call.url, call.method) == (API + PATH, "POST")
    assert json.loads(call.body) == {"AppID": APP_ID, "AppSecret": APP_SECRET}
    assert call.headers["Content-Type"] == "application/json"
    told = {"code": 0, "msg": "", "data": {"URL": URL, "ClientConfig": CONFIG}} if answer is None else answer
    try:
        calls.send(HttpResponse(status, {}, told if isinstance(told, bytes) else json.dumps(told).encode()))
    except StopIteration as end:
        made: Socket = end.value
        return made
    raise AssertionError("it makes a second call")


def connected() -> FeishuSocket:
    mode = mode_of(platform())
    connect(mode)
    return mode


def data_frame(body: object, *, key: str = "m1", total: int = 1, place: int = 0, **more: Any) -> Frame:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (("type", "event"), ("message_id", key), ("trace_id", "t"), ("sum", str(total)), ("seq", str(place)))
    return write_frame(LarkFrame(SERVICE, DATA, headers, payload, **more))


def sent(heard: Heard, at: float = NOW) -> list[LarkFrame]:
    made = [frame(at) if callable(frame) else frame for frame in heard.send]
    return [read_frame(frame) for frame in made if isinstance(frame, bytes)]


def only(heard: Heard, at: float = NOW) -> tuple[LarkFrame, dict[str, Any]]:
    """The one acknowledgement, and its JSON."""
    (frame,) = sent(heard, at)
    return frame, json.loads(frame.payload or b"")


# ---- the inlet


def test_an_inlet_is_told_or_connects() -> None:
    """With `outbound` the App Secret is all that it needs; it takes no webhooks, and may open Feishu's sockets."""
    assert "outbound" in FeishuPlatform.__annotations__
    told = FeishuPlatform(TABLE)
    assert outbound_mode(told) is None
    assert told.hosts == (f"{API}:443",)
    made = platform()
    assert made.hosts == (f"{API}:443", *SOCKET_HOSTS)
    assert made.example(NOW) is None
    with pytest.raises(BadSignature, match="asks Feishu"):
        made.receive(WebhookRequest(b"{}"), NOW)
    # An inlet that had webhooks keeps its files.
    again = platform(secrets=TABLE.secrets, other_secrets=TABLE.other_secrets)
    connect(mode_of(again))
    with pytest.raises(UserError, match="app_secret_file"):
        platform(outbound=False)


# ---- connecting


def test_the_endpoint_tells_the_address_and_how_to_behave() -> None:
    """The first ping goes at once, so that its pong shows that the connection works: byte by byte the SDK's."""
    mode = mode_of(platform())
    assert connect(mode) == Socket(URL, {}, (recorded("acknowledged", "ping"),), 90.0)
    assert mode.beat(NOW) == recorded("acknowledged", "ping")
    assert mode.closed(1006).spread == 30.0
    assert connect(mode, {"code": 0, "data": {"URL": URL}}).beat == PING_EVERY
    assert mode.closed(1006).spread == 0.0


@each_of(
    ("config", "beat", "spread"),
    [
        ({"PingInterval": 1}, MIN_PING, 0),
        ({"PingInterval": 10**18}, MAX_PING, 0),
        ({"PingInterval": 0}, PING_EVERY, 0),
        ({"PingInterval": -5, "ReconnectNonce": -1}, PING_EVERY, 0),
        ({"PingInterval": "60", "ReconnectNonce": 1.5}, PING_EVERY, 0),
        ({"PingInterval": True, "ReconnectNonce": True}, PING_EVERY, 0),
        ({"ReconnectNonce": 10**9}, PING_EVERY, MAX_SPREAD),
        ([1], PING_EVERY, 0),
        ("x", PING_EVERY, 0),
    ],
)
def test_bounds_of_what_the_endpoint_asks_for(config: object, beat: float, spread: float) -> None:
    mode = mode_of(platform())
    assert connect(mode, {"code": 0, "data": {"URL": URL, "ClientConfig": config}}).beat == beat
    assert mode.closed(1000).spread == spread


@each_of(
    ("answer", "status", "says", "kind"),
    [
        ({"code": 1000040345, "msg": "app_id or app_secret is invalid"}, 200, "are not of one app", "token"),
        ({"code": 1000040344, "msg": "no credential"}, 200, "are not of one app", "token"),
        ({"code": 514, "msg": "auth failed"}, 200, "are not of one app", "token"),
        ({"code": 10014, "msg": "app secret invalid"}, 400, "are not of one app", "token"),
        ({"code": 1000040346, "msg": "app_id is invalid"}, 200, "subscription mode", "token"),
        ({"code": 403, "msg": "forbidden"}, 200, "may not connect", "token"),
        ({"code": 1000040350, "msg": "the number of connections exceeded"}, 200, "end its other programs", "token"),
        ({"code": 1000040351, "msg": "Incorrect domain name"}, 200, "open.larksuite.com", "token"),
        ({"code": 1, "msg": "system busy"}, 200, "Feishu answered 1: system busy", "later"),
        ({"code": 1000040343, "msg": "internal error"}, 200, "internal error", "later"),
        ({"code": 7, "msg": "x"}, 502, "Feishu answered 7: x", "later"),
        ({"code": 7, "msg": "x"}, 429, "Feishu answered 7: x", "later"),
        ({"code": 7, "msg": f"no {APP_SECRET}\n @all"}, 400, "Feishu answered 7: no …\\n @all", "token"),
        ({"code": 7}, 200, "Feishu answered 7: ", "token"),
        (b"<html>", 502, "the platform answered 502", "later"),
        (b"<html>", 401, "refuses the token", "token"),
        (b"", 200, "check api_url", "later"),
        ([], 200, "check api_url", "later"),
        ({"code": "0"}, 200, "check api_url", "later"),
        ({"code": True}, 200, "check api_url", "later"),
        ({"code": 0}, 200, "no address", "later"),
        ({"code": 0, "data": []}, 200, "no address", "later"),
        ({"code": 0, "data": {"URL": 1}}, 200, "no address", "later"),
        ({"code": 0, "data": {"URL": "file:///etc/passwd"}}, 200, "no address", "later"),
        ({"code": 0, "data": {"URL": "wss://é/?service_id=1"}}, 200, "no address", "later"),
        ({"code": 0, "data": {"URL": "wss://msg-frontier.feishu.cn/ws"}}, 200, "no service_id", "later"),
        ({"code": 0, "data": {"URL": "wss://[?service_id="}}, 200, "no service_id", "later"),
        ({"code": 0, "data": {"URL": "wss://x/?service_id=2147483648"}}, 200, "no service_id", "later"),
        ({"code": 0, "data": {"URL": "wss://x/?service_id=99999999999"}}, 200, "no service_id", "later"),
    ],
)
def test_what_is_wrong_is_told_with_its_cure(answer: object, status: int, says: str, kind: str) -> None:
    """Never with the secret. What only a person cures is tried again slowly."""
    with pytest.raises(OutboundFailed) as caught:
        connect(mode_of(platform()), answer, status)
    assert says in caught.value.reason
    assert caught.value.kind == kind
    assert APP_SECRET not in caught.value.reason
    assert "\n" not in caught.value.reason


@each_of(
    ("headers", "says", "kind"),
    [
        ({"handshake-status": "514", "handshake-autherrcode": "1000040350"}, "end its other programs", "token"),
        ({"handshake-status": "403", "handshake-msg": "forbidden"}, "may not connect", "token"),
        ({"handshake-status": "514", "handshake-msg": "bad ticket"}, "opens no connection (514): bad ticket", "later"),
        ({"handshake-status": "500"}, "opens no connection (500)", "later"),
    ],
)
def test_a_socket_that_is_not_opened(headers: dict[str, str], says: str, kind: str) -> None:
    """The platform says why in headers of its own; where it does not, the status has to do."""
    refused = connected().refused(200, headers)
    assert refused is not None
    assert (says in refused.reason, refused.kind) == (True, kind)
    for none in ({}, {"handshake-status": ""}, {"handshake-status": "²"}, {"handshake-status": "9" * 5_000}):
        assert connected().refused(500, none) is None


def test_how_it_closes() -> None:
    assert connected().closed(1001).reason == "Feishu closed the connection (1001)"
    assert connected().closed(0).reason == "Feishu closed the connection (without a code)"
    assert connected().closed(1001).kind == "later"


# ---- events


def test_a_message_is_acknowledged_as_the_sdk_does() -> None:
    """In the frame that brought it, with its headers and ids; how long it took is known when it is sent."""
    heard = connected().hear(recorded("sent", "message"), NOW)
    (message,) = heard.messages
    assert (message.event_id, message.user, message.text, message.addressed) == ("om_1", "ou_alice", "disk", True)
    frame, said = only(heard)
    theirs = read_frame(recorded("acknowledged", "message"))
    assert replace(frame, payload=b"") == replace(theirs, payload=b"")
    assert said == json.loads(theirs.payload or b"") == {"code": 200}
    assert only(heard, NOW + 1.25)[0].headers[-1] == ("biz_rt", "1250")
    assert only(heard, NOW - 5)[0].headers[-1] == ("biz_rt", "0")


def test_a_click_is_answered_in_its_acknowledgement() -> None:
    """Empty JSON for one that counts, a sentence for one that does not; both in base64, as the SDK's."""
    mode = connected()
    heard = mode.hear(recorded("sent", "click"), NOW)
    (message,) = heard.messages
    assert (message.event_id, message.user, message.text, message.button) == ("e1", "ou_bob", CLICK, True)
    frame, said = only(heard)
    theirs = read_frame(recorded("acknowledged", "click"))
    assert replace(frame, payload=b"") == replace(theirs, payload=b"")
    assert said == {"code": 200, "data": base64.b64encode(b"{}").decode()}
    stale = mode.hear(data_frame(click_event("reboot web-1", "ou_bob", "om_card1")), NOW)
    assert stale.messages == ()
    _, said = only(stale)
    toast = json.loads(base64.b64decode(said["data"]))["toast"]
    assert set(toast) == {"type", "content", "i18n"}
    assert set(json.loads(base64.b64decode(json.loads(theirs.payload or b"")["data"]))) == {"toast"}


def test_events_say_the_same_as_by_webhook() -> None:
    body = message_event("disk", "ou_alice", message_id="om_9", thread_id="omt_1")
    (message,) = connected().hear(data_frame(body), NOW).messages
    assert message == FeishuPlatform(TABLE).read(body, NOW)
    card = write_frame(
        LarkFrame(SERVICE, DATA, (("type", "card"),), json.dumps(click_event(CLICK, "ou_b", "om_c")).encode())
    )
    assert [one.text for one in connected().hear(card, NOW).messages] == [CLICK]


@each_of(
    "body",
    [
        b"",
        b"no JSON",
        b"\xff",
        b"[" * 100_000,
        b'{"schema":"2.0","schema":"2.0"}',
        b'{"a":NaN}',
        b'{"a":' + b"9" * 100 + b"}",
        b"[]",
        b"1",
        {},
        {"schema": "1.0", "event": {}},
        {"schema": "2.0", "header": [], "event": {}},
        {"type": "url_verification", "challenge": "x"},
        event("im.message.receive_v1", {}),
        event("card.action.trigger", {}),
        event("im.chat.updated_v1", {"a": 1}),
        {**message_event("x", "ou_a"), "header": {"app_id": "cli_other", "event_type": "im.message.receive_v1"}},
        message_event("x", "ou_a", content="{"),
        message_event("x" * 9_000, "ou_a"),
        message_event("x", "an open id"),
    ],
)
def test_an_event_that_cannot_be_read_is_taken_and_left_out(body: object) -> None:
    """It would come again, and be no other one; the connection goes on."""
    heard = connected().hear(data_frame(body), NOW)
    assert heard.messages == ()
    assert only(heard)[1] == {"code": 200}


# ---- parts


def parts(body: object, count: int, key: str = "m1") -> list[Frame]:
    raw = json.dumps(body).encode()
    size = -(-len(raw) // count)
    return [
        data_frame(raw[at * size : (at + 1) * size], key=key, total=count, place=at, sequence=at) for at in range(count)
    ]


def test_parts_are_put_together_in_whatever_order_they_come() -> None:
    """The last that comes is acknowledged; a part that comes again changes nothing."""
    mode = connected()
    assert mode.hear(recorded("sent", "part 1"), NOW) == Heard()
    heard = mode.hear(recorded("sent", "part 0"), NOW)
    assert [message.text for message in heard.messages] == ["disk"]
    theirs = read_frame(recorded("acknowledged", "part 0"))
    assert replace(only(heard)[0], payload=b"") == replace(theirs, payload=b"")
    for number, order in enumerate(permutations(range(4))):
        body = message_event(f"m{number}", "ou_a", message_id=f"om_{number}")
        frames = parts(body, 4, f"m{number}")
        got = [mode.hear(frames[at], NOW) for at in (order[0], *order)]
        assert [len(heard.messages) for heard in got] == [0, 0, 0, 0, 1]
        assert got[-1].messages[0].text == f"m{number}"
        assert [len(heard.send) for heard in got] == [0, 0, 0, 0, 1]
        assert only(got[-1])[0].sequence == order[-1]


def test_parts_that_never_come_are_forgotten() -> None:
    """After a while, where too many wait, and with the connection."""
    mode = connected()
    first, second = parts(message_event("x", "ou_a"), 2)
    mode.hear(first, NOW)
    assert mode.hear(second, NOW + PART_SECONDS) == Heard()
    assert mode.hear(first, NOW + PART_SECONDS + 1).messages  # the second one waited

    late = connected()
    late.hear(first, NOW)
    assert late.hear(second, NOW + PART_SECONDS - 0.1).messages

    full = connected()
    full.hear(first, NOW)
    for number in range(MAX_OPEN):
        full.hear(parts(message_event("x", "ou_a"), 2, f"other {number}")[0], NOW)
    assert full.hear(second, NOW) == Heard()
    assert len(full._waiting) == MAX_OPEN

    anew = connected()
    anew.hear(first, NOW)
    connect(anew)
    assert anew.hear(second, NOW) == Heard()


def test_a_message_of_too_many_parts_or_bytes_is_left_out() -> None:
    mode = connected()
    assert mode.hear(data_frame(b"x", total=MAX_PARTS + 1), NOW) == Heard()
    assert mode._waiting == {}
    for place in range(MAX_PARTS):
        mode.hear(data_frame(b"x" * (MAX_WHOLE // 20), key="large", total=MAX_PARTS, place=place), NOW)
        assert sum(one.size for one in mode._waiting.values()) <= MAX_WHOLE
    mode = connected()
    body = message_event("x", "ou_a")
    frames = parts(body, MAX_PARTS)
    assert [len(mode.hear(frame, NOW).messages) for frame in frames] == [0] * (MAX_PARTS - 1) + [1]
    assert mode._waiting == {}


def test_parts_that_contradict_each_other_make_no_message() -> None:
    """Another count begins anew; an empty part ends it; a place that there is not breaks the protocol."""
    mode = connected()
    first, second = parts(message_event("x", "ou_a"), 2)
    mode.hear(first, NOW)
    mode.hear(data_frame(b"{", total=3, place=1), NOW)
    assert mode.hear(second, NOW) == Heard()
    mode = connected()
    mode.hear(first, NOW)
    mode.hear(data_frame(b"", total=2, place=1), NOW)
    assert mode.hear(second, NOW) == Heard()
    for total, place in ((2, 2), (2, 10**9 - 1)):
        with pytest.raises(OutboundFailed, match="a place that its message does not have"):
            connected().hear(data_frame(b"{}", total=total, place=place), NOW)
    for total_text, place_text in (("-1", "0"), ("2", "-1"), ("2", "x"), ("2", ""), ("1" * 10, "0"), ("²", "0")):
        headers = (("type", "event"), ("message_id", "m1"), ("sum", total_text), ("seq", place_text))
        with pytest.raises(OutboundFailed, match="is no number"):
            connected().hear(write_frame(LarkFrame(SERVICE, DATA, headers, b"{}")), NOW)


# ---- control, and what is none of it


def test_a_pong_may_change_how_often_to_ping() -> None:
    mode = connected()
    assert mode.hear(recorded("sent", "pong"), NOW) == Heard(beat=60.0)
    assert mode.hear(recorded("sent", "pong"), NOW) == Heard()
    for payload in (None, b"", b"{}", b"no JSON", b"[]", b'{"PingInterval":"x"}', b'{"PingInterval":1e3}'):
        assert mode.hear(write_frame(LarkFrame(SERVICE, CONTROL, (("type", "pong"),), payload)), NOW) == Heard()
    assert mode.closed(1000).spread == 30.0


@each_of(
    "frame",
    [
        LarkFrame(SERVICE, CONTROL),
        LarkFrame(SERVICE, CONTROL, (("type", "ping"),)),
        LarkFrame(SERVICE, CONTROL, (("type", "news"),), b'{"PingInterval":7}'),
        LarkFrame(SERVICE, 2, (("type", "event"),), b"{}"),
        LarkFrame(SERVICE, -1),
        LarkFrame(SERVICE, DATA, (), b"{}"),
        LarkFrame(SERVICE, DATA, (("type", "pong"),), b"{}"),
        LarkFrame(SERVICE, DATA, (("type", "Event"),), b"{}"),
    ],
)
def test_frames_that_are_nothing_to_us(frame: LarkFrame) -> None:
    assert connected().hear(write_frame(frame), NOW) == Heard()


@each_of(
    "frame", ["", "{}", b"", b"\x08", b"\xff" * 20, recorded("sent", "click")[:-1], write_frame(LarkFrame(1, DATA))[2:]]
)
def test_what_breaks_the_protocol_ends_the_connection(frame: Frame) -> None:
    with pytest.raises(OutboundFailed, match="a frame that cannot be read"):
        connected().hear(frame, NOW)


@given(st.binary(max_size=120), st.integers(0, 2**32))
def test_whatever_comes_only_outbound_failed_is_raised(noise: bytes, seed: int) -> None:
    """Noise, and frames of the platform with bytes of them changed."""
    mode = connected()
    changed = bytearray(recorded("sent", random.Random(seed).choice(["message", "click", "pong", "part 0"])))
    for at, byte in enumerate(noise[:8]):
        changed[(seed + at * 131) % len(changed)] = byte
    for frame in (noise, bytes(changed), data_frame(noise)):
        with contextlib.suppress(OutboundFailed):
            heard = mode.hear(frame, NOW)
            assert all(isinstance(message, IncomingMessage) for message in heard.messages)
            sent(heard)


# ---- over a socket


@dataclass
class Gateway:
    """The endpoint and its sockets; each connection is sent what waits, one after the other's acknowledgement."""

    port: int = 0
    waiting: list[Frame] = field(default_factory=list)
    heard: list[LarkFrame] = field(default_factory=list)
    opened: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, frame: LarkFrame) -> None:
        async with self.changed:
            self.heard.append(frame)
            self.changed.notify_all()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.heard) >= count)

    async def _endpoint(self, request: web.Request) -> web.Response:
        assert await request.json() == {"AppID": APP_ID, "AppSecret": APP_SECRET}
        url = f"ws://127.0.0.1:{self.port}/ws/v2?device_id=1&service_id={SERVICE}&ticket=t"
        return web.json_response({"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": CONFIG}})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        assert request.query["ticket"] == "t"
        self.opened += 1
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        async for message in socket:
            frame = read_frame(message.data)
            await self.note(frame)
            if frame.method == CONTROL:
                await socket.send_bytes(write_frame(replace(frame, headers=(("type", "pong"),))))
            if self.waiting:
                given_out = self.waiting.pop(0)
                assert isinstance(given_out, bytes)
                await socket.send_bytes(given_out)
        return socket

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Gateway]:
        app = web.Application()
        app.router.add_post(PATH, self._endpoint)
        app.router.add_get("/ws/v2", self._socket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


async def test_over_a_socket_events_are_acknowledged_after_their_commit(store: Store) -> None:
    """One that could not be stored is not: the connection is made anew, and the platform sends it again."""
    message = data_frame(message_event("disk", "ou_alice", message_id="om_1", create_time=str(int(NOW * 1000))))
    click = click_event(CLICK, "ou_bob", "om_card1", event_id="e2")
    click["header"]["create_time"] = str(int(NOW * 1000))
    gateway = Gateway(waiting=[message, message, data_frame(click, key="m2")])
    async with gateway.serving():
        made = platform(api_url=f"http://127.0.0.1:{gateway.port}")
        rig = Rig(store, {"far": Inlet("far", made, made.hosts)}, answers=[RuntimeError("the disk is full")])
        async with running(rig):
            await gateway.wait_for(4)
            assert [state.connected_at for state in rig.supervisor.states()] == [NOW]
    assert gateway.opened == 2
    ping, again, first, second = gateway.heard
    assert ping == again == LarkFrame(SERVICE, CONTROL, (("type", "ping"),))
    assert [frame.header("message_id") for frame in (first, second)] == ["m1", "m2"]
    assert json.loads(first.payload or b"") == {"code": 200}
    assert rig.texts == ["disk", CLICK]
