"""Microsoft Teams: the outgoing webhook's signature, words out of its markup, and cards for a workflow."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    Delivered,
    DeliveryFailed,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    NotAuthentic,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    Stale,
    WebhookRequest,
)
from hub.chat.platforms.teams import MAX_POST, PLATFORM, TeamsInlet, TeamsPlatform, card_message
from tests.each import each_of

TOKEN = "vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA="
FLOW = (
    "https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke?api-version=1&sig=S3CR3T"
)
ROOT = "https://prod-1.westeurope.logic.azure.com:443"
NOW = 1_486_759_327.0
ROOM = "19:253b1f341670408fb6fe51050b6e5ceb@thread.tacv2"
ACTIVITY: dict[str, Any] = {
    "type": "message",
    "id": "1485983408511",
    "timestamp": "2017-02-10T20:42:07.437Z",
    "serviceUrl": "https://smba.trafficmanager.net/amer/",
    "channelId": "msteams",
    "from": {"id": "29:1XJKJMvc5GBtc2JwZq0oj8tHZmzrQgFmB", "name": "Tim Jones", "aadObjectId": "8b07f4a6-0001"},
    "conversation": {"id": f"{ROOM};messageid=1485983194839"},
    "textFormat": "plain",
    "text": "<at>Answerback</at> @web-1 df -h",
}


def table(**more: Any) -> TeamsInlet:
    made = TeamsInlet(
        platform="teams",
        secret_file=Path("secrets/teams"),
        flow_file=Path("secrets/flow"),
        secrets=(TOKEN.encode(),),
        other_secrets={"flow_file": (FLOW.encode(),)},
    )
    return dataclasses.replace(made, **more)


ONE = TeamsPlatform(table())


def delivery(body: bytes | dict[str, Any] = ACTIVITY, token: str = TOKEN, **headers: str) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    digest = base64.b64encode(hmac.digest(base64.b64decode(token), raw, "sha256")).decode()
    return WebhookRequest(raw, {"authorization": f"HMAC {digest}"} | headers)


def read(**change: Any) -> IncomingMessage:
    found = ONE.receive(delivery(ACTIVITY | change), NOW)
    assert isinstance(found, IncomingMessage)
    return found


def test_a_known_signature_fits() -> None:
    """Our own vector, made with another program: the documentation's pair cannot be reproduced."""
    body = b'{"type":"message","id":"1485983408511","text":"<at>MyWebHook</at> Hello"}'
    signed = delivery(body).headers["authorization"]
    assert signed == "HMAC /iR5fj0jSHRitDV9nsasObOQYRs7hv6qV4oBjwO5MRI="
    with pytest.raises(BadBody, match="from"):
        ONE.receive(WebhookRequest(body, {"authorization": signed}), NOW)


def test_a_message_is_read_as_it_is_documented() -> None:
    """The person by the directory's id, the channel without its thread; only the workflow's host is told."""
    message = read()
    assert message.text == "@web-1 df -h"
    assert (message.user, message.conversation, message.thread) == ("8b07f4a6-0001", ROOM, "1485983194839")
    assert message.event_id == f"{ROOM}/1485983408511"
    assert message.sent_at == datetime(2017, 2, 10, 20, 42, 7, 437_000, UTC).timestamp()
    assert message.reply_url == f"{ROOT}/"
    assert read(**{"from": {"id": "29:1XJ"}}).user == "29:1XJ"
    assert len(read(id="9" * 200).event_id) == 64


def test_the_answer_says_what_will_happen() -> None:
    """In the message's language, with its number; a repeat says that nothing was done again."""
    said = {}
    for text, language in (("disk on web-1", "en"), ("web-1 的磁盘", "zh")):
        message = read(text=f"<at>Answerback</at> {text}")
        assert callable(message.response)
        answer = message.response("accepted", 42)
        assert (answer.status, answer.content_type) == (200, "application/json")
        said[language] = json.loads(answer.body)
        again = json.loads(message.response("duplicate", 0).body)
        assert again["type"] == "message"
        assert "r42" not in again["text"]
    assert said["en"] == {"type": "message", "text": "r42: received. The answer follows in this channel."}
    assert said["zh"]["text"].startswith("r42：已收到")


