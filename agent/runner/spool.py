"""The output of jobs on disk: numbered chunks, a cap for each job, one quota for all, a digest of everything.

jobs/ID.out holds one record a chunk, the first being chunk 1:

    stream, 1 byte | length, 4 bytes | time, 8 bytes (float, seconds since the epoch) | CRC-32 of the data | data

Output is read whatever the uplink does, so that a program never blocks on us: past the job's cap, the quota or the end
of the disk it is still counted and hashed, but not stored, and the job is `truncated`. The digest is SHA-256 over the
data of the chunks in order, then over what came after them and was not stored.

Where the disk takes no more, a chunk goes, in this order: to the reserve, up to a share of each job; where output of an
older job was; to memory, again up to a share. Chunks in memory come after those on disk and are lost with the runner.
What found no place is counted as lost, and told with the job's end.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from agent import log
from agent.reserve import Reserve, is_full
from agent.runner.evidence import OUTPUT_SUFFIX, Evidence
from agent.runner.limits import RunnerLimits
from common.link.messages import CHUNK_BYTES, Ended

_RECORD: Final = struct.Struct(">BIdI")
MAX_STREAM_SWITCHES: Final = 1_000
"""Changes between the two streams up to which their order is exact; past it chunks are filled before they are stored.
"""


EMPTY_DIGEST: Final = hashlib.sha256().hexdigest()
"""The digest of no output."""


@dataclass(frozen=True, slots=True)
class SpoolChunk:
    stream: int  # 1 standard output, 2 standard error
    at: float
    data: bytes
    size: int  # of the record in the file


@dataclass(frozen=True, slots=True)
class WriterState:
    """The output of a running job as far as it is on disk; nothing of it is buffered."""

    chunks: int
    total_bytes: int  # bytes the program wrote
    size: int  # of the file
    remaining: int  # bytes that may still be stored
    switches: int
    truncated: bool
    lost_bytes: int
    digest: str  # of everything so far
    rehashed: bool


@dataclass(slots=True)
class _Memory:
    """The chunks of a job that no disk took; `first` is the number of the first of them."""

    first: int
    chunks: list[SpoolChunk] = field(default_factory=list)
    size: int = 0  # bytes of data


class Spool:
    """The quota over the output of all jobs; the output of the job that ended first is dropped first."""

    def __init__(
        self,
        evidence: Evidence,
        quota: int,
        *,
        reserve: Reserve | None = None,
        limits: RunnerLimits = RunnerLimits(),  # noqa: B008 - frozen
    ) -> None:
        self.evidence = evidence
        self.quota = quota
        self.used = 0
        self.memory_used = 0
        self._reserve = reserve
        self._limits = limits
        self._sizes: dict[str, int] = {}
        self._ended: dict[str, None] = {}  # oldest end first
        self._memory: dict[str, _Memory] = {}

    def adopt(self, job: str, size: int) -> None:
        """Counts the output (`size` bytes) of an ended job that was found after a restart."""
        self._grow(job, size)
        self.mark_ended(job)

    def adopt_running(self, job: str, size: int) -> None:
        """Counts the output of a job that runs on, from the runner that this one took over from."""
        self._grow(job, size)

    def mark_ended(self, job: str) -> None:
        """From now on the job's output may be dropped to make room."""
        if job in self._sizes:
            self._ended[job] = None

    def remove(self, job: str) -> None:
        """The job's files are gone or about to go."""
        self.used -= self._sizes.pop(job, 0)
        self._ended.pop(job, None)
        self.free_memory(job)

    def free_memory(self, job: str) -> None:
        if (kept := self._memory.pop(job, None)) is not None:
            self.memory_used -= kept.size

    def has(self, job: str) -> bool:
        """Whether output of the job is on disk; False where it had none or it was dropped."""
        return job in self._sizes

    def read(self, job: str, seq: int, offset: int) -> SpoolChunk | None:
        """Chunk `seq`, whose record begins at `offset` if it is on disk; None where it is missing or damaged."""
        kept = self._memory.get(job)
        if kept is not None and seq >= kept.first:
            index = seq - kept.first
            return kept.chunks[index] if index < len(kept.chunks) else None
        return read_chunk(self.evidence, job, offset)

    def drop_oldest(self) -> bool:
        """Deletes the output of the job that ended first; never a marker, never a result. False where there is none."""
        for job in self._ended:
            try:
                self.evidence.unlink(job, OUTPUT_SUFFIX)
            except OSError:
                return False  # a file system that became read-only
            self.used -= self._sizes.pop(job)
            del self._ended[job]
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

    def take_reserve(self, stored: int) -> bool:
        """Makes room from the reserve for a job of whose output `stored` bytes are kept; False where it may not."""
        return self._reserve is not None and stored < self._limits.reserve_share and self._reserve.take()

    def write(self, job: str, file: int, offset: int, record: bytes) -> bool:
        """Writes a record at `offset`, for which the quota has room; False where the disk has none even after dropping
        all that may go.
        """
        while True:
            full = True
            try:
                if os.pwrite(file, record, offset) == len(record):
                    self._grow(job, len(record))
                    return True
            except OSError as error:
                full = is_full(error)  # half a record at the end is overwritten, or never counted as a chunk
            if not (full and self.take_reserve(offset)) and not self.drop_oldest():
                return False

    def save_result(self, ended: Ended) -> bool:
        """Saves a result, with room from the reserve and then from old output where the disk is full; False where that
        is not enough (it is then reported from memory).
        """
        while True:
            try:
                self.evidence.save_result(ended)
            except OSError as error:
                if is_full(error) and ((self._reserve is not None and self._reserve.take()) or self.drop_oldest()):
                    continue
                log.error("job.result_unsaved", job=ended.job, error=error)
                return False
            return True

    def keep_in_memory(self, job: str, seq: int, stream: int, data: bytes, at: float) -> bool:
        """Keeps a chunk that the disk does not take; False where its job, or all together, may not have more."""
        kept = self._memory.get(job)
        size = 0 if kept is None else kept.size
        if size + len(data) > self._limits.memory_share or self.memory_used + len(data) > self._limits.memory_quota:
            return False
        if kept is None:
            kept = self._memory[job] = _Memory(seq)
        kept.chunks.append(SpoolChunk(stream, at, data, 0))
        kept.size += len(data)
        self.memory_used += len(data)
        return True


