"""Events of Matrix rooms: what is a message, what is a reaction on a card, and what is left out whatever its form."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.matrix_events import (
    CARD,
    MAX_TEXT,
    Me,
    Reaction,
    events_of,
    moment,
    reaction_message,
    read_message,
    read_reaction,
    strip_name,
    thread_of,
)

ME = Me("@answerback:example.org", ("answerback", "Ops Bot"))
ROOM = "!ops:example.org"
API = "https://matrix.example.org"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def event(body: Any = "disk on web-1", **content: Any) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "event_id": "$first",
        "sender": "@carol:example.org",
        "origin_server_ts": 1_700_000_000_123,
        "content": {"msgtype": "m.text", "body": body, **content},
    }


def test_a_message_is_read() -> None:
    """Id, person, room, words, moment; without a mention it is not addressed; a thread is kept."""
    said = read_message(event(), ROOM, ME, API)
    assert said is not None
    message = said.message
    assert (message.event_id, message.user, message.conversation) == ("$first", "@carol:example.org", ROOM)
    assert (message.text, message.sent_at, message.reply_url) == ("disk on web-1", 1_700_000_000.123, API)
    assert (message.addressed, message.thread, message.edited) == (False, "", False)
    thread = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": True, "m.in_reply_to": {"event_id": "$x"}}
    inner = read_message(event(**{"m.relates_to": thread, "m.mentions": {"user_ids": [ME.user]}}), ROOM, ME, API)
    assert inner is not None
    assert (inner.message.thread, inner.message.addressed) == ("$root", True)


@pytest.mark.parametrize(
    ("words", "text", "named"),
    [
        ("answerback: disk on web-1", "disk on web-1", True),
        ("Ops Bot: disk on web-1", "disk on web-1", True),
        ("ops bot, disk", "disk", True),
        ("@answerback disk", "disk", True),
        ("@answerback:example.org: disk", "disk", True),
        ("disk on web-1 @answerback", "disk on web-1", True),
        ("@answerback", "", True),
        ("Answerback：磁盘", "磁盘", True),
        ("answerback is down", "answerback is down", False),
        ("@answerbacker disk", "@answerbacker disk", False),
        ("answerbacks: disk", "answerbacks: disk", False),
        ("@web-1 disk", "@web-1 disk", False),
        ("mail me@answerback", "mail me@answerback", False),
        ("tell @bob:example.org disk", "tell @bob:example.org disk", False),
    ],
)
def test_the_bots_name_is_left_out(words: str, text: str, named: bool) -> None:
    """Where it calls the bot; within a sentence, and of others, it is a word."""
    assert strip_name(words, ME) == (text, named)


def test_replies_edits_and_pictures() -> None:
    """A quoted message is not said again; an edit has the first one's id; a caption is words, a file's name is not."""
    quoted = event(
        "> <@bob:example.org> reboot web-1\n> all of it\n\ndisk",
        **{"m.relates_to": {"m.in_reply_to": {"event_id": "$x"}}},
    )
    said = read_message(quoted, ROOM, ME, API)
    assert said is not None
    assert said.message.text == "disk"
    new = {"msgtype": "m.text", "body": "load on web-1"}
    edit = event("* load", **{"m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": "$before"}})
    said = read_message(edit, ROOM, ME, API)
    assert said is not None
    assert (said.message.event_id, said.message.edited, said.message.text) == ("$before", True, "load on web-1")
    assert said.replaces == "$before"
    picture = event("shot.png", msgtype="m.image", url="mxc://example.org/abc_1")
    said = read_message(picture, ROOM, ME, API)
    assert said is not None
    assert (said.message.text, said.picture) == ("", ("example.org", "abc_1"))
    captioned = event("what is this?", msgtype="m.image", url="mxc://example.org/abc_1", filename="shot.png")
    said = read_message(captioned, ROOM, ME, API)
    assert said is not None
    assert said.message.text == "what is this?"


@pytest.mark.parametrize(
    "odd",
    [
        event(msgtype="m.notice"),
        event(msgtype="m.emote"),
        event(msgtype="m.file"),
        event(msgtype="m.image", url="https://evil.example/x.png"),
        event(msgtype="m.image", url="mxc://example.org/../../admin"),
        event(msgtype=["m.text"]),
        event(None),
        event(""),
        event("x" * (MAX_TEXT + 1)),
        event("\ud800"),
        event("a\x00b"),
        {**event(), "sender": ME.user},
        {**event(), "type": "m.room.member"},
        {**event(), "content": "disk"},
        {**event(), "content": {}},
        event(**{"m.relates_to": {"rel_type": "m.replace", "event_id": "$x"}}),
        event(**{"m.new_content": {}, "m.relates_to": {"rel_type": "m.replace", "event_id": 7}}),
    ],
)
def test_what_is_not_for_us_is_left_out(odd: dict[str, Any]) -> None:
    """Bots, ourselves, files, redacted words, words that cannot be stored."""
    assert read_message(odd, ROOM, ME, API) is None


def test_events_without_id_or_sender_are_no_events() -> None:
    """Nor are lists that are none; a moment that is none is 0."""
    good = event()
    odd = [{**good, "event_id": "first"}, {**good, "event_id": "$" + "x" * 300}, {**good, "sender": "carol"}, "x", None]
    assert list(events_of([*odd, good])) == [good]
    assert list(events_of({"a": 1})) == []
    assert [moment({"origin_server_ts": at}) for at in (-1, True, "1", 10**30, 2_000)] == [0, 0, 0, 0, 2]


def reaction(key: str = "✅", **more: Any) -> dict[str, Any]:
    relation = {"rel_type": "m.annotation", "event_id": "$card", "key": key, **more}
    return {**event(), "type": "m.reaction", "event_id": "$click", "content": {"m.relates_to": relation}}


def test_a_reaction_on_a_card_is_a_click() -> None:
    """What the card said when it was posted, by whoever the server says reacted; in all skins of the emoji."""
    values = {"✅": "approve r1 k7f2", "❌": "reject r1"}
    thread = {"rel_type": "m.thread", "event_id": "$root"}
    card = {"sender": ME.user, "room_id": ROOM, "content": {CARD: values, "m.relates_to": thread}}
    for key in ("✅", "✔️", "👍", "👍🏽"):
        found = read_reaction(reaction(key), ROOM, ME)
        assert found == Reaction("$click", ROOM, "@carol:example.org", "$card", "✅", 1_700_000_000.123)
    message = reaction_message(found, card, ME, API)
    assert message is not None
    assert (message.text, message.user, message.button) == ("approve r1 k7f2", "@carol:example.org", True)
    assert (message.event_id, message.thread, message.addressed) == ("$click", "$root", True)
    odd_cards: list[Any] = [
        None,
        {**card, "sender": "@mallory:example.org"},
        {**card, "room_id": "!other:example.org"},
        {**card, "content": {}},
        {**card, "content": {CARD: {"✅": "run rm -rf /"}}},
        {**card, "content": {CARD: ["approve r1"]}},
    ]
    assert [reaction_message(found, odd, ME, API) for odd in odd_cards] == [None] * len(odd_cards)


def test_other_reactions_are_left_out() -> None:
    """Other emoji, our own, other relations."""
    odd = [reaction("🎉"), reaction("x" * 100), reaction(7), {**reaction(), "sender": ME.user}]  # type: ignore[arg-type]
    odd += [reaction(rel_type="m.thread"), reaction(event_id=None), {**reaction(), "content": {"m.relates_to": 1}}]
    assert [read_reaction(each, ROOM, ME) for each in odd] == [None] * len(odd)


@given(st.data())
def test_no_form_of_an_event_raises(data: st.DataObject) -> None:
    """Any JSON in any place of a message, an edit, a reaction, a card."""
    edit = event("* x", **{"m.new_content": {"msgtype": "m.text", "body": "y"}, "m.mentions": {"user_ids": [ME.user]}})
    edit["content"]["m.relates_to"] = {"rel_type": "m.replace", "event_id": "$before", "m.in_reply_to": {}}
    odd = copy.deepcopy(data.draw(st.sampled_from([event(), edit, reaction()])))
    place = odd["content"]
    for _ in range(data.draw(st.integers(0, 2))):
        inner = [key for key, value in place.items() if isinstance(value, dict)]
        if inner:
            place = place[data.draw(st.sampled_from(inner))]
    keys = [*place, "m.relates_to", "m.new_content", "m.mentions", "filename", "url"]
    place[data.draw(st.sampled_from(keys))] = data.draw(JSON)
    for one in events_of([odd]):
        read_message(one, ROOM, ME, API)
        found = read_reaction(one, ROOM, ME)
        if found is not None:
            reaction_message(found, {"sender": ME.user, "content": place}, ME, API)
        thread_of(one)
