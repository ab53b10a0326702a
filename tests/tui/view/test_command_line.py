"""The line after `:`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import LANGUAGES
from tests.each import each_of
from tui.model.actions import ACTION_BY_ID, ACTIONS
from tui.view.bars import SCREEN_MODES
from tui.view.command_line import SETTINGS, ParsedCommand, complete_command, describe_command, parse_command


@each_of(
    ("line", "command"),
    [
        ("", ParsedCommand("")),
        ("   ", ParsedCommand("")),
        (":", ParsedCommand("")),
        ("q", ParsedCommand("act", "quit")),
        ("jobs state:failed agent:web-*", ParsedCommand("go", "jobs", "state:failed agent:web-*")),
        ("audit", ParsedCommand("go", "audit")),
        ("models", ParsedCommand("go", "models")),
        ("job 01j8f31", ParsedCommand("job", "01J8F31")),
        ("r42", ParsedCommand("request", "42")),
        ("42", ParsedCommand("request", "42")),
        ("request R42", ParsedCommand("request", "42")),
        ("agent web-1", ParsedCommand("agent", "web-1")),
        ("theme light", ParsedCommand("set", "theme", "light")),
        ("language zh", ParsedCommand("set", "language", "zh")),
        (":pause", ParsedCommand("act", "pause")),
        ("theme", ParsedCommand("act", "theme")),
        ("theme pink", ParsedCommand("act", "theme", "pink")),
        ("job ../../x", ParsedCommand("unknown", "job")),
        ("r99999999999999", ParsedCommand("unknown", "r99999999999999")),
        ("４２", ParsedCommand("unknown", "４２")),
        ("agent", ParsedCommand("unknown", "agent")),
        ("fly", ParsedCommand("unknown", "fly")),
    ],
)
def test_what_a_line_means(line: str, command: ParsedCommand) -> None:
    """Screens with a filter, things by their name, settings, acts; all else is told as unknown."""
    assert parse_command(line) == command


@given(st.text(max_size=60))
def test_every_line_means_something_or_is_unknown(line: str) -> None:
    """Nothing raises, and an act is always one of the registry."""
    command = parse_command(line)
    assert command.kind != "act" or command.argument in ACTION_BY_ID or command.argument == "quit"
    assert command.kind != "go" or command.argument in SCREEN_MODES


def test_everything_that_can_be_typed_is_offered_and_described() -> None:
    """With nothing typed all of it; each line says in words what it does."""
    offers = complete_command("")
    assert {"jobs", "pause", "theme ", "agent "} <= set(offers)
    assert len(set(offers)) == len(offers)
    for language in LANGUAGES:
        assert all(describe_command(line, language) for line in offers)
    assert "^q" in describe_command("quit", "en")


def test_completion_gives_whole_lines_that_can_be_entered() -> None:
    """Screens, acts, settings with their values, machines seen; nothing where nothing fits."""
    assert "jobs" in complete_command("j")
    assert "job " in complete_command("j")
    assert complete_command("theme l") == ["theme light"]
    assert set(complete_command("theme ")) == {f"theme {value}" for value in SETTINGS["theme"]}
    assert complete_command("agent w", ["web-1", "db-1"]) == ["agent web-1"]
    assert complete_command("zzz") == []
    assert complete_command("jobs st") == []
    assert complete_command("mod") == ["models"]
    assert complete_command("mod", unavailable={"go_models"}) == []
    assert "go_models" not in complete_command("go_", unavailable={"go_models"})
    for act in ACTIONS:
        assert parse_command(act.id).kind in ("act", "go"), act.id


@given(st.text(max_size=12), st.lists(st.text(max_size=8), max_size=5))
def test_a_completion_begins_with_what_was_typed(line: str, agents: list[str]) -> None:
    """So that it can stand as a suggestion behind the cursor."""
    assert all(choice.startswith(line) for choice in complete_command(line, agents))