@each_of(
    ("text", "words"),
    [
        ("<at>Answerback</at> help", "help"),
        ("<at>answerback</at>&nbsp;help&nbsp;", "help"),
        ("<at>Some other name</at> help", "help"),
        ("  <at>MyHook</at> ask <at>Tim &amp; Tom</at> of <at id='0'>answerback</at> disk", "ask @Tim & Tom of   disk"),
        ("help <at>MyHook</at>", "help @MyHook"),
        ("<at>x</at> @web-1 echo &lt;b&gt; &amp;amp; &quot;a&quot;", '@web-1 echo <b> &amp; "a"'),
        ("<p><at>x</at> approve r42 k7f2</p>\n", "approve r42 k7f2"),
        ("<div><at>x</at>&nbsp;one<br>two</div><div>three</div>", "one\ntwo\nthree"),
        ("<at>x</at> <span style='color:red'>disk</span>&nbsp;on&nbsp;<b>web-1</b>", "disk on web-1"),
        ("<at>x</at> &lt;at&gt;y&lt;/at&gt; z", "<at>y</at> z"),
        ("<at>x</at> 磁盘 🙂", "磁盘 🙂"),
        ("@web-1 a < b", "@web-1 a < b"),
    ],
)  # fmt: skip
def test_words_come_without_the_mention_and_the_markup(text: str, words: str) -> None:
    """Of the webhook; others that are mentioned stay, as words."""
    assert read(text=text).text == words


GOOD = delivery()


@each_of(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "HMAC"},
        {"authorization": "HMAC " + "A" * 43 + "="},
        {"authorization": GOOD.headers["authorization"].removeprefix("HMAC ")},
        {"authorization": GOOD.headers["authorization"] + ", HMAC x"},
        {"authorization": "Bearer x"},
        {"authorization": "HMAC " + "é" * 43 + "="},
        {"authorization": delivery(token=base64.b64encode(b"another key of 16").decode()).headers["authorization"]},
        {"hmac": GOOD.headers["authorization"]},
    ],
)
def test_what_is_not_signed_is_refused(headers: dict[str, str]) -> None:
    """Missing, malformed, made with another key, or in another header."""
    with pytest.raises(BadSignature):
        ONE.receive(WebhookRequest(GOOD.body, headers), NOW)


def test_a_changed_byte_is_refused_and_the_scheme_is_read_in_any_case() -> None:
    """As RFC 9110 has it for schemes."""
    with pytest.raises(BadSignature):
        ONE.receive(WebhookRequest(GOOD.body.replace(b"df", b"dd"), GOOD.headers), NOW)
    lower = {"authorization": GOOD.headers["authorization"].replace("HMAC", "hmac")}
    assert isinstance(ONE.receive(WebhookRequest(GOOD.body, lower), NOW), IncomingMessage)


def test_old_messages_are_stale() -> None:
    """The time stands in the signed body: ten minutes either way."""
    moment = datetime(2017, 2, 10, 20, 42, 7, 437_000, UTC).timestamp()
    for off in (-600, 600):
        assert isinstance(ONE.receive(GOOD, moment + off), IncomingMessage)
    for off in (-601, 601):
        with pytest.raises(Stale):
            ONE.receive(GOOD, moment + off)
    assert read(timestamp=None).sent_at == 0


@each_of(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"[]", "object"),
        (b'{"type":"message","type":"message"}', "twice"),
        (b'{"type":"message","text":NaN}', "NaN"),
        (b"[" * 100, "nested"),
        (b"\xff", "UTF-8"),
        (ACTIVITY | {"from": None}, "from"),
        (ACTIVITY | {"from": {}}, "id"),
        (ACTIVITY | {"from": {"id": "a\x1b[2J"}}, "id"),
        (ACTIVITY | {"conversation": {"id": 7}}, "id"),
        (ACTIVITY | {"conversation": {"id": "x" * 201}}, "id"),
        (ACTIVITY | {"id": ""}, "id"),
        (ACTIVITY | {"text": None}, "text"),
        (ACTIVITY | {"text": "<at>x</at> "}, "text"),
        (ACTIVITY | {"text": "x" * 8_001}, "text"),
        (ACTIVITY | {"timestamp": 1}, "timestamp"),
        (ACTIVITY | {"timestamp": "2017-02-10T20:42:07"}, "timestamp"),
        (ACTIVITY | {"timestamp": "yesterday"}, "timestamp"),
        (ACTIVITY | {"timestamp": "9" * 50}, "timestamp"),
    ],
)
def test_a_body_that_is_no_message_is_refused_by_name(body: Any, why: str) -> None:
    """Though it was signed."""
    with pytest.raises(BadBody, match=why):
        ONE.receive(delivery(body), NOW)


