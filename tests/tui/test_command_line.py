"""The line after `:`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.command_line import SETTINGS, Command, complete, parse
from tui.commands import ACTS, BY_ID
from tui.headline import MODES


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", Command("")),
        ("   ", Command("")),
        (":", Command("")),
        ("q", Command("act", "quit")),
        ("jobs state:failed agent:web-*", Command("go", "jobs", "state:failed agent:web-*")),
        ("audit", Command("go", "audit")),
        ("models", Command("go", "models")),
        ("job 01j8f31", Command("job", "01J8F31")),
        ("r42", Command("request", "42")),
        ("42", Command("request", "42")),
        ("request R42", Command("request", "42")),
        ("agent web-1", Command("agent", "web-1")),
        ("theme light", Command("set", "theme", "light")),
        ("language zh", Command("set", "language", "zh")),
        (":pause", Command("act", "pause")),
        ("theme", Command("act", "theme")),
        ("theme pink", Command("act", "theme", "pink")),
        ("job ../../x", Command("unknown", "job")),
        ("r99999999999999", Command("unknown", "r99999999999999")),
        ("４２", Command("unknown", "４２")),
        ("agent", Command("unknown", "agent")),
        ("fly", Command("unknown", "fly")),
    ],
)
def test_what_a_line_means(line: str, command: Command) -> None:
    """Screens with a filter, things by their name, settings, acts; all else is told as unknown."""
    assert parse(line) == command


@given(st.text(max_size=60))
def test_every_line_means_something_or_is_unknown(line: str) -> None:
    """Nothing raises, and an act is always one of the registry."""
    command = parse(line)
    assert command.verb != "act" or command.what in BY_ID or command.what == "quit"
    assert command.verb != "go" or command.what in MODES


def test_completion_gives_whole_lines_that_can_be_entered() -> None:
    """Screens, acts, settings with their values, machines seen; nothing where nothing fits."""
    assert "jobs" in complete("j")
    assert "job " in complete("j")
    assert complete("theme l") == ["theme light"]
    assert set(complete("theme ")) == {f"theme {value}" for value in SETTINGS["theme"]}
    assert complete("agent w", ["web-1", "db-1"]) == ["agent web-1"]
    assert complete("zzz") == []
    assert complete("jobs st") == []
    assert complete("mod") == ["models"]
    assert complete("mod", absent={"go_models"}) == []
    assert "go_models" not in complete("go_", absent={"go_models"})
    for act in ACTS:
        assert parse(act.id).verb in ("act", "go"), act.id


@given(st.text(max_size=12), st.lists(st.text(max_size=8), max_size=5))
def test_a_completion_begins_with_what_was_typed(line: str, agents: list[str]) -> None:
    """So that it can stand as a suggestion behind the cursor."""
    assert all(choice.startswith(line) for choice in complete(line, agents))
