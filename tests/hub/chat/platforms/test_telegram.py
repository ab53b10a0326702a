"""The telegram inlet: updates in, HTML and inline keyboards out. Examples are those of core.telegram.org/bots/api."""

from __future__ import annotations

import json
import random
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import telegram
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryFailed,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    NextCall,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    WebhookRequest,
)
from hub.chat.platforms.telegram import PLATFORM, TelegramInlet, TelegramPlatform, text_units
from tests.each import each_of
from tests.end_to_end.chats.telegram import Parsed

TOKEN = "4839574812:AAFD39kkdpWt3ywyRZergyOLMaJhac60qcK"
SECRET = b"0123456789abcdef_-ABC"
ROOT = "https://api.telegram.org"
NOW = 1_700_000_000.0
BOT = TelegramPlatform(TOKEN, [SECRET, b"the_older_one_of_them"], ROOT, "ops_bot")
ALICE = {"id": 1111111, "is_bot": False, "first_name": "Test", "username": "alice"}
GROUP = {"id": -1001234567890, "type": "supergroup", "title": "ops"}
PRIVATE = {"id": 1111111, "type": "private", "first_name": "Test"}


def update(text: str = "disk on web-1", *, chat: Any = GROUP, key: str = "message", **more: Any) -> dict[str, Any]:
    message = {"message_id": 1365, "date": 1_441_645_532, "from": ALICE, "chat": chat, "text": text, **more}
    return {"update_id": 10_000, key: {name: value for name, value in message.items() if value is not None}}


def click(data: Any = "approve r42 k7f2", **more: Any) -> dict[str, Any]:
    message = {"message_id": 1400, "date": 0, "chat": GROUP}
    query = {"id": "4382bfdwdsb323b2d9", "from": ALICE, "message": message, "chat_instance": "1", "data": data, **more}
    return {"update_id": 10_001, "callback_query": query}


def delivery(body: Any, token: str | None = SECRET.decode()) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WebhookRequest(raw, {} if token is None else {"x-telegram-bot-api-secret-token": token})


def said(body: dict[str, Any]) -> IncomingMessage:
    found = BOT.receive(delivery(body), 0.0)
    assert isinstance(found, IncomingMessage), found
    return found


