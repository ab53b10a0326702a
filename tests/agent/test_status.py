"""agent.status: looking without touching."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.state import State
from agent.status import Status, is_held, running_jobs
from common.files import make_folder

JOB = "01J00000000000000000000000"


def test_a_lock_is_looked_at_without_being_taken(tmp_path: Path) -> None:
    """Held, free and missing locks are told apart; a free one can be taken right afterwards."""
    state = State(tmp_path)
    make_folder(state.uplink)
    assert is_held(state.lock) is False
    lock = state.hold_lock()
    assert is_held(state.lock) is True
    os.close(lock)
    assert is_held(state.lock) is False
    os.close(state.hold_lock())


def test_a_dead_holder_is_none(tmp_path: Path) -> None:
    """A lock file that names a process that is gone is free."""
    (tmp_path / "lock").write_text("999999999\n")
    assert is_held(tmp_path / "lock") is False


def test_running_jobs_have_a_marker_and_no_result(tmp_path: Path) -> None:
    """Ended jobs and foreign files do not count; a folder that is not there has none."""
    for name in (
        f"{JOB}.started",
        "01J00000000000000000000001.started",
        "01J00000000000000000000001.result",
        "x.started",
    ):
        (tmp_path / name).touch()
    assert running_jobs(tmp_path) == [JOB]
    assert running_jobs(tmp_path / "none") == []


@pytest.mark.parametrize(("left", "words"), [(7_200.0, "2 h left"), (-1.0, "EXPIRED: join again")])
def test_the_text_tells_how_long_the_certificate_lasts(left: float, words: str) -> None:
    """Hours left, or that it is over and what to do."""
    status = Status("0", "/s", True, "web-1", "h1", "wss://h", 1, 0.0, left, True, None, None)
    assert words in status.to_text()
    assert "not this user's to see" in status.to_text()