def test_other_activities_are_ignored() -> None:
    """Nothing but messages is for us."""
    assert isinstance(ONE.receive(delivery(ACTIVITY | {"type": "messageReaction"}), NOW), Ignored)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.sampled_from(list(ACTIVITY.values())),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "x"]), inner),
        max_leaves=5,
    ),
    st.sampled_from([*ACTIVITY, "new"]),
)  # fmt: skip
def test_any_value_anywhere_is_a_message_or_a_refusal(value: Any, key: str) -> None:
    """And never another exception."""
    try:
        ONE.receive(delivery(json.dumps(ACTIVITY | {key: value}).encode()), NOW)
    except (BadBody, NotAuthentic):
        pass


@given(st.text(alphabet="<>/&;at pbrdivnsp\"'=\nAnswerback中", max_size=300))
def test_any_markup_is_words_or_a_refusal(text: str) -> None:
    """In bounded time; whatever is left is shown exactly as it would run."""
    try:
        words = read(text=text).text
    except BadBody:
        return
    assert words == words.strip() != ""


# ---- out


def reply(text: str, number: int = 42) -> ReplyContent:
    request = ReplyRequest("R1", number, "done") if number else None
    return ReplyContent("1", ROOM, text, request)


def shown(message: str) -> str:
    """What a card of this message shows, line by line."""
    card = json.loads(message)["attachments"][0]["content"]
    assert card["version"] == "1.4"
    lines = []
    for element in card["body"]:
        blocks = element["items"] if element["type"] == "Container" else [element]
        for block in blocks:
            assert block["type"] == "RichTextBlock"
            assert {run["type"] for run in block["inlines"]} == {"TextRun"}
            lines.append("".join(run["text"] for run in block["inlines"]))
    return "\n".join(lines)


def test_a_reply_is_one_card_of_rich_text() -> None:
    """Its exact form; code is monospace, on a ground of its own, with its spaces kept."""
    text = "r42: `df -h` on web-1\n```\nFilesystem   Size\n  /dev/sda\n```\n> a model's words\n"
    call = ONE.render(OutboundReply("R1.7", f"{ROOT}/", reply(text).to_json()), NOW)
    assert (call.url, call.method, call.headers) == (FLOW, "POST", {"Content-Type": "application/json"})
    message = json.loads(call.body)
    assert set(message) == {"type", "attachments"}
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    mono = "Monospace"
    line = {"type": "RichTextBlock", "spacing": "None"}
    assert attachment["content"]["body"] == [
        {
            "type": "RichTextBlock",
            "spacing": "Default",
            "inlines": [
                {"type": "TextRun", "text": "r42: "},
                {"type": "TextRun", "text": "df -h", "fontType": mono},
                {"type": "TextRun", "text": " on web-1"},
            ],
        },
        {
            "type": "Container",
            "style": "emphasis",
            "items": [
                {
                    "type": "RichTextBlock",
                    "spacing": "Default",
                    "inlines": [{"type": "TextRun", "text": "Filesystem\u00a0\u00a0\u00a0Size", "fontType": mono}],
                },
                line | {"inlines": [{"type": "TextRun", "text": "\u00a0\u00a0/dev/sda", "fontType": mono}]},
            ],
        },
        line | {"inlines": [{"type": "TextRun", "text": "│ "}, {"type": "TextRun", "text": "a model's words"}]},
    ]


@each_of(
    "text",
    ["**bold** [x](https://evil.example) _i_ # h", "<at>Everyone</at> <b>", "\\*", '"}]}', "@{body()} ${x}", "a\tb"],
)
def test_nothing_is_markup(text: str) -> None:
    """Rich text has none, and no entity of a mention is ever sent."""
    message = card_message(reply(text))
    assert shown(message) == text
    assert "entities" not in message


