"""The `matrix` platform: what is posted and how it changes, limits, escaping, answers, keys of an inlet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.platforms.base import (
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    HttpResponse,
    NextCall,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    WebhookRequest,
)
from hub.chat.platforms.matrix import PLATFORM, MatrixInlet, MatrixPlatform, render_text
from hub.chat.platforms.matrix_events import CARD

NOW = 1_700_000_000.0
ROOM = "!ops:example.org"
TABLE = MatrixInlet(
    platform="matrix", secret_file=Path("t"), api_url="https://m.example.org/", secrets=(b"syt_secret_token",)
)
MATRIX = MatrixPlatform.from_table(TABLE)
QUESTION = ReplyContent(
    in_reply_to="$asked",
    conversation=ROOM,
    text="r1 waits:\n```\nreboot <now> & @room\n```\n> quoted @room\nAnswer `approve r1 k7f2`",
    request=ReplyRequest("R", 1, "asking", "k7f2"),
    actions=("approve", "reject"),
    kind="question",
    card=True,
)


def reply(content: ReplyContent = QUESTION, **more: Any) -> OutboundReply:
    return OutboundReply("R.7", "https://m.example.org", content.to_json(), **more)


def test_a_card_is_posted() -> None:
    """In answer to the question, in both forms, nobody called, with what a reaction says; the same id every time."""
    call = MATRIX.render(reply(), NOW)
    assert call.method == "PUT"
    assert (
        unquote(call.url)
        == f"https://m.example.org/_matrix/client/v3/rooms/{ROOM}/send/m.room.message/answerback-R.7-new"
    )
    assert MATRIX.render(reply(repeated=True), NOW + 99) == call
    body = json.loads(call.body)
    assert body["m.mentions"] == {}
    assert body["m.relates_to"] == {"m.in_reply_to": {"event_id": "$asked"}}
    assert body[CARD] == {"✅": "approve r1 k7f2", "❌": "reject r1"}
    assert body["formatted_body"] == (
        "r1 waits:<pre><code>reboot &lt;now&gt; &amp; @room\n</code></pre><blockquote>quoted ＠room</blockquote>"
        "Answer <code>approve r1 k7f2</code><br>A reaction with ✅ approves, one with ❌ rejects."
    )
    assert body["body"].startswith("r1 waits:\n```\nreboot <now> & @room\n```\n> quoted ＠room\n")
    done = replace(QUESTION, thread="$root", actions=("retry",), card=False, kind="final")
    body = json.loads(MATRIX.render(reply(done), NOW).body)
    assert body["m.relates_to"]["rel_type"] == "m.thread"
    assert body["m.relates_to"]["event_id"] == "$root"
    assert (body["msgtype"], CARD in body) == ("m.notice", False)


def test_a_card_changes_where_it_still_is() -> None:
    """It is looked at first; one that was deleted is posted anew, one that is there is replaced."""
    changing = reply(ref="$card")
    look = MATRIX.render(changing, NOW)
    assert (look.method, unquote(look.url.rpartition("/")[2])) == ("GET", "$card")
    there = HttpResponse(200, {}, json.dumps({"content": {"body": "x"}, "unsigned": {"age": 1}}).encode())
    after = MATRIX.handle_response(changing, look, there, NOW)
    assert isinstance(after, NextCall)
    assert after.call.url.endswith("answerback-R.7-change")
    body = json.loads(after.call.body)
    assert body["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$card"}
    assert body["m.new_content"][CARD]
    assert body["m.mentions"] == body["m.new_content"]["m.mentions"] == {}
    posted = HttpResponse(200, {}, b'{"event_id":"$edit"}')
    assert MATRIX.handle_response(changing, after.call, posted, NOW) == Delivered("$card")
    assert MATRIX.handle_response(reply(), MATRIX.render(reply(), NOW), posted, NOW) == Delivered("$edit")
    for gone in (b'{"content":{}}', b'{"content":{"a":1},"unsigned":{"redacted_because":{}}}'):
        assert isinstance(MATRIX.handle_response(changing, look, HttpResponse(200, {}, gone), NOW), CardGone)
    assert isinstance(MATRIX.handle_response(changing, look, HttpResponse(404, {}, b""), NOW), CardGone)


@pytest.mark.parametrize(
    ("status", "body", "kind", "after"),
    [
        (401, {"errcode": "M_UNKNOWN_TOKEN", "soft_logout": True}, "later", "300"),
        (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1_200}, "later", "2"),
        (403, {"errcode": "M_FORBIDDEN"}, "refused", ""),
        (413, {"errcode": "M_TOO_LARGE"}, "refused", ""),
        (404, {"errcode": "M_NOT_FOUND"}, "refused", ""),
        (502, "<html>", "later", ""),
        (200, "nothing that can be read", "done", ""),
    ],
)
def test_answers(status: int, body: Any, kind: str, after: str) -> None:
    """Each failure with its cure, and never the token."""
    call = MATRIX.render(reply(), NOW)
    result = MATRIX.handle_response(reply(), call, HttpResponse(status, {}, json.dumps(body).encode()), NOW)
    if kind == "done":
        assert result == Delivered("")
        return
    assert isinstance(result, DeliveryFailed)
    assert (result.kind, result.retry_after) == (kind, after)
    assert "syt_secret_token" not in result.reason


@given(
    st.lists(
        st.sampled_from(["```", "> 说 <b>", "`a`", "x" * 5_000, "好" * 3_000, '"\\' * 4_000, "@room", ""]), max_size=40
    )
)
def test_an_event_stays_within_its_limit(lines: list[str]) -> None:
    """65,536 bytes with all around it, changed or new; whatever is in it is escaped."""
    content = replace(QUESTION, text="\n".join(lines), thread="$" + "r" * 200)
    for call in (MATRIX.render(reply(content), NOW), MATRIX._change(reply(content, ref="$" + "c" * 200))):
        assert len(call.body) < 63_000
    shown = render_text(content)
    assert "<b>" not in shown["formatted_body"]
    outside = shown["formatted_body"].split("<pre>")[0].split("<code>")[0]
    assert "@room" not in outside


def test_whose_token_it_is() -> None:
    """The account's id; a wrong token with the cure; what is no answer of a homeserver is said."""
    call = MATRIX.who_am_i(NOW)
    assert (call.method, call.url) == ("GET", "https://m.example.org/_matrix/client/v3/account/whoami")
    bot = HttpResponse(200, {}, b'{"user_id":"@answerback:example.org"}')
    assert MATRIX.read_identity(call, bot, NOW) == "@answerback:example.org"
    for status, body, kind, says in (
        (401, b'{"errcode":"M_UNKNOWN_TOKEN"}', "refused", "log the bot in again"),
        (200, b'{"user_id":"\\u001b[31m"}', "later", "answered 200"),
        (502, b"<html>", "later", "answered 502"),
    ):
        failed = MATRIX.read_identity(call, HttpResponse(status, {}, body), NOW)
        assert isinstance(failed, DeliveryFailed)
        assert failed.kind == kind
        assert says in failed.reason


def test_nothing_comes_by_webhook() -> None:
    """There is no signature that would be right."""
    with pytest.raises(BadSignature, match="the hub asks"):
        MATRIX.receive(WebhookRequest(b"{}"), NOW)


def test_the_keys_of_an_inlet() -> None:
    """Its host is the homeserver; what is wrong is said with the cure."""
    assert MATRIX.hosts == ("https://m.example.org:443",)
    assert PLATFORM.create(TABLE).kind == "matrix"
    for wrong, says in (
        ({"api_url": "matrix.example.org"}, "api_url"),
        ({"secrets": (b"two words",)}, "no access token"),
        ({"rooms": ("#ops:example.org",)}, "is no room"),
        ({"servers": ("https://example.org",)}, "is no server"),
    ):
        with pytest.raises(UserError, match=says):
            MatrixPlatform.from_table(replace(TABLE, **wrong))
