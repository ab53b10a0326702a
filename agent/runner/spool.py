"""Output on disk: numbered chunks a job, capped, with the digest of all of it, under one quota.

jobs/ID.out holds one record a chunk, the first being chunk 1:

    stream, 1 byte | length, 4 bytes | when, 8 bytes (float, seconds since the epoch) | CRC-32 of the data | data

What a program writes is taken whatever the uplink does: past the job's cap, the quota or the end of the disk it is
still read, counted and hashed, but not kept, and the job says `truncated`. The digest is SHA-256 over everything in
the order of the chunks, then of what came after them: where nothing was cut, it is the digest of the chunks' data one
after the other.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from agent.runner.evidence import OUTPUT, Evidence
from common.messages import CHUNK_BYTES

_RECORD: Final = struct.Struct(">BIdI")
MAX_SWITCHES: Final = 1_000
"""How often a job may change between its streams and the order is kept exactly; past it the chunks are fuller."""


NOTHING: Final = hashlib.sha256().hexdigest()
"""The digest of no output."""


@dataclass(frozen=True, slots=True)
class Chunk:
    stream: int  # 1 standard output, 2 standard error
    at: float
    data: bytes
    size: int  # of the record in the file


class Spool:
    """The quota over all jobs' output, and which of it may be dropped first."""

    def __init__(self, evidence: Evidence, quota: int) -> None:
        self.evidence = evidence
        self.quota = quota
        self.used = 0
        self._sizes: dict[str, int] = {}
        self._ended: dict[str, None] = {}  # oldest end first

    def adopt(self, job: str, size: int) -> None:
        """Takes the output of an ended job of an earlier life into account."""
        self._grow(job, size)
        self.ended(job)

    def ended(self, job: str) -> None:
        """From here on the job's output may be dropped to make room."""
        if job in self._sizes:
            self._ended[job] = None

    def forget(self, job: str) -> None:
        """The job's files are gone or about to go."""
        self.used -= self._sizes.pop(job, 0)
        self._ended.pop(job, None)

    def has(self, job: str) -> bool:
        """Whether output of the job is on disk; false also where it had none or it was dropped."""
        return job in self._sizes

    def drop_oldest(self) -> bool:
        """Deletes the output of the job that ended first; never a marker, never a result. False where there is none."""
        for job in self._ended:
            self.evidence.unlink(job, OUTPUT)
            self.forget(job)
            return True
        return False

    def make_room(self, size: int) -> bool:
        while self.used + size > self.quota:
            if not self.drop_oldest():
                return False
        return True

    def _grow(self, job: str, size: int) -> None:
        self._sizes[job] = self._sizes.get(job, 0) + size
        self.used += size

    def write(self, job: str, file: int, offset: int, record: bytes) -> bool:
        """Appends at `offset`; False where quota or disk have no room even after dropping what may be dropped."""
        if not self.make_room(len(record)):
            return False
        while True:
            try:
                if os.pwrite(file, record, offset) == len(record):
                    self._grow(job, len(record))
                    return True
            except OSError:
                pass  # half a record at the end does no harm: it is overwritten, or never counted as a chunk
            if not self.drop_oldest():
                return False