class OutputWriter:
    """The output of one running job on its way to disk: buffered, cut into chunks, counted, hashed."""

    __slots__ = (
        "_buffers",
        "_digest",
        "_file",
        "_flushed_at",
        "_job",
        "_remaining",
        "_spool",
        "_switches",
        "chunks",
        "in_memory",
        "lost_bytes",
        "rehashed",
        "size",
        "total_bytes",
        "truncated",
    )

    def __init__(self, spool: Spool, job: str, cap: int) -> None:
        self._spool = spool
        self._job = job
        self._remaining = cap  # bytes that may still be stored
        self._file = -1
        self._digest = hashlib.sha256()
        self._buffers = {1: bytearray(), 2: bytearray()}  # read, not yet a chunk
        self._switches = 0
        self._flushed_at = float("-inf")
        self.chunks = 0
        self.total_bytes = 0  # bytes the program wrote
        self.size = 0  # of the file
        self.truncated = False
        self.lost_bytes = 0  # within the cap, and found no room
        self.in_memory = False  # the last chunks are there and nowhere else
        self.rehashed = False  # the digest is of a digest and what came after it (`resume`)

    @classmethod
    def resume(cls, spool: Spool, job: str, state: WriterState) -> OutputWriter:
        """Goes on where another process stopped (`state`). What is on disk is hashed again; where that does not lead to
        the digest that the other one had, since not all of it was stored, what comes is hashed behind that digest.
        """
        writer = cls(spool, job, state.remaining)
        writer.chunks, writer.size, writer.total_bytes = state.chunks, state.size, state.total_bytes
        writer._switches, writer.truncated, writer.lost_bytes = state.switches, state.truncated, state.lost_bytes
        if not state.truncated:
            for chunk in read_chunks(spool.evidence, job, state.chunks):
                writer._digest.update(chunk.data)
        writer.rehashed = state.rehashed
        if writer.digest() != state.digest:
            writer._digest, writer.rehashed = hashlib.sha256(bytes.fromhex(state.digest)), True
        if state.size:
            spool.adopt_running(job, state.size)
            try:
                writer._file = spool.evidence.open_again(job, OUTPUT_SUFFIX)
            except OSError as error:
                log.error("job.output_closed", job=job, error=error)
                writer.truncated = True
        return writer

    def state(self) -> WriterState:
        """For another process that goes on; call it right after `flush`."""
        return WriterState(
            self.chunks,
            self.total_bytes,
            self.size,
            self._remaining,
            self._switches,
            self.truncated,
            self.lost_bytes,
            self.digest(),
            self.rehashed,
        )

    @property
    def buffered(self) -> bool:
        return any(self._buffers.values())

    def digest(self) -> str:
        """Hex SHA-256 of everything that was written; call it after the last `flush`."""
        return self._digest.hexdigest()

    def write(self, stream: int, data: bytes, at: float) -> None:
        """Takes data that was read at `at` (seconds since the epoch); full chunks are stored, the rest waits for
        `flush`.
        """
        self.total_bytes += len(data)
        if self.truncated:
            self._store_both(at)
            self._digest.update(data)
            if self.lost_bytes:  # there was no room: what comes within the cap is lost too
                lost = min(len(data), self._remaining)
                self.lost_bytes += lost
                self._remaining -= lost
            return
        other = 3 - stream
        if self._buffers[other] and self._switches < MAX_STREAM_SWITCHES:
            self._switches += 1
            self._store(other, at)
        stored = data[: self._remaining]
        self._remaining -= len(stored)
        buffer = self._buffers[stream]
        buffer += stored
        while len(buffer) >= CHUNK_BYTES:
            self._store(stream, at)
        if len(stored) < len(data):
            self._store_both(at)
            self._digest.update(data[len(stored) :])
            self.truncated = True

    def flush_due_at(self, monotonic: float, coalesce: float) -> float:
        """When to flush, on the monotonic clock: now, or `coalesce` seconds after the last flush where that is
        later.
        """
        return max(monotonic, self._flushed_at + coalesce)

    def flush(self, at: float, monotonic: float) -> None:
        """Stores what is buffered; `at` is the wall clock, `monotonic` the clock of `flush_due_at`."""
        self._flushed_at = monotonic
        self._store_both(at)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _store_both(self, at: float) -> None:
        self._store(1, at)
        self._store(2, at)

    def _store(self, stream: int, at: float) -> None:
        """Stores up to CHUNK_BYTES of a stream's buffer as a chunk; from the first that finds no room on none is
        stored.
        """
        buffer = self._buffers[stream]
        if not buffer:
            return
        data = bytes(buffer[:CHUNK_BYTES])
        del buffer[:CHUNK_BYTES]
        self._digest.update(data)
        if self.lost_bytes or not self._keep(stream, data, at):
            self.truncated = True
            self.lost_bytes += len(data)

    def _keep(self, stream: int, data: bytes, at: float) -> bool:
        record = _RECORD.pack(stream, len(data), at, zlib.crc32(data)) + data
        if not self.in_memory:
            if not self._spool.make_room(len(record)):
                return False  # the quota: memory is only for what no disk takes
            if self._write(record):
                self.chunks += 1
                return True
        if self._spool.keep_in_memory(self._job, self.chunks + 1, stream, data, at):
            self.in_memory = True
            self.chunks += 1
            return True
        return False

    def _write(self, record: bytes) -> bool:
        while self._file < 0:
            try:
                self._file = self._spool.evidence.create(self._job, OUTPUT_SUFFIX)
            except OSError as error:
                if not (is_full(error) and self._spool.take_reserve(0)):
                    return False
        if not self._spool.write(self._job, self._file, self.size, record):
            return False
        self.size += len(record)
        return True


