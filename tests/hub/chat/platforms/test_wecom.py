"""A self-built app of WeCom: callbacks in, messages, cards and access tokens out."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
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
    NotAuthentic,
    OutboundReply,
    ReplyContent,
    ReplyJob,
    ReplyRequest,
    Stale,
    WebhookRequest,
)
from hub.chat.platforms.wecom import PLATFORM, WecomPlatform
from hub.chat.platforms.wecom_config import WecomInlet
from tests.each import each_of
from tests.hub.chat.platforms.test_wecom_crypto import (
    AES_KEY,
    CORP,
    ECHO,
    ECHO_SIGNATURE,
    KEY,
    MESSAGE,
    MESSAGE_SIGNATURE,
    TOKEN,
    sealed,
)

NOW = 1_700_000_000.0
API = "https://qyapi.weixin.qq.com"


def table(**more: Any) -> WecomInlet:
    made = WecomInlet(
        platform="wecom",
        secret_file=Path("secrets/wecom"),
        app_secret_file=Path("secrets/app"),
        corp_id=CORP,
        agent_id=218,
        secrets=(f"{TOKEN} {AES_KEY}".encode(),),
        other_secrets={"app_secret_file": (b"app+secret",)},
    )
    return dataclasses.replace(made, **more)


def platform(**more: Any) -> WecomPlatform:
    return WecomPlatform(table(**more))


# ---- in


def xml(**fields: str) -> str:
    return "<xml>" + "".join(f"<{key}><![CDATA[{value}]]></{key}>" for key, value in fields.items()) + "</xml>"


SAID = {
    "ToUserName": CORP,
    "FromUserName": "carol",
    "CreateTime": "1699999990",
    "MsgType": "text",
    "Content": "@web-1 df -h",
    "MsgId": "4561255354251345929",
    "AgentID": "218",
}
CLICK = {
    "ToUserName": CORP,
    "FromUserName": "bob",
    "CreateTime": "1699999990",
    "MsgType": "event",
    "Event": "template_card_event",
    "EventKey": "approve r42 k7f2",
    "TaskId": "R1-7",
    "CardType": "button_interaction",
    "ResponseCode": "click-code",
    "AgentID": "218",
}


def delivery(document: str, receiver: str = CORP, **query: str) -> WebhookRequest:
    encrypted, timestamp, nonce, signature = sealed(document, KEY, receiver)
    body = f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    asked = {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, **query}
    return WebhookRequest(body.encode(), {}, asked)


def test_the_url_is_proven_with_the_published_echo() -> None:
    """The plain bytes and nothing around them, also where the plus signs came unescaped; another echo is refused."""
    query = {"msg_signature": ECHO_SIGNATURE, "timestamp": "1409659589", "nonce": "263014780", "echostr": ECHO}
    for echo in (ECHO, ECHO.replace("+", " ")):
        answer = platform().receive(WebhookRequest(b"", {}, query | {"echostr": echo}, "GET"), 1409659589)
        assert isinstance(answer, ImmediateResponse)
        assert (answer.status, answer.body) == (200, b"1616140317555161061")
    for wrong in ({"echostr": ECHO[:-4] + "AA=="}, {"echostr": ""}, {"nonce": ""}, {"msg_signature": "0" * 40}):
        with pytest.raises(BadSignature):
            platform().receive(WebhookRequest(b"", {}, query | wrong, "GET"), 1409659589)


def test_the_published_message_is_read() -> None:
    """Tencent's sample: who said what, in a conversation of their own."""
    query = {"msg_signature": MESSAGE_SIGNATURE, "timestamp": "1409659813", "nonce": "1372623149"}
    body = f"<xml><Encrypt><![CDATA[{MESSAGE}]]></Encrypt><AgentID><![CDATA[218]]></AgentID></xml>".encode()
    message = platform().receive(WebhookRequest(body, {}, query), 1409659813)
    assert isinstance(message, IncomingMessage)
    assert (message.user, message.conversation, message.text) == ("mycreate", "mycreate", "hello")
    assert (message.event_id, message.sent_at) == ("4561255354251345929", 1409659813.0)
    assert (message.reply_url, message.response) == (API, ImmediateResponse(b"", "text/plain"))


def test_words_of_every_language_come_as_they_are() -> None:
    """With emoji and markup."""
    message = platform().receive(delivery(xml(**SAID | {"Content": "磁盘 on web-1 🙂 <b>&"})), NOW)
    assert isinstance(message, IncomingMessage)
    assert message.text == "磁盘 on web-1 🙂 <b>&"


