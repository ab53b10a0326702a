"""hub.chat.platforms.discord_interaction: interactions as messages; signatures and more bodies in test_discord."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.chat.platforms.base import BadBody, ImmediateResponse, IncomingMessage
from hub.chat.platforms.discord_interaction import created_at, read_interaction
from tests.hub.chat.platforms.test_discord import NOW, click, command, snowflake

ROOT = "https://discord.com/api/v10"


def answered(body: Any) -> dict[str, Any]:
    """What an interaction that is no message is answered."""
    found = read_interaction(body, ROOT)
    assert isinstance(found, ImmediateResponse), found
    return dict(json.loads(found.body))


def test_an_id_says_when_it_was_made() -> None:
    """Milliseconds since 2015 in its upper bits (Discord, "Snowflakes")."""
    assert created_at("175928847299117063") == pytest.approx(1_462_015_105.796)
    assert created_at(snowflake(NOW)) == pytest.approx(NOW, abs=0.001)
    assert created_at("x") == 0


def test_every_interaction_has_its_answer() -> None:
    """A ping its pong, completion no choices, a strange click a quiet yes, a menu a word for the person alone."""
    assert answered({"type": 1}) == {"type": 1}
    assert answered({"type": 4}) == {"type": 8, "data": {"choices": []}}
    assert answered(click("made up")) == {"type": 6}
    said = answered({"type": 5, "locale": "zh-CN"})
    assert (said["type"], said["data"]["flags"], said["data"]["allowed_mentions"]) == (4, 64, {"parse": []})


def test_a_command_and_a_click_are_messages_with_their_answers() -> None:
    """Deferred at once, since the command may take longer than three seconds."""
    said, clicked = read_interaction(command(), ROOT), read_interaction(click(), ROOT)
    assert isinstance(said, IncomingMessage)
    assert isinstance(clicked, IncomingMessage)
    assert (said.button, clicked.button) == (False, True)
    assert said.response is not None
    assert clicked.response is not None
    assert json.loads(said.response.body)["type"] == 5
    assert json.loads(clicked.response.body) == {"type": 6}


def test_what_is_no_interaction_is_named() -> None:
    """And nothing but BadBody, whatever it is."""
    for body in ([], {}, {"type": "2"}, {"type": 2}, {"type": 3, "data": []}):
        with pytest.raises(BadBody):
            read_interaction(body, ROOT)
