"""The two small files that say what became of a job: its start marker and its result.

    jobs/ID.started   made exclusively before the program starts; that it is there is the fence
    jobs/ID.result    the end, put in place by a rename
    jobs/ID.out       the output (see `spool`)

Neither is synced: the death of a process takes nothing from them, and after a crash of the machine (another boot id)
the runner does not rely on what may be missing. Both carry a CRC-32, so half a file is no file.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from common.ids import is_ulid
from common.messages import BadMessage, Ended, from_body, to_body

_CRC: Final = struct.Struct(">I")
_MAX_FILE: Final = 64 * 1024
STARTED: Final = ".started"
RESULT: Final = ".result"
OUTPUT: Final = ".out"


class AlreadyStarted(Exception):
    """The start marker exists: this job may have run, and must not run again."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What a start marker holds once the program runs."""

    boot: str
    pid: int
    at: float  # seconds since the epoch
    since_boot: float  # seconds of CLOCK_BOOTTIME, to recognise the process by its start time


class Evidence:
    """The folder jobs/, opened once; names are made of job ids that are ULIDs, so no id leads out of it."""

    def __init__(self, folder: int) -> None:
        self.folder = folder

    def mark(self, job: str) -> int:
        """The start fence: gives the new marker's descriptor, raises AlreadyStarted or OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(_name(job, STARTED), flags, 0o600, dir_fd=self.folder)
        except FileExistsError:
            raise AlreadyStarted(job) from None

    def marker(self, job: str) -> Marker | None:
        """What the marker holds; None where it is missing or the runner died before it was filled."""
        match self._read(job, STARTED):
            case {"boot": str(boot), "pid": int(pid), "at": float(at), "since_boot": float(since_boot)}:
                return Marker(boot, pid, at, since_boot)
        return None

    def save_result(self, ended: Ended) -> None:
        """Raises OSError where there is no room."""
        file = self.create(ended.job, RESULT + ".new")
        try:
            write_checked(file, to_body(ended))
        finally:
            os.close(file)
        temporary, final = _name(ended.job, RESULT + ".new"), _name(ended.job, RESULT)
        os.replace(temporary, final, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def result(self, job: str) -> Ended | None:
        """The end as it was saved; None where there is none or it is not whole."""
        body = self._read(job, RESULT)
        try:
            ended = from_body("ended", body, "runner")
        except BadMessage:
            return None
        return ended if isinstance(ended, Ended) and ended.job == job else None

    def create(self, job: str, suffix: str) -> int:
        """A new, empty file of the job, open for writing; what a job of this id had before is overwritten."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(_name(job, suffix), flags, 0o600, dir_fd=self.folder)

    def open(self, job: str, suffix: str) -> int:
        """A file of the job, open for reading; raises OSError."""
        return os.open(_name(job, suffix), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.folder)

    def remove(self, job: str) -> None:
        """All files of the job, the marker last: while anything is left, the job cannot start."""
        for suffix in (OUTPUT, RESULT + ".new", RESULT, STARTED):
            self.unlink(job, suffix)

    def unlink(self, job: str, suffix: str) -> None:
        try:
            os.unlink(_name(job, suffix), dir_fd=self.folder)
        except FileNotFoundError:
            pass

    def jobs(self) -> dict[str, set[str]]:
        """Which files there are: job id -> suffixes. What is not named like ours is left alone."""
        found: dict[str, set[str]] = {}
        for name in os.listdir(self.folder):
            job, dot, suffix = name.partition(".")
            if is_ulid(job):
                found.setdefault(job, set()).add(dot + suffix)
        return found

    def size(self, job: str, suffix: str) -> int:
        """In bytes; 0 where there is no such file."""
        found = self._stat(job, suffix)
        return 0 if found is None else found.st_size

    def changed_at(self, job: str, suffix: str) -> float:
        """When it was last written, in seconds since the epoch; 0 where there is no such file."""
        found = self._stat(job, suffix)
        return 0.0 if found is None else found.st_mtime

    def _stat(self, job: str, suffix: str) -> os.stat_result | None:
        try:
            return os.stat(_name(job, suffix), dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _read(self, job: str, suffix: str) -> Any:
        try:
            file = self.open(job, suffix)
        except OSError:
            return None
        try:
            data = os.read(file, _MAX_FILE)
        finally:
            os.close(file)
        if len(data) <= _CRC.size or _CRC.unpack_from(data)[0] != zlib.crc32(memoryview(data)[_CRC.size :]):
            return None
        try:
            return msgpack.unpackb(data[_CRC.size :])
        except (ValueError, msgpack.UnpackException):
            return None


def fill(marker: int, contents: Marker) -> None:
    """Writes what a marker holds. Best effort: that the file exists is what counts."""
    body = {"boot": contents.boot, "pid": contents.pid, "at": contents.at, "since_boot": contents.since_boot}
    try:
        write_checked(marker, body)
    except OSError:
        pass


def write_checked(file: int, body: Any) -> None:
    """msgpack behind its CRC-32; raises OSError where not all of it fits."""
    data = msgpack.packb(body)
    data = _CRC.pack(zlib.crc32(data)) + data
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _name(job: str, suffix: str) -> str:
    if not is_ulid(job):
        raise ValueError("not a job id")
    return job + suffix
