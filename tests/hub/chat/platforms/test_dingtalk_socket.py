"""hub.chat.platforms.dingtalk_socket: Stream, frame by frame, and over a real socket; the official SDK,
dingtalk-stream, is the judge of what is asked and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from aiohttp import web
from dingtalk_stream import AckMessage, CallbackHandler, ChatbotMessage, Credential, DingTalkStreamClient
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from common.version import VERSION
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import BadSignature, HttpResponse, IncomingMessage, WebhookRequest
from hub.chat.platforms.dingtalk import DingTalkPlatform
from hub.chat.platforms.dingtalk_socket import (
    MAX_MESSAGE_ID,
    MAX_PING,
    MAX_TICKET,
    PATH,
    ROBOT_TOPIC,
    SOCKET_HOSTS,
    DingTalkStream,
)
from hub.chat.platforms.outbound import Frame, Heard, OutboundFailed, Socket, outbound_mode
from hub.store.store import Store
from tests.each import each_of
from tests.end_to_end.chats.dingtalk import APP_KEY, APP_SECRET, headers_at, robot_message
from tests.hub.chat.platforms.test_dingtalk import BODY, NOW, SESSION, TABLE
from tests.hub.chat.test_outbound import Rig, running, store

__all__ = ["store"]

API: Final = "https://api.dingtalk.com"
ENDPOINT: Final = "wss://wss-open-connection.dingtalk.com:443/connect"
ASKED: Final = {
    "clientId": APP_KEY,
    "clientSecret": APP_SECRET,
    "subscriptions": [{"type": "CALLBACK", "topic": ROBOT_TOPIC}],
}
STREAM: Final = replace(TABLE, app_key=APP_KEY, secrets=(APP_SECRET.encode(),), outbound=True)


def platform(**more: Any) -> DingTalkPlatform:
    return DingTalkPlatform(replace(STREAM, **more))


def mode_of(made: DingTalkPlatform) -> DingTalkStream:
    mode = outbound_mode(made)
    assert isinstance(mode, DingTalkStream)
    return mode


def connect(answer: object, status: int = 200) -> Socket:
    """Connects with this answer; the call that was made is checked."""
    calls = mode_of(platform()).connect("", NOW)
    call = next(calls).call
    assert (call.url, call.method) == (API + PATH, "POST")
    assert json.loads(call.body) == {**ASKED, "ua": f"answerback/{VERSION}"}
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    try:
        calls.send(HttpResponse(status, {}, raw))
    except StopIteration as end:
        made: Socket = end.value
        return made
    raise AssertionError("it makes a second call")


def frame(kind: str, topic: object, data: object, **headers: Any) -> str:
    """A frame as documented; `data` that is no text is put into one."""
    named = {
        "appId": "a",
        "contentType": "application/json",
        "messageId": "f1",
        "time": "1700000000000",
        "topic": topic,
    }
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    body = {"specVersion": "1.0", "type": kind, "headers": {**named, **headers}, "data": text}
    return json.dumps(body, ensure_ascii=False)


def robot_frame(body: object, **headers: Any) -> str:
    return frame("CALLBACK", ROBOT_TOPIC, body, **headers)


def hear(told: Frame) -> Heard:
    return mode_of(platform()).hear(told, NOW)


def answer_of(heard: Heard) -> dict[str, Any]:
    (sent,) = heard.send
    assert isinstance(sent, str)
    answer: dict[str, Any] = json.loads(sent)
    return answer


# ---- the inlet


def test_an_inlet_is_told_or_connects() -> None:
    """With `outbound` it needs both parts of the app's credentials, and takes no webhooks, not even signed ones."""
    assert "outbound" in DingTalkPlatform.__annotations__
    assert outbound_mode(DingTalkPlatform(TABLE)) is None
    assert not set(SOCKET_HOSTS) & set(DingTalkPlatform(TABLE).hosts)
    made = platform()
    assert set(SOCKET_HOSTS) < set(made.hosts)
    assert made.example(NOW) is None
    with pytest.raises(BadSignature, match="asks DingTalk"):
        made.receive(WebhookRequest(json.dumps(BODY).encode(), headers_at(NOW)), NOW)
    with pytest.raises(UserError, match="app_key"):
        platform(app_key="")


# ---- connecting


