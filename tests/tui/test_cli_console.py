"""answerback console: what is chosen from options and the environment, and what it says without a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from tui.cli_console import language_of, read_keymap, settings_of
from tui.commands import ACTS

ROOT = Path(__file__).resolve().parents[2]
GIVEN = {"theme": "auto", "slow": False, "language": None, "ascii": False, "read_only": False, "hide_codes": False}


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "en_US"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_follows_the_locale(environment: dict[str, str], language: str) -> None:
    """LC_ALL before LC_MESSAGES before LANG; what is neither is English."""
    assert language_of(environment) == language


def test_what_is_given_goes_before_the_environment() -> None:
    """Options win; a poor terminal gets ASCII; slow gets the terminal's own colours."""
    assert settings_of({**GIVEN, "language": "zh"}, {"LANG": "C"})["language"] == "zh"
    assert settings_of(GIVEN, {"TERM": "linux"})["ascii"]
    assert not settings_of(GIVEN, {"TERM": "xterm-256color"})["ascii"]
    slow = settings_of({**GIVEN, "slow": True, "read_only": True}, {})
    assert (slow["theme"], slow["slow"], slow["read_only"]) == ("ansi", True, True)
    assert settings_of({**GIVEN, "theme": "light"}, {"COLORFGBG": "15;0"})["theme"] == "light"


def test_a_keymap_names_acts(tmp_path: Path) -> None:
    """A known act with keys is taken; an unknown one is named."""
    act = next(act for act in ACTS if act.keys)
    file = tmp_path / "keymap.toml"
    file.write_text(f'{act.id} = "f9"\n')
    assert read_keymap(file) == {act.id: "f9"}
    file.write_text('launch = "f9"\n')
    with pytest.raises(UserError, match="launch"):
        read_keymap(file)


def console(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tui", "console", *argv]
    return subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )


def test_without_a_terminal_it_says_what_to_use_instead() -> None:
    """No screen into a pipe: status 2, and the commands that print lines."""
    done = console("--demo")
    assert done.returncode == 2
    assert "watch" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_act_is_listed_with_its_command() -> None:
    """--acts: one line an act, with the id that a keymap names."""
    lines = console("--acts").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [act.id for act in ACTS]
    assert any("answerback approve" in line for line in lines)
