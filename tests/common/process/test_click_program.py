"""common.process.click_program: what click's own errors come to."""

from __future__ import annotations

import json
import sys

import click
import pytest

import tui.cli.main
from common.process.click_program import LazyCommands, explain_click, run_click
from tests.run_main import run_main


@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_usage(as_json: bool) -> None:
    """Usage and the way to help for a person, one object for a script; status 2."""
    ended = run_main(tui.cli.main.main, "job", *(["--json"] if as_json else []))
    assert (ended.code, ended.out) == (2, b"")
    if as_json:
        told = json.loads(ended.err)
        assert (told["status"], told["cure"].endswith("job --help")) == (2, True)
        assert "Missing argument" in told["error"]
    else:
        assert ended.err.startswith("Usage: ")
        assert "Missing argument" in ended.err


def test_the_rest() -> None:
    """Ctrl-C and an exit keep their status; what is not click's is left to others."""
    aborted, ended = explain_click(click.Abort()), explain_click(click.exceptions.Exit(3))
    assert aborted is not None and (aborted.sentence, aborted.status) == ("interrupted", 130)  # noqa: PT018
    assert ended is not None and (ended.sentence, ended.status) == ("", 3)  # noqa: PT018
    assert explain_click(KeyError("x")) is None


def test_a_status_that_a_command_exits_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--help` is 0; a command's own exit is kept."""

    @click.command()
    @click.pass_context
    def command(context: click.Context) -> None:
        context.exit(3)

    monkeypatch.setattr("sys.argv", ["x"])
    assert run_click("x", command) == 3
    monkeypatch.setattr("sys.argv", ["x", "--help"])
    assert run_click("x", command) == 0


def test_commands_are_loaded_when_they_are_looked_at() -> None:
    """As any group's they are added and taken away; each is loaded once."""
    sys.modules.pop("this", None)
    commands = LazyCommands("json", {"tool": "tool:main", "decode": "decoder:JSONDecoder"})
    assert set(commands) == {"tool", "decode"}
    assert callable(commands["decode"])
    assert commands["decode"] is commands["decode"]
    mine = click.Command("mine")
    commands["mine"] = mine
    assert (commands["mine"], len(commands)) == (mine, 3)
    del commands["mine"]
    assert "mine" not in commands
