"""The long connection of a WeCom AI bot: the subscription, what comes in, pings, ends."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.chat.platforms.base import IncomingMessage
from hub.chat.platforms.outbound import Heard, OutboundFailed, Socket
from hub.chat.platforms.wecom_socket import BEAT, MAX_ITEMS, MAX_SAID, WecomSocket

NOW = 1_700_000_000.0
URL, REPLIES = "wss://openws.work.weixin.qq.com", "https://openws.work.weixin.qq.com"
BOT, SECRET = "aibNEKBGIyKrXZFeqVv1", "s3cretOfTheLongConnection"


def opened() -> tuple[WecomSocket, Socket]:
    mode = WecomSocket(URL, BOT, SECRET, REPLIES)
    with pytest.raises(StopIteration) as end:
        next(mode.connect("", NOW))
    return mode, end.value.value


def subscribed() -> WecomSocket:
    mode, socket = opened()
    (first,) = socket.first
    key = json.loads(first)["headers"]["req_id"]
    assert mode.hear(answer(key), NOW) == Heard(takes_calls=True)
    return mode


def answer(key: str, code: Any = 0) -> str:
    return json.dumps({"headers": {"req_id": key}, "errcode": code, "errmsg": "ok"})


def said(**body: Any) -> str:
    """A message as WeCom pushes it, one-to-one."""
    whole = {"msgid": "CAIQ16HMjQYY/NGagIOAgAMgq4KM0AI=", "aibotid": BOT, "chattype": "single"}
    whole |= {"from": {"userid": "carol"}, "create_time": 1_699_999_990, "msgtype": "text", "text": {"content": "disk"}}
    whole |= {"response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x"}
    kept = {key: value for key, value in (whole | body).items() if value is not None}
    return json.dumps({"cmd": "aibot_msg_callback", "headers": {"req_id": "r1"}, "body": kept}, ensure_ascii=False)


def event(kind: Any, **body: Any) -> str:
    whole = json.loads(said(msgtype="event", text=None, event=kind, **body))
    return json.dumps(whole | {"cmd": "aibot_event_callback"})


def message(frame: str) -> IncomingMessage:
    heard = subscribed().hear(frame, NOW)
    (found,) = heard.messages
    assert heard == Heard((found,))
    return found


# ---- the way to it


def test_the_bot_subscribes_with_its_secret() -> None:
    """No call leads to it; each connection has an id of its own. Calls are taken once WeCom has said yes."""
    mode, socket = opened()
    (first,) = socket.first
    frame = json.loads(first)
    key = frame["headers"].pop("req_id")
    assert frame == {"cmd": "aibot_subscribe", "headers": {}, "body": {"bot_id": BOT, "secret": SECRET}}
    assert (socket.url, socket.headers, socket.beat) == (URL, {}, BEAT)
    assert mode.hear(answer("another"), NOW) == Heard(answer=("another", answer("another").encode()))
    assert mode.hear(answer(key), NOW) == Heard(takes_calls=True)
    assert json.loads(opened()[1].first[0])["headers"]["req_id"] != key


@pytest.mark.parametrize(
    ("code", "kind", "seconds"),
    [
        (40001, "token", 0),
        (None, "token", 0),
        ("0", "token", 0),
        ([], "token", 0),
        (-1, "later", 60),
        (45009, "later", 60),
    ],
)
def test_a_subscription_that_is_refused_has_its_cure(code: Any, kind: str, seconds: float) -> None:
    """Without the secret, and without WeCom's own words."""
    mode, socket = opened()
    key = json.loads(socket.first[0])["headers"]["req_id"]
    with pytest.raises(OutboundFailed) as failed:
        mode.hear(answer(key, code), NOW)
    assert (failed.value.kind, failed.value.retry_after) == (kind, seconds)
    assert SECRET not in str(failed.value)
    if kind == "token":
        assert "the Secret in secret_file must be those of one AI bot" in str(failed.value)


# ---- messages


def test_what_a_member_says_is_a_message() -> None:
    """One-to-one the conversation is the member, in a group the group; the bot's name is left out later."""
    assert message(said()) == IncomingMessage(
        "CAIQ16HMjQYY/NGagIOAgAMgq4KM0AI=", "carol", "carol", "disk", (), REPLIES, sent_at=NOW - 10
    )
    group = message(said(chattype="group", chatid="wrG1", text={"content": "@Ops 磁盘 on web-1 🙂"}))
    assert (group.user, group.conversation, group.text) == ("carol", "wrG1", "@Ops 磁盘 on web-1 🙂")
    assert group.addressed
    assert message(said(create_time=1_700_000_000_500)).sent_at == NOW + 0.5
    assert message(said(create_time=None)).sent_at == 0
    assert message(said(aibotid=None)).text == "disk"


def test_the_words_beside_a_picture_count() -> None:
    """In their order; a picture alone says nothing."""
    picture = {"msgtype": "image", "image": {"url": "https://x.example", "aeskey": "k"}}
    texts = [{"msgtype": "text", "text": {"content": word}} for word in ("disk", "on web-1")]
    assert message(said(msgtype="mixed", mixed={"msg_item": [texts[0], picture, texts[1]]})).text == "disk\non web-1"
    assert subscribed().hear(said(msgtype="mixed", mixed={"msg_item": [picture]}), NOW) == Heard()


