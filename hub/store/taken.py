"""Which messages were taken lately, in small files outside the database, so that a restored hub knows them again.

    1 5be1…16 bytes in hex 1800000000     version, the key of this file's hashes, when it was begun (seconds)
    9f0c2a7be1d35566                      one message a line: 64 bits of the keyed hash of its inlet and event id

A platform delivers again what it believes was not taken. A message of after the backup is unknown to the restored
database, and would run twice where it does not say when it was written. Lines are appended after each commit, before
the webhook is answered, without a sync: after a power failure the last ones may be missing. A file is put aside
(`store.taken.1`) when it is full or a day old, and the one before that goes: at least the last MAX_LINES messages or
the last day are known, and no file is larger than about a megabyte.

The hash is keyed so that nobody outside can choose ids that collide; who reads the file learns no ids from it but by
trying them. A line that does not read is left out, a file whose head does not read counts as missing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hub.log import logger

NAME: Final = "store.taken"
MAX_LINES: Final = 50_000
"""Messages of one file; there are two."""
MAX_AGE: Final = 86_400.0
"""Seconds after which a file is put aside; for so long after a restore messages are looked up."""
_HASH: Final = 8
_LINE: Final = 2 * _HASH + 1
_HEAD: Final = re.compile(rb"1 ([0-9a-f]{32}) ([0-9]{1,12})", re.ASCII)
_HEAD_MAX: Final = 64
_MAX_BYTES: Final = _HEAD_MAX + 2 * MAX_LINES * _LINE

Event = tuple[str, str]
"""Inlet and event id."""

log = logger("store")


class TakenEvents:
    """The files; one thread writes. They are made with the first message, and never without one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._key = b""
        self._since = 0.0
        self._room = 0  # lines that this file still takes
        self._failed = False

    def add(self, events: Sequence[Event], now: float) -> None:
        """Never raises: where the folder cannot be written, the log says so once and the hub goes on."""
        try:
            if self._fd is None:
                self._open(now)
            if self._room < len(events) or not 0 <= now - self._since <= MAX_AGE:
                self._put_aside(now)
            assert self._fd is not None  # noqa: S101
            lines = b"".join(_hash(self._key, event).hex().encode() + b"\n" for event in events)
            if os.write(self._fd, lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._room -= len(events)
            self._failed = False
        except OSError as error:
            if not self._failed:
                cure = "let the hub's user write there: after a restore, messages that come again may run twice without"
                log.error("store.taken_unwritten", file=str(self.path), reason=error.strerror, cure=cure)
            self._failed = True
            self.close()

    def read(self) -> Known:
        """All that both files know. Another thread may be writing: a line that it adds meanwhile may be missing."""
        found = [_read(path) for path in (self.path, self._aside)]
        return Known([(key, hashes) for key, hashes in found if hashes])

    def close(self) -> None:
        """May be called twice, and written again after."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(self.path.name + ".1")

    def _open(self, now: float) -> None:
        """Goes on with the file that is there, where its head reads."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._begin(now)
            return
        head = os.read(fd, _HEAD_MAX).split(b"\n")[0]
        found = _HEAD.fullmatch(head)
        if found is None:
            os.close(fd)
            os.unlink(self.path)
            self._begin(now)
            return
        self._fd, self._key, self._since = fd, bytes.fromhex(found[1].decode()), float(found[2])
        size = os.fstat(fd).st_size
        self._room = MAX_LINES - (size - len(head)) // _LINE
        if os.pread(fd, 1, size - 1) != b"\n":  # the last line was cut by a power failure, or the disk was full
            os.write(fd, b"\n")

    def _put_aside(self, now: float) -> None:
        self.close()
        os.replace(self.path, self._aside)
        self._begin(now)

    def _begin(self, now: float) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags, 0o600)
        if os.geteuid() == 0:  # the folder's owner is the hub's own user
            owner = self.path.parent.stat()
            os.fchown(self._fd, owner.st_uid, owner.st_gid)
        self._key, self._since, self._room = secrets.token_bytes(16), float(int(now)), MAX_LINES
        os.write(self._fd, f"1 {self._key.hex()} {int(now)}\n".encode("ascii"))


class Known:
    """Messages that were taken, as the files had them when they were read."""

    def __init__(self, files: Sequence[tuple[bytes, frozenset[bytes]]] = ()) -> None:
        self._files = files

    def __contains__(self, event: Event) -> bool:
        return any(_hash(key, event) in hashes for key, hashes in self._files)

    def __len__(self) -> int:
        return sum(len(hashes) for _, hashes in self._files)


def _hash(key: bytes, event: Event) -> bytes:
    inlet, event_id = (part.encode("utf-8", "replace") for part in event)
    return hashlib.blake2b(b"%d:%b%b" % (len(inlet), inlet, event_id), key=key, digest_size=_HASH).digest()


def _read(path: Path) -> tuple[bytes, frozenset[bytes]]:
    try:
        with path.open("rb") as file:
            head, *lines = file.read(_MAX_BYTES).split(b"\n")
    except OSError:
        return b"", frozenset()
    found = _HEAD.fullmatch(head)
    if found is None:
        return b"", frozenset()
    hashes = set()
    for line in lines:
        if len(line) == 2 * _HASH:
            try:
                hashes.add(bytes.fromhex(line.decode("ascii")))
            except ValueError:
                continue
    return bytes.fromhex(found[1].decode()), frozenset(hashes)