def test_times_of_templates_are_not_replaced() -> None:
    """{{DATE(…)}} in an output is shown as it is, with a mark between the braces that cannot be seen."""
    assert shown(card_message(reply("{{DATE(2017-01-01T00:00:00Z)}} {{x}}"))).replace("\u2060", "") == (
        "{{DATE(2017-01-01T00:00:00Z)}} {{x}}"
    )
    assert "{{DATE" not in card_message(reply("```\n{{date(x)}} {{DATE(x)}}\n```"))


def test_output_is_cut_at_28_kilobytes() -> None:
    """As bytes of the whole message; it says where the rest is and stays a card."""
    for letter in "x中":
        message = card_message(reply(f"web-1:\n```\n{(letter * 60 + chr(10)) * 2_000}```"))
        assert MAX_POST - 2_000 < len(message.encode()) <= MAX_POST < 28 * 1024
        assert shown(message).endswith("Shortened; all of it: more r42")
    assert len(card_message(reply("中" * 20_000)).encode()) <= MAX_POST
    assert shown(card_message(reply("中" * 20_000, number=0))).endswith("(cut here: chat does not hold more)")


@given(st.text(max_size=500))
def test_any_text_is_a_card_that_shows_it(text: str) -> None:
    """Valid JSON of the schema, whatever the text."""
    shown(card_message(reply(text.encode("utf-8", "replace").decode())))


@each_of(
    ("status", "headers", "result"),
    [
        (202, {}, Delivered()),
        (200, {}, Delivered()),
        (429, {"retry-after": "7"}, DeliveryFailed("the receiver answered 429", "later", "7", unsent=True)),
        (500, {}, DeliveryFailed("the receiver answered 500", "later")),
        (400, {}, DeliveryFailed("the receiver answered 400", "refused", unsent=True)),
    ],
)
def test_the_workflow_answers_by_its_status(status: int, headers: dict[str, str], result: Any) -> None:
    """202 is its success."""
    posting = OutboundReply("R1.7", f"{ROOT}/", reply("x").to_json())
    assert ONE.handle_response(posting, ONE.render(posting, NOW), HttpResponse(status, headers), NOW) == result


def test_a_workflow_that_is_gone_is_told_without_its_url() -> None:
    """What waits is sent once the file has a new one."""
    posting = OutboundReply("R1.7", f"{ROOT}/", reply("x").to_json())
    for status in (401, 403, 404, 410):
        failed = ONE.handle_response(posting, ONE.render(posting, NOW), HttpResponse(status, {}, b"S3CR3T"), NOW)
        assert isinstance(failed, DeliveryFailed)
        assert (failed.kind, failed.retry_after) == ("later", "300")
        assert "flow_file" in failed.reason
        assert "S3CR3T" not in failed.reason
        assert "azure" not in failed.reason


@each_of(
    ("change", "why"),
    [
        ({"secrets": (b"not base64!",)}, "security token"),
        ({"secrets": (base64.b64encode(b"short"),)}, "security token"),
        ({"other_secrets": {}}, "flow_file"),
        ({"other_secrets": {"flow_file": (b"S3CR3T",)}}, "flow_file"),
        ({"other_secrets": {"flow_file": (b"https://evil.example/?sig=S3CR3T",)}}, "another host"),
        ({"other_secrets": {"flow_file": (b"https://evil-logic.azure.com.example/?sig=S3CR3T",)}}, "another host"),
        ({"other_secrets": {"flow_file": (b"http://prod-1.logic.azure.com/?sig=S3CR3T",)}}, "another host"),
    ],
)
def test_a_table_that_cannot_work_is_an_error(change: dict[str, Any], why: str) -> None:
    """At the start, by name, without the secret."""
    with pytest.raises(UserError) as error:
        PLATFORM.create(table(**change))
    assert why in error.value.problem
    assert "S3CR3T" not in f"{error.value.problem} {error.value.cure}"


def test_a_listed_host_and_an_example_of_its_own_are_taken() -> None:
    """A gateway before the workflow; and what `inlet test` sends."""
    gateway = TeamsPlatform(
        table(reply_hosts=("gate.example",), other_secrets={"flow_file": (b"https://gate.example/f?sig=1",)})
    )
    assert gateway.hosts == ("https://gate.example:443",)
    message = ONE.receive(ONE.example(NOW), NOW)
    assert isinstance(message, IncomingMessage)
    assert message.text == "hello"
    assert isinstance(message.response, ImmediateResponse) is False
    assert message.event_id != read().event_id
