"""The mattermost inlet: tokens and MACs, messages, rendering within its limits, what follows answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ulid import ULID

from common.errors import UserError
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    Identifies,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    MakesExample,
    NextCall,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    WebhookRequest,
)
from hub.chat.platforms.mattermost import PLATFORM, MattermostPlatform
from hub.chat.platforms.mattermost_config import MattermostInlet
from hub.chat.platforms.mattermost_fields import MAX_TEXT
from hub.core.chat_text import code_block
from tests.each import each_of

HOOK, COMMAND_TOKEN = b"xr3j5x3p4pfk7kk6ck7b4e6ghh", b"gr3zu8ti3pfoxk7kk6ck7b4e6h"
BOT_TOKEN = b"9xuqwrwgstrb3mzrxb83nb357a"
ROOT = "https://chat.example"
CHANNEL, POST, ALICE, BOB = "c" * 26, "p" * 26, "a" * 26, "b" * 26
CALLBACK = "https://hub.example/webhook/mm"
OK = ImmediateResponse(b"{}")


def platform(
    tokens: tuple[bytes, ...] = (HOOK, COMMAND_TOKEN), bearer: tuple[bytes, ...] = (BOT_TOKEN,), **keys: Any
) -> MattermostPlatform:
    table = MattermostInlet(
        **(
            {
                "platform": "mattermost",
                "secret_file": Path("s"),
                "token_file": Path("t"),
                "api_url": ROOT,
                "callback_url": CALLBACK,
                "secrets": tokens,
                "other_secrets": {"token_file": bearer},
            }
            | keys
        )
    )
    made = PLATFORM.create(table)
    assert isinstance(made, MattermostPlatform)
    return made


CHAT = platform()
MESSAGE: dict[str, Any] = {
    "token": HOOK.decode(),
    "team_id": "t" * 26,
    "team_domain": "main",
    "channel_id": CHANNEL,
    "channel_name": "ops",
    "timestamp": 1_480_000_000_123,
    "user_id": ALICE,
    "user_name": "alice",
    "post_id": POST,
    "text": "@answerback disk on web-1",
    "trigger_word": "@answerback",
    "file_ids": "",
}
COMMAND = {
    "token": COMMAND_TOKEN.decode(),
    "team_id": "t" * 26,
    "channel_id": CHANNEL,
    "user_id": ALICE,
    "user_name": "alice",
    "command": "/answerback",
    "text": "disk on web-1",
    "trigger_id": "Y2xpZW50OnVzZXI6MTIz",
    "response_url": f"{ROOT}/hooks/commands/x",
}
TRIGGER = base64.b64encode(b"c:u:1480000000123:s").decode()
CONTENT = ReplyContent(
    in_reply_to=POST,
    conversation=CHANNEL,
    text="\n".join(("carol asks for r42, @all:", code_block("systemctl restart web"), "Who may: bob.")),
    request=ReplyRequest("01JBZ5CR00000000000000000A", 42, "asking", "k7f2"),
    actions=("approve", "reject"),
    kind="question",
    thread=POST,
    card=True,
)
REQUEST = str(ULID.from_timestamp(1_480_000_001.0))


def delivery(body: Mapping[str, Any], form: bool = False, **headers: str) -> WebhookRequest:
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    data = urlencode(body) if form else json.dumps(body, ensure_ascii=False)
    return WebhookRequest(data.encode(), {"content-type": kind} | headers)


def receive(body: Mapping[str, Any], chat: MattermostPlatform = CHAT, **how: Any) -> IncomingMessage:
    found = chat.receive(delivery(body, **how), 7.0)
    assert isinstance(found, IncomingMessage), found
    return found


def reply(content: ReplyContent = CONTENT, **changes: Any) -> OutboundReply:
    return OutboundReply(**({"id": f"{REQUEST}.7", "url": ROOT, "body": content.to_json()} | changes))


def posted(call: HttpCall) -> dict[str, Any]:
    assert call.headers == {"Authorization": f"Bearer {BOT_TOKEN.decode()}", "Content-Type": "application/json"}
    body: dict[str, Any] = json.loads(call.body)
    return body


def click(value: str = "approve r42 k7f2", content: ReplyContent = CONTENT, **changes: Any) -> dict[str, Any]:
    """A click on a button as it was rendered; `changes` are of the delivery."""
    (attachment,) = posted(CHAT.render(reply(content), 0.0))["props"]["attachments"]
    (button,) = [action for action in attachment["actions"] if action["integration"]["context"]["value"] == value]
    assert button["integration"]["url"] == CALLBACK
    return {
        "user_id": BOB,
        "user_name": "bob",
        "channel_id": CHANNEL,
        "team_id": "t" * 26,
        "post_id": "k" * 26,
        "trigger_id": "Y2xpY2s6MQ==",
        "type": "button",
        "context": button["integration"]["context"],
    } | changes


# ---- in


def test_a_message_comes_as_json_and_as_a_form() -> None:
    """The same words, id and thread; the trigger is left out."""
    expected = IncomingMessage(
        event_id=POST,
        user=ALICE,
        conversation=CHANNEL,
        text="disk on web-1",
        reply_url=ROOT,
        thread=POST,
        sent_at=1_480_000_000.123,
        addressed=True,
        response=OK,
    )
    assert receive(MESSAGE) == expected
    assert receive(MESSAGE | {"timestamp": 1_480_000_000}, form=True) == replace(expected, sent_at=1_480_000_000.0)


@each_of(
    ("text", "trigger", "said", "addressed"),
    [
        ("disk on web-1", "", "disk on web-1", False),
        ("@answerback", "@answerback", "hi", True),
        ("@Answerback, 看看磁盘", "", "看看磁盘", True),
        ("!ab disk", "!ab", "disk", True),
        ("what can @answerback do", "", "what can @answerback do", True),
        ("@answerback2 disk", "", "@answerback2 disk", False),
        ("mail x@answerback.example", "", "mail x@answerback.example", False),
        ("@bob look at web-1 <b> *c*", "", "@bob look at web-1 <b> *c*", False),
    ],
)
def test_mentions(text: str, trigger: str, said: str, addressed: bool) -> None:
    """The bot's are left out where they stand in front; others are words."""
    found = receive(MESSAGE | {"text": text, "trigger_word": trigger})
    assert (found.text, found.addressed) == (said, addressed)


