"""How far the hub had come, in a small file outside the database, so that a database put back from a backup is noticed.

    1 4.9f0c2a7be1d35566.1042.45 5f3a01c2     version, position (common/link/marks.py), CRC-32

One line of fixed length, overwritten in place after each commit, without a sync: after a power failure it may be a
little behind, which does no harm, and it is never ahead of what is committed. A file that does not read counts as
missing: the machines know the position too.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final

from common.link.marks import Mark, parse_mark
from hub.log import logger

NAME: Final = "store.mark"
_LENGTH: Final = 128

log = logger("store")


class Watermark:
    """The file; one thread writes. It is made with the first position, and never without one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._failed = False

    def read(self) -> Mark | None:
        try:
            words = self.path.read_bytes()[:_LENGTH].decode("ascii").split()
        except (OSError, UnicodeDecodeError):
            return None
        if len(words) != 3 or words[0] != "1" or words[2] != _checksum(words[1]):
            return None
        found = parse_mark(words[1])
        return None if found is None else found[0]

    def write(self, mark: Mark) -> None:
        """Never raises: where the folder cannot be written, the log says so once and the hub goes on."""
        text = str(mark)
        line = f"1 {text} {_checksum(text)}".ljust(_LENGTH - 1) + "\n"
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                if os.geteuid() == 0:  # a command of root's must not keep the hub's own user from it
                    owner = self.path.parent.stat()
                    os.fchown(self._fd, owner.st_uid, owner.st_gid)
            os.pwrite(self._fd, line.encode("ascii"), 0)
            self._failed = False
        except OSError as error:
            if not self._failed:
                cure = "let the hub's user write there: a restored store may go unnoticed without it"
                log.error("store.mark_unwritten", file=str(self.path), reason=error.strerror, cure=cure)
            self._failed = True

    def close(self) -> None:
        """Syncs and closes; it may be written again after."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.fsync(fd)
        except OSError:
            pass
        finally:
            os.close(fd)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode('ascii')):08x}"
