"""hub.chat.platforms.feishu_event: messages and clicks as the platform documents them, and what is neither."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.chat.platforms.base import BadBody, Ignored
from hub.chat.platforms.feishu_event import MAX_ELEMENTS, MAX_MENTIONS, MAX_TEXT, MessageEvent, read_click, read_message
from tests.each import each_of
from tests.end_to_end.chats.feishu import BOT, click_event, message_event

LI = {"key": "@_user_2", "id": {"open_id": "ou_li"}, "name": "Li Lei"}
ME = {"key": "@_user_1", "id": {"open_id": BOT}, "name": "Bot"}


def read(text: str = "disk", bot_id: str = BOT, bot: str = "bot", **more: Any) -> MessageEvent | Ignored:
    return read_message(message_event(text, "ou_alice", **more)["event"], bot, bot_id)


def said(**more: Any) -> MessageEvent:
    found = read(**more)
    assert isinstance(found, MessageEvent), found
    return found


def content(text: object) -> str:
    return json.dumps({"text": text})


def post(*rows: object, title: str = "") -> dict[str, Any]:
    return {"message_type": "post", "content": json.dumps({"title": title, "content": list(rows)})}


def test_a_message_of_a_person() -> None:
    """All that is needed of it, from the documented shape."""
    assert said(message_id="om_1", create_time="1700000000000") == MessageEvent(
        "om_1", "ou_alice", "oc_ops", "disk", threaded=False, addressed=True, sent_at=1_700_000_000.0
    )
    assert said(thread_id="omt_1").threaded


BAD_NAME = {**LI, "name": "@web-1\nreboot;`x`"}  # its bearer's choice: no target, no command, no line break
AT_ME = {"tag": "at", "user_id": "@_user_1"}
LINK = {"tag": "a", "text": "x.example", "href": "http://x.example"}
EMOTION = {"tag": "emotion", "emoji_type": "OK"}


@each_of(
    ("more", "text", "addressed"),
    [
        ({"mentions": None, "content": content("df -h")}, "df -h", False),
        ({"mentions": None, "content": content("df -h"), "chat_type": "p2p"}, "df -h", True),
        ({"content": content("ask @_user_2 @_user_1 now"), "mentions": [ME, LI]}, "ask ‹Li Lei›  now", True),
        ({"content": content("@_user_2 df"), "mentions": [LI]}, "‹Li Lei› df", False),
        ({"content": content("@_user_1 @_user_10"), "mentions": [ME, {**LI, "key": "@_user_10"}]}, "‹Li Lei›", True),
        ({"content": content("@_all hi"), "mentions": []}, "‹all› hi", False),
        ({"content": content("@_user_1")}, "@bot", True),  # the mention alone
        ({"content": content("@_user_7 x"), "mentions": []}, "@_user_7 x", False),
        ({"bot_id": "", "bot": "BOT"}, "disk", True),  # known by its name
        ({"bot_id": "", "mentions": [{**ME, "mentioned_type": "user"}]}, "‹Bot› disk", False),
        ({"bot_id": "ou_other"}, "‹Bot› disk", False),
        ({"content": content("@_user_2 ok"), "mentions": [BAD_NAME]}, "‹web-1 reboot x› ok", False),
        (post([AT_ME, {"tag": "text", "text": " df -h "}], [{"tag": "img"}]), "df -h", True),
        (post([{"tag": "text", "text": "a "}, LINK]) | {"mentions": []}, "a x.example", False),
        (post([{"tag": "code_block", "text": "df -h\n"}], title="run"), "run\n```\ndf -h\n```", True),
        (post([{"tag": "md", "text": "x"}, EMOTION, {"tag": "at", "user_id": "all"}]), "x‹›", True),
    ],
)
def test_what_is_said(more: dict[str, Any], text: str, addressed: bool) -> None:
    """Mentions, rich text, direct messages. Every one mentions the bot unless it has other `mentions`."""
    found = said(**more)
    assert (found.text, found.addressed) == (text, addressed)


@each_of(
    "more",
    [
        {"message_type": "image", "content": '{"image_key":"img/1"}', "mentions": []},
        {"message_type": "file", "content": '{"file_key":"f1","file_name":"log.zip"}'},
        {"message_type": "file", "content": "{}"},
        {"message_type": "sticker", "content": "not JSON"},
        {"message_type": None},
        {"content": content(" "), "mentions": []},
        post([]) | {"mentions": []},
    ],
)
def test_what_is_not_for_us(more: dict[str, Any]) -> None:
    assert isinstance(read(**more), Ignored)


def test_words_of_bots_are_not_heard() -> None:
    for kind in ("app", "bot", "anonymous", "", None):
        event = message_event("disk", "ou_alice")["event"]
        event["sender"]["sender_type"] = kind
        assert isinstance(read_message(event, "bot", BOT), Ignored)


@each_of(
    "more",
    [
        {"content": "{"},
        {"content": "[]"},
        {"content": '{"text":"a","text":"b"}'},
        {"content": "{}"},
        {"content": content(1)},
        {"content": "[" * 5_000},
        {"content": content("x" * (MAX_TEXT + 1))},
        {"content": content("x" * 4 * MAX_TEXT)},
        {"content": 7},
        {"mentions": "all"},
        {"mentions": ["x"]},
        {"mentions": [{"key": 1}]},
        {"mentions": [LI] * (MAX_MENTIONS + 1)},
        {"message_id": "om_1/../x"},
        {"message_id": "x" * 129},
        {"chat_id": "oc ops"},
        {"chat_id": None},
        post("x"),
        post(["x"]),
        post(*[[{"tag": "img"}] * MAX_ELEMENTS, [{"tag": "img"}]]),
        {"message_type": "post", "content": '{"title":"x"}'},
    ],
)
def test_what_is_wrong(more: dict[str, Any]) -> None:
    with pytest.raises(BadBody):
        read(**more)


def test_a_click_names_who_and_where() -> None:
    body = click_event("approve r1 k7f2", "ou_bob", "om_card1", event_id="e1")
    click = read_click(body["header"], body["event"])
    assert (click.event_id, click.user, click.chat, click.card) == ("e1", "ou_bob", "oc_ops", "om_card1")
    assert click.say == "approve r1 k7f2"
    body["event"]["action"]["value"] = "approve r1 k7f2"
    assert read_click(body["header"], body["event"]).say is None


MESSAGE = message_event("disk", "ou_alice", message_id="om_1")["event"]
CLICK = click_event("approve r1", "ou_bob", "om_card1")
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, trail: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [trail, *(path for key, each in steps for path in paths(each, (*trail, key)))]


@settings(max_examples=500, deadline=None)
@given(st.data(), ANY)
def test_any_value_anywhere_is_refused_or_read(data: st.DataObject, value: Any) -> None:
    """Never another exception, whatever stands where."""
    for body, check in ((MESSAGE, None), (CLICK, "click")):
        changed = copy.deepcopy(body)
        *trail, last = data.draw(st.sampled_from(paths(changed)[1:]))
        place = changed
        for step in trail:
            place = place[step]
        place[last] = value
        try:
            if check is None:
                read_message(changed, "bot", BOT)
            elif isinstance(changed["header"], dict) and isinstance(changed["event"], dict):
                read_click(changed["header"], changed["event"])
        except BadBody:
            pass