def test_a_command_goes_with_either_token_header_or_not() -> None:
    """It is known by its trigger; nothing is shown of it to others."""
    expected = IncomingMessage(
        event_id=receive(COMMAND).event_id,
        user=ALICE,
        conversation=CHANNEL,
        text="disk on web-1",
        reply_url=ROOT,
        thread="",
        sent_at=7.0,
        response=OK,
    )
    assert receive(COMMAND, form=True) == expected
    assert receive(COMMAND, form=True, authorization=f"Token {COMMAND_TOKEN.decode()}") == expected
    assert receive(COMMAND | {"root_id": POST}, form=True).thread == POST
    assert receive(COMMAND | {"text": ""}, form=True).text == "help"
    assert receive(COMMAND | {"trigger_id": "other"}, form=True).event_id != expected.event_id
    assert receive(COMMAND | {"trigger_id": TRIGGER}, form=True).sent_at == 1_480_000_000.123


def test_the_bots_own_words_are_ignored() -> None:
    """And so is a message without words."""
    assert isinstance(CHAT.receive(delivery(MESSAGE | {"user_name": "Answerback"}), 0.0), Ignored)
    assert isinstance(CHAT.receive(delivery(MESSAGE | {"text": " ", "trigger_word": ""}), 0.0), Ignored)


@each_of(
    "request_",
    [
        WebhookRequest(b""),
        WebhookRequest(b"\xff\xfe"),
        WebhookRequest(b"{}", {"content-type": "application/json"}),
        WebhookRequest(b"[]", {"content-type": "application/json"}),
        WebhookRequest(b'{"token":"a","token":"b"}', {"content-type": "application/json"}),
        WebhookRequest(b"<!DOCTYPE x><a/>", {"content-type": "application/xml"}),
        WebhookRequest(b"\x1f\x8b\x08", {"content-type": "application/json"}),
        delivery(MESSAGE | {"token": HOOK.decode()[:-1]}),
        delivery(MESSAGE | {"token": ""}),
        delivery(MESSAGE | {"token": "ключ é"}),
        delivery(MESSAGE | {"token": ["x"]}),
        delivery(MESSAGE | {"token": None}),
        delivery(COMMAND, form=True, authorization="Token wrong"),
        delivery({**COMMAND, "token": "wrong"}, form=True, authorization=f"Token {COMMAND_TOKEN.decode()}"),
    ],
)
def test_what_has_no_token_of_ours_is_refused(request_: WebhookRequest) -> None:
    """Whatever the body."""
    with pytest.raises(BadSignature) as refused:
        CHAT.receive(request_, 0.0)
    assert HOOK.decode() not in str(refused.value)


