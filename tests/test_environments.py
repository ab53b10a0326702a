"""Nobody meets a traceback: every command in every unfriendly environment (tests/environments.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.environments import (
    ENVIRONMENTS,
    World,
    commands,
    judge,
    load_everything,
    made_world,
    run_one,
)
from tests.forked import Forked

COMMANDS = commands()
NORMAL = 2
"""Environments that a command meets in the normal run; the next command meets others, so all meet each program."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    load_everything()
    with made_world() as made:
        yield made


def is_normal(at: int, environment: int) -> bool:
    return (environment - NORMAL * at) % len(ENVIRONMENTS) < NORMAL


@pytest.mark.xdist_group("environments")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["share", "whole"])
def test_no_command_shows_a_traceback(whole: bool, world: World) -> None:
    """One sentence or one JSON object, an exit status of the documented ones, and an end."""
    failed = []
    for at, command in enumerate(COMMANDS):
        for number, name in enumerate(ENVIRONMENTS):
            if is_normal(at, number) is not whole:
                as_json = number % 2 == 0
                problem = judge(run_one(command, name, world, as_json=as_json), name, as_json=as_json and command.json)
                failed += [f"{command.name}, {name}: {problem}"] if problem else []
    assert not failed, f"{len(failed)} failed:\n" + "\n".join(failed)


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
