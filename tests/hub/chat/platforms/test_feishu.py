"""hub.chat.platforms.feishu: deliveries, and the calls that post and change cards. `feishu_sign`, `feishu_event` and
`feishu_card` have tests of their own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from hub.chat.platforms.base import (
    BadBody,
    CardGone,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    ReceiveResult,
    ReplyContent,
    WebhookRequest,
)
from hub.chat.platforms.feishu import CLICK_TWICE, FRESH, FeishuInlet, FeishuPlatform
from hub.core.inlet_table import InletTable
from tests.each import each_of
from tests.end_to_end.chats.feishu import (
    APP_ID,
    APP_SECRET,
    BOT,
    ENCRYPT_KEY,
    TOKEN,
    check_card,
    click_event,
    event,
    message_event,
    seal,
)

NOW = 1_700_000_000.0
API = "https://open.feishu.cn"
TABLE = FeishuInlet(
    platform="feishu",
    secret_file=Path("token"),
    app_id=APP_ID,
    app_secret_file=Path("app-secret"),
    bot_open_id=BOT,
    secrets=(TOKEN.encode(),),
    other_secrets={"app_secret_file": (APP_SECRET.encode(),), "encrypt_key_file": (ENCRYPT_KEY,)},
)
CONTENT = ReplyContent("om_1", "oc_ops", "hello", thread="om_1")


def platform(**more: Any) -> FeishuPlatform:
    return FeishuPlatform(replace(TABLE, **more))


def receive(body: Any, to: FeishuPlatform | None = None, now: float = NOW) -> ReceiveResult:
    raw, headers = seal(body, now)
    return (to or platform()).receive(WebhookRequest(raw, headers), now)


def reply(content: ReplyContent = CONTENT, **more: Any) -> OutboundReply:
    return OutboundReply("01JREQUEST.17", API, content.to_json(), **more)


def answer(body: Any, status: int = 200, **headers: str) -> HttpResponse:
    return HttpResponse(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def token_answer(made: str = "t-1", expire: int = 7200) -> HttpResponse:
    return answer({"code": 0, "msg": "ok", "tenant_access_token": made, "expire": expire})


def with_token(at: float = NOW) -> FeishuPlatform:
    made = platform()
    done = made.handle_response(reply(), made.render(reply(), at), token_answer(), at)
    assert isinstance(done, NextCall)
    return made


# ---- in


def test_the_handshake_is_answered_with_its_challenge() -> None:
    """As it was, in our own JSON: what is in it cannot break out."""
    for challenge in ("ajls384kdjx98XX", 'a"}\n', "日本"):
        got = receive({"type": "url_verification", "challenge": challenge, "token": TOKEN})
        assert isinstance(got, ImmediateResponse)
        assert (got.status, json.loads(got.body)) == (200, {"challenge": challenge})
    for bad in (1, None, "x" * 1_001):
        with pytest.raises(BadBody):
            receive({"type": "url_verification", "challenge": bad, "token": TOKEN})
    made = platform()
    assert isinstance(made.receive(made.example(NOW), NOW), ImmediateResponse)


def test_a_message_and_how_it_is_answered() -> None:
    got = receive(message_event("disk", "ou_alice", message_id="om_1", thread_id="omt_1", create_time="1700000000000"))
    assert got == IncomingMessage(
        "om_1", "ou_alice", "oc_ops", "disk", reply_url=API, thread="om_1 thread", sent_at=NOW, addressed=True
    )


def test_a_click_says_what_its_button_says() -> None:
    """By who clicked, answered with empty JSON; a value that is not ours gets a sentence and does nothing."""
    clicked = click_event("approve r1 k7f2", "ou_bob", "om_card1", event_id="e1")
    for moment in ("1700000000000", "1700000000000000"):  # an event's milliseconds, a callback's microseconds
        clicked["header"]["create_time"] = moment
        got = receive(clicked)
        assert isinstance(got, IncomingMessage)
        assert got.sent_at == NOW
    assert (got.event_id, got.user, got.text, got.button, got.thread) == (
        "e1",
        "ou_bob",
        "approve r1 k7f2",
        True,
        "om_card1",
    )
    assert got.response == ImmediateResponse(b"{}")
    for say in ("approve everything", None, 1, "approve r1 k7f2; x", "reboot web-1", ["approve r1"], {"a": "b"}):
        stale = receive(click_event(say, "ou_bob", "om_card1"))
        assert isinstance(stale, ImmediateResponse)
        toast = json.loads(stale.body)["toast"]
        assert toast["type"] == "info"
        assert set(toast["i18n"]) == {"en_us", "zh_cn"}


def test_one_click_that_comes_twice_is_one() -> None:
    """Under two event ids within two seconds; later, by another person or with another button it is another one."""
    made = platform()

    def click(event_id: str, now: float = NOW, user: str = "ou_bob", say: str = "retry r1") -> str:
        got = receive(click_event(say, user, "om_card1", event_id=event_id), made, now)
        assert isinstance(got, IncomingMessage)
        return got.event_id

    assert click("e1") == "e1"
    assert click("e2", NOW + CLICK_TWICE) == "e1"
    assert click("e3", NOW, "ou_eve") == "e3"
    assert click("e4", NOW, say="more r1") == "e4"
    assert click("e5", NOW + 3 * CLICK_TWICE) == "e5"


@each_of(
    "body",
    [
        event("im.message.recalled_v1", {"message_id": "om_1"}),
        event("im.chat.member.bot.added_v1", {}),
        {"uuid": "1", "token": TOKEN, "type": "event_callback", "event": {"type": "message"}},  # schema 1.0
        {**event("im.message.receive_v1", {}), "event": None},
        {"schema": "2.0", "token": TOKEN},
    ],
)
def test_other_events_are_acknowledged(body: dict[str, Any]) -> None:
    assert isinstance(receive(body), Ignored)


def test_an_event_of_another_app_is_refused() -> None:
    body = message_event("disk", "ou_alice")
    body["header"]["app_id"] = "cli_other"
    with pytest.raises(BadBody, match="another app"):
        receive(body)


# ---- out


def test_a_token_is_fetched_once_and_kept_until_near_its_end() -> None:
    made = platform()
    first = made.render(reply(), NOW)
    assert first.url == API + "/open-apis/auth/v3/tenant_access_token/internal"
    assert json.loads(first.body) == {"app_id": APP_ID, "app_secret": APP_SECRET}
    then = made.handle_response(reply(), first, token_answer(), NOW)
    assert isinstance(then, NextCall)
    assert then.call.headers["Authorization"] == "Bearer t-1"
    assert "Authorization" in made.render(reply(), NOW + 6_899).headers
    assert made.render(reply(), NOW + 6_901).url == first.url


def test_a_reply_is_a_reply_to_the_message() -> None:
    """In its thread; with an id by which a repeat is known; without a message to reply to, it goes to the chat."""
    made = with_token()
    call = made.render(reply(), NOW)
    body = json.loads(call.body)
    assert (call.method, call.url) == ("POST", API + "/open-apis/im/v1/messages/om_1/reply")
    assert (body["msg_type"], body["reply_in_thread"], body["uuid"]) == ("interactive", False, "01JREQUEST.17")
    check_card(json.loads(body["content"]))
    threaded = made.render(reply(replace(CONTENT, thread="om_1 thread")), NOW)
    assert json.loads(threaded.body)["reply_in_thread"] is True
    plain = made.render(reply(replace(CONTENT, thread="")), NOW)
    assert plain.url == API + "/open-apis/im/v1/messages?receive_id_type=chat_id"
    assert json.loads(plain.body)["receive_id"] == "oc_ops"
    change = made.render(reply(ref="om_card1"), NOW)
    assert (change.method, change.url) == ("PATCH", API + "/open-apis/im/v1/messages/om_card1")
    assert set(json.loads(change.body)) == {"content"}


def handled(made: FeishuPlatform, response: HttpResponse, to: OutboundReply | None = None) -> Any:
    to = to or reply()
    return made.handle_response(to, made.render(to, NOW), response, NOW)


def test_what_was_posted_is_named() -> None:
    posted = answer({"code": 0, "data": {"message_id": "om_card1", "body": {"content": "x" * 20_000}}})
    assert handled(with_token(), posted) == Delivered("om_card1")
    assert handled(with_token(), answer({"code": 0, "data": {}}), reply(ref="om_card1")) == Delivered("om_card1")
    for odd in ({"code": 0}, {"code": 0, "data": []}, {"code": 0, "data": {"message_id": 7}}):
        assert handled(with_token(), answer(odd)) == Delivered("")


@each_of(
    ("response", "kind", "reason"),
    [
        (answer({"code": 230002, "msg": "x"}, 400), "gone", "add it"),
        (answer({"code": 230028, "msg": "x"}, 400), "gone", "content check"),
        (answer({"code": 230027, "msg": "x"}, 400), "refused", "im:message"),
        (answer({"code": 99991672, "msg": "x"}, 400), "refused", "scopes"),
        (answer({"code": 230099, "msg": "unknown property `x`"}, 400), "refused", "unknown property 'x'"),
        (answer({"code": 230001, "msg": f"bad {APP_SECRET} t-1"}, 400), "refused", "bad … …"),
        (answer({"code": 230020, "msg": "x"}, 400), "later", "too many"),
        (answer({"code": 99991400, "msg": "x"}, 400, **{"x-ogw-ratelimit-reset": "9"}), "later", "too many"),
        (answer(b"slow down", 429, **{"retry-after": "9"}), "later", "too many"),
        (answer({"code": 230049, "msg": "x"}, 400), "later", ""),
        (answer({"code": 55001, "msg": "x"}, 500), "later", "55001"),
        (answer(b"<html>", 502), "later", "502"),
        (answer(b"[" * 100_000, 200), "later", "no JSON"),
        (answer(b"", 200), "later", "no JSON"),
        (answer({"code": "0"}, 200), "later", "no JSON"),
        (answer(b"", 404), "refused", "404"),
        (answer(b"", 302), "refused", "302"),
    ],
)
def test_errors_say_what_to_do(response: HttpResponse, kind: str, reason: str) -> None:
    """With the cure, and never with a secret."""
    failed = handled(with_token(), response)
    assert isinstance(failed, DeliveryFailed)
    assert failed.kind == kind
    assert reason in failed.reason
    assert failed.retry_after == ("9" if response.headers else "")


def test_a_card_that_cannot_be_changed_is_posted_anew() -> None:
    for code in (230011, 230031, 230050, 230110):
        result = handled(with_token(), answer({"code": code, "msg": ""}, 400), reply(ref="om_card1"))
        assert isinstance(result, CardGone)
    assert isinstance(handled(with_token(), answer({"code": 230099}, 400), reply(ref="om_card1")), DeliveryFailed)


def test_where_the_message_was_recalled_the_chat_gets_the_reply() -> None:
    for code in (230011, 230019, 230071, 230110):
        made = with_token()
        then = handled(made, answer({"code": code, "msg": ""}, 400))
        assert isinstance(then, NextCall)
        assert then.call.url.endswith("/messages?receive_id_type=chat_id")
        assert json.loads(then.call.body)["uuid"] == "01JREQUEST.17"
        again = made.handle_response(reply(), then.call, answer({"code": code, "msg": "gone"}, 400), NOW)
        assert isinstance(again, DeliveryFailed)


def test_a_token_that_does_not_hold_is_fetched_anew_once() -> None:
    """Another reply's new token is used; one that was just fetched is not fetched again."""
    expired = answer({"code": 99991663, "msg": "Invalid access token"}, 400)
    late = NOW + FRESH + 1
    made = with_token()
    old = made.render(reply(), late)
    fetch = made.handle_response(reply(), old, expired, late)
    assert isinstance(fetch, NextCall)
    assert "tenant_access_token" in fetch.call.url
    anew = made.handle_response(reply(), fetch.call, token_answer("t-2"), late)
    assert isinstance(anew, NextCall)
    assert anew.call.headers["Authorization"] == "Bearer t-2"
    other = made.handle_response(reply(), old, expired, late)  # a second reply, posted with the old token
    assert isinstance(other, NextCall)
    assert other.call.headers["Authorization"] == "Bearer t-2"
    assert made.handle_response(reply(), anew.call, expired, late) == DeliveryFailed(
        "a token that was just fetched is refused"
    )