@each_of(
    "changes",
    [
        {"post_id": "short"},
        {"user_id": None},
        {"channel_id": 5},
        {"text": None},
        {"text": "x" * (MAX_TEXT + 1)},
        {"timestamp": "yesterday"},
        {"trigger_word": 5},
        {"command": "/x", "trigger_id": ""},
        {"command": "/x", "trigger_id": "y", "root_id": "z"},
    ],
)
def test_a_bad_message_with_a_token_is_a_bad_body(changes: dict[str, Any]) -> None:
    """The field is named."""
    with pytest.raises(BadBody):
        CHAT.receive(delivery(MESSAGE | changes), 0.0)


def test_a_proven_sender_hears_what_is_wrong_with_the_body() -> None:
    """A body that cannot be read, with a token in the header."""
    with pytest.raises(BadBody):
        CHAT.receive(WebhookRequest(b"{", {"authorization": f"Token {HOOK.decode()}"}), 0.0)


def test_a_click_is_said_by_who_clicked() -> None:
    """In the card's thread; where it has none, in that of the card."""
    assert receive(click()) == IncomingMessage(
        event_id=receive(click()).event_id,
        user=BOB,
        conversation=CHANNEL,
        text="approve r42 k7f2",
        reply_url=ROOT,
        thread=POST,
        button=True,
        response=OK,
    )
    assert receive(click(content=replace(CONTENT, thread=""))).thread == "k" * 26
    assert receive(click("reject r42")).text == "reject r42"
    assert receive(click(trigger_id=TRIGGER)).sent_at == 1_480_000_000.123


def test_a_click_holds_for_its_words_and_its_place_alone() -> None:
    """Another value, thread, channel or key, and there is no proof; after a rotation old cards still work."""
    good = click()
    context = good["context"]
    for wrong in (
        {"context": context | {"value": "approve r43 k7f2"}},
        {"context": context | {"thread": "q" * 26}},
        {"context": context | {"mac": context["mac"][:-1] + "x"}},
        {"context": context | {"mac": "é"}},
        {"context": context | {"mac": None}},
        {"context": {}},
        {"context": "x"},
        {"context": None},
        {"channel_id": "d" * 26},
    ):
        with pytest.raises(BadSignature):
            CHAT.receive(delivery(good | wrong), 0.0)
    with pytest.raises(BadSignature):
        platform((b"another token of some length",)).receive(delivery(good), 0.0)
    assert receive(good, platform((b"another token of some length", HOOK))).user == BOB
    for field in ("user_id", "channel_id", "post_id", "trigger_id"):
        with pytest.raises(BadBody):
            CHAT.receive(delivery({key: value for key, value in good.items() if key != field}), 0.0)


@given(st.data())
def test_mutated_bodies_raise_nothing_else(data: st.DataObject) -> None:
    """Any value in any field, any bytes."""
    odd = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
    )
    for original in (MESSAGE, COMMAND, click()):
        body = dict(original)
        body[data.draw(st.sampled_from(sorted(body)))] = data.draw(odd)
        for request in (delivery(body), WebhookRequest(data.draw(st.binary(max_size=80)))):
            try:
                CHAT.receive(request, 0.0)
            except (BadBody, BadSignature):
                pass


