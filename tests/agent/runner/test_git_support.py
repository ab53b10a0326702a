"""Which git reads its settings from variables, by the file that would be started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.runner import git_support
from agent.runner.git_support import verify_git
from agent.runner.programs import CannotRun, open_program

SETTINGS = (("GIT_CONFIG_COUNT", "1"), ("LANG", "C"))


def look(path: Path | str, env: tuple[tuple[str, str], ...] = SETTINGS) -> None:
    program = open_program(str(path), os.geteuid())
    try:
        verify_git(program, env)
    finally:
        program.close()


def program(folder: Path, content: bytes) -> Path:
    made = folder / "git"
    made.write_bytes(b"\x7fELF" + content)
    made.chmod(0o755)
    return made


def test_a_git_that_reads_them_is_started_and_an_older_one_is_not(tmp_path: Path) -> None:
    """Trust: a git that would run without the protections does not run; the cure is told."""
    look("/usr/bin/git")
    look(program(tmp_path, b"x GIT_CONFIG_COUNT\0 y"))
    for old in (b"x GIT_CONFIG_NOSYSTEM\0", b"GIT_CONFIG_COUNTER\0"):
        made = program(tmp_path, old)
        with pytest.raises(CannotRun, match=r"before 2\.31.*upgrade git"):
            look(made)
        look(made, (("LANG", "C"),))


def test_a_file_is_read_once_and_again_where_it_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade counts at once; what is remembered is bounded."""
    monkeypatch.setattr(git_support, "_known", {})
    with pytest.raises(CannotRun):
        look(made := program(tmp_path, b"old"))
    made.unlink()
    look(program(tmp_path, b"now with GIT_CONFIG_COUNT\0"))
    for number in range(2 * git_support.MAX_FILES):
        folder = tmp_path / str(number)
        folder.mkdir()
        look(program(folder, b"GIT_CONFIG_COUNT\0" + bytes(number)))
    assert len(git_support._known) <= git_support.MAX_FILES


def test_an_enormous_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on what is looked through before a start."""
    monkeypatch.setattr(git_support, "MAX_BYTES", 8)
    with pytest.raises(CannotRun):
        look(program(tmp_path, b"GIT_CONFIG_COUNT\0"))
