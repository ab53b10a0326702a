"""Whether the store has room, as every part of the process asks it, and the reserve that is given up where it has not.

    open        everything is taken and handed out
    read-only   there is less than LOW, or a commit found the disk full. The reserve is given up, so that what ends
                jobs, cleans up and audits may still be written; nothing new is taken or handed out
    stuck       besides, the last commit found no room either: nothing is written until a probe succeeds

The reserve is a file of RESERVE bytes beside an SQLite database, on whose file system it is. It is made where there is
room for it and as much as NEEDED in all, so that a hub that goes on has more than it was stopped for.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from hub.log import logger

RESERVE: Final = 4 * 1024 * 1024
NEEDED: Final = RESERVE + 2 * 1024 * 1024
"""Free bytes from which on a hub whose disk was full goes on, and without which no reserve is made."""
LOW: Final = 512 * 1024
SUFFIX: Final = ".reserve"

log = logger("store")


class Room:
    """The writer's thread notes, everybody reads; only `hub.storage` opens it again."""

    def __init__(self, database: Path | None) -> None:
        """`database` is the SQLite file; None: another database, whose room nobody here can see."""
        self.database = database
        self.read_only = False
        self.stuck = False

    @property
    def reserve(self) -> Path | None:
        return None if self.database is None else self.database.with_name(self.database.name + SUFFIX)

    def free(self) -> int | None:
        """Bytes that this user may still write; None where nobody here can tell."""
        return None if self.database is None else free_bytes(self.database.parent)

    # ---- what is found

    def look(self) -> None:
        """Before a commit finds out."""
        free = self.free()
        if not self.read_only and free is not None and free < LOW:
            self.note_low()

    def note_low(self) -> None:
        self.read_only = True
        self.give_up()

    def note_full(self) -> None:
        """A commit has found no room."""
        self.stuck = True
        self.note_low()

    def note_commit(self) -> None:
        self.stuck = False

    def open(self) -> None:
        """There is room again."""
        self.read_only = self.stuck = False
        self.make_reserve()

    # ---- the reserve

    def make_reserve(self) -> bool:
        """Where there is none, and room for it; whether there is one now."""
        reserve, free = self.reserve, self.free()
        if reserve is None or free is None:
            return False
        with suppress(OSError):
            if reserve.stat().st_size >= RESERVE:
                return True
        if free < NEEDED:
            return False
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(reserve, flags, 0o600)
            try:
                if os.geteuid() == 0:  # the folder's owner is the hub's own user
                    owner = reserve.parent.stat()
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                os.posix_fallocate(descriptor, 0, RESERVE)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("store.no_reserve", file=str(reserve), reason=error.strerror)
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        if self.reserve is not None:
            with suppress(OSError):
                self.reserve.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int | None:
    """Of the folder's file system, for this user; None where it does not tell."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