@each_of(
    ("changes", "problem"),
    [
        ({"bearer": ()}, "token_file"),
        ({"bearer": (b"a b",)}, "token_file"),
        ({"bearer": (b"x" * 20 + b"\r\n",)}, "token_file"),
        ({"tokens": (b"short",)}, "secret_file"),
        ({"api_url": "chat.example"}, "api_url"),
        ({"callback_url": "hub.example"}, "callback_url"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], problem: str) -> None:
    """With the key they are under, and never with a secret."""
    with pytest.raises(UserError, match=problem) as refused:
        platform(**changes)
    assert "short" not in str(refused.value)


# ---- out


def test_a_card_is_posted_into_its_thread() -> None:
    """Code as code, nobody called, buttons with our MAC in their context, and an id by which a repeat is known."""
    call = CHAT.render(reply(), 0.0)
    assert (call.method, call.url) == ("POST", f"{ROOT}/api/v4/posts")
    body = posted(call)
    assert set(body) == {"channel_id", "root_id", "message", "props", "pending_post_id"}
    assert (body["channel_id"], body["root_id"]) == (CHANNEL, POST)
    assert body["message"] == "carol asks for r42, ＠all\\:\n```\nsystemctl restart web\n```\nWho may\\: bob."
    (attachment,) = body["props"]["attachments"]
    names = [(action["id"], action["name"], action["style"]) for action in attachment["actions"]]
    assert names == [("approve", "Approve", "primary"), ("reject", "Reject", "danger")]
    assert posted(CHAT.render(reply(id=f"{REQUEST}.9"), 0.0))["pending_post_id"] == body["pending_post_id"]
    assert HOOK.decode() not in call.body.decode()


def test_without_an_address_for_clicks_there_are_no_buttons() -> None:
    """The text says what to write."""
    silent = platform(callback_url="")
    assert not silent.can_buttons
    assert posted(silent.render(reply(), 0.0))["props"]["attachments"] == []


def test_a_card_is_changed_where_it_was_posted() -> None:
    """By a patch; one that is gone is posted anew."""
    old = reply(replace(CONTENT, actions=()), ref="k" * 26)
    call = CHAT.render(old, 0.0)
    assert (call.method, call.url) == ("PUT", f"{ROOT}/api/v4/posts/{'k' * 26}/patch")
    assert set(posted(call)) == {"message", "props"}
    assert posted(call)["props"]["attachments"] == []
    assert CHAT.handle_response(old, call, answer(200, id="k" * 26), 0.0) == Delivered("k" * 26)
    for status in (400, 403, 404):
        assert isinstance(CHAT.handle_response(old, call, answer(status), 0.0), CardGone)


def answer(status: int, headers: Mapping[str, str] | None = None, **body: Any) -> HttpResponse:
    return HttpResponse(status, headers or {}, json.dumps(body).encode())


def following(sent: OutboundReply, call: HttpCall, response: HttpResponse) -> HttpCall:
    found = CHAT.handle_response(sent, call, response, 0.0)
    assert isinstance(found, NextCall), found
    return found.call


def test_an_answer_to_an_answer_goes_into_the_same_thread() -> None:
    """The webhook does not say what a post replies to: the server is asked when it refuses the thread."""
    wrong = answer(400, id="api.post.create_post.root_id.app_error", message="Invalid RootId")
    asked = following(reply(), CHAT.render(reply(), 0.0), wrong)
    assert (asked.method, asked.url) == ("GET", f"{ROOT}/api/v4/posts/{POST}")
    again = following(reply(), asked, answer(200, id=POST, root_id="r" * 26))
    assert posted(again)["root_id"] == "r" * 26
    assert posted(again)["pending_post_id"] != posted(CHAT.render(reply(), 0.0))["pending_post_id"]
    assert "root_id" not in posted(following(reply(), asked, answer(404, id="app.post.get.app_error")))
    assert "root_id" not in posted(following(reply(), asked, answer(200, id=POST, root_id="")))
    assert "root_id" not in posted(following(reply(), again, wrong))


def test_a_post_that_may_have_been_made_is_looked_for() -> None:
    """In its thread, or in the channel since the request; a mark of others does not count."""
    repeated = reply(repeated=True)
    call = CHAT.render(repeated, 0.0)
    assert (call.method, call.url) == ("GET", f"{ROOT}/api/v4/posts/{POST}/thread")
    mark = posted(CHAT.render(reply(), 0.0))["props"]["answerback"]
    mine = {"id": "k" * 26, "props": {"answerback": mark}, "delete_at": 0}
    other = {"id": "l" * 26, "props": {"answerback": REQUEST}}
    found = following(repeated, call, answer(200, posts={"l": other, "n": 5, "m": {"props": 1}, "k": mine}))
    assert (found.method, found.url) == ("PUT", f"{ROOT}/api/v4/posts/{'k' * 26}/patch")
    assert following(repeated, found, answer(403)).method == "POST"
    for nothing in (
        answer(200, posts={"l": other}),
        answer(200, posts={"k": mine | {"delete_at": 5}}),
        answer(404),
        HttpResponse(200, {}, b'{"posts":{'),
    ):
        again = following(repeated, call, nothing)
        assert (again.method, posted(again)["root_id"]) == ("POST", POST)
    plain = reply(replace(CONTENT, card=False, thread=""), repeated=True)
    call = CHAT.render(plain, 0.0)
    assert call.url == f"{ROOT}/api/v4/channels/{CHANNEL}/posts?since={1_480_000_001_000 - 300_000}"
    mark = posted(CHAT.render(replace(plain, repeated=False), 0.0))["props"]["answerback"]
    assert CHAT.handle_response(plain, call, answer(200, posts={"k": mine | {"props": {"answerback": mark}}}), 0.0) == (
        Delivered()
    )
    assert CHAT.render(reply(id=".9", repeated=True), 0.0).method == "POST"


@settings(max_examples=30)
@given(st.text(max_size=40), st.integers(0, 900))
def test_long_replies_fit(line: str, count: int) -> None:
    """By characters, after escaping."""
    text = "head\n" + code_block("\n".join([line] * count)) + "\n" + "*" * 9_000 + "\ntail"
    message = posted(CHAT.render(reply(replace(CONTENT, text=text)), 0.0))["message"]
    assert len(message) <= MAX_TEXT
    assert message.startswith("head\n")


@each_of(
    ("response", "kind", "words", "after"),
    [
        (answer(401, id="api.context.session_expired.app_error"), "later", "token_file", "300"),
        (answer(429, {"x-ratelimit-reset": "9"}), "later", "429", "9"),
        (answer(429, {"retry-after": "3"}), "later", "429", "3"),
        (answer(500, id="api.post.deduplicate_create_post.pending"), "later", "500", ""),
        (HttpResponse(502, {}, b"<html>"), "later", "502", ""),
        (answer(403, id="api.context.permissions.app_error"), "gone", "add the bot", ""),
        (answer(404, id="app.channel.get.existing.app_error"), "gone", "add the bot", ""),
        (answer(400, id="api.post.create_post.can_not_post_to_deleted.error"), "gone", "archived", ""),
        (answer(400, id="model.post.is_valid.msg.app_error"), "refused", "model.post.is_valid.msg.app_error", ""),
        (answer(400, id="\x1b[1m<b>"), "refused", "400", ""),
        (answer(400, id=["x"]), "refused", "400", ""),
    ],
)
def test_failures_say_what_to_do(response: HttpResponse, kind: str, words: str, after: str) -> None:
    """With the cure, without a secret, and with what the server asks to wait."""
    failed = CHAT.handle_response(reply(), CHAT.render(reply(), 0.0), response, 0.0)
    assert isinstance(failed, DeliveryFailed)
    assert (failed.kind, failed.retry_after) == (kind, after)
    assert words in failed.reason
    assert BOT_TOKEN.decode() not in failed.reason
    assert "\x1b" not in failed.reason


def test_a_post_is_named_by_its_id() -> None:
    """As the server says; an answer that is cut names nothing."""
    call = CHAT.render(reply(), 0.0)
    assert CHAT.handle_response(reply(), call, answer(201, id="k" * 26, message="x" * 9_000), 0.0) == Delivered(
        "k" * 26
    )
    assert CHAT.handle_response(reply(), call, HttpResponse(201, {}, b'{"id":"k'), 0.0) == Delivered("")
    assert CHAT.hosts == ("https://chat.example:443",)


def test_it_can_prove_itself() -> None:
    """A delivery with the token that does nothing; whose bot it is, and what is wrong with its token."""
    assert isinstance(CHAT, MakesExample)
    assert isinstance(CHAT, Identifies)
    assert isinstance(CHAT.receive(CHAT.example(7.5), 7.5), Ignored)
    with pytest.raises(BadSignature):
        platform((COMMAND_TOKEN,)).receive(CHAT.example(7.5), 7.5)
    call = CHAT.who_am_i(0.0)
    assert (call.method, call.url) == ("GET", f"{ROOT}/api/v4/users/me")
    assert CHAT.read_identity(call, answer(200, username="answer\x1bback"), 0.0) == r"answer\x1bback"
    for wrong, words in ((answer(401), "token_file"), (answer(502), "502"), (HttpResponse(200, {}, b"<"), "api_url")):
        failed = CHAT.read_identity(call, wrong, 0.0)
        assert isinstance(failed, DeliveryFailed)
        assert words in failed.reason


def test_a_card_that_was_found_gone_is_not_looked_for() -> None:
    """Its place is taken by a new post."""
    assert CHAT.render(reply(repeated=True, lost="k" * 26), 0.0).method == "POST"
