"""Slack's Socket Mode: the payloads of its documentation, with Slack's own package as the judge of envelopes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from common.errors import UserError
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import (
    BadSignature,
    CodeGiven,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    WebhookRequest,
)
from hub.chat.platforms.code_form import CodeAnswer
from hub.chat.platforms.outbound import Heard, OutboundFailed, Socket, SocketMode, outbound_mode
from hub.chat.platforms.slack import PLATFORM, SlackInlet, SlackPlatform
from hub.chat.platforms.slack_socket import LINGER, SlackSocket
from hub.cli.inlet_setup import InletAnswers, check_answers, keys_of
from hub.config import HubConfig, HubTable
from hub.store.store import Store
from tests.each import each_of
from tests.hub.chat.platforms.socket_server import SocketServer
from tests.hub.chat.platforms.test_slack import API, SECRET, TOKEN, signed
from tests.hub.chat.platforms.test_slack_events import CLICK, COMMAND, EVENT
from tests.hub.chat.platforms.test_slack_form import opened, sent
from tests.hub.chat.test_outbound import Forms, Rig, running, store

__all__ = ["store"]

APP_TOKEN = b"xapp-1-A1234-5678-not-a-real-one"
NOW = 1_355_517_600.0
MODE = SlackSocket(API, APP_TOKEN.decode(), "slack.com")
HELLO = {
    "type": "hello",
    "connection_info": {"app_id": "A1234"},
    "num_connections": 1,
    "debug_info": {
        "host": "applink-7fc4fdbb64-4x5xq",
        "started": "2020-10-11 12:12:12.120",
        "build_number": 54,
        "approximate_connection_time": 18060,
    },
}


def disconnect(reason: str) -> dict[str, Any]:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "wss-111.slack.com"}}


def envelope(kind: str, payload: Any, number: int = 1, **more: Any) -> dict[str, Any]:
    identity = f"dbdd0ef3-1543-4f94-bfb4-133d0e6c1{number:03d}"
    return {"envelope_id": identity, "type": kind, "payload": payload, "accepts_response_payload": False, **more}


def platform(
    secrets: tuple[bytes, ...] = (), app_tokens: tuple[bytes, ...] = (APP_TOKEN,), **keys: Any
) -> SlackPlatform:
    table = SlackInlet(
        platform="slack",
        token_file=Path("t"),
        app_token_file=Path("a"),
        secrets=secrets,
        other_secrets={"token_file": (TOKEN,), "app_token_file": app_tokens},
        **keys,
    )
    made = PLATFORM.create(table)
    assert isinstance(made, SlackPlatform)
    return made


def hear(body: Any, now: float = NOW) -> Heard:
    return MODE.hear(body if isinstance(body, str | bytes) else json.dumps(body), now)


def connect(status: int, answer: Any, headers: dict[str, str] | None = None) -> tuple[Socket, HttpCall]:
    calls = MODE.connect("", NOW)
    asked = next(calls)
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises(StopIteration) as end:
        calls.send(HttpResponse(status, headers or {}, raw))
    return end.value.value, asked.call


# The inlet


def test_an_inlet_with_an_app_level_token_asks() -> None:
    """Without a signing secret; it takes no webhooks, however they are signed. The class says that it can."""
    assert "outbound" in SlackPlatform.__annotations__
    for made in (platform(), platform((SECRET,))):
        assert isinstance(outbound_mode(made), SocketMode)
        assert made.example(NOW) is None
        with pytest.raises(BadSignature) as refused:
            made.receive(signed(json.dumps(EVENT).encode()), NOW)
        assert refused.value.code == "outbound"
        with pytest.raises(BadSignature):
            made.receive(WebhookRequest(b"", method="GET", query={"ssl_check": "1"}), NOW)
    assert outbound_mode(platform((SECRET,), ())) is None


@each_of(
    ("secrets", "app_tokens", "says"),
    [
        ((), (), "neither"),
        ((), (b"xoxb-1234-abcdefgh",), "app-level"),
        ((), (b"xapp-",), "app-level"),
        ((b"xapp", b"short"), (APP_TOKEN,), "signing secret"),
    ],
)
def test_what_is_missing_is_named(secrets: tuple[bytes, ...], app_tokens: tuple[bytes, ...], says: str) -> None:
    """And no token is told."""
    with pytest.raises(UserError, match=says) as error:
        platform(secrets, app_tokens)
    assert "abcdefgh" not in str(error.value)


def test_it_is_set_up_without_a_signing_secret(tmp_path: Path) -> None:
    """`inlet add` asks for the app-level token, and makes an inlet of it and the bot token alone."""
    assert "app_token" in [key.label for key in keys_of(PLATFORM)]
    answers = InletAnswers(PLATFORM, "slack", "team")
    answers.set_secret("token_file", TOKEN)
    config = HubConfig(HubTable("hub"), path=tmp_path / "hub.toml")
    with pytest.raises(UserError, match="neither"):
        check_answers(config, answers)
    answers.set_secret("app_token_file", APP_TOKEN)
    assert answers.missing() == []
    check_answers(config, answers)


def test_both_tokens_are_proven() -> None:
    """The app-level token opens a socket's URL, then the bot token says who we are."""
    made = platform()
    first = made.who_am_i(NOW)
    assert first.url == f"{API}/apps.connections.open"
    assert first.headers["Authorization"] == f"Bearer {APP_TOKEN.decode()}"
    then = made.read_identity(first, HttpResponse(200, {}, b'{"ok":true,"url":"wss://wss-1.slack.com/"}'), NOW)
    assert isinstance(then, NextCall)
    assert (then.call.url, then.call.headers["Authorization"]) == (f"{API}/auth.test", f"Bearer {TOKEN.decode()}")
    who = HttpResponse(200, {}, b'{"ok":true,"user":"answerback","team":"Acme"}')
    assert made.read_identity(then.call, who, NOW) == "answerback in Acme"
    refused = made.read_identity(first, HttpResponse(200, {}, b'{"ok":false,"error":"missing_scope"}'), NOW)
    assert isinstance(refused, DeliveryFailed)
    assert "connections:write" in refused.reason