def read_chunk(evidence: Evidence, job: str, offset: int) -> SpoolChunk | None:
    """The chunk whose record begins at `offset`; None at the end, and where the file is missing or damaged."""
    try:
        file = evidence.open(job, OUTPUT_SUFFIX)
    except OSError:
        return None
    try:
        return _read_record(file, offset)
    finally:
        os.close(file)


def find_chunk(evidence: Evidence, job: str, seq: int) -> tuple[int, int]:
    """The offset of chunk `seq`, or of the end where there are fewer, and the number of the chunk that begins there."""
    try:
        file = evidence.open(job, OUTPUT_SUFFIX)
    except OSError:
        return 0, 1
    try:
        size, offset, number = os.fstat(file).st_size, 0, 1
        while number < seq and (step := _record_size(file, offset)) and offset + step <= size:
            offset += step
            number += 1
        return offset, number
    finally:
        os.close(file)


def read_chunks(evidence: Evidence, job: str, limit: int) -> Iterator[SpoolChunk]:
    """Whole chunks from the first on, up to `limit` or the first that is missing or damaged."""
    try:
        file = evidence.open(job, OUTPUT_SUFFIX)
    except OSError:
        return
    try:
        offset = 0
        for _ in range(limit):
            chunk = _read_record(file, offset)
            if chunk is None:
                return
            offset += chunk.size
            yield chunk
    finally:
        os.close(file)


def count_chunks(evidence: Evidence, job: str, limit: int) -> int:
    """How many whole chunks there are from the first on, each checked against its CRC; counts up to `limit`."""
    offset = count = 0
    while count < limit and (chunk := read_chunk(evidence, job, offset)) is not None:
        offset += chunk.size
        count += 1
    return count


def _record_size(file: int, offset: int) -> int:
    head = os.pread(file, _RECORD.size, offset)
    return _RECORD.size + _RECORD.unpack(head)[1] if len(head) == _RECORD.size else 0


def _read_record(file: int, offset: int) -> SpoolChunk | None:
    data = os.pread(file, _RECORD.size + CHUNK_BYTES, offset)
    if len(data) < _RECORD.size:
        return None
    stream, length, at, crc = _RECORD.unpack_from(data)
    body = data[_RECORD.size : _RECORD.size + length]
    if not 0 < length <= CHUNK_BYTES or len(body) != length or zlib.crc32(body) != crc or stream not in (1, 2):
        return None
    return SpoolChunk(stream, at, body, _RECORD.size + length)
