"""The slack inlet: signatures (Slack's own package as oracle), rendering within Slack's limits, what answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.signature import Clock, SignatureVerifier
from ulid import ULID

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
    Identifies,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    MakesExample,
    NextCall,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    Stale,
    WebhookRequest,
)
from hub.chat.platforms.slack import MAX_BLOCKS, MAX_PLAIN, PLATFORM, SlackInlet, SlackPlatform, sign
from hub.core.chat_text import code_block
from tests.each import each_of
from tests.hub.chat.platforms.test_slack_events import CLICK, COMMAND, EVENT

SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"  # of Slack's documentation
NOW = 1_531_420_618
FORM = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
    b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url="
    b"https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
    b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
TOKEN = b"xoxb-1234-abcdefgh"
API = "https://slack.com/api"


def platform(
    secrets: tuple[bytes, ...] = (SECRET,), tokens: tuple[bytes, ...] = (TOKEN,), **keys: Any
) -> SlackPlatform:
    table = SlackInlet(
        platform="slack",
        secret_file=Path("s"),
        token_file=Path("t"),
        secrets=secrets,
        other_secrets={"token_file": tokens},
        **keys,
    )
    made = PLATFORM.create(table)
    assert isinstance(made, SlackPlatform)
    return made


SLACK = platform()


def signed(body: bytes, at: int = NOW, secret: bytes = SECRET, kind: str = "application/json") -> WebhookRequest:
    headers = {
        "content-type": kind,
        "x-slack-request-timestamp": str(at),
        "x-slack-signature": "v0=" + sign(secret, str(at), body).hex(),
    }
    return WebhookRequest(body, headers)


def form(fields: Mapping[str, str]) -> WebhookRequest:
    return signed(urlencode(fields).encode(), kind="application/x-www-form-urlencoded")


# ---- in


def test_the_published_vector_fits() -> None:
    """The slash command of "Verifying requests from Slack"."""
    headers = {"content-type": "application/x-www-form-urlencoded", "x-slack-request-timestamp": str(NOW)}
    found = SLACK.receive(WebhookRequest(FORM, headers | {"x-slack-signature": SIGNATURE}), NOW)
    assert isinstance(found, IncomingMessage)
    assert (found.user, found.conversation, found.text) == ("U2CERLKJA", "G8PSS9T3V", "help")


class Fixed(Clock):
    def now(self) -> float:
        return NOW


@settings(max_examples=400)
@given(st.binary(max_size=200), st.integers(-400, 400), st.just(b"") | st.binary(max_size=3))
def test_signatures_agree_with_the_official_package(body: bytes, off: int, changed: bytes) -> None:
    """The same deliveries pass and fail there; what passes is then judged as a body."""
    body = body or b"{}"
    request = signed(body, NOW + off)
    verifier = SignatureVerifier(SECRET.decode(), Fixed())
    told = {"X-Slack-Request-Timestamp": str(NOW + off), "X-Slack-Signature": request.headers["x-slack-signature"]}
    try:
        text = (body + changed).decode()
    except UnicodeDecodeError:
        return  # the package takes text only
    valid = verifier.is_valid_request(text, told)
    try:
        SLACK.receive(replace(request, body=body + changed), NOW)
    except (BadSignature, Stale):
        assert not valid
    except BadBody:
        assert valid
    else:
        assert valid


@each_of(
    ("headers", "refusal"),
    [
        ({}, BadSignature),
        ({"x-slack-signature": SIGNATURE}, BadSignature),
        ({"x-slack-signature": SIGNATURE, "x-slack-request-timestamp": ""}, BadSignature),
        ({"x-slack-signature": "", "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": "v0=", "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": "v0=zz", "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": "v0=é中", "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": SIGNATURE[:-1], "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": SIGNATURE[3:], "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": f"{SIGNATURE}, {SIGNATURE}", "x-slack-request-timestamp": str(NOW)}, BadSignature),
        ({"x-slack-signature": SIGNATURE, "x-slack-request-timestamp": "1e9"}, BadSignature),
        ({"x-slack-signature": SIGNATURE, "x-slack-request-timestamp": "１５３１４２０６１８"}, BadSignature),
        ({"x-slack-signature": SIGNATURE, "x-slack-request-timestamp": f"+{NOW}"}, BadSignature),
        ({"x-slack-signature": SIGNATURE, "x-slack-request-timestamp": str(NOW - 1)}, BadSignature),
    ],
)
def test_what_is_not_signed_is_refused(headers: dict[str, str], refusal: type[Exception]) -> None:
    """Missing, malformed, wrong; with one message for a wrong key and a changed body."""
    with pytest.raises(refusal):
        SLACK.receive(WebhookRequest(FORM, headers), NOW)


def test_a_changed_byte_or_another_secret_is_refused() -> None:
    """At every place of the body."""
    request = signed(json.dumps(EVENT).encode())
    for place in range(0, len(request.body), 7):
        body = bytearray(request.body)
        body[place] ^= 1
        with pytest.raises(BadSignature):
            SLACK.receive(replace(request, body=bytes(body)), NOW)
    with pytest.raises(BadSignature):
        platform((b"another secret of some length",)).receive(request, NOW)
    assert isinstance(platform((b"another secret of some length", SECRET)).receive(request, NOW), IncomingMessage)


@each_of(("off", "fits"), [(-301, False), (-300, True), (300, True), (301, False), (-(10**9), False)])
def test_five_minutes_either_way(off: int, fits: bool) -> None:
    """Exactly at the bound it is let pass."""
    request = signed(json.dumps(EVENT).encode(), NOW + off)
    if fits:
        assert isinstance(SLACK.receive(request, NOW), IncomingMessage)
    else:
        with pytest.raises(Stale):
            SLACK.receive(request, NOW)


def test_forms_and_events_are_told_apart() -> None:
    """By content type, and by the body where there is none."""
    event = json.dumps(EVENT, ensure_ascii=False).encode()
    command, click = form(COMMAND), form({"payload": json.dumps(CLICK)})
    for request, text in ((signed(event), "restart web"), (command, "disk on web-1"), (click, "approve r1 k7f2")):
        for kind in (request.headers["content-type"], request.headers["content-type"] + "; charset=utf-8", ""):
            found = SLACK.receive(replace(request, headers={**request.headers, "content-type": kind}), NOW)
            assert isinstance(found, IncomingMessage)
            assert found.text == text
    challenge = signed(b'{"type":"url_verification","challenge":"abc"}')
    assert SLACK.receive(challenge, NOW) == ImmediateResponse(b"abc", "text/plain; charset=utf-8")
    retried = replace(signed(event), headers={**signed(event).headers, "x-slack-retry-num": "1"})
    assert SLACK.receive(retried, NOW) == SLACK.receive(signed(event), NOW)


@each_of(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{}{}", "application/json"),
        (b'{"type":"a","type":"b"}', "application/json"),
        (b"[" * 100, "application/json"),
        (b'{"event_time":NaN}', "application/json"),
        (b'{"event_time":' + b"9" * 400 + b"}", "application/json"),
        (b"\xff", "application/json"),
        (b"\x1f\x8b\x08\x00", "application/json"),
        (b"<!DOCTYPE x><a/>", "application/xml"),
        (b"{}", "text/plain"),
        (b"payload=%7B", "application/x-www-form-urlencoded"),
        (b"payload=[]", "application/x-www-form-urlencoded"),
        (b"payload={}&payload={}", "application/x-www-form-urlencoded"),
        (b"command=%2Fx&text=%ff", "application/x-www-form-urlencoded"),
        (b'{"type":"event_callback"}', "application/x-www-form-urlencoded"),
    ],
)
def test_signed_nonsense_is_a_bad_body(body: bytes, kind: str) -> None:
    """And nothing else."""
    with pytest.raises(BadBody):
        SLACK.receive(signed(body, kind=kind), NOW)


def test_slack_may_look_at_the_certificate() -> None:
    """Unsigned, by GET and POST, and nothing is done; any other unsigned request is refused."""
    nothing = ImmediateResponse(b"", "text/plain")
    assert SLACK.receive(WebhookRequest(b"", {}, {"ssl_check": "1"}, "GET"), NOW) == nothing
    assert SLACK.receive(WebhookRequest(b"token=x&ssl_check=1"), NOW) == nothing
    assert isinstance(SLACK.receive(form({"ssl_check": "1", "token": "x"}), NOW), Ignored)
    with pytest.raises(BadSignature):
        SLACK.receive(WebhookRequest(b"", {}, {}, "GET"), NOW)
    with pytest.raises(BadSignature):
        SLACK.receive(WebhookRequest(b'{"ssl_check=1":"&ssl_check=10&"}'), NOW)


@given(st.binary(max_size=300), st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]))
def test_no_signed_bytes_raise_anything_else(body: bytes, kind: str) -> None:
    """A result or a BadBody."""
    for data in (body, b"payload=" + body, b"command=a&trigger_id=1&user_id=U&channel_id=C&text=" + body):
        try:
            SLACK.receive(signed(data, kind=kind), NOW)
        except BadBody:
            pass


@each_of(
    ("changes", "problem"),
    [
        ({"tokens": ()}, "token_file"),
        ({"tokens": (b"a token",)}, "token_file"),
        ({"tokens": (b"xoxb-1\r\nX: y",)}, "token_file"),
        ({"secrets": (b"short",)}, "secret_file"),
        ({"secrets": (TOKEN,)}, "secret_file"),
        ({"api_url": "slack.com"}, "api_url"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], problem: str) -> None:
    """With the file they are in, and never with what stands there."""
    with pytest.raises(UserError, match=problem) as refused:
        platform(**changes)
    assert "xoxb-1" not in str(refused.value)


# ---- out


CONTENT = ReplyContent(
    in_reply_to="C1:1355517523.000005",
    conversation="C1",
    text="\n".join(("carol asks for r42 <!channel> & *all*:", code_block("systemctl restart web"), "Who may: bob.")),
    request=ReplyRequest("01JBZ5CR00000000000000000A", 42, "asking", "k7f2"),
    actions=("approve", "reject"),
    kind="question",
    thread="1355517523.000005",
    card=True,
    deadline=1_800_000_000.5,
)
REQUEST = str(ULID.from_timestamp(1_355_517_524.0))


def reply(content: ReplyContent = CONTENT, **changes: Any) -> OutboundReply:
    return OutboundReply(**({"id": f"{REQUEST}.7", "url": API, "body": content.to_json()} | changes))


def posted(call: HttpCall) -> dict[str, Any]:
    assert call.headers["Authorization"] == f"Bearer {TOKEN.decode()}"
    assert call.headers["Content-Type"] == "application/json; charset=utf-8"
    body: dict[str, Any] = json.loads(call.body)
    for block in body["blocks"]:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()
    return body


def test_a_card_is_posted_into_its_thread() -> None:
    """The plan as code, the deadline in the reader's time, buttons with what they say; the official models agree."""
    call = SLACK.render(reply(), NOW)
    assert (call.method, call.url) == ("POST", f"{API}/chat.postMessage")
    body = posted(call)
    assert body["text"] == "carol asks for r42 &lt;!channel&gt; &amp; *all*: Who may: bob."
    assert (body["channel"], body["thread_ts"]) == ("C1", "1355517523.000005")
    assert (body["unfurl_links"], body["unfurl_media"]) == (False, False)
    assert body["metadata"] == {"event_type": "answerback_reply", "event_payload": {"id": REQUEST}}
    rich, context, actions = body["blocks"]
    assert rich["elements"][1] == {
        "type": "rich_text_preformatted",
        "elements": [{"type": "text", "text": "systemctl restart web"}],
    }
    assert context["elements"][0]["text"] == (
        "Decide by <!date^1800000000^{date_short_pretty} {time}|2027-01-15 08:00 UTC>."
    )
    assert [(button["value"], button["text"]["text"], button.get("style")) for button in actions["elements"]] == [
        ("approve r42 k7f2", "Approve", "primary"),
        ("reject r42", "Reject", "danger"),
    ]


