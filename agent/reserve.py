"""Room kept back on the state's file system: a full disk is exactly when one needs `df`, and a place for its answer.

A folder `reserve/` holds small files of random bytes (zeros would take no room where the file system compresses).
When the disk is full they are given back one by one, each an inode and some blocks, right before a write of ours is
tried again: the rest stays safe from whatever fills the disk. They are made again when there is room for several times
as much.

Who may take from it: in `runner/reserve` the journal, start markers and results as much as they need, the output of a
job up to `RunnerLimits.reserve_share`, so that what makes room can be run and told of; in `uplink/reserve` the renewal
of the certificate, without which a machine whose disk stays full would be locked out after a day.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from agent import log
from common.errors import UserError
from common.files import create_folder

T = TypeVar("T")

PIECES: Final = 32
MIN_PIECE: Final = 4 * 1024
MAX_PIECE: Final = 64 * 1024
_SHARE: Final = 1_024
"""A piece is at most this part of the file system."""
_ROOM_FOR_MORE: Final = 4
"""Free space, in whole reserves, from which the reserve is filled up again."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Whether the error says that there is no room, which the reserve may help."""
    return error.errno in _FULL


class Reserve:
    """The pieces that are left. `take` is for any thread, the others for the one that made it."""

    def __init__(self, folder: int, most: int = PIECES) -> None:
        """`folder` is a descriptor of the reserve's own folder; it stays the caller's. `most` is how many pieces it has
        when it is whole.
        """
        self._folder = folder
        self._most = most
        self._pieces: deque[str] = deque()
        self._used = False
        self.size = 0  # bytes of a piece; 0 where the file system does not say how large it is
        try:
            found = os.statvfs(folder)
            self.size = max(MIN_PIECE, min(MAX_PIECE, found.f_frsize * found.f_blocks // _SHARE // 4096 * 4096))
            self._pieces.extend(sorted(name for name in os.listdir(folder) if name.isdigit())[:most])
        except OSError as error:
            log.warning("reserve.none", why=error)

    @property
    def is_whole(self) -> bool:
        return len(self._pieces) >= self._most

    def is_used(self) -> bool:
        """Whether the disk was full when last something was written, and has no room to make the reserve whole now."""
        if self._used:
            self.refill()
        return self._used

    @property
    def pieces(self) -> int:
        return len(self._pieces)

    def take(self) -> bool:
        """Gives one piece back to the file system; False where none is left or it cannot be deleted."""
        while True:
            try:
                name = self._pieces.pop()
            except IndexError:
                return False
            try:
                os.unlink(name, dir_fd=self._folder)
            except FileNotFoundError:
                continue
            except OSError:
                return False  # a file system that became read-only: nothing helps there
            self._used = True
            if len(self._pieces) in (self._most - 1, 0):
                log.error("reserve.used", left=len(self._pieces), cure="make room on this machine's disk")
            return True

    def retry(self, act: Callable[[], T]) -> T:
        """Does `act`, again after each piece while the disk is full; raises its last OSError."""
        while True:
            try:
                return act()
            except OSError as error:
                if not is_full(error) or not self.take():
                    raise

    def make_room(self, size: int) -> None:
        """Gives pieces back until `size` bytes are free, or none is left."""
        while self._free() < size and self.take():
            pass

    def _free(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)

    def refill(self) -> None:
        """Makes the pieces that are missing, where the file system has room for several times as much."""
        before = len(self._pieces)
        try:
            found, room = os.statvfs(self._folder), self._free()
            files = found.f_favail if found.f_files else self._most * _ROOM_FOR_MORE
            if self.size <= 0 or room < _ROOM_FOR_MORE * self._most * self.size or files < _ROOM_FOR_MORE * self._most:
                return
            missing = [name for name in map(str, range(self._most)) if name not in self._pieces]
            for name in missing[: self._most - before]:
                self._make(name)
        except OSError as error:
            log.warning("reserve.not_made", why=error)
        if before < self._most <= len(self._pieces):
            self._used = False
            log.info("reserve.made", bytes=self._most * self.size)

    def restore(self, most: int = 4) -> None:
        """Takes back up to so many pieces at once, on a disk that is still full: what our own files left free."""
        missing = [name for name in map(str, range(self._most)) if name not in self._pieces]
        try:
            for name in missing[: min(most, self._most - len(self._pieces))]:
                self._make(name)
        except OSError as error:
            log.debug("reserve.not_made", why=error)

    def _make(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(name, flags, 0o600, dir_fd=self._folder)
        try:
            if os.write(file, os.urandom(self.size)) != self.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.unlink(name, dir_fd=self._folder)
            raise
        finally:
            os.close(file)
        self._pieces.append(name)


RENEWAL_PIECES: Final = 8
RENEWAL_ROOM: Final = 64 * 1024
"""Bytes that must be free for a renewal's few small files."""


def keep_room_for_renewal(uplink: Path) -> None:
    """Makes the uplink's reserve whole where the disk has plenty of room."""
    with _uplink_reserve(uplink) as reserve:
        if reserve is not None:
            reserve.refill()


@contextmanager
def room_for_renewal(uplink: Path) -> Iterator[None]:
    """In the block there is room in the uplink's folder for the files of a renewal, as far as its reserve goes; behind
    it the reserve is made whole where the disk allows that.
    """
    with _uplink_reserve(uplink) as reserve:
        if reserve is not None:
            with suppress(OSError):
                reserve.make_room(RENEWAL_ROOM)
        yield
        if reserve is not None:
            reserve.refill()


@contextmanager
def _uplink_reserve(uplink: Path) -> Iterator[Reserve | None]:
    path = uplink / "reserve"
    try:
        create_folder(path)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (UserError, OSError) as error:
        log.warning("reserve.none", why=error)
        yield None
        return
    try:
        yield Reserve(folder, RENEWAL_PIECES)
    finally:
        os.close(folder)
