"""The two small files that prove what became of a job: its start marker and its result.

    jobs/ID.started   created with O_EXCL before the program starts; its existence is the fence against a second start
    jobs/ID.result    how the job ended, put in place by a rename
    jobs/ID.out       the output (see `spool`)

Neither is synced: the death of a process loses nothing of them, and after a crash of the machine (another boot id)
the runner does not rely on what may be missing. Both carry a CRC-32, so a torn file counts as missing.
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
from common.link.bodies import from_body, to_body
from common.link.messages import BadMessage, Ended

_CRC: Final = struct.Struct(">I")
_MAX_FILE: Final = 64 * 1024
STARTED_SUFFIX: Final = ".started"
RESULT_SUFFIX: Final = ".result"
OUTPUT_SUFFIX: Final = ".out"


class AlreadyStarted(Exception):
    """The start marker exists: this job may have run, and must not run again."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The contents of a start marker, written once the program runs."""

    boot: str
    pid: int
    at: float  # seconds since the epoch
    since_boot: float  # seconds of CLOCK_BOOTTIME, to recognise the process by its start time


class Evidence:
    """The folder jobs/, by its descriptor. File names are built from ULIDs only, so no job id leads out of it."""

    def __init__(self, folder: int) -> None:
        self.folder = folder

    def create_marker(self, job: str) -> int:
        """Creates the marker (the start fence) and returns its descriptor; raises AlreadyStarted or OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(_name(job, STARTED_SUFFIX), flags, 0o600, dir_fd=self.folder)
        except FileExistsError:
            raise AlreadyStarted(job) from None

    def read_marker(self, job: str) -> Marker | None:
        """The marker's contents; None where it is missing or the runner died before writing them."""
        match self._read(job, STARTED_SUFFIX):
            case {"boot": str(boot), "pid": int(pid), "at": float(at), "since_boot": float(since_boot)}:
                return Marker(boot, pid, at, since_boot)
        return None

    def save_result(self, ended: Ended) -> None:
        """Writes the result durably enough to survive the runner; raises OSError where there is no room."""
        file = self.create(ended.job, RESULT_SUFFIX + ".new")
        try:
            write_with_crc(file, to_body(ended))
        finally:
            os.close(file)
        temporary, final = _name(ended.job, RESULT_SUFFIX + ".new"), _name(ended.job, RESULT_SUFFIX)
        os.replace(temporary, final, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def read_result(self, job: str) -> Ended | None:
        """The saved result; None where there is none or it is torn."""
        body = self._read(job, RESULT_SUFFIX)
        try:
            ended = from_body("ended", body, "runner")
        except BadMessage:
            return None
        return ended if isinstance(ended, Ended) and ended.job == job else None

    def create(self, job: str, suffix: str) -> int:
        """A new, empty file of the job, open for writing; an existing one is truncated."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(_name(job, suffix), flags, 0o600, dir_fd=self.folder)

    def open_again(self, job: str, suffix: str) -> int:
        """A file of the job that there is, open for writing, with what it holds; raises OSError."""
        return os.open(_name(job, suffix), os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.folder)

    def open(self, job: str, suffix: str) -> int:
        """A file of the job, open for reading; raises OSError."""
        return os.open(_name(job, suffix), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.folder)

    def remove(self, job: str) -> None:
        """All files of the job, the marker last: while anything is left, the job cannot start."""
        for suffix in (OUTPUT_SUFFIX, RESULT_SUFFIX + ".new", RESULT_SUFFIX, STARTED_SUFFIX):
            self.unlink(job, suffix)

    def unlink(self, job: str, suffix: str) -> None:
        try:
            os.unlink(_name(job, suffix), dir_fd=self.folder)
        except FileNotFoundError:
            pass

    def jobs(self) -> dict[str, set[str]]:
        """The files there are: job id -> suffixes. Files with other names are ignored."""
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

    def output_size(self, job: str) -> int:
        """Of what is stored of its output, in bytes."""
        return self.size(job, OUTPUT_SUFFIX)

    def modified_at(self, job: str, suffix: str) -> float:
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


def write_marker(marker: int, contents: Marker) -> None:
    """Writes a marker's contents. Best effort: the file's existence is what counts."""
    body = {"boot": contents.boot, "pid": contents.pid, "at": contents.at, "since_boot": contents.since_boot}
    try:
        write_with_crc(marker, body)
    except OSError:
        pass


def write_with_crc(file: int, body: Any) -> None:
    """msgpack behind its CRC-32; raises OSError where not all of it fits."""
    data = msgpack.packb(body)
    data = _CRC.pack(zlib.crc32(data)) + data
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _name(job: str, suffix: str) -> str:
    if not is_ulid(job):
        raise ValueError("not a job id")
    return job + suffix