def test_a_card_is_changed_where_it_was_posted() -> None:
    """By chat.update; without buttons where nothing can be done."""
    call = SLACK.render(reply(replace(CONTENT, actions=(), deadline=None), ref="C9:1355517600.000100"), NOW)
    assert call.url == f"{API}/chat.update"
    body = posted(call)
    assert (body["channel"], body["ts"], body["parse"]) == ("C9", "1355517600.000100", "none")
    assert [block["type"] for block in body["blocks"]] == ["rich_text"]
    assert SLACK.handle_response(reply(ref="C9:1.2"), call, answer(ok=True, channel="C9", ts="1.2"), NOW) == Delivered(
        "C9:1.2"
    )


def test_replies_without_a_thread_and_to_commands() -> None:
    """In a direct message beside the message; to a command into the channel."""
    for thread in ("", "@U1"):
        assert "thread_ts" not in posted(SLACK.render(reply(replace(CONTENT, thread=thread)), NOW))


def test_why_a_click_did_nothing_is_said_to_who_clicked() -> None:
    """Output that was asked for by a click is for everybody, and so is a card."""
    said = replace(CONTENT, in_reply_to="click:approve:U2:C1:1.2", card=False, request=None, actions=(), deadline=None)
    call = SLACK.render(reply(said), NOW)
    assert call.url == f"{API}/chat.postEphemeral"
    assert (posted(call)["user"], posted(call)["thread_ts"]) == ("U2", "1355517523.000005")
    after = SLACK.handle_response(reply(said), call, answer(error="user_not_in_channel"), NOW)
    assert isinstance(after, NextCall)
    assert after.call.url == f"{API}/chat.postMessage"
    for public in (replace(said, in_reply_to="click:more:U2:C1:1.2"), replace(said, card=True)):
        assert SLACK.render(reply(public), NOW).url == f"{API}/chat.postMessage"


