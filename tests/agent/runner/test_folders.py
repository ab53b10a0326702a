"""agent.runner.folders"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.lock import acquire_lock
from agent.runner.folders import check_folder, open_own_folder, open_reserve, take_lock
from agent.runner.hand_over import HandOver
from common.errors import UserError


def handed(lock: int) -> HandOver:
    return HandOver("1.0", "boot", "", lock, 1_000, None, (), (), (), ())


def test_the_lock_that_was_handed_over_is_the_lock(tmp_path: Path) -> None:
    """It was held all the time; nobody else gets it, before or after."""
    lock = acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it")
    assert take_lock(tmp_path, tmp_path, handed(lock)) == lock
    with pytest.raises(UserError, match="another runner"):
        take_lock(tmp_path, tmp_path, None)
    os.close(lock)
    os.close(take_lock(tmp_path, tmp_path, None))


def test_a_descriptor_of_another_file_is_no_lock(tmp_path: Path) -> None:
    """Trust: one runner a folder, whatever a table says."""
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    lock = take_lock(tmp_path, tmp_path, handed(other))
    with pytest.raises(UserError, match="another runner"):
        acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it")
    os.close(lock)
    held = acquire_lock(tmp_path / "lock", "runner", tmp_path, "stop it")
    with pytest.raises(UserError, match="another runner"):
        take_lock(tmp_path, tmp_path, handed(os.open(tmp_path / "other", os.O_RDWR)))
    os.close(held)


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    """Trust: they would decide whom this machine obeys."""
    tmp_path.chmod(0o770)
    with pytest.raises(UserError, match="can be written by others"):
        check_folder(tmp_path)
    tmp_path.chmod(0o755)
    check_folder(tmp_path)


def test_folders_are_opened_with_their_mode(tmp_path: Path) -> None:
    """And a reserve that cannot be made costs nothing but the reserve."""
    folder = open_own_folder(tmp_path, 0o755)
    assert stat.S_IMODE(os.fstat(folder).st_mode) == 0o755
    (tmp_path / "file").write_text("")
    instead = open_reserve(tmp_path / "file", instead=folder)
    assert os.path.samestat(os.fstat(instead), os.fstat(folder))
    os.close(instead)
    os.close(folder)