# Opening


def test_the_socket_is_where_slack_says() -> None:
    """The token is in the header alone; the host may be any of Slack's, and no other is good."""
    socket, call = connect(200, {"ok": True, "url": "wss://wss-somethiing.slack.com/link/?ticket=12348&app_id=5678"})
    assert socket == Socket("wss://wss-somethiing.slack.com/link/?ticket=12348&app_id=5678", domain="slack.com")
    assert (call.method, call.url, call.body) == ("POST", f"{API}/apps.connections.open", b"")
    assert call.headers["Authorization"] == f"Bearer {APP_TOKEN.decode()}"
    gov = platform(api_url="https://slack-gov.com/api").outbound
    assert gov is not None
    assert gov._domain == "slack-gov.com"


@each_of(
    ("status", "answer", "kind", "says"),
    [
        (200, {"ok": False, "error": "invalid_auth"}, "token", "app-level token"),
        (200, {"ok": False, "error": "not_allowed_token_type"}, "token", "xapp-"),
        (200, {"ok": False, "error": "missing_scope", "needed": "connections:write"}, "token", "connections:write"),
        (200, {"ok": False, "error": "access_denied"}, "token", "admin"),
        (200, {"ok": False, "error": "internal_error"}, "later", "internal_error"),
        (200, {"ok": False, "error": "ratelimited"}, "later", "wait"),
        (200, {"ok": False, "error": "<!channel>"}, "later", "no answer that can be read"),
        (200, {"ok": True}, "later", "no answer"),
        (200, {"ok": True, "url": "https://slack.com/"}, "later", "no answer"),
        (200, {"ok": True, "url": "wss://slack.com/" + "x" * 2_000}, "later", "no answer"),
        (200, {"ok": 1, "url": "wss://slack.com/"}, "later", "no answer"),
        (200, b"<html>", "later", "no answer"),
        (200, [], "later", "no answer"),
        (401, b"", "token", "401"),
        (503, b"", "later", "503"),
    ],
)
def test_why_no_socket_is_opened(status: int, answer: Any, kind: str, says: str) -> None:
    """What a person has to see to is tried seldom, the rest soon again."""
    calls = MODE.connect("", NOW)
    next(calls)
    with pytest.raises(OutboundFailed, match=says) as failed:
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        calls.send(HttpResponse(status, {}, raw))
    assert failed.value.kind == kind
    assert APP_TOKEN.decode() not in str(failed.value)