@settings(max_examples=30)
@given(st.text(max_size=30), st.integers(0, 400), st.sampled_from(["en", "zh"]))
def test_long_replies_fit(line: str, count: int, language: Any) -> None:
    """Whatever comes out of a command: bounded, and taken by the official models."""
    text = "head\n" + code_block("\n".join([line.replace("`", "'") + "<&>"] * count)) + "\ntail"
    body = posted(SLACK.render(reply(replace(CONTENT, text=text, language=language)), NOW))
    assert len(json.dumps(body["blocks"][0]["elements"], ensure_ascii=False, separators=(",", ":"))) <= MAX_BLOCKS
    assert "head" in body["blocks"][0]["elements"][0]["elements"][0]["text"]
    assert "<" not in body["text"]


def test_a_post_that_may_have_been_made_is_looked_for() -> None:
    """In its thread, since its request; found, a card is changed and other replies are done; else it is posted."""
    repeated = reply(repeated=True)
    call = SLACK.render(repeated, NOW)
    assert call.method == "GET"
    query = parse_qs(urlsplit(call.url).query)
    assert urlsplit(call.url).path == "/api/conversations.replies"
    assert query["ts"] == ["1355517523.000005"]
    assert query["oldest"] == ["1355517224.000000"]
    mine = {"ts": "1355517600.000100", "metadata": {"event_payload": {"id": REQUEST}}}
    other = {"ts": "1355517600.000200", "metadata": {"event_payload": {"id": "x"}}}
    found = SLACK.handle_response(repeated, call, answer(ok=True, messages=[{}, {"metadata": 1}, other, mine]), NOW)
    assert isinstance(found, NextCall)
    assert found.call.url == f"{API}/chat.update"
    assert (posted(found.call)["channel"], posted(found.call)["ts"]) == ("C1", "1355517600.000100")
    lost = SLACK.handle_response(repeated, found.call, answer(error="cant_update_message"), NOW)
    assert isinstance(lost, NextCall)
    assert lost.call.url == f"{API}/chat.postMessage"
    for nothing in (answer(ok=True, messages=[other]), answer(error="missing_scope"), HttpResponse(200, {}, b"{")):
        after = SLACK.handle_response(repeated, call, nothing, NOW)
        assert isinstance(after, NextCall)
        assert after.call.url == f"{API}/chat.postMessage"
    plain = reply(replace(CONTENT, card=False, thread="@U1"), repeated=True)
    call = SLACK.render(plain, NOW)
    assert urlsplit(call.url).path == "/api/conversations.history"
    one = {"ts": "1.2", "metadata": {"event_payload": {"id": plain.id}}}
    assert SLACK.handle_response(plain, call, answer(ok=True, messages=[one]), NOW) == Delivered()
    assert SLACK.render(reply(id=".9", repeated=True), NOW).url == f"{API}/chat.postMessage"