def test_a_click_is_the_words_of_its_button_by_who_clicked() -> None:
    """Its id is the same on every try, and another for another card, person or moment."""
    ids = set()
    for change in ({}, {}, {"FromUserName": "carol"}, {"TaskId": "R2-8"}, {"CreateTime": "1699999991"}):
        message = platform().receive(delivery(xml(**CLICK | change)), NOW)
        assert isinstance(message, IncomingMessage)
        assert (message.text, message.button) == ("approve r42 k7f2", True)
        assert message.user == message.conversation == change.get("FromUserName", "bob")
        ids.add(message.event_id)
    assert len(ids) == 4


@each_of(
    "change",
    [
        {"EventKey": "approve everything"},
        {"EventKey": "approve r42 k7f2 && reboot"},
        {"EventKey": ""},
        {"Event": "enter_agent"},
        {"Event": "subscribe"},
        {"MsgType": "image"},
        {"MsgType": ""},
    ],
)
def test_what_is_no_message_is_acknowledged_and_nothing_more(change: dict[str, str]) -> None:
    """Buttons that are not ours, events, pictures: an empty 200, which WeCom takes for delivered."""
    assert platform().receive(delivery(xml(**CLICK | change)), NOW) == ImmediateResponse(b"", "text/plain")


@each_of(
    ("document", "why"),
    [
        ("hello", "not XML"),
        (xml(**SAID | {"AgentID": "219"}), "agent_id"),
        (xml(**SAID | {"FromUserName": "@all"}), "no member"),
        (xml(**SAID | {"FromUserName": "a|b"}), "no member"),
        (xml(**SAID | {"FromUserName": ""}), "FromUserName"),
        (xml(**SAID | {"FromUserName": "a\nb"}), "FromUserName"),
        (xml(**SAID | {"MsgId": "1" * 201}), "MsgId"),
        (xml(**SAID | {"Content": ""}), "Content"),
        (xml(**SAID | {"Content": "x" * 8_001}), "Content"),
        ("<!DOCTYPE xml>" + xml(**SAID), "DOCTYPE"),
        (xml(**SAID)[:-6] + "<MsgId>2</MsgId></xml>", "twice"),
    ],
)
def test_a_message_that_is_none_is_a_bad_body(document: str, why: str) -> None:
    """Though it was signed and encrypted."""
    with pytest.raises(BadBody, match=why):
        platform().receive(delivery(document), NOW)


GOOD = delivery(xml(**SAID))


def changed(**more: Any) -> WebhookRequest:
    return dataclasses.replace(GOOD, **more)


@each_of(
    ("request_", "refusal"),
    [
        (changed(query={}), BadSignature),
        (changed(query={**GOOD.query, "msg_signature": "é" * 40}), BadSignature),
        (changed(query={**GOOD.query, "msg_signature": ""}), BadSignature),
        (changed(query={**GOOD.query, "timestamp": "1e9"}), BadSignature),
        (changed(query={**GOOD.query, "timestamp": "１７００００００００"}), BadSignature),
        (changed(query={**GOOD.query, "nonce": "a b"}), BadSignature),
        (changed(body=b""), BadSignature),
        (changed(body=b"{}"), BadSignature),
        (changed(body=b"<xml><Encrypt></Encrypt></xml>"), BadSignature),
        (changed(body=GOOD.body * 2), BadSignature),
        (changed(body=GOOD.body.replace(b"<Encrypt><![CDATA[", b"<Encrypt><![CDATA[A")), BadSignature),
        (changed(body=b"<!DOCTYPE x>" + GOOD.body), BadBody),
        (changed(body=b'<!doctype x [<!ENTITY a "b">]>' + GOOD.body), BadBody),
        (delivery(xml(**SAID), receiver="wwother"), BadSignature),
        (delivery(xml(**SAID), receiver=""), BadSignature),
        (changed(method="GET"), BadSignature),
    ],
)
def test_what_is_not_for_this_inlet_is_refused(request_: WebhookRequest, refusal: type[Exception]) -> None:
    """Before anything is parsed; a DOCTYPE before anything at all."""
    with pytest.raises(refusal):
        platform().receive(request_, NOW)


def test_the_clock_counts_both_ways() -> None:
    """Ten minutes, to the second."""
    for off in (-600, 600):
        assert isinstance(platform().receive(GOOD, NOW + off), IncomingMessage)
    for off in (-601, 601):
        with pytest.raises(Stale):
            platform().receive(GOOD, NOW + off)


