"""hub.chat.platforms.slack_events: what Slack delivers, as messages."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import BadBody, Ignored, ImmediateResponse, IncomingMessage
from hub.chat.platforms.slack_events import MAX_TEXT, OK, read_click, read_command, read_event
from tests.each import each_of

API = "https://slack.com/api"
EVENT: dict[str, Any] = {
    "type": "event_callback",
    "team_id": "T1",
    "api_app_id": "A1",
    "event_id": "Ev0PV52K25",
    "event_time": 1355517523,
    "event": {
        "type": "app_mention",
        "user": "U1",
        "text": "<@UBOT> restart web",
        "ts": "1355517523.000005",
        "channel": "C1",
        "channel_type": "channel",
        "event_ts": "1355517523.000005",
    },
    "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
}
COMMAND = {
    "command": "/answerback",
    "text": "disk on web-1",
    "user_id": "U1",
    "channel_id": "C1",
    "trigger_id": "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
}
CLICK: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U2"},
    "team": {"id": "T1"},
    "channel": {"id": "C1"},
    "container": {"type": "message", "message_ts": "1355517600.000100"},
    "message": {"ts": "1355517600.000100", "thread_ts": "1355517523.000005", "text": "x"},
    "actions": [
        {
            "action_id": "approve",
            "block_id": "b",
            "type": "button",
            "value": "approve r1 k7f2",
            "action_ts": "1355517700.123456",
        }
    ],
}


def event(**changes: Any) -> dict[str, Any]:
    """The event with other fields; None takes one out."""
    body = copy.deepcopy(EVENT)
    body["event"] = {key: value for key, value in (body["event"] | changes).items() if value is not None}
    return body


def read(body: dict[str, Any]) -> IncomingMessage:
    found = read_event(body, API)
    assert isinstance(found, IncomingMessage), found
    return found


def test_a_mention_and_its_message_are_one() -> None:
    """The same id, words and thread, whichever comes first; the Events API's own id differs and does not count."""
    mention = read(EVENT)
    assert mention == IncomingMessage(
        event_id="C1:1355517523.000005",
        user="U1",
        conversation="C1",
        text="restart web",
        reply_url=API,
        thread="1355517523.000005",
        sent_at=1355517523.000005,
        addressed=True,
        response=OK,
    )
    assert read(event(type="message") | {"event_id": "Ev2"}) == mention


@each_of(
    ("changes", "thread", "addressed"),
    [
        ({"type": "message", "text": "hello"}, "1355517523.000005", False),
        ({"type": "message", "text": "hello", "thread_ts": "1355517000.000001"}, "1355517000.000001", False),
        ({"type": "message", "text": "hello", "channel": "D1", "channel_type": "im"}, "", True),
        (
            {"type": "message", "text": "x", "channel": "D1", "thread_ts": "1355517000.000001"},
            "1355517000.000001",
            True,
        ),
        ({"type": "message", "text": "hello", "channel": "G1", "channel_type": "mpim"}, "1355517523.000005", False),
        ({"type": "message", "text": "a file, too", "subtype": "file_share"}, "1355517523.000005", False),
        ({"type": "message", "text": "x", "subtype": "thread_broadcast", "thread_ts": "1.000001"}, "1.000001", False),
    ],
)
def test_threads_and_direct_messages(changes: dict[str, Any], thread: str, addressed: bool) -> None:
    """In a channel the answer goes into the message's thread, in a direct message beside it."""
    found = read(event(**changes))
    assert (found.thread, found.addressed) == (thread, addressed)


def test_an_edit_has_the_id_of_the_first_words() -> None:
    """It is the same message in other words, by the same person, in the same thread."""
    message = {
        "user": "U1",
        "text": "<@UBOT> restart db",
        "ts": "1355517523.000005",
        "edited": {"user": "U1", "ts": "2.0"},
    }
    before = message | {"text": "<@UBOT> restart web"}
    changed = event(
        type="message", subtype="message_changed", message=message, previous_message=before, ts="1355517999.000001",
        user=None, text=None,
    )  # fmt: skip
    found = read(changed)
    assert found.edited
    assert (found.event_id, found.text, found.thread) == ("C1:1355517523.000005", "restart db", "1355517523.000005")
    assert read(event(edited={"user": "U1", "ts": "2.0"})).edited
    changed["event"]["previous_message"]["text"] = message["text"]
    assert isinstance(read_event(changed, API), Ignored)