def test_a_token_that_was_withdrawn_is_fetched_anew_at_once() -> None:
    """However young it is, once it was taken."""
    made = with_token()
    call = made.render(reply(), NOW)
    assert made.handle_response(reply(), call, answer({"code": 0, "data": {"message_id": "om_2"}}), NOW) == Delivered(
        "om_2"
    )
    fetch = made.handle_response(reply(), call, answer({"code": 99991663, "msg": ""}, 400), NOW + 1)
    assert isinstance(fetch, NextCall)


def test_a_wrong_app_secret_is_one_clear_line() -> None:
    made = platform()
    call = made.render(reply(), NOW)
    failed = made.handle_response(reply(), call, answer({"code": 10014, "msg": "app secret invalid"}), NOW)
    assert failed == DeliveryFailed(
        "the API answered 10014: the App Secret is not the app's: write it into app_secret_file", "refused"
    )
    for odd in ({"code": 0}, {"code": 0, "tenant_access_token": "a\nb", "expire": 1}, {"code": 0, "expire": "x"}):
        assert isinstance(made.handle_response(reply(), call, answer(odd), NOW), DeliveryFailed)
    assert made.render(reply(), NOW).url == call.url


def test_who_we_are_there() -> None:
    made = platform()
    call = made.who_am_i(NOW)
    then = made.read_identity(call, token_answer(), NOW)
    assert isinstance(then, NextCall)
    assert (then.call.method, then.call.url) == ("GET", API + "/open-apis/bot/v3/info")
    said = made.read_identity(then.call, answer({"code": 0, "bot": {"app_name": "Ops", "open_id": BOT}}), NOW)
    assert said == "Ops (bot_open_id ou_bot)"
    assert isinstance(made.read_identity(then.call, answer({"code": 230006}), NOW), DeliveryFailed)


# ---- settings


@each_of(
    ("more", "problem"),
    [
        ({"app_id": ""}, "app_id"),
        ({"other_secrets": {}}, "app_secret_file"),
        ({"other_secrets": {"app_secret_file": ("密".encode(),)}}, "not ASCII"),
        ({"secrets": (b"x",)}, "Verification Token"),
        ({"api_url": "open.feishu.cn"}, "api_url"),
        ({"api_url": "https://open.feishu.cn/?x=1"}, "api_url"),
    ],
)
def test_wrong_settings_are_named(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        platform(**more)


def test_the_api_is_the_only_host() -> None:
    """Lark by api_url; calls go there and nowhere else."""
    made = platform(api_url="https://open.larksuite.com/")
    assert made.hosts == ("https://open.larksuite.com:443",) or made.hosts == ("https://open.larksuite.com",)
    got = receive(message_event("disk", "ou_alice"), made)
    assert isinstance(got, IncomingMessage)
    assert got.reply_url == "https://open.larksuite.com"
    call: HttpCall = made.render(reply(), NOW)
    assert call.url.startswith("https://open.larksuite.com/open-apis/")
    with pytest.raises(TypeError):
        FeishuPlatform(InletTable("generic", Path("x")))
