"""The witness that is always there: a file in the hub's folder, one line a note, only ever added to.

    # Answerback: what is known of the audit of hub-1a2b3c outside its database. Key: answerback/hub-1a2b3c+…
    answerback-checkpoint answerback/hub-1a2b3c 4711 …

It proves something against who can write the database and not this file; made append-only (`audit protect`, chattr +a)
also against the hub's own user. A lock on it keeps the hub and a command beside it from writing at once.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import Final

from common.audit.checkpoint import read_notes, verifier_key
from common.errors import UserError
from hub.core.audit_chain import Checkpoint

_TAIL: Final = 64 * 1024
_GET_FLAGS: Final = 0x80086601  # FS_IOC_GETFLAGS
_SET_FLAGS: Final = 0x40086602  # FS_IOC_SETFLAGS
_APPEND: Final = 0x20  # FS_APPEND_FL


class WitnessFile:
    def __init__(self, path: Path, hub: str) -> None:
        self.path = path
        self.hub = hub

    def append(self, mark: Checkpoint, public: bytes) -> None:
        """Adds a note and syncs it; raises OSError. A line that a crash left half is ended first."""
        new = not self.path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self.path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "not a regular file")
            if new and os.geteuid() == 0:  # a command of root's must not keep the hub's own user from it
                owner = self.path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            text = mark.line(self.hub, public) + "\n"
            if not size:
                text = self._head(public) + text
            elif os.pread(descriptor, 1, size - 1) != b"\n":
                text = "\n" + text
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _head(self, public: bytes) -> str:
        key = verifier_key(self.hub, public)
        return f"# Answerback: what is known of the audit of {self.hub} outside its database. Key: {key}\n"

    def last(self) -> Checkpoint | None:
        """The newest note; None where there is none. Raises UserError where the file cannot be read, or another hub's
        notes are in it.
        """
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                notes = list(read_notes(file.read(_TAIL).splitlines()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}", "let the hub's user read and write it") from None
        if notes and notes[-1][0] != self.hub:
            cure = "put this hub's file in its place, or name another with [audit] file"
            raise UserError(f"{self.path}: it is of {notes[-1][0]}, this is {self.hub}", cure)
        return notes[-1][1] if notes else None

    def is_append_only(self) -> bool | None:
        """None where the file is not there, or its disk does not say."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return bool(_flags(descriptor) & _APPEND)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def set_append_only(self, on: bool) -> None:
        """chattr +a, or -a; raises OSError: without the right (root) and on disks that have no such attribute."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            flags = _flags(descriptor)
            wanted = flags | _APPEND if on else flags & ~_APPEND
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", wanted))
        finally:
            os.close(descriptor)


def _flags(descriptor: int) -> int:
    found: tuple[int] = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0)))
    return found[0]