def answer(status: int = 200, headers: Mapping[str, str] | None = None, **body: Any) -> HttpResponse:
    return HttpResponse(status, headers or {}, json.dumps({"ok": False, **body}).encode())


def test_a_post_is_named_by_channel_and_ts() -> None:
    """As the answer says: a post to a person goes into a channel of its own."""
    call = SLACK.render(reply(), NOW)
    long = answer(ok=True, channel="D9", ts="1503435956.000247", message={"text": "x" * 60_000})
    assert SLACK.handle_response(reply(), call, long, NOW) == Delivered("D9:1503435956.000247")
    assert SLACK.handle_response(reply(), call, answer(ok=True, channel=5), NOW) == Delivered("")


@each_of(
    ("response", "kind", "words", "after"),
    [
        (HttpResponse(429, {"retry-after": "30"}), "later", "429", "30"),
        (HttpResponse(503), "later", "503", ""),
        (HttpResponse(404), "refused", "404", ""),
        (HttpResponse(200, {}, b"<html>"), "later", "no answer", ""),
        (HttpResponse(200, {}, b'{"ok":true,"ts'), "later", "no answer", ""),
        (answer(error="ratelimited", headers={"retry-after": "7"}), "later", "ratelimited", "7"),
        (answer(error="internal_error"), "later", "internal_error", ""),
        (answer(error="invalid_auth"), "later", "token_file", "300"),
        (answer(error="token_revoked"), "later", "token_file", "300"),
        (answer(error="missing_scope"), "later", "scopes", "300"),
        (answer(error="not_in_channel"), "gone", "invite", ""),
        (answer(error="is_archived"), "gone", "archived", ""),
        (answer(error="no_text"), "refused", "no_text", ""),
        (answer(error="<b>\x1b[1m"), "later", "no answer", ""),
        (answer(error=["x"]), "later", "no answer", ""),
    ],
)
def test_failures_say_what_to_do(response: HttpResponse, kind: str, words: str, after: str) -> None:
    """With the cure, without a secret, and with what Slack asks to wait."""
    call = SLACK.render(reply(), NOW)
    failed = SLACK.handle_response(reply(), call, response, NOW)
    assert isinstance(failed, DeliveryFailed)
    assert (failed.kind, failed.retry_after) == (kind, after)
    assert words in failed.reason
    assert "xox" not in failed.reason.replace("xoxb-…", "")
    assert "\x1b" not in failed.reason