@each_of(
    ("endpoint", "ticket", "url"),
    [
        (ENDPOINT, "7724109a-ea43", f"{ENDPOINT}?ticket=7724109a-ea43"),
        (ENDPOINT, "a+b/c=&d é", f"{ENDPOINT}?ticket=a%2Bb%2Fc%3D%26d%20%C3%A9"),
        (f"{ENDPOINT}?a=b", "t", f"{ENDPOINT}?a=b&ticket=t"),
        (ENDPOINT, "t" * MAX_TICKET, f"{ENDPOINT}?ticket={'t' * MAX_TICKET}"),
    ],
)
def test_the_ticket_goes_with_the_endpoint(endpoint: str, ticket: str, url: str) -> None:
    """The open connection is proof enough: nothing may be said on it for long."""
    assert connect({"endpoint": endpoint, "ticket": ticket}) == Socket(url, ready=True)


@each_of(
    ("answer", "status", "says", "kind"),
    [
        ({"requestid": "E", "code": "authFailed", "message": "鉴权失败"}, 401, "not of one app", "token"),
        ({"code": "invalidClientIdOrSecret", "message": "no"}, 400, "not of one app", "token"),
        ({"code": "whatever", "message": "no"}, 401, "not of one app", "token"),
        ({"code": "param.error", "message": f"no {APP_SECRET}\n"}, 400, "answered 400, param.error: no …", "token"),
        ({"code": "unknownError", "message": "未知错误"}, 500, "answered 500, unknownError: 未知错误", "later"),
        ({"code": "Throttling.Api", "message": "slow"}, 403, "answered 403, Throttling.Api: slow", "later"),
        ({"code": "x"}, 429, "answered 429, x", "later"),
        (b"<html>", 502, "the platform answered 502", "later"),
        (b"", 401, "refuses the token", "token"),
        (b"", 200, "no endpoint", "later"),
        ([], 200, "no endpoint", "later"),
        ({"endpoint": 1, "ticket": "t"}, 200, "no endpoint", "later"),
        ({"endpoint": "https://x", "ticket": "t"}, 200, "no endpoint", "later"),
        ({"endpoint": "wss://é", "ticket": "t"}, 200, "no endpoint", "later"),
        ({"endpoint": ENDPOINT}, 200, "no ticket", "later"),
        ({"endpoint": ENDPOINT, "ticket": ""}, 200, "no ticket", "later"),
        ({"endpoint": ENDPOINT, "ticket": ["t"]}, 200, "no ticket", "later"),
        ({"endpoint": ENDPOINT, "ticket": "t" * (MAX_TICKET + 1)}, 200, "no ticket", "later"),
    ],
)
def test_what_is_wrong_is_told_with_its_cure(answer: object, status: int, says: str, kind: str) -> None:
    """Never with the secret. What only a person cures is tried again slowly."""
    with pytest.raises(OutboundFailed) as caught:
        connect(answer, status)
    assert says in caught.value.reason
    assert caught.value.kind == kind
    assert APP_SECRET not in caught.value.reason
    assert "\n" not in caught.value.reason


def test_how_it_closes() -> None:
    mode = mode_of(platform())
    assert mode.closed(1006).reason == "DingTalk closed the connection (1006)"
    assert mode.closed(0).reason == "DingTalk closed the connection (without a code)"
    with pytest.raises(OutboundFailed):
        mode.beat(NOW)


# ---- frames


def test_a_message_to_the_robot() -> None:
    """As the webhook reads it, and as DingTalk's own SDK does; the answer is as documented."""
    heard = hear(robot_frame(BODY))
    (message,) = heard.messages
    theirs = ChatbotMessage.from_dict(BODY)
    assert message == DingTalkPlatform(TABLE).read(BODY)
    assert (message.event_id, message.conversation) == (theirs.message_id, theirs.conversation_id)
    assert (message.user, message.text) == (theirs.sender_staff_id, theirs.text.content.strip())
    assert message.reply_url == theirs.session_webhook == SESSION
    assert answer_of(heard) == {
        "code": 200,
        "headers": {"contentType": "application/json", "messageId": "f1"},
        "message": "OK",
        "data": '{"response":null}',
    }
    assert hear(robot_frame(BODY).encode()).messages == heard.messages
    assert hear(robot_frame({**BODY, "chatbotUserId": BODY["senderId"]})).messages == ()


class Listener(CallbackHandler):  # type: ignore[misc]  # the SDK has no types
    async def process(self, message: Any) -> tuple[int, str]:
        return AckMessage.STATUS_OK, "OK"


