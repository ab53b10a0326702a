"""Commands that are loaded when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import click

from tests.end_to_end.system import ROOT
from tui.cli.commands import PLACES
from tui.cli.main import answerback

HELP_OF_RUN = "import sys, tui.cli.main as m; m.answerback.main(['run', '--help'], standalone_mode=False); "


def loaded(code: str) -> set[str]:
    """The modules of a new interpreter after `code`."""
    tell = "import sys; sys.stderr.write(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code + tell], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ended.stderr.split())


def test_each_command_is_where_the_table_says() -> None:
    """Under its own name, and every command but `login`, which stands beside the group, is in the table."""
    for name in PLACES:
        assert isinstance(answerback.commands[name], click.Command)
        assert answerback.commands[name].name == name
    assert set(answerback.commands) == {*PLACES, "login"}


def test_help_names_every_command() -> None:
    text = answerback.get_help(click.Context(answerback))
    for name in answerback.commands:
        assert f"\n  {name} " in text, name


def test_only_the_command_that_is_asked_for_is_loaded() -> None:
    found = {name for name in loaded(HELP_OF_RUN) if name.startswith("tui.cli.")}
    assert "tui.cli.run" in found
    others = {f"tui.cli.{place.partition(':')[0]}" for place in PLACES.values()} - {"tui.cli.run"}
    assert not found & others