def test_two_keys_hold_while_they_change() -> None:
    """A second line is accepted like the first."""
    both = platform(secrets=(b"another " + b"A" * 43, f"{TOKEN} {AES_KEY}".encode()))
    assert isinstance(both.receive(GOOD, NOW), IncomingMessage)
    with pytest.raises(BadSignature):
        platform(secrets=(b"another " + b"A" * 43,)).receive(GOOD, NOW)


@given(st.binary(max_size=300), st.integers(0, len(GOOD.body)), st.integers(0, len(GOOD.body)))
def test_mutated_bodies_are_refused_and_nothing_else(junk: bytes, start: int, end: int) -> None:
    """Bytes replaced anywhere: a refusal, or the same message where they did not touch what is signed."""
    body = GOOD.body[: min(start, end)] + junk + GOOD.body[max(start, end) :]
    try:
        found = platform().receive(changed(body=body), NOW)
    except (NotAuthentic, BadBody):
        return
    assert isinstance(found, IncomingMessage)
    assert found.text == SAID["Content"]


@each_of(
    ("change", "why"),
    [
        ({"secrets": (b"only-a-token",)}, "TOKEN ENCODINGAESKEY"),
        ({"other_secrets": {}}, "app_secret_file"),
        ({"other_secrets": {"app_secret_file": ()}}, "app_secret_file"),
        ({"api_url": "https://qyapi.weixin.qq.com/?a=b"}, "query"),
    ],
)
def test_a_table_that_cannot_work_is_an_error(change: dict[str, Any], why: str) -> None:
    """At the start, by name."""
    with pytest.raises(UserError) as error:
        PLATFORM.create(table(**change))
    assert why in f"{error.value.problem} {error.value.cure}"


# ---- out


def content(**more: Any) -> ReplyContent:
    made = ReplyContent(
        in_reply_to="1",
        conversation="carol",
        text="carol asks:\n```\nsystemctl restart nginx\n```\nAnswer “approve r42 k7f2”.",
        request=ReplyRequest("R1", 42, "asking", "k7f2"),
        actions=("approve", "reject"),
        kind="question",
        card=True,
    )
    return dataclasses.replace(made, **more)


def reply(said: ReplyContent, ref: str = "", *, repeated: bool = False, number: int = 7) -> OutboundReply:
    return OutboundReply(f"R1.{number}", f"{API}/", said.to_json(), ref, repeated=repeated)


class Api:
    """WeCom's API as far as it is documented: what is posted, and what it answers next."""

    def __init__(self, one: WecomPlatform) -> None:
        self.platform = one
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[dict[str, Any]] = []

    def post(self, posting: OutboundReply, now: float = NOW) -> DeliveryResult:
        call = self.platform.render(posting, now)
        for _ in range(5):
            result = self.platform.handle_response(posting, call, self.answer(call), now)
            if not isinstance(result, NextCall):
                return result
            call = result.call
        return DeliveryFailed("more than five calls")

    def answer(self, call: HttpCall) -> HttpResponse:
        address, _, query = call.url.partition("?")
        assert address.startswith(f"{API}/cgi-bin/")
        name = address.removeprefix(f"{API}/cgi-bin/")
        self.calls.append((name, json.loads(call.body) if call.body else {}))
        body = {"errcode": 0, "errmsg": "ok"}
        if name == "gettoken":
            assert (call.method, query) == ("GET", f"corpid={CORP}&corpsecret=app%2Bsecret")
            body |= {"access_token": f"token-{len(self.calls)}", "expires_in": 7200}
        elif "template_card" in self.calls[-1][1]:
            body |= {"response_code": "sent-code"}
        if self.answers:
            body |= self.answers.pop(0)
        return HttpResponse(200, {}, json.dumps(body).encode())

    @property
    def names(self) -> list[str]:
        return [name.rpartition("/")[2] for name, _ in self.calls]


