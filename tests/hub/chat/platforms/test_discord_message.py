"""hub.chat.platforms.discord_message: messages of the gateway, with the fields of Discord's documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import MAX_PICTURE_REFS, BadBody, Ignored, IncomingMessage, PictureRef
from hub.chat.platforms.discord_message import CALLED, MAX_MENTIONS, MAX_TEXT, read_message, read_text
from tests.each import each_of
from tests.hub.chat.platforms.test_discord import ALICE, API, EVENT, NOW
from tests.hub.chat.platforms.test_discord_files import FILE

ME = "845027738276462632"
BOB = {"id": "80351110224678912", "username": "bob.n", "discriminator": "0"}
CHANNEL = "290926798999357250"


def message(content: Any = "df -h on web-1", **more: Any) -> dict[str, Any]:
    """As "Message Create" sends one in a server; None takes a field out."""
    body = {
        "id": EVENT,
        "type": 0,
        "channel_id": CHANNEL,
        "guild_id": "290926798626357999",
        "author": ALICE,
        "member": {"roles": [], "nick": None, "joined_at": "2015-04-26T06:26:56.936000+00:00"},
        "content": content,
        "timestamp": "2023-11-14T22:13:20.000000+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "nonce": "1173",
        "flags": 0,
        **more,
    }
    return {key: value for key, value in body.items() if value is not None or key in ("edited_timestamp", "content")}


def read(body: Any, **more: Any) -> IncomingMessage:
    found = read_message(body, ME, API, **more)
    assert isinstance(found, IncomingMessage), found
    return found


def test_a_message_of_a_server() -> None:
    """Known by its id, in the channel or thread where it was said; it says when that was."""
    assert read(message()) == IncomingMessage(
        event_id=EVENT,
        user=ALICE["id"],
        conversation=CHANNEL,
        text="df -h on web-1",
        reply_url=API,
        sent_at=NOW,
        addressed=False,
    )


def test_a_message_brings_its_pictures() -> None:
    """With words, with a mention of the bot alone, or without any; not in an edit. Other files are passed over."""
    files = [FILE, FILE | {"content_type": "application/zip"}, 7]
    for said, text in (("see this", "see this"), (f"<@{ME}>", ""), ("", "")):
        found = read(message(said, attachments=files))
        assert (found.text, found.pictures) == (text, (PictureRef(FILE["url"], "image/png", 41_000),))
    many = [FILE | {"url": f"{FILE['url']}{n}"} for n in range(60)]
    assert len(read(message(attachments=many)).pictures) == MAX_PICTURE_REFS
    edit = message(attachments=files, edited_timestamp="2023-11-14T22:14:20+00:00")
    assert read(edit, edited=True).pictures == ()
    for odd in (None, {}, [files[1]], "x"):
        assert isinstance(read_message(message("", attachments=odd), ME, API), Ignored)


@each_of(
    "changes",
    [
        {"guild_id": None},
        {"content": f"<@{ME}> x", "mentions": [{"id": ME, "username": "answerback", "bot": True}]},
        {"content": f"<@!{ME}> x"},
        {"type": 19, "mentions": [{"id": ME, "username": "answerback"}]},
        {"type": 19, "referenced_message": {"id": "1", "author": {"id": ME}}},
    ],
)
def test_what_addresses_the_bot(changes: dict[str, Any]) -> None:
    """A direct message, a mention, an answer to its words."""
    assert read(message(**changes)).addressed


@each_of(
    "changes",
    [
        {"content": f"<@{BOB['id']}> x", "mentions": [BOB]},
        {"type": 19, "referenced_message": None},
        {"type": 19, "referenced_message": {"id": "1", "author": BOB}},
        {"type": 19, "referenced_message": "gone"},
        {"content": "@everyone x", "mention_everyone": True},
        {"content": f"<@&{ME}> x"},
    ],
)
def test_what_does_not_address_the_bot(changes: dict[str, Any]) -> None:
    """Others, everybody, a role."""
    assert not read(message(**changes)).addressed


@each_of(
    ("content", "text"),
    [
        (f"<@{ME}> df -h", "df -h"),
        (f"<@!{ME}>, df -h", "df -h"),
        (f"<@{ME}> <@{ME}>：df -h", "df -h"),
        (f"please <@{ME}> df -h", "please df -h"),
        (f"df -h <@{ME}>", "df -h"),
        (f"<@{ME}>", CALLED),
        (f"<@{BOB['id']}> approves", "@bob.n approves"),
        ("<@175928847299117063> approves", "@175928847299117063 approves"),
        ("<@!175928847299117063>", "@175928847299117063"),
        ("<@&41771983423143936> look", "@41771983423143936 look"),
        ("in <#645027906669510667>", "in #645027906669510667"),
        ("</run:771825006014889984> df", "/run df"),
        ("<:ok:41771983429993937> <a:wow:41771983429993937>", ":ok: :wow:"),
        ("curl <https://example.org/a?b=c>", "curl https://example.org/a?b=c"),
        ("a < b > c <not a mark> <@x> <t:1618953630:R>", "a < b > c <not a mark> <@x> <t:1618953630:R>"),
        ("\ue000 df -h", "df -h"),
        ("  df -h\n", "df -h"),
    ],
)
def test_what_was_typed(content: str, text: str) -> None:
    """The bot's mention is left out, other marks are what the person sees as nearly as it is known here."""
    assert read_text(content, ME, {BOB["id"]: BOB["username"]})[0] == text


