"""answerback console: what is chosen from options and the environment, and what it says without a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from tui.cli.console import ConsoleOptions, build_settings, detect_language, read_keymap
from tui.model.actions import ACTIONS

ROOT = Path(__file__).resolve().parents[3]


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
    assert detect_language(environment) == language


def test_what_is_given_goes_before_the_environment() -> None:
    """Options win; a poor terminal gets ASCII; slow gets the terminal's own colours."""
    assert build_settings(ConsoleOptions(language="zh"), {"LANG": "C"}).language == "zh"
    assert build_settings(ConsoleOptions(), {"TERM": "linux"}).ascii
    assert not build_settings(ConsoleOptions(), {"TERM": "xterm-256color", "LANG": "C.UTF-8"}).ascii
    slow = build_settings(ConsoleOptions(slow=True, read_only=True), {})
    assert (slow.theme, slow.slow, slow.read_only) == ("ansi", True, True)
    assert build_settings(ConsoleOptions(theme="light"), {"COLORFGBG": "15;0"}).theme == "light"


def test_a_keymap_names_acts(tmp_path: Path) -> None:
    """A known act with keys is taken; an unknown one is named."""
    act = next(act for act in ACTIONS if act.keys)
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
    assert [line.split()[0] for line in lines] == [act.id for act in ACTIONS]
    assert any("answerback approve" in line for line in lines)


def test_a_terminal_that_is_not_utf_8_gets_ascii_by_itself() -> None:
    """By its locale or by its stream; what data holds is cut to what can be written. An option has the last word."""
    latin = build_settings(ConsoleOptions(), {"LANG": "de_DE.ISO-8859-1"}, "utf-8", assumed=True)
    assert (latin.ascii, latin.encoding) == (True, "ascii")  # the stream would be written as UTF-8
    told = build_settings(ConsoleOptions(), {"LANG": "C.UTF-8"}, "latin-1")
    assert (told.ascii, told.encoding) == (True, "iso8859-1")
    bare = build_settings(ConsoleOptions(), {}, "utf-8", assumed=True)
    assert (bare.ascii, bare.encoding) == (True, "utf-8")
    assert not build_settings(ConsoleOptions(ascii=False), {}, "utf-8", assumed=True).ascii
    assert build_settings(ConsoleOptions(ascii=True), {"LANG": "C.UTF-8"}).ascii