def test_slack_says_how_long_to_wait() -> None:
    """With 429, and with an error of that name."""
    for status, answer in ((429, b""), (200, b'{"ok":false,"error":"ratelimited"}')):
        calls = MODE.connect("", NOW)
        next(calls)
        with pytest.raises(OutboundFailed) as failed:
            calls.send(HttpResponse(status, {"retry-after": "30"}, answer))
        assert (failed.value.kind, failed.value.retry_after) == ("later", 30)


# Frames


@each_of(
    ("body", "user", "text", "sent_at"),
    [
        (envelope("events_api", EVENT, retry_attempt=0, retry_reason=""), "U1", "restart web", 1355517523.000005),
        (envelope("slash_commands", COMMAND | {"is_enterprise_install": False}), "U1", "disk on web-1", NOW),
        (envelope("interactive", CLICK), "U2", "approve r1 k7f2", 1355517700.123456),
    ],
)
def test_an_envelope_is_what_a_webhook_would_have_brought(
    body: dict[str, Any], user: str, text: str, sent_at: float
) -> None:
    """Slack's package reads the same from it, and would acknowledge it in the same words."""
    heard = hear(body)
    (message,) = heard.messages
    assert (message.user, message.text, message.sent_at) == (user, text, sent_at)
    theirs = SocketModeRequest.from_dict(body)
    assert theirs is not None
    assert [json.loads(frame) for frame in heard.send] == [SocketModeResponse(theirs.envelope_id).to_dict()]
    assert (heard.again, heard.cursor, heard.after, heard.works) == (False, None, (), True)


def test_a_click_may_open_a_form_and_is_acknowledged_either_way() -> None:
    """Where it opened one it is no message."""
    body = envelope("interactive", CLICK)
    heard = hear(body)
    assert heard.form is not None
    assert heard.form.received == heard.messages[0]
    done = heard.form.answered(ImmediateResponse(b"", "text/plain"))
    assert (done.messages, done.send, done.form) == ((), heard.send, None)
    assert hear(envelope("events_api", EVENT)).form is None


def test_a_sent_form_is_answered_in_its_acknowledgement() -> None:
    """As Slack's package words it; until it was acted on there is none. Another app's modal is only acknowledged."""
    body = envelope("interactive", sent(opened()), accepts_response_payload=True)
    heard = hear(body)
    assert (heard.messages, heard.send, heard.after) == ((), (), ())
    assert heard.form is not None
    assert isinstance(heard.form.received, CodeGiven)
    assert heard.form.received.code == "123456"
    assert "123456" not in repr(heard)
    errors = {"response_action": "errors", "errors": {"code": "wrong"}}
    for answer, payload in ((CodeAnswer("", ok=True), None), (CodeAnswer("wrong", ok=False), errors)):
        done = heard.form.answered(platform().answer_form(heard.form.received, answer))
        theirs = SocketModeResponse(body["envelope_id"], payload).to_dict()
        assert [json.loads(str(frame)) for frame in done.send] == [theirs]
        assert (done.messages, done.after, done.form) == ((), (), None)
    other = hear(envelope("interactive", sent(opened() | {"callback_id": "theirs"})))
    assert (other.form, len(other.send)) == (None, 1)


