"""`answerback-agent take-over`: only for a folder that nobody serves, and good for one start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.lock import acquire_lock
from agent.place import place_of, read_word
from agent.state import StateFolder, moved_here_file
from agent.take_over import take_over
from common.errors import UserError


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    found = StateFolder(tmp_path)
    for folder in (found.uplink, found.runner):
        folder.mkdir()
    found.settings_file.write_text('url = "wss://h:8443"\nname = "web-1"\nhub = "h1"\n')
    return found


def test_the_word_is_left_for_both_processes(state: StateFolder) -> None:
    """And what it means is said."""
    said = take_over(state)
    assert "web-1" in said
    assert "both would be locked out" in said
    for folder in (state.uplink, state.runner):
        assert read_word(moved_here_file(folder), place_of(folder)) == "anew"


def test_not_beneath_a_process_that_serves(state: StateFolder) -> None:
    for path, program in ((state.lock, "uplink"), (state.runner_lock, "runner")):
        lock = acquire_lock(path, program, state.path, "")
        with pytest.raises(UserError, match=f"the {program} of .* runs: stop it first"):
            take_over(state)
        os.close(lock)
    assert not moved_here_file(state.runner).exists()


def test_not_where_nothing_has_joined(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `answerback-agent join` first"):
        take_over(StateFolder(tmp_path))