def test_a_card_that_is_gone_is_posted_anew() -> None:
    """Deleted, not ours, too old to edit."""
    old = reply(ref="C1:1.2")
    call = SLACK.render(old, NOW)
    for error in ("message_not_found", "cant_update_message", "edit_window_closed"):
        assert isinstance(SLACK.handle_response(old, call, answer(error=error), NOW), CardGone)


def follow(sent: OutboundReply, call: HttpCall, error: str) -> HttpCall | DeliveryResult:
    found = SLACK.handle_response(sent, call, answer(error=error), NOW)
    return found.call if isinstance(found, NextCall) else found


def test_where_the_bot_is_not_a_command_is_answered_in_private() -> None:
    """Once: where the person cannot be reached either, it is given up with the cure."""
    command = reply(replace(CONTENT, thread="@U1"))
    call = follow(command, SLACK.render(command, NOW), "not_in_channel")
    assert isinstance(call, HttpCall)
    assert posted(call)["channel"] == "U1"
    assert isinstance(follow(command, call, "channel_not_found"), DeliveryFailed)


def test_a_thread_that_is_gone_is_left() -> None:
    """The reply goes into the channel then."""
    call = follow(reply(), SLACK.render(reply(), NOW), "thread_not_found")
    assert isinstance(call, HttpCall)
    assert "thread_ts" not in posted(call)