def test_a_name_is_a_word_or_its_id() -> None:
    """A name that is no plain word could say anything."""
    for name, shown in (("bob.n", "bob.n"), ("x on web-1", BOB["id"]), ("a\nb", BOB["id"]), (7, BOB["id"])):
        said = message(f"ask <@{BOB['id']}>", mentions=[BOB | {"username": name}])
        assert read(said).text == f"ask @{shown}"


def test_an_edit_has_the_id_of_the_first_words() -> None:
    """And the time of the change; where that is unreadable, of the message."""
    at = datetime.fromtimestamp(NOW + 60, UTC).isoformat()
    found = read(message("df -h on web-2", edited_timestamp=at), edited=True)
    assert (found.edited, found.event_id, found.text, found.sent_at) == (True, EVENT, "df -h on web-2", NOW + 60)
    for odd in ("yesterday", "2023-11-14T22:13:20", "2023-11-14T22:13:20+99:00"):
        assert read(message(edited_timestamp=odd), edited=True).sent_at == pytest.approx(NOW, abs=0.001)


@each_of(
    "body",
    [
        message(),
        {"id": EVENT, "channel_id": CHANNEL, "embeds": [{"type": "link"}]},
        {"id": EVENT, "channel_id": CHANNEL, "edited_timestamp": "2023-11-14T22:13:20+00:00"},
        message(edited_timestamp=7),
    ],
)
def test_an_update_of_other_things_is_no_edit(body: dict[str, Any]) -> None:
    """Previews of links, pins: the words are the same."""
    assert isinstance(read_message(body, ME, API, edited=True), Ignored)


@each_of(
    "body",
    [
        message(author=BOB | {"bot": True}),
        message(author=BOB | {"system": True}),
        message(author=BOB | {"id": ME}),
        message(webhook_id="284102390084632576"),
        message(type=7),
        message(type=20),
        message(type="0"),
        message(""),
        message("", message_reference={"type": 1}, message_snapshots=[{"message": {"content": "x"}}]),
        message(" \n"),
    ],
)
def test_what_is_no_words_of_a_person_is_ignored(body: dict[str, Any]) -> None:
    """Bots, webhooks, joins, forwards, and words that we may not read."""
    assert isinstance(read_message(body, ME, API), Ignored)


@each_of(
    "body",
    [
        [],
        "text",
        {},
        message(author=None),
        message(author="alice"),
        message(author={"id": 7}),
        message(author={"id": "x"}),
        message(id=None),
        message(id=int(EVENT)),
        message(id="9" * 21),
        message(channel_id=None),
        message(None),
        message(["x"]),
        message("x" * (MAX_TEXT + 1)),
        message(mentions={}),
        message(mentions=["x"]),
        message(mentions=[{"id": 7}]),
        message(mentions=[BOB] * (MAX_MENTIONS + 1)),
    ],
)
def test_a_bad_message_is_refused(body: Any) -> None:
    """What is not of the form is named."""
    with pytest.raises(BadBody):
        read_message(body, ME, API)


def test_bounds_are_kept() -> None:
    """The longest text, the most mentions."""
    assert len(read(message("x" * MAX_TEXT)).text) == MAX_TEXT
    assert read(message(mentions=[BOB] * MAX_MENTIONS)).text


@given(st.data())
def test_mutated_messages_raise_nothing_else(data: st.DataObject) -> None:
    """Any value anywhere: a message, nothing, or a BadBody."""
    odd = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
    )
    body = json.loads(json.dumps(message(mentions=[BOB], referenced_message={"author": BOB}, edited_timestamp="x")))
    key = data.draw(st.sampled_from(sorted(body)))
    body[key] = data.draw(odd)
    try:
        read_message(body, ME, API, edited=data.draw(st.booleans()))
    except BadBody:
        pass
