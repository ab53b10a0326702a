"""hub.chat.platforms.dingtalk and dingtalk_text: messages to a robot, encrypted or not, and the calls that answer."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dingtalk_stream import ChatbotMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    Delivered,
    DeliveryFailed,
    HttpResponse,
    Ignored,
    IncomingMessage,
    NextCall,
    NotAuthentic,
    OutboundReply,
    ReceiveResult,
    ReplyContent,
    ReplyRequest,
    Stale,
    WebhookRequest,
)
from hub.chat.platforms.callback_crypto import seal
from hub.chat.platforms.dingtalk import FRESH, TOLERANCE, DingTalkInlet, DingTalkPlatform, sign
from hub.chat.platforms.dingtalk_text import MAX_PARTS, MAX_REPLY_BYTES, MAX_TEXT, MAX_URL, Route, fit_text
from hub.core.inlet_table import InletTable
from tests.each import each_of
from tests.end_to_end.chats.dingtalk import APP_KEY, APP_SECRET, ROBOT, headers_at, robot_message

NOW = 1_700_000_000.0
SESSION = "https://oapi.dingtalk.com/robot/sendBySession?session=xxx"
AES_KEY = b"4g5j64qlyl3zvetqxz5jiocdr586fn2zvjpa8zls3ij"
TABLE = DingTalkInlet(
    platform="dingtalk", secret_file=Path("secret"), secrets=(b"an old secret of the app", APP_SECRET.encode())
)
BODY = robot_message("disk", "staff01", SESSION, until=NOW + 5_400, msgId="msg1", createAt=int(NOW * 1000))
ROUTE = f"{NOW + 5_400:.0f} group {ROBOT} staff01"
CONTENT = ReplyContent("msg1", "cidOps==", "hello", thread=ROUTE)


def platform(**more: Any) -> DingTalkPlatform:
    return DingTalkPlatform(replace(TABLE, **more))


def receive(body: Any, to: DingTalkPlatform | None = None) -> ReceiveResult:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return (to or platform()).receive(WebhookRequest(raw, headers_at(NOW)), NOW)


def reply(content: ReplyContent = CONTENT, url: str = SESSION) -> OutboundReply:
    return OutboundReply("01JREQUEST.17", url, content.to_json())


def answer(body: Any, status: int = 200, **headers: str) -> HttpResponse:
    return HttpResponse(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


# ---- in


def test_known_signatures() -> None:
    """None is published: these were made by hand after the documentation, the second agrees with DingtalkChatbot."""
    assert sign(b"this-is-an-app-secret", "1700000000000") == b"LXiNPiMCNCv0whZnDX0bP9ZVhaok9MgHO3y20vU5NM0="
    assert sign(b"SEC" + b"0" * 66, "1546084445901") == b"ZFPHbCHy+XLkLj22ZQl4rWlZ9bjy8nSf0L2Bl+O2dMk="


def test_a_message_and_how_it_is_answered() -> None:
    assert receive(BODY) == IncomingMessage(
        "msg1", "staff01", "cidOps==", "disk", reply_url=SESSION, thread=ROUTE, sent_at=NOW, addressed=True
    )


@each_of(
    ("more", "found"),
    [
        ({"conversationType": "1", "isInAtList": None}, {"addressed": True}),
        ({"isInAtList": False}, {"addressed": False}),
        ({"senderStaffId": None}, {"user": "$:LWCP_v1:$u"}),  # somebody from outside the organisation
        ({"text": {"content": " 看看磁盘 🚀 "}}, {"text": "看看磁盘 🚀"}),
        ({"sessionWebhookExpiredTime": None}, {"thread": f"0 group {ROBOT} staff01"}),
        ({"robotCode": "a b"}, {"thread": f"{NOW + 5_400:.0f} group - staff01"}),
        ({"sessionWebhook": None}, {"reply_url": ""}),
        ({"createAt": "x"}, {"sent_at": 0.0}),
        (
            {"msgtype": "richText", "content": {"richText": [{"text": "df "}, {"downloadCode": "x"}, {"text": "-h"}]}},
            {"text": "df -h"},
        ),
    ],
)
def test_what_is_read(more: dict[str, Any], found: dict[str, Any]) -> None:
    got = receive({**BODY, **more})
    assert isinstance(got, IncomingMessage)
    assert {key: getattr(got, key) for key in found} == found


def test_random_messages_are_read_as_the_official_package_reads_them() -> None:
    for index in range(300):
        text = secrets.token_urlsafe(1 + index % 40) + "盘 🚀" * (index % 3)
        body = robot_message(text, f"staff{index}", SESSION, conversationType=str(1 + index % 2))
        theirs = ChatbotMessage.from_dict(copy.deepcopy(body))
        ours = receive(body)
        assert isinstance(ours, IncomingMessage)
        assert (ours.event_id, ours.user, ours.conversation, ours.reply_url) == (
            theirs.message_id,
            theirs.sender_staff_id,
            theirs.conversation_id,
            theirs.session_webhook,
        )
        assert ours.text == theirs.text.content.strip()
        assert ours.addressed == (theirs.conversation_type == "1" or theirs.is_in_at_list)


@each_of(
    "more",
    [
        {"msgtype": "picture", "content": {"downloadCode": ""}},
        {"msgtype": "file", "content": {"downloadCode": "x", "fileName": "x.zip"}},
        {"msgtype": "audio", "content": {"recognition": "reboot"}},
        {"msgtype": None},
        {"senderId": "$:LWCP_v1:$bot"},  # its own words
        {"text": {"content": "  "}},
    ],
)
def test_what_is_not_for_us(more: dict[str, Any]) -> None:
    assert isinstance(receive({**BODY, **more}), Ignored)


@each_of(
    "more",
    [
        # where a forged or foreign address would send our words
        {"sessionWebhook": "https://evil.example/robot/sendBySession?session=x"},
        {"sessionWebhook": "http://oapi.dingtalk.com/robot/sendBySession?session=x"},
        {"sessionWebhook": "https://oapi.dingtalk.com:8443/robot/sendBySession"},
        {"sessionWebhook": "https://oapi.dingtalk.com@evil.example/"},
        {"sessionWebhook": "https://oapi.dingtalk.com.evil.example/"},
        {"sessionWebhook": "https://127.0.0.1/x"},
        {"sessionWebhook": "https://169.254.169.254/latest"},
        {"sessionWebhook": "//oapi.dingtalk.com/"},
        {"sessionWebhook": "https://oapi.dingtalk.com/" + "x" * MAX_URL},
        {"sessionWebhook": 1},
        {"msgId": ""},
        {"msgId": "a\nb"},
        {"msgId": "x" * 201},
        {"conversationId": None},
        {"senderId": 1},
        {"senderStaffId": ["staff01"]},
        {"senderStaffId": "a\x1b[31m"},
        {"text": "disk"},
        {"text": {"content": 1}},
        {"text": {"content": "x" * (MAX_TEXT + 1)}},
        {"msgtype": "richText", "content": {"richText": "x"}},
        {"msgtype": "richText", "content": {"richText": [{"text": "x"}] * (MAX_PARTS + 1)}},
        {"msgtype": "richText", "content": {"richText": [{"text": "x" * MAX_TEXT}] * 2}},
    ],
)
def test_what_is_wrong(more: dict[str, Any]) -> None:
    with pytest.raises(BadBody):
        receive({**BODY, **more})


GOOD = headers_at(NOW)
RAW = json.dumps(BODY).encode()


@each_of(
    ("headers", "refusal"),
    [
        ({}, BadSignature),
        ({"timestamp": GOOD["timestamp"]}, BadSignature),
        ({"sign": GOOD["sign"]}, BadSignature),
        ({**GOOD, "sign": GOOD["sign"][:-1]}, BadSignature),
        ({**GOOD, "sign": GOOD["sign"].swapcase()}, BadSignature),
        ({**GOOD, "sign": "é" * 44}, BadSignature),
        ({**GOOD, "sign": f"{GOOD['sign']}, {GOOD['sign']}"}, BadSignature),
        ({**GOOD, "timestamp": str(int(NOW * 1000) + 1)}, BadSignature),
        ({**GOOD, "timestamp": "soon"}, BadSignature),
        ({**GOOD, "timestamp": "１７０００００００００００"}, BadSignature),
        ({"timestamp": "", "sign": base64.b64encode(b"x").decode()}, BadSignature),
        (headers_at(NOW, "another secret of an app"), BadSignature),
        (headers_at(NOW - TOLERANCE - 1), Stale),
        (headers_at(NOW + TOLERANCE + 1), Stale),
        (headers_at(NOW / 1000), BadSignature),  # seconds
    ],
)
def test_what_is_not_authentic(headers: dict[str, str], refusal: type[Exception]) -> None:
    with pytest.raises(refusal) as caught:
        platform().receive(WebhookRequest(RAW, headers), NOW)
    assert APP_SECRET not in str(caught.value)


def test_within_the_window_and_with_an_older_secret() -> None:
    for headers in (
        headers_at(NOW - TOLERANCE),
        headers_at(NOW + TOLERANCE),
        headers_at(NOW, "an old secret of the app"),
    ):
        assert isinstance(platform().receive(WebhookRequest(RAW, headers), NOW), IncomingMessage)


NO_JSON = (b"", b"[]", b"{", b'{"msgId":"a","msgId":"b"}', b"[" * 100, b'{"a":NaN}', b"\xff", b"a=1&b=2", b"<xml/>")


@each_of("raw", NO_JSON)
def test_what_is_no_json(raw: bytes) -> None:
    with pytest.raises(BadBody):
        receive(raw)


ENCRYPTED = platform(other_secrets={"aes_key_file": (AES_KEY,)})


def sealed(plain: bytes, key: bytes = AES_KEY) -> bytes:
    sealed = seal(base64.b64decode(key + b"="), plain, b"", secrets.token_bytes(16))
    return json.dumps({"encrypt": sealed}).encode()


def test_an_encrypted_message() -> None:
    """With a key plain ones are refused, and all that does not fit the key gets one answer."""
    got = receive(sealed(RAW), ENCRYPTED)
    assert isinstance(got, IncomingMessage)
    assert got.text == "disk"
    with pytest.raises(BadBody, match="aes_key_file"):
        receive(sealed(RAW))
    answers = set()
    for raw in (
        RAW,
        sealed(RAW, AES_KEY[:-1] + b"A"),
        sealed(b"{"),
        sealed(b""),
        b'{"encrypt":""}',
        b'{"encrypt":7}',
        b'{"encrypt":"AAAA"}',
        b'{"encrypt":"' + base64.b64encode(bytes(64)) + b'"}',
        b'{"encrypt":"\\u00e9"}',
    ):
        with pytest.raises(BadSignature) as caught:
            receive(raw, ENCRYPTED)
        answers.add(str(caught.value))
    assert len(answers) == 1


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255), st.booleans())
def test_a_changed_byte_is_read_or_refused(at: int, change: int, encrypted: bool) -> None:
    """Never another exception; the body is not signed, so that some changes cannot be found."""
    raw = bytearray(sealed(RAW) if encrypted else RAW)
    raw[at] ^= change
    try:
        receive(bytes(raw), ENCRYPTED if encrypted else None)
    except (NotAuthentic, BadBody):
        pass


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(BODY)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_any_value_of_any_field_is_read_or_refused(key: str, value: Any) -> None:
    try:
        receive({**BODY, key: value})
    except BadBody:
        pass


def test_an_example_of_its_own_is_taken() -> None:
    """Encrypted where messages are; another one each time; nothing is answered."""
    for made in (platform(), with_api(), ENCRYPTED):
        first, second = (made.receive(made.example(NOW), NOW) for _ in range(2))
        assert isinstance(first, IncomingMessage)
        assert isinstance(second, IncomingMessage)
        assert (first.text, first.reply_url) == ("hello", "")
        assert first.event_id != second.event_id


# ---- out


def test_a_reply_goes_to_the_session() -> None:
    """As plain text that notifies nobody."""
    call = platform().render(reply(replace(CONTENT, text="@all <at id=all> `df`\n```\nx\n```")), NOW)
    assert (call.method, call.url) == ("POST", SESSION)
    assert json.loads(call.body) == {
        "msgtype": "text",
        "text": {"content": "＠all ‹at id=all> `df`\n```\nx\n```"},
        "at": {"isAtAll": False},
    }
    assert platform().handle_response(reply(), call, answer({"errcode": 0, "errmsg": "ok"}), NOW) == Delivered()


@pytest.mark.parametrize("line", ['"\\\n', "日本語🚀\n", "x" * 200 + "\n"])
def test_a_reply_has_room_for_14_kb(line: str) -> None:
    """Output is cut; a question never is: it says where it is decided instead."""
    long = f"r7 ended:\n```\n{line * 3_000}\n```\nAll of it: more r7"
    cut = fit_text(replace(CONTENT, text=long))
    assert len(json.dumps(cut, ensure_ascii=False).encode()) <= MAX_REPLY_BYTES
    assert "All of it: more r7" in cut
    assert "cut here" in cut
    request = ReplyRequest("01R", 7, "asking", "k7f2")
    question = f"r7: carol asks\n```\n{line * 3_000}\n```\napprove r7 k7f2"
    asked = fit_text(replace(CONTENT, text=question, kind="question", request=request))
    assert "approve r7 k7f2" not in asked
    assert asked.startswith("r7: carol asks\n")
    assert "r7" in asked.split("\n")[1]


def with_api(**more: Any) -> DingTalkPlatform:
    return platform(app_key=APP_KEY, secrets=(APP_SECRET.encode(),), **more)


def token_answer(made: str = "at-1") -> HttpResponse:
    return answer({"accessToken": made, "expireIn": 7200})


def test_after_the_session_replies_go_by_the_api() -> None:
    """To the group, or to the person; with a token that is fetched once."""
    made = with_api()
    late = NOW + 5_400
    assert made.render(reply(), late - 60).url == SESSION
    fetch = made.render(reply(), late)
    assert fetch.url == "https://api.dingtalk.com/v1.0/oauth2/accessToken"
    assert json.loads(fetch.body) == {"appKey": APP_KEY, "appSecret": APP_SECRET}
    then = made.handle_response(reply(), fetch, token_answer(), late)
    assert isinstance(then, NextCall)
    assert then.call.url == "https://api.dingtalk.com/v1.0/robot/groupMessages/send"
    assert then.call.headers["x-acs-dingtalk-access-token"] == "at-1"
    assert json.loads(then.call.body) == {
        "robotCode": ROBOT,
        "openConversationId": "cidOps==",
        "msgKey": "sampleText",
        "msgParam": '{"content":"hello"}',
    }
    assert made.handle_response(reply(), then.call, answer({"processQueryKey": "k"}), late) == Delivered()
    direct = made.render(reply(replace(CONTENT, thread=ROUTE.replace("group", "direct"))), late)
    assert direct.url == "https://api.dingtalk.com/v1.0/robot/oToMessages/batchSend"
    assert json.loads(direct.body)["userIds"] == ["staff01"]
    # nothing to send by: the session is tried all the same
    assert platform().render(reply(), late).url == SESSION
    assert made.render(reply(replace(CONTENT, thread=ROUTE.replace(ROBOT, "-"))), late).url == SESSION
    # a message without a session
    got = receive({**BODY, "sessionWebhook": None}, made)
    assert isinstance(got, IncomingMessage)
    assert got.reply_url == "https://api.dingtalk.com"


@each_of(
    ("response", "kind", "reason"),
    [
        (answer({"errcode": 130101, "errmsg": "send too fast"}), "later", "too many"),
        (answer({"errcode": -1, "errmsg": "busy"}), "later", "too many"),
        (answer({"errcode": 310000, "errmsg": "keywords not in content"}), "refused", "security settings"),
        (answer({"errcode": 300001, "errmsg": "token is not exist"}), "gone", "set app_key"),
        (answer({"errcode": 40035, "errmsg": f"bad {SESSION}"}), "refused", "bad …"),
        (answer(b"<html>", 502), "later", "502"),
        (answer(b"", 404), "refused", "404"),
        (answer(b"[" * 100_000), "later", "no errcode"),
        (answer({"errcode": "0"}), "later", "no errcode"),
    ],
)
def test_errors_say_what_to_do(response: HttpResponse, kind: str, reason: str) -> None:
    """And the address, which is a secret, is in none."""
    made = platform()
    failed = made.handle_response(reply(), made.render(reply(), NOW), response, NOW)
    assert isinstance(failed, DeliveryFailed)
    assert (failed.kind, reason in failed.reason, "session=" in failed.reason) == (kind, True, False)


@each_of(
    ("response", "kind", "reason"),
    [
        (answer({"code": "Forbidden.AccessDenied.QpsLimit", "message": "x"}, 403), "later", "too many"),
        (answer({"code": "Forbidden.AccessDenied.AccessTokenPermissionDenied"}, 403), "refused", "qyapi_robot_sendmsg"),
        (answer({"code": "invalidParameter.x", "message": f"{APP_SECRET} at-1"}, 400), "refused", "… …"),
        (answer({"code": "ServiceUnavailable"}, 503), "later", "503"),
        (answer(b"", 400), "refused", "400"),
        (answer({"flowControlledStaffIdList": ["staff01"]}), "later", "too many"),
        (answer({"invalidStaffIdList": ["staff01"]}), "gone", "not in the organisation"),
    ],
)
def test_errors_of_the_api_say_what_to_do(response: HttpResponse, kind: str, reason: str) -> None:
    made, late = with_api(), NOW + 6_000
    then = made.handle_response(reply(), made.render(reply(), late), token_answer(), late)
    assert isinstance(then, NextCall)
    failed = made.handle_response(reply(), then.call, response, late)
    assert isinstance(failed, DeliveryFailed)
    assert (failed.kind, reason in failed.reason) == (kind, True)


def test_a_session_that_ended_early_is_no_end() -> None:
    made = with_api()
    then = made.handle_response(reply(), made.render(reply(), NOW), answer({"errcode": 300001, "errmsg": ""}), NOW)
    assert isinstance(then, NextCall)
    assert then.call.url.endswith("/accessToken")


def test_a_token_that_does_not_hold_is_fetched_anew_once() -> None:
    made, late = with_api(), NOW + 6_000
    refused = answer({"code": "InvalidAuthentication", "message": "x"}, 401)
    first = made.handle_response(reply(), made.render(reply(), late), token_answer(), late)
    assert isinstance(first, NextCall)
    later = late + FRESH + 1
    fetch = made.handle_response(reply(), first.call, refused, later)
    assert isinstance(fetch, NextCall)
    anew = made.handle_response(reply(), fetch.call, token_answer("at-2"), later)
    assert isinstance(anew, NextCall)
    other = made.handle_response(reply(), first.call, refused, later)  # a second reply, posted with the old token
    assert isinstance(other, NextCall)
    assert other.call.headers["x-acs-dingtalk-access-token"] == "at-2"
    assert isinstance(made.handle_response(reply(), anew.call, refused, later), DeliveryFailed)


def test_who_we_are_there() -> None:
    assert platform().who_am_i(NOW) is None
    made = with_api()
    call = made.who_am_i(NOW)
    assert call is not None
    assert made.read_identity(call, token_answer(), NOW) == f"the app {APP_KEY}"
    wrong = made.read_identity(call, answer({"code": "invalidClientIdOrSecret", "message": ""}, 400), NOW)
    assert isinstance(wrong, DeliveryFailed)
    assert "not of one app" in wrong.reason


def test_a_route_is_read_as_it_was_written() -> None:
    for route in (Route(), Route(1_700_000_000.0, False, "r", "s"), Route(1.0, True, "", "s")):
        assert Route.parse(str(route)) == route
    for odd in ("", "x", "1 2 3", "a group r s", "１ group r s"):
        assert Route.parse(odd) == Route()


# ---- settings


@each_of(
    ("more", "problem"),
    [
        ({"secrets": (b"short",)}, "AppSecret"),
        ({"secrets": ("密".encode() * 10,)}, "AppSecret"),
        ({"other_secrets": {"aes_key_file": (b"short",)}}, "aes_key_file"),
        ({"session_url": "oapi.dingtalk.com"}, "https://HOST"),
        ({"other_secrets": {"event_token_file": (b"123456",)}}, "app_key"),
    ],
)
def test_wrong_settings_are_named(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError) as caught:
        platform(**more)
    assert problem in f"{caught.value.problem} {caught.value.cure}"


def test_calls_go_to_its_hosts_only() -> None:
    assert all("dingtalk.com" in host for host in platform().hosts)
    with pytest.raises(TypeError):
        DingTalkPlatform(InletTable("generic", Path("x")))