def test_blocks_that_are_not_taken_are_sent_as_text() -> None:
    """All of it, escaped and bounded; what to say in place of the buttons is in the text."""
    long = reply(replace(CONTENT, text=CONTENT.text + "\n" + code_block("<out>\n" * 2_000)))
    call = follow(long, SLACK.render(long, NOW), "invalid_blocks")
    assert isinstance(call, HttpCall)
    body = posted(call)
    assert body["blocks"] == []
    assert "```\nsystemctl restart web\n```" in body["text"]
    assert len(body["text"]) <= MAX_PLAIN
    text, _, footer = body["text"].rpartition("\n")
    assert "<" not in text
    assert footer.startswith("Decide by <!date^1800000000^")
    assert isinstance(follow(long, call, "invalid_blocks"), DeliveryFailed)


def test_another_api_can_be_named() -> None:
    """GovSlack, a test's server: calls go there and nowhere else."""
    other = platform(api_url="https://slack-gov.com/api/")
    assert other.hosts == ("https://slack-gov.com:443", "https://files.slack-gov.com")
    assert other.render(reply(), NOW).url == "https://slack-gov.com/api/chat.postMessage"
    found = other.receive(signed(json.dumps(EVENT).encode()), NOW)
    assert isinstance(found, IncomingMessage)
    assert found.reply_url == "https://slack-gov.com/api"


def test_it_can_prove_itself() -> None:
    """A challenge of its own, as Slack would sign it; whose token it is, and what is wrong with one."""
    assert isinstance(SLACK, MakesExample)
    assert isinstance(SLACK, Identifies)
    example = SLACK.example(NOW)
    told = {name.title(): value for name, value in example.headers.items()}
    assert SignatureVerifier(SECRET.decode(), Fixed()).is_valid_request(example.body, told)
    assert SLACK.receive(example, NOW) == ImmediateResponse(b"answerback", "text/plain; charset=utf-8")
    call = SLACK.who_am_i(NOW)
    assert call.url == f"{API}/auth.test"
    assert SLACK.read_identity(call, answer(ok=True, user="ab", team="Ac\x1bme"), NOW) == r"ab in Ac\x1bme"
    for wrong, words in ((answer(error="invalid_auth"), "token_file"), (answer(503), "503"), (HttpResponse(200), "?")):
        failed = SLACK.read_identity(call, wrong, NOW)
        assert isinstance(failed, DeliveryFailed)
        assert words in failed.reason


def test_a_card_that_was_found_gone_is_not_looked_for() -> None:
    """Its place is taken by a new post."""
    assert SLACK.render(reply(repeated=True, lost="C1:1.2"), NOW).url == f"{API}/chat.postMessage"