class Output:
    """What one running job writes, on its way to disk."""

    __slots__ = (
        "_buffers",
        "_digest",
        "_file",
        "_flushed_at",
        "_job",
        "_room",
        "_spool",
        "_switches",
        "chunks",
        "seen",
        "size",
        "truncated",
    )

    def __init__(self, spool: Spool, job: str, cap: int) -> None:
        self._spool = spool
        self._job = job
        self._room = cap  # bytes that may still be kept
        self._file = -1
        self._digest = hashlib.sha256()
        self._buffers = {1: bytearray(), 2: bytearray()}  # taken, not yet a chunk
        self._switches = 0
        self._flushed_at = float("-inf")
        self.chunks = 0
        self.seen = 0  # bytes the program wrote
        self.size = 0  # of the file
        self.truncated = False

    @property
    def buffered(self) -> bool:
        return any(self._buffers.values())

    def digest(self) -> str:
        """Of all that was taken; to be asked once everything is flushed."""
        return self._digest.hexdigest()

    def feed(self, stream: int, data: bytes, at: float) -> None:
        """Takes what was read; full chunks go to disk at once, the rest waits for `flush`. `at` is the wall clock."""
        self.seen += len(data)
        if self.truncated:
            self._store_both(at)
            self._digest.update(data)
            return
        other = 3 - stream
        if self._buffers[other] and self._switches < MAX_SWITCHES:
            self._switches += 1
            self._store(other, at)
        kept = data[: self._room]
        self._room -= len(kept)
        buffer = self._buffers[stream]
        buffer += kept
        while len(buffer) >= CHUNK_BYTES:
            self._store(stream, at)
        if len(kept) < len(data):
            self._store_both(at)
            self._digest.update(data[len(kept) :])
            self.truncated = True

    def due(self, steady: float, coalesce: float) -> float:
        """When the buffers should be flushed, on the steady clock: at once after a silence, else when that is over."""
        return max(steady, self._flushed_at + coalesce)

    def flush(self, at: float, steady: float) -> None:
        """Makes chunks of what is buffered; `at` is the wall clock, `steady` the one that `due` is asked with."""
        self._flushed_at = steady
        self._store_both(at)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _store_both(self, at: float) -> None:
        self._store(1, at)
        self._store(2, at)

    def _store(self, stream: int, at: float) -> None:
        """The first CHUNK_BYTES of a stream's buffer become a chunk; a chunk there is no room for ends the keeping."""
        buffer = self._buffers[stream]
        if not buffer:
            return
        data = bytes(buffer[:CHUNK_BYTES])
        del buffer[:CHUNK_BYTES]
        self._digest.update(data)
        if not self.truncated and not self._write(_RECORD.pack(stream, len(data), at, zlib.crc32(data)) + data):
            self.truncated = True

    def _write(self, record: bytes) -> bool:
        if self._file < 0:
            try:
                self._file = self._spool.evidence.create(self._job, OUTPUT)
            except OSError:
                return False
        if not self._spool.write(self._job, self._file, self.size, record):
            return False
        self.size += len(record)
        self.chunks += 1
        return True


def read_chunk(evidence: Evidence, job: str, offset: int) -> Chunk | None:
    """The chunk whose record begins at `offset`; None at the end, and where the file is gone or not whole."""
    try:
        file = evidence.open(job, OUTPUT)
    except OSError:
        return None
    try:
        return _read(file, offset)
    finally:
        os.close(file)


def find_chunk(evidence: Evidence, job: str, seq: int) -> tuple[int, int]:
    """The offset of chunk `seq`, or of the end where there are fewer, and the number of the chunk that begins there."""
    try:
        file = evidence.open(job, OUTPUT)
    except OSError:
        return 0, 1
    try:
        size, offset, number = os.fstat(file).st_size, 0, 1
        while number < seq and (step := _step(file, offset)) and offset + step <= size:
            offset += step
            number += 1
        return offset, number
    finally:
        os.close(file)


def count_chunks(evidence: Evidence, job: str, most: int) -> int:
    """How many whole chunks there are from the first on, each checked against its CRC; stops at `most`."""
    offset = count = 0
    while count < most and (chunk := read_chunk(evidence, job, offset)) is not None:
        offset += chunk.size
        count += 1
    return count


def _step(file: int, offset: int) -> int:
    head = os.pread(file, _RECORD.size, offset)
    return _RECORD.size + _RECORD.unpack(head)[1] if len(head) == _RECORD.size else 0


def _read(file: int, offset: int) -> Chunk | None:
    data = os.pread(file, _RECORD.size + CHUNK_BYTES, offset)
    if len(data) < _RECORD.size:
        return None
    stream, length, at, crc = _RECORD.unpack_from(data)
    body = data[_RECORD.size : _RECORD.size + length]
    if not 0 < length <= CHUNK_BYTES or len(body) != length or zlib.crc32(body) != crc or stream not in (1, 2):
        return None
    return Chunk(stream, at, body, _RECORD.size + length)
