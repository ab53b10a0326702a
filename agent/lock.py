"""Lock files: one process a purpose and folder, with its process id in the file; and a lock held for a moment.

The lock is flock(2)'s, so it ends with its holder however that dies. The process id in the file is for messages, and
lets `is_locked` answer without taking the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import UserError


def acquire_lock(path: Path, program: str, folder: Path, cure: str) -> int:
    """Takes the lock and gives its descriptor; it is held until that is closed.

    Raises UserError where another process has it ("another `program` (process N) serves `folder`", with `cure`), or
    where the file cannot be opened.
    """
    try:
        lock, writable = _open_lock(path)
    except OSError as error:
        raise UserError(f"cannot open {path} ({error.strerror})", "run this as the folder's owner") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(lock)
        os.close(lock)
        whose = f" (process {holder})" if holder.isdigit() else ""
        raise UserError(f"another {program}{whose} serves {folder}", cure) from None
    _give_to_owner(lock, path)
    if writable:
        try:
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        except OSError:
            pass  # a full disk: the lock holds, only its holder's name is missing
    return lock


def _open_lock(path: Path) -> tuple[int, bool]:
    """The lock's descriptor, and whether it can be written: a read-only file system still has locks. Raises OSError."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600), True
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | flags), False


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds the lock while the block runs, which is short; waits for it. Raises UserError where it cannot be opened."""
    try:
        lock, _ = _open_lock(path)
    except OSError as error:
        raise UserError(f"cannot open {path} ({error.strerror})", "run this as the folder's owner") from None
    try:
        _give_to_owner(lock, path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _give_to_owner(lock: int, path: Path) -> None:
    """As root the file is given to the owner of its folder, who is to lock it too."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        with suppress(OSError):  # a read-only file system: it is the owner's already
            os.fchown(lock, owner.st_uid, owner.st_gid)


def is_locked(path: Path) -> bool | None:
    """Whether a process holds the lock file; None where this user may not open it.

    A lock cannot be tested without taking it for a moment, and a process that starts in that moment would find it
    taken: so it is tried only where the process that is named in it is alive.
    """
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        holder = _holder(lock)
        if not (holder.isdigit() and _is_process(int(holder))):
            return False
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def holder_of(path: Path) -> int:
    """The process id that a lock file names; 0 where it names none or cannot be read."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        found = _holder(lock)
    finally:
        os.close(lock)
    return int(found) if found.isascii() and found.isdigit() else 0


def _is_process(pid: int) -> bool:
    """Asks the kernel and not /proc, which may be hidden from this user (hidepid)."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _holder(lock: int) -> str:
    """The process id that the lock file names, as text; "" where it names none."""
    return os.read(lock, 32).decode("ascii", "replace").strip()
