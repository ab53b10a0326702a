"""agent.detach: a runner that is nobody's child in spirit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.detach import RunnerProcess, child_environment, last_line
from agent.state import StateFolder
from common.errors import WorkFailed


def test_what_is_meant_for_this_process_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager's socket and a join token stay here."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN", "KEPT"):
        monkeypatch.setenv(name, "x")
    environment = child_environment()
    assert environment["KEPT"] == "x"
    assert not environment.keys() & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN"}


def test_the_first_runner_that_ends_at_once_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are told; a later one that ends is only logged, and another is started."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'answerback-agent: odd' >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr("agent.detach.sys.executable", str(program))
    state = StateFolder(tmp_path / "s")
    runner = RunnerProcess(state, tmp_path / "r.sock")

    def start_and_await_its_end() -> None:
        runner.ensure_started()
        os.waitid(os.P_PID, runner._pid, os.WEXITED | os.WNOWAIT)

    start_and_await_its_end()
    with pytest.raises(WorkFailed, match="the runner ended with status 2: answerback-agent: odd"):
        runner.ensure_started()
    start_and_await_its_end()
    start_and_await_its_end()
    assert state.runner_log.read_text().count("odd") == 3
    assert state.runner_log.stat().st_mode & 0o777 == 0o600


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    """The last line without control characters; nothing where there is no log."""
    file = tmp_path / "log"
    assert last_line(file) == ""
    file.write_bytes(b"x" * 10_000 + b"\nfirst\nlast \x1b[1m\n\n")
    assert last_line(file) == "last ?[1m"
