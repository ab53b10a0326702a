"""SIGHUP asks a program to read everything again and to reopen its log; it ends none of ours.

The signal comes from `systemctl reload`, from logrotate, and from a terminal that closes; whoever sends it never means
the work that is under way. A program calls `outlive_hangup` first of all, since the signal's default is to end it, and
sets its own handler once it has something to read again. Both handlers are functions and never SIG_IGN, which the
programs that we start would inherit. Under nohup the same holds.

`StandardError` is the log's file where standard error was redirected to one: logrotate moves the file away, and after
`reopen` the lines go to a new one under the old name.
"""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import Final

_STREAMS: Final = (1, 2)


def outlive_hangup() -> None:
    """From here on SIGHUP does not end this process. For the main thread."""
    signal.signal(signal.SIGHUP, _do_nothing)


def _do_nothing(number: int, frame: object) -> None:
    """There is nothing to read again yet."""


class StandardError:
    """Where standard error went at the start; a terminal, a pipe and the journal are left alone."""

    def __init__(self) -> None:
        self._path = _file_behind(2)

    def reopen(self) -> str:
        """Continues in a new file where the old one was moved away or deleted; returns the problem, or ""."""
        if self._path is None:
            return ""
        try:
            old = os.fstat(2)
            if _is_same(self._path, old):
                return ""
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            fresh = os.open(self._path, flags, stat.S_IMODE(old.st_mode))
        except OSError as error:
            return f"{self._path} cannot be opened again ({error.strerror}); the log goes on in the old file"
        try:
            for number in _STREAMS:
                found = os.fstat(number)
                if (found.st_dev, found.st_ino) == (old.st_dev, old.st_ino):
                    os.dup2(fresh, number)
        finally:
            os.close(fresh)
        return ""


def _is_same(path: Path, opened: os.stat_result) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)


def _file_behind(descriptor: int) -> Path | None:
    """The name of the regular file that the descriptor was opened with; None where it is no file, or has no name."""
    try:
        opened = os.fstat(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        return path if stat.S_ISREG(opened.st_mode) and _is_same(path, opened) else None
    except OSError:
        return None
