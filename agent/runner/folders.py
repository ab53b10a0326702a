"""The runner's folder in the state folder: its lock, and the folders in it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from agent import log
from agent.lock import acquire_lock
from agent.runner.hand_over import HandOver
from common.errors import UserError
from common.files import create_folder


def take_lock(folder: Path, state: Path, handed: HandOver | None) -> int:
    """The lock of the folder, which is held until its descriptor is closed."""
    path = folder / "lock"
    if handed is not None:
        with suppress(OSError):
            if os.path.samestat(os.fstat(handed.lock), path.stat(follow_symlinks=False)):
                return handed.lock
        os.close(handed.lock)
    return acquire_lock(path, "runner", state, "use that one, stop it first, or name another --state")


def absolute(path: Path) -> Path:
    """An absolute path, since `Spawner` changes the working directory of this process for each start."""
    return Path.cwd() / path


def check_folder(folder: Path) -> None:
    """Raises UserError where others could write to the folder, and so decide whom this machine obeys."""
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise UserError(f"{folder} belongs to user {found.st_uid}", f"run `chown {os.geteuid()} {folder}`")
    if found.st_mode & 0o022:
        raise UserError(f"{folder} can be written by others than its owner", f"run `chmod 700 {folder}`")


def open_own_folder(path: Path, mode: int = 0o700) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    if mode != 0o700:
        os.fchmod(descriptor, mode)
    return descriptor


def open_reserve(path: Path, instead: int) -> int:
    """A descriptor of the reserve's folder; of `instead`, in which there is no piece, where it cannot be made."""
    try:
        create_folder(path)
    except UserError as error:
        log.warning("reserve.none", why=error)
        return os.dup(instead)
    return open_own_folder(path)
