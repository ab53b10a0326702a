"""agent.detach: a runner that is nobody's child in spirit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.detach import RunnerProcess, child_environment, last_line
from agent.restarts import FIRST_WAIT
from agent.state import StateFolder


def test_what_is_meant_for_this_process_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager's socket and a join token stay here."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN", "KEPT"):
        monkeypatch.setenv(name, "x")
    environment = child_environment()
    assert environment["KEPT"] == "x"
    assert not environment.keys() & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN"}


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def failing(folder: Path, monkeypatch: pytest.MonkeyPatch, last: str) -> tuple[RunnerProcess, StateFolder, Clock]:
    """What starts a runner that ends at once, in the way that `last` is the last line of."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho 'answerback-agent: odd' >&2\n{last}\n")
    program.chmod(0o755)
    monkeypatch.setattr("agent.detach.sys.executable", str(program))
    state, clock = StateFolder(folder / "s"), Clock()
    return RunnerProcess(state, folder / "r.sock", clock=clock, wall_clock=clock), state, clock


def started_and_ended(runner: RunnerProcess) -> None:
    assert runner.ensure_started() is None
    os.waitid(os.P_PID, runner._pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize(
    ("last", "how"), [("exit 2", "ended with status 2"), ("kill -9 $$", "ended by signal 9"), ("exit 0", "status 0")]
)
def test_a_runner_that_ends_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, how: str
) -> None:
    """Whichever way and however soon it ends: first at once, then later and later; how it ended and since when is
    told, and when it is started again.
    """
    runner, state, clock = failing(tmp_path, monkeypatch, last)
    started_and_ended(runner)
    started_and_ended(runner)  # a first end may be chance
    clock.now += 0.1
    down = runner.ensure_started()
    assert down is not None
    assert how in down.why
    assert down.why.endswith("answerback-agent: odd")
    assert (down.since, down.next_start) == (1_000.0, clock.now + FIRST_WAIT)
    assert runner.ensure_started() == down
    clock.now = down.next_start
    started_and_ended(runner)
    later = runner.ensure_started()
    assert later is not None
    assert (later.since, later.next_start) == (1_000.0, clock.now + 2 * FIRST_WAIT)
    assert state.runner_log.read_text().count("odd") == 3
    assert state.runner_log.stat().st_mode & 0o777 == 0o600


def test_a_runner_that_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program, no room, no right: the uplink goes on and says so."""
    runner, _, clock = failing(tmp_path, monkeypatch, "")
    monkeypatch.setattr("agent.detach.sys.executable", str(tmp_path / "none"))
    down = runner.ensure_started()
    assert down is not None
    assert "cannot start the runner" in down.why
    clock.now += 1
    again = runner.ensure_started()
    assert again is not None
    assert again.next_start > clock.now


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    """The last line without control characters; nothing where there is no log."""
    file = tmp_path / "log"
    assert last_line(file) == ""
    file.write_bytes(b"x" * 10_000 + b"\nfirst\nlast \x1b[1m\n\n")
    assert last_line(file) == "last ?[1m"