@pytest.mark.parametrize(
    "event_body",
    [
        {"eventtype": "template_card_event", "template_card_event": {"event_key": "approve r42 k7f2", "task_id": "R"}},
        {"eventtype": "template_card_event", "event_key": "approve r42 k7f2", "task_id": "R"},
    ],
)
def test_a_click_is_the_words_of_its_button(event_body: dict[str, Any]) -> None:
    """By who clicked, whichever way it is nested."""
    found = message(event(event_body, msgid="e1", chattype="group", chatid="wrG1", **{"from": {"userid": "bob"}}))
    assert (found.event_id, found.user, found.conversation) == ("click-e1", "bob", "wrG1")
    assert (found.text, found.button) == ("approve r42 k7f2", True)


@pytest.mark.parametrize(
    "frame",
    [
        event({"eventtype": "enter_chat"}),
        event({"eventtype": "feedback_event", "feedback_event": {"id": "x", "type": 1}}),
        event({"eventtype": "template_card_event", "template_card_event": {"event_key": "rm -rf /"}}),
        event({"eventtype": "template_card_event"}),
        event("template_card_event"),
        event([]),
        said(msgtype="image", image={"url": "https://x.example"}),
        said(msgtype="voice", voice={"content": "disk"}),
        said(msgtype="stream", stream={"id": "x"}),
        said(aibotid="another"),
        said(text={"content": "  \n"}),
        said(text={"content": "x" * (MAX_SAID + 1)}),
        said(text={"content": "a\x00b"}),
        said(text={"content": "\ud800"}),
        said(text="disk"),
        said(text=None),
        said(msgid=""),
        said(msgid="x" * 201),
        said(msgid=7),
        said(**{"from": {"userid": "a\nb"}}),
        said(**{"from": "carol"}),
        said(chattype="group"),
        said(chattype="group", chatid=["x"]),
        said(msgtype="mixed", mixed={"msg_item": [{}] * (MAX_ITEMS + 1)}),
        said(msgtype="mixed", mixed={"msg_item": ["x"]}),
        said(msgtype="mixed", mixed={"msg_item": [{"msgtype": "text", "text": {"content": "x" * MAX_SAID}}] * 2}),
        "no JSON",
        "[]",
        "7",
        "[" * 100_000,
        '{"cmd": "aibot_msg_callback"}',
        '{"cmd": "aibot_event_callback", "body": []}',
        '{"cmd": ["x"], "headers": {}}',
        '{"errcode": 0}',
        '{"headers": {"req_id": 7}, "errcode": 0}',
        '{"headers": {"req_id": "x", "req_id": "y"}, "errcode": 0}',
    ],
)
def test_what_is_nothing_for_us_is_passed_over(frame: str) -> None:
    """And what cannot be read: the next one is heard."""
    mode = subscribed()
    assert mode.hear(frame, NOW) == Heard()
    assert mode.hear(frame.encode("utf-8", "surrogatepass"), NOW) == Heard()
    assert mode.hear(said(text={"content": "x" * MAX_SAID}), NOW).messages


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@settings(max_examples=30)
def test_whatever_a_frame_says_it_is_no_fault(value: Any) -> None:
    """Nothing but OutboundFailed."""
    mode = subscribed()
    for frame in (json.dumps(value), said(text=value), event(value), said(**{"from": value}), answer("x", value)):
        with contextlib.suppress(OutboundFailed):
            mode.hear(frame, NOW)


# ---- pings, ends


def test_pings_are_answered_or_the_connection_ends() -> None:
    """So it does where the subscription was never answered."""
    mode = subscribed()
    ping = json.loads(mode.beat(NOW))
    assert (ping["cmd"], set(ping)) == ("ping", {"cmd", "headers"})
    mode.beat(NOW)
    with pytest.raises(OutboundFailed, match="did not answer 2 pings"):
        mode.beat(NOW)
    mode = subscribed()
    for _ in range(4):
        key = json.loads(mode.beat(NOW))["headers"]["req_id"]
        assert mode.hear(answer(key), NOW) == Heard()
    with pytest.raises(OutboundFailed, match="does not answer the subscription"):
        opened()[0].beat(NOW)


@pytest.mark.parametrize("kind", [{"eventtype": "disconnected_event"}, "disconnected_event"])
def test_a_bot_that_another_program_has_taken_is_left_to_it(kind: Any) -> None:
    """Not taken back again and again: an admin has to choose."""
    with pytest.raises(OutboundFailed, match="another program has connected as this AI bot") as failed:
        subscribed().hear(event(kind), NOW)
    assert failed.value.kind == "token"


def test_ends_are_told() -> None:
    """With the code, where there is one."""
    mode = subscribed()
    assert str(mode.closed(1006)) == "WeCom closed the connection (1006)"
    assert str(mode.closed(0)) == "WeCom closed the connection"