def test_a_question_is_its_whole_text_and_then_a_card() -> None:
    """The token is fetched once; the card's id is that of the reply; its code for a change is kept in the ref."""
    api = Api(platform())
    assert api.post(reply(content())) == Delivered("R1-7 carol sent-code")
    assert api.names == ["gettoken", "send", "send"]
    text, card = api.calls[1][1], api.calls[2][1]
    assert text == {
        "touser": "carol",
        "agentid": 218,
        "msgtype": "text",
        "text": {"content": content().text},
    }
    assert card["msgtype"] == "template_card"
    assert card["template_card"] == {
        "card_type": "button_interaction",
        "main_title": {"title": "r42 k7f2"},
        "sub_title_text": "The plan of r42 is in the message above.",  # still true when the buttons say "running"
        "task_id": "R1-7",
        "button_list": [
            {"text": "Approve", "style": 1, "key": "approve r42 k7f2"},
            {"text": "Reject", "style": 3, "key": "reject r42"},
        ],
    }
    assert re.fullmatch(r"[0-9A-Za-z_\-@]{1,128}", card["template_card"]["task_id"])
    api.post(reply(content(), number=8), NOW + 6_000)
    assert "gettoken" not in api.names[3:]
    api.post(reply(content(), number=9), NOW + 7_000)
    assert api.names[5] == "gettoken"


STARTED = content(kind="progress", actions=("cancel",), request=ReplyRequest("R1", 42, "working"), text="It runs.")
DONE = content(
    kind="final",
    actions=("more", "retry"),
    request=ReplyRequest("R1", 42, "done"),
    text="web-1:\n```\nok\n```",
    jobs=(ReplyJob("J", "web-1", ("true",), "succeeded", 0, "ok"),),
)


def test_a_decided_card_becomes_a_word_and_what_follows_is_new() -> None:
    """Approved by words: the code that came with the card is used, once; the outcome is a message of its own."""
    api = Api(platform())
    assert api.post(reply(STARTED, "R1-7 carol sent-code", number=8)) == Delivered("-")
    assert api.calls[-1] == (
        "message/update_template_card",
        {
            "userids": ["carol"],
            "agentid": 218,
            "response_code": "sent-code",
            "button": {"replace_name": "running"},
        },
    )
    assert api.post(reply(DONE, "-", number=9)) == Delivered("-")
    assert api.calls[-1][1]["text"] == {"content": DONE.text}
    assert api.names == ["gettoken", "update_template_card", "send"]


def test_a_click_brings_a_code_of_its_own() -> None:
    """It is used where the card's own is gone; and an outcome changes the card and is said."""
    api = Api(platform())
    api.platform.receive(delivery(xml(**CLICK | {"FromUserName": "carol"})), NOW)
    assert api.post(reply(DONE, "R1-7", number=9)) == Delivered("-")
    assert api.names == ["gettoken", "update_template_card", "send"]
    assert api.calls[1][1]["response_code"] == "click-code"
    assert api.calls[1][1]["button"] == {"replace_name": "done"}


def test_a_card_that_does_not_change_any_more_is_said_anew() -> None:
    """A used code is CardGone; the same reply is then a text."""
    api = Api(platform())
    posting = reply(STARTED, "R1-7 carol used", number=8)
    api.answers = [{}, {"errcode": 40_999}]
    assert isinstance(api.post(posting), CardGone)
    assert api.post(dataclasses.replace(posting, ref="")) == Delivered("-")
    assert api.names == ["gettoken", "update_template_card", "send"]


def test_a_question_that_changed_is_a_new_card() -> None:
    """An edited plan, or one of two approvals: whole again, with the code that counts now."""
    api = Api(platform())
    assert api.post(reply(content(), "R1-7 carol sent-code", number=8)) == Delivered("R1-8 carol sent-code")
    assert api.names == ["gettoken", "send", "send"]


def test_the_first_of_two_approvals_leaves_the_buttons() -> None:
    """It is said, and the card keeps its buttons and its code."""
    api = Api(platform())
    first = content(kind="progress", text="Approved by bob; one more is needed.")
    assert api.post(reply(first, "R1-7 carol sent-code", number=8)) == Delivered("")
    assert api.names == ["gettoken", "send"]
    assert api.calls[1][1]["text"] == {"content": first.text}


def test_what_may_have_been_posted_asks_for_the_check_of_repeats() -> None:
    """Only then; and a card whose id was taken before is there already, so it is no failure."""
    api = Api(platform())
    api.answers = [{}, {}, {"errcode": 40_058}]
    assert api.post(reply(content(), repeated=True)) == Delivered("R1-7")
    assert api.calls[1][1]["enable_duplicate_check"] == 1
    assert 0 < api.calls[1][1]["duplicate_check_interval"] <= 4 * 3600