def mark(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    """An entity over `part` of `text`, in UTF-16 units."""
    units = len(text[: text.index(part)].encode("utf-16-le")) // 2
    return {"type": kind, "offset": units, "length": len(part.encode("utf-16-le")) // 2, **more}


# In


def test_a_message_is_read() -> None:
    """Ids of chat and message make the event's; a group's message without the bot's name is not addressed."""
    assert said(update()) == IncomingMessage(
        "-1001234567890/1365",
        "1111111",
        "-1001234567890",
        "disk on web-1",
        reply_url=ROOT,
        sent_at=1_441_645_532.0,
        addressed=False,
    )
    assert said(update(chat=PRIVATE)).addressed
    topic = said(update(message_thread_id=7, is_topic_message=True))
    assert topic.thread == "7"
    assert said(update(message_thread_id=7)).thread == "", "a chain of answers is no topic"
    assert said(update(None, caption="restart nginx on web-1", photo=[])).text == "restart nginx on web-1"


def test_an_edit_has_the_id_of_what_was_said_first() -> None:
    """So the same message is not run twice."""
    first, edit = said(update()), said(update("disk on web-2", key="edited_message", edit_date=1_441_645_600))
    assert (edit.event_id, edit.edited, edit.sent_at) == (first.event_id, True, 1_441_645_600.0)
    assert not first.edited


@each_of(
    ("text", "entities", "words", "addressed"),
    [
        ("/run df -h on web-1", [("bot_command", "/run")], "df -h on web-1", True),
        ("/run@ops_bot\n@web-1 df", [("bot_command", "/run@ops_bot")], "@web-1 df", True),
        ("/Run@OPS_BOT df", [("bot_command", "/Run@OPS_BOT")], "df", True),
        ("/run", [("bot_command", "/run")], "help", True),
        ("/start xyz", [("bot_command", "/start")], "help", True),
        ("/approve@ops_bot r42 k7f2", [("bot_command", "/approve@ops_bot")], "approve r42 k7f2", True),
        ("/status", [("bot_command", "/status")], "status", True),
        ("/usr/bin/df", [], "/usr/bin/df", False),
        ("what is /run for", [("bot_command", "/run")], "what is /run for", False),
        ("@ops_bot disk on web-1", [("mention", "@ops_bot")], "disk on web-1", True),
        ("@OPS_bot, disk on web-1", [("mention", "@OPS_bot")], "disk on web-1", True),
        ("@ops_bot：看看 web-1 的磁盘", [("mention", "@ops_bot")], "看看 web-1 的磁盘", True),
        ("disk on web-1 @ops_bot", [("mention", "@ops_bot")], "disk on web-1", True),
        ("@ops_bot", [("mention", "@ops_bot")], "help", True),
        ("echo @ops_bot hi", [("mention", "@ops_bot")], "echo @ops_bot hi", True),
        ("@bob disk on web-1", [("mention", "@bob")], "@bob disk on web-1", False),
        ("@bob and @ops_bot", [("mention", "@bob"), ("mention", "@ops_bot")], "@bob and", True),
        ("😀😀 hi @ops_bot", [("mention", "@ops_bot")], "😀😀 hi", True),
        ("@ops_bot 😀 disk", [("mention", "@ops_bot")], "😀 disk", True),
        ("grep @ops_bot f", [("code", "grep @ops_bot f")], "grep @ops_bot f", False),
    ],
)
def test_commands_and_mentions(text: str, entities: list[Any], words: str, addressed: bool) -> None:
    """The bot's own name goes from the beginning or the end, other names stay, code is left alone."""
    found = said(update(text, entities=[mark(kind, text, part) for kind, part in entities]))
    assert (found.text, found.addressed) == (words, addressed)


def test_a_mention_without_a_username_and_an_answer_are_for_the_bot() -> None:
    """By the bot's id, which is in its token; the first message of a topic, which all answer in form, is no answer."""
    bot = {"id": 4839574812, "is_bot": True, "first_name": "Ops"}
    assert said(update("Ops: disk", entities=[mark("text_mention", "Ops: disk", "Ops", user=bot)])).text == "disk"
    assert said(update(reply_to_message={"from": bot})).addressed
    assert not said(update(reply_to_message={"from": ALICE})).addressed
    assert not said(update(reply_to_message={"from": bot, "forum_topic_created": {}})).addressed


@each_of(
    "body",
    [
        update(**{"from": {**ALICE, "is_bot": True}}),
        update(**{"from": None}),
        update(sender_chat=GROUP),
        update(via_bot={"id": 5, "is_bot": True}),
        update(forward_origin={"type": "user"}),
        update(None, sticker={}),
        update(None, new_chat_members=[ALICE]),
        update("/run@other_bot df", entities=[mark("bot_command", "/run@other_bot df", "/run@other_bot")]),
        {"update_id": 1, "channel_post": {"message_id": 1}},
        {"update_id": 1, "my_chat_member": {}},
        {"update_id": 1},
    ],
)
def test_what_no_person_said_to_us_is_ignored(body: Any) -> None:
    """Bots, channels, anonymous administrators, forwarded words, service messages, commands for others."""
    assert isinstance(BOT.receive(delivery(body), 0.0), Ignored)


def test_a_click_says_what_its_button_means_and_who_clicked() -> None:
    """The spinner on the button is ended by the webhook's own response, also where the button is not ours."""
    found = said(click())
    answer = {"method": "answerCallbackQuery", "callback_query_id": "4382bfdwdsb323b2d9"}
    assert found.response is not None
    assert json.loads(found.response.body) == answer
    assert replace(found, response=None) == IncomingMessage(
        "click/4382bfdwdsb323b2d9", "1111111", GROUP["id"].__str__(), "approve r42 k7f2", reply_url=ROOT, button=True
    )
    for foreign in ("approve everything", "", None, 7, "approve r42 k7f2\n", "a:req_01"):
        response = BOT.receive(delivery(click(foreign)), 0.0)
        assert isinstance(response, ImmediateResponse), foreign
        assert json.loads(response.body) == answer
    assert isinstance(BOT.receive(delivery(click(**{"from": {**ALICE, "is_bot": True}})), 0.0), ImmediateResponse)


@each_of(
    "token",
    [None, "", SECRET.decode()[:-1], SECRET.decode() + "0", SECRET.decode().lower(), " " + SECRET.decode(), "é" * 21,
     "\xff\xfe", "１" * 21, f"{SECRET.decode()}, {SECRET.decode()}", "0" * 100_000],
)  # fmt: skip
def test_anything_but_the_secret_is_refused(token: str | None) -> None:
    """Before the body is looked at, and without another exception."""
    with pytest.raises(BadSignature):
        BOT.receive(delivery(b"\xff{", token), 0.0)


def test_an_older_secret_holds_while_it_is_rotated() -> None:
    """Every line of the file."""
    assert isinstance(BOT.receive(delivery(update(), "the_older_one_of_them"), 0.0), IncomingMessage)


@each_of(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"{", b"\xef\xbb\xbf{}", b"update_id=1", b"<xml/>", b"\x1f\x8b\x08", b"[" * 5_000,
        b'{"update_id":NaN}', b'{"update_id":1,"update_id":2}', b'{"update_id":1e400}',
        b'{"update_id":99999999999999999999}',
        {"update_id": "1"}, {"update_id": True}, {"update_id": 1, "message": []}, {"update_id": 1, "message": None},
        update(chat=[]), update(chat={"id": "x"}), update(message_id="1"), update(date=1.5),
        update(**{"from": "alice"}),
        update("x" * 8_001), update(["x"]), update(entities={}), update(entities=[1]), update(entities=[{}] * 1_001),
        update("a", entities=[{"type": "mention", "offset": 0, "length": 2}]),
        update("a", entities=[{"type": "mention", "offset": -1, "length": 1}]),
        update("a", entities=[{"type": "mention", "offset": 0, "length": 0}]),
        update("a", entities=[{"type": "mention", "offset": 2**62, "length": 2**62}]),
        update("😀", entities=[{"type": "mention", "offset": 0, "length": 1}]),
        update(is_topic_message=True, message_thread_id="7"),
        click(id=7), click(id="x" * 65), click(id="a b"), click(message=[]), click(message={"chat": {}}),
    ],
)  # fmt: skip
def test_a_body_that_is_no_update_is_named(body: Any) -> None:
    """Never another exception than BadBody."""
    with pytest.raises(BadBody):
        BOT.receive(delivery(body), 0.0)


LEAVES = st.sampled_from([None, True, 0, -1, 2**63 - 1, 1.5, "", "x", "\u202e", [], {}, [[]], {"id": None}])
SEEDS = [
    update("@ops_bot 😀 x", entities=[mark("mention", "@ops_bot 😀 x", "@ops_bot")], message_thread_id=7),
    update("/run x", key="edited_message", entities=[mark("bot_command", "/run x", "/run")]),
    update(reply_to_message={"from": ALICE}),
    click(),
]


@given(st.data())
def test_a_changed_body_is_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    """Any value of an update replaced by any other."""
    body = deepcopy(data.draw(st.sampled_from(SEEDS)))
    place: Any = body
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not place[key] or not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(LEAVES)
    try:
        found = BOT.receive(delivery(body), 0.0)
    except BadBody:
        return
    assert isinstance(found, IncomingMessage | Ignored | ImmediateResponse)


def test_updates_are_read_as_another_library_reads_them() -> None:
    """A thousand made-up messages: ids, words, topic and mentions as python-telegram-bot sees them."""
    draw = random.Random(9)
    words = ["disk", "web-1", "😀", "磁盘", "@bob", "e\u0301", "𝒳", "-h", "/tmp"]
    for number in range(1_000):
        before = " ".join(draw.choices(words, k=draw.randint(0, 4)))
        after = " ".join(draw.choices(words, k=draw.randint(0, 4)))
        text = f"{before} @ops_bot {after}".strip()
        body = update(
            text,
            chat=draw.choice([GROUP, PRIVATE, {"id": -5, "type": "group", "title": "g"}]),
            key=draw.choice(["message", "edited_message"]),
            message_id=draw.randint(1, 2**31),
            message_thread_id=draw.choice([None, 7]),
            is_topic_message=draw.choice([None, True]),
            entities=[mark("mention", text, "@ops_bot")],
        )
        if "message_thread_id" not in next(value for value in body.values() if isinstance(value, dict)):
            next(value for value in body.values() if isinstance(value, dict)).pop("is_topic_message", None)
        ours = said(body)
        theirs = telegram.Update.de_json(body, None)
        message = theirs.effective_message
        assert message is not None
        assert theirs.effective_user is not None
        assert ours.event_id == f"{message.chat_id}/{message.message_id}", number
        assert ours.user == str(theirs.effective_user.id)
        assert ours.thread == (str(message.message_thread_id) if message.is_topic_message else "")
        assert ours.edited == (theirs.edited_message is not None)
        assert list(message.parse_entities().values()) == ["@ops_bot"]
        assert ours.addressed
        kept = text if before and after else text.replace("@ops_bot", "").strip()
        assert ours.text == (kept or "help")


# Out


def card(text: str = "r42 waits", **more: Any) -> ReplyContent:
    base = ReplyContent(
        "-1001234567890/1365",
        "-1001234567890",
        text,
        ReplyRequest("01J", 42, "asking", "k7f2"),
        actions=("approve", "reject"),
        card=True,
    )
    return replace(base, **more)


def rendered(content: ReplyContent, ref: str = "") -> tuple[str, dict[str, Any]]:
    call = BOT.render(OutboundReply("01J.5", ROOT, content.to_json(), ref=ref), 1_700_000_000.0)
    assert call.url.startswith(f"{ROOT}/bot{TOKEN}/")
    return call.url.rpartition("/")[2], json.loads(call.body)


def test_a_card_is_posted_and_changed() -> None:
    """The post answers the message in its topic; the change names what was posted and has the new buttons."""
    text = "r42: `df -h` on web-1\n```\nrm -rf <x> && y\n```\n> says *it*\n> and @bob\nwith a@b.example, @alice"
    method, fields = rendered(card(text, thread="7", deadline=1_700_000_600.0))
    assert method == "sendMessage"
    assert fields == {
        "chat_id": -1001234567890,
        "message_thread_id": 7,
        "reply_parameters": {"message_id": 1365, "allow_sending_without_reply": True},
        "text": "r42: <code>df -h</code> on web-1\n<pre>rm -rf &lt;x&gt; &amp;&amp; y</pre>\n"
        "<blockquote>says *it*\nand ＠bob</blockquote>\nwith a@b.example, ＠alice\n"
        'Decide by <tg-time unix="1700000600" format="dt">22:23 UTC (in 10 min)</tg-time>.',
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "reply_markup": {
            "inline_keyboard": [
                [
                    {"text": "Approve", "callback_data": "approve r42 k7f2"},
                    {"text": "Reject", "callback_data": "reject r42"},
                ]
            ]
        },
    }
    method, fields = rendered(card("done", actions=()), "-1001234567890/1400")
    assert method == "editMessageText"
    assert (fields["chat_id"], fields["message_id"]) == (-1001234567890, 1400)
    assert "reply_markup" not in fields, "an edit without it takes the buttons away"
    assert "reply_parameters" not in fields


def test_a_private_reply_answers_no_message_and_other_chats_are_not_quoted() -> None:
    """Only in the group where it was said."""
    for conversation, event in (("1111", "1111/5"), ("-7", "-8/5"), ("-7", "click/77"), ("-7", "event")):
        assert "reply_parameters" not in rendered(card(conversation=conversation, in_reply_to=event))[1]
    assert rendered(card(conversation="-7", in_reply_to="-7/-7/5"))[1]["reply_parameters"]["message_id"] == 5


@settings(max_examples=60)
@given(st.text(st.sampled_from("ab@ \n`<>&\"'😀磁/._-*"), max_size=300), st.integers(1, 8))
def test_whatever_the_text_it_is_proper_and_mentions_nobody(text: str, times: int) -> None:
    """Balanced, no unknown tags, within the limit, and an @ before a name only in code or an address."""
    fields = rendered(card(text * times + "😀" * 300 * times, deadline=1_700_000_600.0))[1]
    shown = Parsed(fields["text"])
    assert len(shown.text.encode("utf-16-le")) // 2 == text_units(fields["text"]) <= 4_096
    outside = shown.text
    for mention in telegram_mentions(outside):
        assert mention in shown.code


def telegram_mentions(text: str) -> list[str]:
    """What Telegram's clients take for a mention in plain text (tdlib: @name that does not follow a word character)."""
    return re.findall(r"(?<![A-Za-z0-9_])@[A-Za-z0-9_]+", text)


def test_what_does_not_fit_is_cut_and_cannot_be_approved_by_a_tap() -> None:
    """By UTF-16 units; a hundred characters beyond U+FFFF are two hundred."""
    whole = rendered(card("😀" * 2_048))[1]
    assert text_units(whole["text"]) == 4_096
    assert len(whole["reply_markup"]["inline_keyboard"][0]) == 2
    cut = rendered(card("head\n```\n" + "😀 output\n" * 1_000 + "```\ntail"))[1]
    assert text_units(cut["text"]) <= 4_096
    assert "tail" in cut["text"]
    assert "cut here" in cut["text"]
    assert [button["callback_data"] for button in cut["reply_markup"]["inline_keyboard"][0]] == ["reject r42"]


def test_no_value_of_a_button_is_longer_than_telegram_takes() -> None:
    """64 bytes, also at the highest number."""
    request = ReplyRequest("01J", 999_999_999_999, "asking", "k7f2")
    for actions in (("approve", "reject"), ("cancel",), ("more", "retry")):
        for row in rendered(card(request=request, actions=actions))[1]["reply_markup"]["inline_keyboard"]:
            for button in row:
                assert 1 <= len(button["callback_data"].encode()) <= 64


REPLY = OutboundReply("01J.5", ROOT, card().to_json())
CHANGE = replace(REPLY, ref="-1001234567890/1400")


def result(body: Any, status: int = 200, reply: OutboundReply = REPLY, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return BOT.handle_response(reply, BOT.render(reply, 0.0), HttpResponse(status, headers, raw), 0.0)


def refusal(description: str, code: int = 400, **parameters: Any) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": description, "parameters": parameters}


def test_what_was_posted_is_named() -> None:
    """Also where the answer, which repeats the whole message, was cut; a change keeps its name."""
    posted = {"ok": True, "result": {"message_id": 1400, "chat": {"id": -1001234567890}, "text": "x"}}
    assert result(posted) == Delivered("-1001234567890/1400")
    assert result(posted, reply=CHANGE) == Delivered(CHANGE.ref)
    assert result({"ok": True, "result": True}, reply=CHANGE) == Delivered(CHANGE.ref)
    assert result(b'{"ok":true,"result":{"message_id":1400,"from":{"id":1,"te') == Delivered("-1001234567890/1400")
    assert result(b"<html>").kind == "later"
    not_modified = "Bad Request: message is not modified: specified new message content and reply markup are exactly"
    assert result(refusal(not_modified), 400, CHANGE) == Delivered(CHANGE.ref)


@each_of(
    ("description", "status", "kind", "cure"),
    [
        ("Bad Request: chat not found", 400, "gone", "add the bot"),
        ("Bad Request: message thread not found", 400, "gone", "topic"),
        ("Bad Request: TOPIC_CLOSED", 400, "slowly", "topic"),
        ("Forbidden: bot was blocked by the user", 403, "gone", "start the bot"),
        ("Forbidden: bot was kicked from the supergroup chat", 403, "gone", "add the bot"),
        ("Forbidden: bot can't initiate conversation with a user", 403, "gone", "start the bot"),
        ("Bad Request: not enough rights to send text messages to the chat", 400, "slowly", "let the bot"),
        ("Bad Request: message text is empty", 400, "refused", "empty"),
        ("Unauthorized", 401, "slowly", "secret_file"),
        ("Not Found", 404, "slowly", "secret_file"),
        ("Internal Server Error", 500, "later", "Internal"),
        ("Bad Gateway", 502, "later", "Bad"),
        ("Bad Request: message to edit not found", 400, "refused", "edit"),
    ],
)
def test_a_refusal_says_what_to_do(description: str, status: int, kind: str, cure: str) -> None:
    """And never holds the token. What an admin has to see to is tried again slowly, so that nothing is lost."""
    found = result(refusal(description, status), status)
    assert isinstance(found, DeliveryFailed)
    assert (found.kind, found.retry_after) == (("later", "300") if kind == "slowly" else (kind, ""))
    assert cure in found.reason
    assert TOKEN not in repr(found)


def test_too_many_posts_wait_as_long_as_telegram_says() -> None:
    """`parameters.retry_after`, seconds; a proxy's 502 without JSON is worth a retry too."""
    found = result(refusal("Too Many Requests: retry after 35", 429, retry_after=35), 429)
    assert (found.kind, found.retry_after) == ("later", "35")
    assert result(b"<html>", 502, **{"retry-after": "9"}) == DeliveryFailed("the receiver answered 502", "later", "9")


def test_a_card_that_cannot_be_changed_is_gone() -> None:
    """Deleted, or no longer ours to change."""
    for words in ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"):
        assert isinstance(result(refusal(f"Bad Request: {words}"), 400, CHANGE), CardGone)


def test_a_group_that_became_a_supergroup_is_followed() -> None:
    """The same message to the new chat, without the answered message, which stayed behind."""
    moved = refusal("Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100987)
    found = result(moved, 400)
    assert isinstance(found, NextCall)
    fields = json.loads(found.call.body)
    assert fields["chat_id"] == -100987
    assert "reply_parameters" not in fields


def test_markup_that_a_server_does_not_know_is_left_out() -> None:
    """A server of one's own may be older: then the words alone, once."""
    found = result(refusal('Bad Request: can\'t parse entities: Unsupported start tag "tg-time"'), 400)
    assert isinstance(found, NextCall)
    fields = json.loads(found.call.body)
    assert "parse_mode" not in fields
    assert fields["text"] == "r42 waits"
    again = BOT.handle_response(
        REPLY, found.call, HttpResponse(400, {}, json.dumps(refusal("can't parse")).encode()), 0
    )
    assert isinstance(again, DeliveryFailed)


@given(st.binary(max_size=200), st.sampled_from([200, 400, 403, 429, 500]))
def test_any_answer_is_a_result(body: bytes, status: int) -> None:
    """Whatever the bytes."""
    assert isinstance(result(body, status, CHANGE), Delivered | DeliveryFailed | CardGone | NextCall)


# Set-up


def table(**more: Any) -> TelegramInlet:
    found: dict[str, Any] = {
        "platform": "telegram",
        "secret_file": Path("secrets/tg"),
        "secrets": (TOKEN.encode(),),
        "other_secrets": {"webhook_secret_file": (SECRET,)},
        **more,
    }
    return TelegramInlet(**found)


def test_an_inlet_is_made_of_its_table() -> None:
    """An API of one's own is where calls go; what cannot work is said at once, without the secret."""
    made = PLATFORM.create(table(api_url="http://127.0.0.1:8081/", bot="ops_bot"))
    assert made.hosts == ("http://127.0.0.1:8081",)
    assert made.render(REPLY, 0.0).url == f"http://127.0.0.1:8081/bot{TOKEN}/sendMessage"
    for wrong, word in (
        ({"secrets": (b"no token",)}, "BotFather"),
        ({"other_secrets": {}}, "webhook_secret_file"),
        ({"other_secrets": {"webhook_secret_file": (b"short",)}}, "16"),
        ({"other_secrets": {"webhook_secret_file": ("ü" * 20).encode() and (("ü" * 20).encode(),)}}, "16"),
        ({"api_url": "ftp://x"}, "https"),
        ({"api_url": "https://u:p@x"}, "https"),
        ({"bot": "@ops_bot"}, "without @"),
    ):
        with pytest.raises(UserError) as caught:
            PLATFORM.create(table(**wrong))  # type: ignore[arg-type]
        assert word in f"{caught.value.problem} {caught.value.cure}"
        assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(table())


def test_an_inlet_proves_itself() -> None:
    """By an update that tells nothing, and by the bot's own name, which `bot` has to be."""
    example = BOT.example(NOW)
    assert example is not None
    assert isinstance(BOT.receive(example, NOW), Ignored)
    assert TelegramPlatform(TOKEN, [], ROOT, "x", outbound=True).example(NOW) is None

    def identity(body: Any, status: int = 200) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return BOT.read_identity(BOT.who_am_i(NOW), HttpResponse(status, {}, raw), NOW)

    assert BOT.who_am_i(NOW).url == f"{ROOT}/bot{TOKEN}/getMe"
    assert identity({"ok": True, "result": {"id": 1, "username": "Ops_Bot"}}) == "@Ops_Bot"
    assert 'bot = "new_bot"' in identity({"ok": True, "result": {"id": 1, "username": "new_bot"}})
    for body, status, word in (
        (refusal("Unauthorized", 401), 401, "secret_file"),
        (b"<html>", 200, "api_url"),
        ({"ok": True, "result": []}, 200, "who the bot is"),
    ):
        found = identity(body, status)
        assert isinstance(found, DeliveryFailed)
        assert word in found.reason
