"""Nobody meets a traceback: every command in every unfriendly environment (tests/environments.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ENVIRONMENTS, commands, is_normal, judge
from tests.forked import Forked

COMMANDS = commands()
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["share", pytest.param("rest", marks=pytest.mark.slow)])
def test_no_command_shows_a_traceback(part: str) -> None:
    """One sentence or one JSON object, an exit status of the documented ones, and an end."""
    command = [sys.executable, "-m", "tests.environments", part]
    ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = f"{ended.stdout.strip()}\n{ended.stderr}".strip()
    assert ended.returncode == 0 and not said, said  # noqa: PT018 - whole: pytest would shorten it


def test_the_matrix_is_whole() -> None:
    """Commands of all three programs, groups gone into; the normal run meets every environment with every program."""
    names = {command.name for command in COMMANDS}
    assert {"answerback-hub operator add", "answerback runbook accept", "answerback-agent status"} <= names
    met = {
        (command.program, name)
        for at, command in enumerate(COMMANDS)
        for number, name in enumerate(ENVIRONMENTS)
        if is_normal(at, number)
    }
    programs = {command.program for command in COMMANDS}
    assert len(met) == len(programs) * len(ENVIRONMENTS)


def test_a_fault_is_seen() -> None:
    """The judge can say no."""
    assert judge(Forked(1, b"", "Traceback (most recent call last):"), "plain")
    assert judge(Forked(None, b"", ""), "plain") == "it hangs"
    assert judge(Forked(2, b"", ""), "plain") == "status 2 without a word"
    assert judge(Forked(-11, b"", ""), "plain") == "status -11"
    assert judge(Forked(2, b"", "x: y"), "plain", as_json=True)
    assert judge(Forked(2, b"", '{"error": "x"}'), "plain", as_json=True) == ""
    assert judge(Forked(1, b"", ""), "pipe closed") == ""
