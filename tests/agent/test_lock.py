"""agent.lock: one holder, named to the next; testing a lock does not take it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from agent.lock import acquire_lock, holder_of, is_locked
from agent.state import StateFolder
from common.errors import UserError
from common.files import create_folder


def test_a_lock_is_tested_without_being_taken(tmp_path: Path) -> None:
    """Held, free and missing locks are told apart; a free one can be taken right afterwards."""
    state = StateFolder(tmp_path)
    create_folder(state.uplink)
    assert is_locked(state.lock) is False
    lock = state.acquire_lock()
    assert is_locked(state.lock) is True
    os.close(lock)
    assert is_locked(state.lock) is False
    os.close(state.acquire_lock())


def test_a_dead_holder_is_none(tmp_path: Path) -> None:
    """A lock file that names a process that is gone is free."""
    (tmp_path / "lock").write_text("999999999\n")
    assert is_locked(tmp_path / "lock") is False


def test_the_second_holder_is_refused_with_the_first_ones_process_id(tmp_path: Path) -> None:
    """The message names program, process and folder, and ends with the cure; a closed descriptor frees the lock."""
    lock = acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first")
    words = f"another runner (process {os.getpid()}) serves {tmp_path}: stop it first"
    with pytest.raises(UserError, match=re.escape(words)):
        acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first")
    os.close(lock)
    os.close(acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first"))


def test_a_lock_file_that_cannot_be_opened_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    """A symbolic link is not followed, and the refusal names the file."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"cannot open .*lock .*run this as the folder's owner"):
        acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first")
    assert not (tmp_path / "elsewhere").exists()


def test_a_holder_that_proc_does_not_show_holds_it_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where /proc hides other people's processes, the kernel is asked: it may only be asked, and that is an answer."""
    lock = acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first")

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert is_locked(tmp_path / "lock") is True
    os.close(lock)


def test_a_read_only_file_system_still_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of before is taken as it is: its holder is not named, and a second one is refused all the same."""
    (tmp_path / "lock").write_text("1\n")
    real = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    lock = acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first")
    with pytest.raises(UserError, match="another runner"):
        acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it first")
    os.close(lock)


def test_the_holder_is_known_by_its_process_id(tmp_path: Path) -> None:
    """0 where there is none, or the file says nothing of the kind."""
    path = tmp_path / "lock"
    assert holder_of(path) == 0
    lock = acquire_lock(path, "runner", tmp_path, "")
    assert holder_of(path) == os.getpid()
    os.close(lock)
    path.write_text("nobody\n")
    assert holder_of(path) == 0