@dataclass
class Wire:
    """Where the SDK's client sends."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))


def sdk_client() -> tuple[Any, Wire]:
    client = DingTalkStreamClient(Credential(APP_KEY, APP_SECRET), logging.getLogger("dingtalk-of-the-tests"))
    client.register_callback_handler(ChatbotMessage.TOPIC, Listener())
    client.websocket = wire = Wire()
    return client, wire


async def test_answers_are_those_of_the_official_client() -> None:
    """The same code, ids and types of content, for messages and pings; `data` of a ping comes back."""
    client, wire = sdk_client()
    frames = [robot_frame(BODY, messageId=f"f{number}") for number in range(3)]
    frames += [frame("SYSTEM", "ping", {"opaque": f"id-{number}"}, messageId=f"p{number}") for number in range(3)]
    for told in frames:
        await client.route_message(json.loads(told))
    ours = [answer_of(hear(told)) for told in frames]
    assert len(wire.sent) == len(ours) == 6
    for mine, theirs in zip(ours, wire.sent, strict=True):
        assert (mine["code"], mine["headers"]) == (theirs["code"], theirs["headers"])
        assert set(mine) == set(theirs)
        assert type(mine["data"]) is type(theirs["data"]) is str
    assert [json.loads(mine["data"]) for mine in ours[3:]] == [json.loads(theirs["data"]) for theirs in wire.sent[3:]]
    told = json.loads(frame("SYSTEM", "disconnect", {"reason": "connection is expired"}))
    assert await client.route_message(told) == DingTalkStreamClient.TAG_DISCONNECT
    assert hear(json.dumps(told)) == Heard(again=True)


def test_a_ping_carries_what_it_carries() -> None:
    """Up to a bound; what is no text is answered with nothing in it."""
    for data, back in (("x" * MAX_PING, "x" * MAX_PING), ("x" * (MAX_PING + 1), "{}")):
        assert answer_of(hear(frame("SYSTEM", "ping", data)))["data"] == back
    told = json.loads(frame("SYSTEM", "ping", ""))
    assert answer_of(hear(json.dumps({**told, "data": {"a": 1}})))["data"] == "{}"


@each_of(
    "body",
    [
        "",
        "no JSON",
        "[" * 50_000,
        '{"a":1,"a":2}',
        '{"msgId":"\\ud800"}',
        "[]",
        {},
        {**BODY, "msgId": None},
        {**BODY, "msgId": "a\nb"},
        {**BODY, "senderId": 5},
        {**BODY, "text": {"content": "x" * 8_001}},
        {**BODY, "sessionWebhook": "https://evil.example/robot/sendBySession?session=x"},
        {**BODY, "sessionWebhook": "https://oapi.dingtalk.com.evil.example/x"},
        {**BODY, "sessionWebhook": "http://oapi.dingtalk.com/robot/sendBySession?session=x"},
    ],
)
def test_a_message_that_cannot_be_read_is_answered_and_left_out(body: object) -> None:
    heard = hear(robot_frame(body))
    assert heard.messages == ()
    assert (answer_of(heard)["code"], answer_of(heard)["message"]) == (400, "cannot be read")


def test_data_that_is_no_text_cannot_be_read() -> None:
    told = json.loads(robot_frame(""))
    for data in ({}, None, 1, []):
        assert answer_of(hear(json.dumps({**told, "data": data})))["code"] == 400
    del told["data"]
    assert answer_of(hear(json.dumps(told)))["code"] == 400


def test_what_was_not_subscribed_to() -> None:
    """Another topic is said to be none of ours; an event is taken, so that it does not come again."""
    card = frame("CALLBACK", "/v1.0/card/instances/callback", {"outTrackId": "x"})
    assert (answer_of(hear(card))["code"], hear(card).messages) == (404, ())
    event = answer_of(hear(frame("EVENT", "*", {"userId": ["1"]}, eventType="user_add_org")))
    assert (event["code"], json.loads(event["data"])["status"]) == (200, "SUCCESS")
    for kind, topic in (("SYSTEM", "REGISTERED"), ("SYSTEM", "KEEPALIVE"), ("SYSTEM", ["ping"]), ("OTHER", "ping")):
        assert hear(frame(kind, topic, {})) == Heard()


@each_of("key", [None, "", 1, ["f1"], "x" * (MAX_MESSAGE_ID + 1)])
def test_a_frame_without_an_id_gets_no_answer(key: object) -> None:
    """Its message is taken all the same."""
    heard = hear(robot_frame(BODY, messageId=key))
    assert (len(heard.messages), heard.send) == (1, ())
    for told in ({"type": "CALLBACK"}, {"type": "SYSTEM", "headers": []}, {}, {"type": {}, "headers": {"topic": {}}}):
        assert hear(json.dumps(told)) == Heard()


@each_of(
    "told",
    ["", "{", "[]", "1", "null", b"\xff", b"\x08\x00", "[" * 50_000, '{"a":NaN}', '{"type":"A","type":"B"}', "\ud800"],
)
def test_what_breaks_the_protocol_ends_the_connection(told: Frame) -> None:
    with pytest.raises(OutboundFailed, match="a frame that cannot be read"):
        hear(told)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["SYSTEM", "CALLBACK", "EVENT"]),
    st.sampled_from(["ping", ROBOT_TOPIC, "*"]),
    JSON,
    st.sampled_from(sorted(BODY)),
)
def test_whatever_comes_only_outbound_failed_is_raised(kind: str, topic: str, value: Any, key: str) -> None:
    for told in (
        json.dumps({"type": kind, "headers": {"topic": topic, "messageId": value}, "data": value}),
        json.dumps({"type": kind, "headers": value, "data": topic}),
        robot_frame({**BODY, key: value}),
        json.dumps(value),
    ):
        with contextlib.suppress(OutboundFailed):
            assert all(isinstance(message, IncomingMessage) for message in hear(told).messages)


# ---- over a socket


@dataclass
class Gateway:
    """The gateway, strict about what its documentation asks for; each ticket opens one connection.

    A connection is sent what waits, one after the other's answer, or the next connection the rest.
    """

    port: int = 0
    waiting: list[str] = field(default_factory=list)
    tickets: list[str] = field(default_factory=list)
    uas: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    opened: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.answers) >= count)

    async def _open(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.uas.append(asked.pop("ua"))
        asked.pop("localIp", "")
        if asked != ASKED or request.content_type != "application/json":
            return web.json_response({"code": "authFailed", "message": "no"}, status=401)
        self.tickets.append(f"ticket+{len(self.uas)}/=")
        return web.json_response({"endpoint": f"ws://127.0.0.1:{self.port}/connect", "ticket": self.tickets[-1]})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("ticket") not in self.tickets:
            return web.Response(status=401)
        self.tickets.remove(request.query["ticket"])
        self.opened += 1
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        while self.waiting:
            told = self.waiting.pop(0)
            await socket.send_str(told)
            if '"disconnect"' in told:
                break
            answer = await socket.receive()
            if answer.type is not web.WSMsgType.TEXT:
                self.waiting.insert(0, told)
                return socket
            async with self.changed:
                self.answers.append(json.loads(answer.data))
                self.changed.notify_all()
        await socket.receive()  # until the other side closes it
        return socket

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Gateway]:
        app = web.Application()
        app.router.add_post(PATH, self._open)
        app.router.add_get("/connect", self._connect)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


async def test_over_a_socket_messages_are_answered_after_their_commit(store: Store) -> None:
    """A message that could not be stored is not; a connection that is ended is made anew, with a new ticket."""
    told = robot_message("disk", "staff01", SESSION, until=NOW + 5_400, msgId="msg1", createAt=int(NOW * 1000))
    gateway = Gateway(
        waiting=[
            robot_frame(told, messageId="f1"),
            frame("SYSTEM", "ping", {"opaque": "o"}, messageId="p1"),
            frame("SYSTEM", "disconnect", {"reason": "connection is expired"}),
            robot_frame({**told, "msgId": "msg2", "text": {"content": "load"}}, messageId="f2"),
        ]
    )
    async with gateway.serving():
        made = platform(api_url=f"http://127.0.0.1:{gateway.port}")
        rig = Rig(store, {"far": Inlet("far", made, made.hosts)}, answers=[RuntimeError("the disk is full")])
        async with running(rig):
            await gateway.wait_for(3)
            assert [state.connected_at for state in rig.supervisor.states()] == [NOW]
    assert gateway.opened == 3
    assert [answer["headers"]["messageId"] for answer in gateway.answers] == ["f1", "p1", "f2"]
    assert [answer["data"] for answer in gateway.answers[1:2]] == ['{"opaque": "o"}']
    assert rig.texts == ["disk", "load"]


async def test_the_official_client_is_taken_by_the_same_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the gateway of the tests asks for what DingTalk's does."""
    gateway = Gateway()
    async with gateway.serving():
        monkeypatch.setattr(DingTalkStreamClient, "OPEN_CONNECTION_API", f"http://127.0.0.1:{gateway.port}{PATH}")
        client, _ = sdk_client()
        monkeypatch.setattr(client, "get_host_ip", lambda: "127.0.0.1")
        found = await asyncio.to_thread(client.open_connection)
    assert found == {"endpoint": f"ws://127.0.0.1:{gateway.port}/connect", "ticket": "ticket+1/="}
    assert gateway.uas[0].startswith("dingtalk-sdk-python/")
