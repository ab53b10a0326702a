"""hub.chat.platforms.slack_setup: what a person is told who sets an app up."""

from __future__ import annotations

import re
from pathlib import Path

from hub.chat.platforms.slack import PLATFORM
from hub.chat.platforms.slack_setup import SETUP

PAGE = Path(__file__).parents[4] / "docs" / "chat" / "slack.md"


def test_both_ways_in_are_told() -> None:
    """Each key of a secret, and where the webhook is; in both languages."""
    assert PLATFORM.setup == SETUP
    for language in (0, 1):
        told = "\n".join(step[language] for step in SETUP)
        assert set(re.findall(r"\w+_file", told)) == {"secret_file", "token_file", "app_token_file"}
        assert told.count("{url}") == 3
        assert "connections:write" in told


def test_scopes_and_events_are_those_of_the_page() -> None:
    """Neither names one that the other leaves out."""
    page = PAGE.read_text()
    for english, chinese in SETUP:
        names = set(re.findall(r"\b[a-z_]+:[a-z]+|\bmessage\.[a-z]+|\bapp_mention\b", english))
        assert names == set(re.findall(r"[a-z_]+:[a-z]+|message\.[a-z]+|app_mention\b(?!s)", chinese))
        assert [name for name in names if name not in page] == []