def test_a_retried_event_is_the_same_message() -> None:
    """In another envelope, which is acknowledged as well."""
    first = hear(envelope("events_api", EVENT, 1))
    again = hear(envelope("events_api", EVENT, 2, retry_attempt=1, retry_reason="timeout"))
    assert first.messages == again.messages
    assert first.send != again.send


@each_of(
    "body",
    [
        envelope("events_api", EVENT | {"event": EVENT["event"] | {"bot_id": "B1"}}),
        envelope("events_api", {"type": "url_verification", "challenge": "x"}),
        envelope("events_api", EVENT | {"event": EVENT["event"] | {"ts": "now"}}),
        envelope("events_api", []),
        envelope("events_api", None),
        envelope("slash_commands", {key: value for key, value in COMMAND.items() if key != "trigger_id"}),
        envelope("slash_commands", COMMAND | {"user_id": 7}),
        envelope("slash_commands", "text"),
        envelope("interactive", {"type": "view_submission"}),
        envelope("interactive", CLICK | {"user": "U2"}),
        envelope("of tomorrow", {}),
        envelope(["events_api"], EVENT),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_for_us_is_acknowledged(body: dict[str, Any]) -> None:
    """So is what cannot be read: it would come again as it is."""
    heard = hear(body)
    assert heard.messages == ()
    assert [json.loads(frame) for frame in heard.send] == [{"envelope_id": body["envelope_id"]}]


@each_of(
    "frame",
    [
        HELLO,
        "",
        "no JSON",
        b"\xff\xfe",
        "\ud800",
        "[]",
        "7",
        '{"type": "events_api", "type": "hello"}',
        "[" * 1_000,
        '{"n": NaN}',
        {"type": "events_api", "payload": EVENT},
        envelope("events_api", EVENT) | {"envelope_id": 7},
        envelope("events_api", EVENT) | {"envelope_id": ""},
        envelope("events_api", EVENT) | {"envelope_id": "x" * 201},
        envelope("events_api", EVENT) | {"envelope_id": "a b"},
        {"type": ["hello"]},
    ],
)
def test_frames_that_are_no_envelope_do_nothing(frame: Any) -> None:
    """The greeting, and whatever else there may come."""
    assert hear(frame) == Heard()


def test_slack_asks_for_a_new_connection() -> None:
    """The old one is heard meanwhile; for what a new one does not cure there is a reason, and a person's cure."""
    for reason in ("warning", "refresh_requested", "of tomorrow"):
        assert hear(disconnect(reason)) == Heard(again=True, linger=LINGER)
    assert hear({"type": "disconnect"}).again
    assert hear({"type": "disconnect", "reason": []}).again
    with pytest.raises(OutboundFailed, match="Socket Mode is off") as off:
        hear(disconnect("link_disabled"))
    assert off.value.kind == "token"
    with pytest.raises(OutboundFailed, match="ten") as many:
        hear(disconnect("too_many_websockets"))
    assert many.value.kind == "later"
    assert MODE.closed(1006).kind == "later"


@given(st.data())
def test_mutated_envelopes_raise_nothing_else(data: st.DataObject) -> None:
    """Any value anywhere: a message, nothing, or a failure of the connection that says why."""
    odd = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
    )
    frames = [envelope("events_api", EVENT), envelope("interactive", CLICK), envelope("slash_commands", COMMAND)]
    for original in [*frames, disconnect("warning")]:
        body = json.loads(json.dumps(original))
        spot: Any = body
        while True:
            key = data.draw(st.sampled_from(sorted(spot)) if isinstance(spot, dict) else st.just(0))
            inner = spot[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                spot[key] = data.draw(odd)
                break
            spot = inner
        try:
            heard = hear(body)
        except OutboundFailed:
            continue
        assert all(isinstance(message, IncomingMessage) for message in heard.messages)
        assert heard.form is None or isinstance(heard.form.received, IncomingMessage | CodeGiven)


# Over a real socket


async def test_from_the_token_to_the_message(store: Store) -> None:
    """Each envelope is acknowledged once its message is committed; a connection that is to go is heard out, and what
    it brings again is a repeat; after it only the new one.
    """

    def answer(request: web.Request, body: bytes) -> Any:
        assert request.headers["Authorization"] == f"Bearer {APP_TOKEN.decode()}"
        assert body == b""
        return {"ok": True, "url": f"ws://127.0.0.1:{server.port}/link/?ticket={len(server.called) + 1}"}

    async def behave(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(HELLO)
        if number == 1:
            await socket.send_json(envelope("events_api", EVENT, 1))
            await socket.send_json(disconnect("warning"))
            await server.until(lambda: len(server.opened) == 2)
            await socket.send_json(envelope("slash_commands", COMMAND, 2))
            await server.until(lambda: acknowledged(2))
            await socket.close()
        else:
            await socket.send_json(envelope("events_api", EVENT, 3, retry_attempt=1, retry_reason="timeout"))
            await socket.send_json(envelope("interactive", CLICK, 4))

    def acknowledged(number: int) -> bool:
        return {"envelope_id": envelope("", {}, number)["envelope_id"]} in server.frames

    server = SocketServer(answer, behave)
    async with server.serving():
        api = f"http://127.0.0.1:{server.port}"
        made = platform(api_url=f"{api}/api")
        rig = Rig(store, {"slack": Inlet("slack", made, made.hosts)}, now=NOW)
        taking = rig.supervisor._accept

        async def accept(inlet: str, message: IncomingMessage) -> Any:
            receipt = await taking(inlet, message)
            number = {"restart web": 1, "disk on web-1": 2, "approve r1 k7f2": 4}[message.text]
            assert receipt.status == "duplicate" or not acknowledged(number)
            return receipt

        rig.supervisor._accept = accept
        async with running(rig):
            await server.until(lambda: all(map(acknowledged, (1, 2, 3, 4))))
        (state,) = rig.supervisor.states()
    assert sorted(rig.texts) == ["approve r1 k7f2", "disk on web-1", "restart web"]
    assert server.opened == ["/link/?ticket=1", "/link/?ticket=2"]
    assert (state.error, state.connected_at) == ("", NOW)


async def test_forms_over_the_socket(store: Store) -> None:
    """A click opens one before it is acknowledged, and is no message; one that opens none is. A sent form is answered
    once it was acted on; where it could not be stored it is not, and the connection goes on. No code in the log.
    """
    views = []

    def answer(request: web.Request, body: bytes) -> Any:
        if request.path == "/api/views.open":
            assert request.headers["Authorization"] == f"Bearer {TOKEN.decode()}"
            assert server.frames == []
            views.append(json.loads(body))
            return {"ok": len(views) == 1, "error": "expired_trigger_id"}
        return {"ok": True, "url": f"ws://127.0.0.1:{server.port}/link/"}

    async def behave(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(HELLO)
        click = CLICK | {"trigger_id": "1.2.ab"}
        await socket.send_json(envelope("interactive", click, 1))
        await server.until(lambda: server.frames)
        first = server.frames.pop()
        assert (first, rig.taken) == (acknowledged(1), [])
        await socket.send_json(envelope("interactive", click, 2))
        await server.until(lambda: server.frames)
        assert rig.texts == ["approve r1 k7f2"]
        for one in (3, 4, 5):
            await socket.send_json(envelope("interactive", sent(views[0]["view"], f"12345{one}"), one))

    def acknowledged(number: int, **more: Any) -> dict[str, Any]:
        return {"envelope_id": envelope("", {}, number)["envelope_id"], **more}

    server = SocketServer(answer, behave)
    forms = Forms([CodeAnswer("wrong", ok=False, again=True), OSError("the disk is full"), CodeAnswer("", ok=True)])
    async with server.serving():
        made = platform(api_url=f"http://127.0.0.1:{server.port}/api")
        rig = Rig(store, {"slack": Inlet("slack", made, made.hosts)}, now=NOW, forms=forms)
        with capture_logs() as logs:
            async with running(rig):
                await server.until(lambda: len(server.frames) == 3)
    wrong = {"response_action": "errors", "errors": {"code": "wrong"}}
    assert server.frames == [acknowledged(2), acknowledged(3, payload=wrong), acknowledged(5)]
    assert [given.code for given in forms.given] == ["123453", "123454", "123455"]
    assert [line["event"] for line in logs if line["event"].startswith("code_form")] == [
        "code_form.not_opened",
        "code_form.not_stored",
    ]
    assert not any(code in repr(logs) for code in ("123453", "123454", "123455"))
    assert (len(views), len(server.opened), len(rig.taken)) == (2, 1, 1)


async def test_slacks_own_client_says_the_same(store: Store) -> None:
    """To the same server: the same call for a URL, the same sockets, the same acknowledgements."""

    async def said(follow: Callable[[SocketServer], AbstractAsyncContextManager[object]]) -> tuple[Any, ...]:
        calls = []

        def answer(request: web.Request, body: bytes) -> Any:
            calls.append((request.path, request.headers["Authorization"], request.headers["Content-Type"], body))
            return {"ok": True, "url": f"ws://127.0.0.1:{server.port}/link/?ticket={len(calls)}"}

        async def behave(socket: web.WebSocketResponse, number: int) -> None:
            await socket.send_json(HELLO)
            if number == 1:
                await socket.send_json(envelope("events_api", EVENT, 1))
                await socket.send_json(disconnect("warning"))
            else:
                await socket.send_json(envelope("slash_commands", COMMAND, 2))
                await socket.send_json(envelope("interactive", CLICK, 3))

        server = SocketServer(answer, behave)
        async with server.serving(), follow(server):
            await server.until(lambda: len(server.frames) == 3)
        return calls, server.opened, sorted(frame["envelope_id"] for frame in server.frames)

    def ours(server: SocketServer) -> AbstractAsyncContextManager[object]:
        made = platform(api_url=f"http://127.0.0.1:{server.port}/api")
        return running(Rig(store, {"slack": Inlet("slack", made, made.hosts)}, now=NOW))

    @asynccontextmanager
    async def theirs(server: SocketServer) -> AsyncIterator[None]:
        api = AsyncWebClient(base_url=f"http://127.0.0.1:{server.port}/api/")
        client = SocketModeClient(app_token=APP_TOKEN.decode(), web_client=api, ping_interval=30)

        async def acknowledge(_: Any, request: SocketModeRequest) -> None:
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

        client.socket_mode_request_listeners.append(acknowledge)
        await client.connect()
        try:
            yield
        finally:
            await client.close()

    assert await said(ours) == await said(theirs)


async def test_socket_mode_that_is_switched_off_is_a_line_and_no_storm(store: Store) -> None:
    """Its cure is named; it is tried again after minutes."""

    async def behave(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(disconnect("link_disabled"))

    server = SocketServer(lambda request, body: {"ok": True, "url": f"ws://127.0.0.1:{server.port}/link/"}, behave)
    async with server.serving():
        made = platform(api_url=f"http://127.0.0.1:{server.port}/api")
        rig = Rig(store, {"slack": Inlet("slack", made, made.hosts)}, now=NOW)
        rig.open.clear()
        async with running(rig):
            await rig.until(lambda: rig.waits)
            (state,) = rig.supervisor.states()
    assert rig.waits == [450.0]
    assert state.error == "Socket Mode is off: switch it on in the app's settings, page Socket Mode"
