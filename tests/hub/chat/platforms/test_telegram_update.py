"""hub.chat.platforms.telegram_update: an update as a message, by webhook and by asking alike; more in test_telegram."""

from __future__ import annotations

from typing import Any

import pytest

from hub.chat.platforms.base import BadBody, Ignored, IncomingMessage
from hub.chat.platforms.telegram_update import Bot, click_id, read_update
from tests.hub.chat.platforms.test_telegram import click, update

BOT = Bot(777, "answerback_bot")
ROOT = "https://api.telegram.org"


def read(body: Any) -> IncomingMessage | Ignored:
    return read_update(body, BOT, ROOT)


def test_the_id_is_the_messages_not_the_updates() -> None:
    """The same message is one, whichever way and in whichever update it comes; an edit has the id of the first."""
    first, again = read(update()), read({**update(), "update_id": 99})
    edit = read(update(key="edited_message"))
    assert isinstance(first, IncomingMessage)
    assert isinstance(again, IncomingMessage)
    assert isinstance(edit, IncomingMessage)
    assert first == again
    assert (edit.event_id, edit.edited, first.edited) == (first.event_id, True, False)


def test_a_click_is_answered_whatever_it_says() -> None:
    """Its id is told apart from its meaning: a button that is not ours is acknowledged too."""
    assert click_id(click("made up")) == click_id(click())
    assert click_id(click()) != ""
    assert isinstance(read(click("made up")), Ignored)
    for other in (update(), [], {"callback_query": 1}, {"callback_query": {"id": "x" * 1_000}}):
        assert click_id(other) == ""


def test_what_is_no_update_is_named() -> None:
    """Updates of other kinds are ignored; what has no id is no update."""
    assert isinstance(read({"update_id": 1, "poll": {}}), Ignored)
    for body in ([], {}, {"update_id": "1"}, {"update_id": 1, "message": []}):
        with pytest.raises(BadBody):
            read(body)