def test_a_token_that_ended_is_fetched_anew_once() -> None:
    """And the call that it failed is made again, not those before it; one refused at once is no reason to go on."""
    api = Api(platform())
    api.post(reply(content(), number=1))
    api.answers = [{}, {"errcode": 42_001}]
    assert api.post(reply(content(), number=2), NOW + 100) == Delivered("R1-2 carol sent-code")
    assert api.names[3:] == ["send", "send", "gettoken", "send"]
    api.answers = [{"errcode": 40_014}, {}, {"errcode": 40_014}]
    failed = api.post(reply(content(), number=3), NOW + 200)
    assert failed == DeliveryFailed("WeCom refuses the access token it has just given (40014)", "later", "60")


def test_what_was_said_before_a_failure_is_not_said_again() -> None:
    """The text went out, the card did not: the next attempt posts the card alone."""
    api = Api(platform())
    api.answers = [{}, {}, {"errcode": -1}]
    assert isinstance(api.post(reply(content())), DeliveryFailed)
    assert api.post(reply(content()), NOW + 5) == Delivered("R1-7 carol sent-code")
    assert api.names == ["gettoken", "send", "send", "send"]


@each_of(
    ("answers", "kind", "words"),
    [
        ([{"errcode": 40_001}], "later", "app_secret_file"),
        ([{"errcode": 40_013}], "later", "corp_id"),
        ([{"errcode": 60_020}], "later", "trusted IPs"),
        ([{"errcode": 99}], "later", "99"),
        ([{"access_token": ""}], "later", "0"),
        ([{}, {"errcode": 60_020, "errmsg": "from ip 192.0.2.1 app+secret"}], "later", "trusted IPs"),
        ([{}, {"errcode": 45_009}], "later", "no more messages"),
        ([{}, {"errcode": 81_013}], "gone", "no such member"),
        ([{}, {"errcode": 44_004}], "refused", "44004"),
        ([{}, {"invaliduser": "carol"}], "gone", "visible range"),
    ],
)
def test_errors_in_a_200_are_what_they_are(answers: list[dict[str, Any]], kind: str, words: str) -> None:
    """With a cure where there is one, and never with a secret or WeCom's own words."""
    api = Api(platform())
    api.answers = answers
    failed = api.post(reply(content()))
    assert isinstance(failed, DeliveryFailed)
    assert failed.kind == kind
    assert words in failed.reason
    assert "192.0.2.1" not in failed.reason
    assert "secret" not in failed.reason.replace("app_secret_file", "").replace("Secret", "")


@each_of("answer", [b"", b"<html>", b"[]", b'{"errcode":"0"}', b'{"errcode":0', b"\xff", b"1" * 4096])
def test_an_answer_that_is_none_is_tried_again(answer: bytes) -> None:
    """Whatever stood in the way of WeCom's API."""
    one = platform()
    call = one.render(reply(content()), NOW)
    for status in (200, 502):
        failed = one.handle_response(reply(content()), call, HttpResponse(status, {}, answer), NOW)
        assert isinstance(failed, DeliveryFailed)
        assert failed.kind == "later"


def test_it_proves_itself_and_says_who_it_is() -> None:
    """The echo that it signs is the one that it answers; the app's name comes without what a terminal would obey."""
    one = platform()
    echo = one.receive(one.example(NOW), NOW)
    assert isinstance(echo, ImmediateResponse)
    assert echo.body == b"1616140317555161061"
    call = one.who_am_i(NOW)
    assert "/cgi-bin/gettoken?" in call.url
    token = HttpResponse(200, {}, b'{"errcode":0,"access_token":"t1","expires_in":7200}')
    following = one.read_identity(call, token, NOW)
    assert isinstance(following, NextCall)
    assert following.call.url == f"{API}/cgi-bin/agent/get?access_token=t1&agentid=218"
    assert one.who_am_i(NOW + 1) == following.call
    named = HttpResponse(200, {}, '{"errcode":0,"name":"运维\\u001b[2J"}'.encode())
    assert one.read_identity(following.call, named, NOW) == "the app 运维[2J (218)"
    wrong = one.read_identity(call, HttpResponse(200, {}, b'{"errcode":40001}'), NOW)
    assert isinstance(wrong, DeliveryFailed)
    assert "app_secret_file" in wrong.reason


def test_the_pace_and_hosts_are_wecoms() -> None:
    """Thirty messages a minute to one member; calls go to its API alone."""
    one = platform()
    assert (one.pace, one.hosts) == (2.0, (f"{API}:443",))
    assert one.methods == {"GET", "POST"}