@each_of(
    "body",
    [
        event(type="message", subtype="message_deleted", deleted_ts="1355517523.000005", text=None),
        event(type="message", subtype="channel_join"),
        event(type="message", subtype="bot_message", bot_id="B1", user=None),
        event(bot_id="B1"),
        event(user="UBOT"),
        event(type="message", text="", subtype="file_share"),
        event(type="message", user=None),
        event(type="reaction_added"),
        {"type": "app_rate_limited", "minute_rate_limited": 1518467820, "team_id": "T1"},
    ],
)
def test_what_is_no_words_of_a_person_is_ignored(body: dict[str, Any]) -> None:
    """Deletions, joins, the bot's own words, other bots, files alone."""
    assert isinstance(read_event(body, API), Ignored)


def test_a_challenge_is_given_back() -> None:
    """As plain text; one that is too long is refused."""
    body = {
        "token": "x",
        "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
        "type": "url_verification",
    }
    assert read_event(body, API) == ImmediateResponse(body["challenge"].encode(), "text/plain; charset=utf-8")
    with pytest.raises(BadBody):
        read_event(body | {"challenge": "x" * 1_001}, API)


@each_of(
    "body",
    [
        [],
        "text",
        {"type": "event_callback"},
        {"type": "event_callback", "event": []},
        event(channel=None),
        event(channel="C 1"),
        event(channel=7),
        event(ts=None),
        event(ts="yesterday"),
        event(ts="1" * 13 + ".000001"),
        event(user={"id": "U1"}),
        event(text=["x"]),
        event(text="x" * (MAX_TEXT + 1)),
        event(thread_ts="x"),
        event(type="message", subtype="message_changed"),
        {"type": "url_verification"},
        {"type": "url_verification", "challenge": 5},
    ],
)
def test_a_bad_event_is_refused(body: Any) -> None:
    """Signed or not, what is not of the form is named."""
    with pytest.raises(BadBody):
        read_event(body, API)


def test_a_command_is_addressed_and_answered_with_nothing() -> None:
    """What was typed stays with the person; the reply finds the person where the bot is not in the channel."""
    found = read_command(COMMAND, 1_531_420_618, API)
    assert found == IncomingMessage(
        event_id="cmd:398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        user="U1",
        conversation="C1",
        text="disk on web-1",
        reply_url=API,
        thread="@U1",
        sent_at=1_531_420_618.0,
        response=OK,
    )
    empty = read_command(COMMAND | {"text": ""}, 0, API)
    assert isinstance(empty, IncomingMessage)
    assert empty.text == "help"
    assert isinstance(read_command({"ssl_check": "1", "token": "x"}, 0, API), Ignored)
    for key in ("trigger_id", "user_id", "channel_id"):
        with pytest.raises(BadBody):
            read_command({name: value for name, value in COMMAND.items() if name != key}, 0, API)


def test_a_click_is_said_by_who_clicked() -> None:
    """The words are the button's, the person is the callback's."""
    assert read_click(CLICK, API) == IncomingMessage(
        event_id="click:approve:U2:C1:1355517700.123456",
        user="U2",
        conversation="C1",
        text="approve r1 k7f2",
        reply_url=API,
        thread="1355517523.000005",
        sent_at=1355517700.123456,
        button=True,
        response=OK,
    )
    alone = copy.deepcopy(CLICK)
    del alone["message"]["thread_ts"]
    found = read_click(alone, API)
    assert isinstance(found, IncomingMessage)
    assert found.thread == "1355517600.000100"


@each_of(
    "changes",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": None},
        {"actions": [CLICK["actions"][0] | {"value": "approve everything"}]},
        {"actions": [CLICK["actions"][0] | {"value": None}]},
        {"actions": [CLICK["actions"][0] | {"type": "static_select"}]},
        {"channel": None},
    ],
)
def test_clicks_that_are_not_ours_do_nothing(changes: dict[str, Any]) -> None:
    """Stale and foreign values, other interactions."""
    assert isinstance(read_click(CLICK | changes, API), Ignored)


@each_of("changes", [{"user": {}}, {"user": "U1"}, {"message": []}, {"actions": ["x"]}, {"channel": {"id": 7}}])
def test_a_bad_click_is_refused(changes: dict[str, Any]) -> None:
    """Who clicked and where must be there."""
    with pytest.raises(BadBody):
        read_click(CLICK | changes, API)


@given(st.data())
def test_mutated_bodies_raise_nothing_else(data: st.DataObject) -> None:
    """Any value anywhere: a message, nothing, or a BadBody."""
    odd = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
    )
    for original, reader in ((EVENT, read_event), (CLICK, read_click)):
        body = json.loads(json.dumps(original))
        spot: Any = body
        while True:
            key = data.draw(st.sampled_from(sorted(spot)) if isinstance(spot, dict) else st.just(0))
            inner = spot[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                spot[key] = data.draw(odd)
                break
            spot = inner
        try:
            reader(body, API)
        except BadBody:
            pass
