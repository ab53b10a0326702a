"""The runner's memory: an append-only file that is on disk before an order is accepted.

The file is a sequence of blocks, each one group commit:

    magic "ABJ1" | length, 4 bytes | CRC-32 of the rest, 4 bytes | records, each a msgpack array [kind, ...]

A block is written with one write and synced before the next one is begun, so a crash can only tear the last: a bad
block with no good one after it is cut off, and nothing was promised on its strength. A bad block with a good one
after it is damage, and the runner refuses to start rather than forget what may have run.

Records: head (the journal's id), epoch, fence, accept, refuse, unsure, forget. `Memory.apply` is what each one means.

The fence keeps old orders out for good: when a forgotten job's tombstone is dropped, the fence rises to that order's
expiry, and no order that expires at or before the fence is taken any more, whatever the clock says by then.

One thread writes and syncs; while it syncs, what arrives waits and goes into the next block together.
"""

from __future__ import annotations

import errno
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgpack

from agent.runner.crashpoints import crashpoint
from agent.runner.limits import Limits
from common.errors import UserError

_MAGIC: Final = b"ABJ1"
_HEADER: Final = struct.Struct(">4sII")
_MAX_BLOCK: Final = 64 * 1024 * 1024
_VERSION: Final = 1

Record = tuple[Any, ...]
Done = Callable[[OSError | None], None]


class Damaged(ValueError):
    """A journal with a bad block that good blocks follow, or that is not a journal; `str()` says where."""


@dataclass(slots=True)
class Entry:
    """What is remembered of a job that the hub has not told us to forget."""

    plan_hash: str
    not_after: float
    boot: str  # of the boot under which the order came
    end: str = ""  # "" | refused | unsure
    code: str = ""  # of a refusal
    reason: str = ""


@dataclass(slots=True)
class Memory:
    """All that the journal says, as of its last record."""

    id: str = ""
    epoch: int = 0
    fence: float = 0.0
    entries: dict[str, Entry] = field(default_factory=dict)
    tombstones: dict[str, float] = field(default_factory=dict)  # job -> not_after

    def apply(self, record: Record) -> None:
        """Takes one record in; raises ValueError on one that is not of the form."""
        match record:
            case ("head", str(identity), int(version)):
                if version != _VERSION:
                    raise ValueError(f"version {version}")
                self.id = identity
            case ("epoch", int(epoch)):
                self.epoch = max(self.epoch, epoch)
            case ("fence", float(fence)):
                self.fence = max(self.fence, fence)
            case ("accept", str(job), str(plan_hash), float(not_after), str(boot)):
                self.entries[job] = Entry(plan_hash, not_after, boot)
            case ("refuse", str(job), str(plan_hash), float(not_after), str(boot), str(code), str(reason)):
                self.entries[job] = Entry(plan_hash, not_after, boot, "refused", code, reason)
            case ("unsure", str(job), str(reason)):
                if (entry := self.entries.get(job)) is not None:
                    entry.end, entry.reason = "unsure", reason
            case ("forget", str(job), float(not_after)):
                self.entries.pop(job, None)
                self.tombstones[job] = not_after
            case _:
                raise ValueError("unknown record")

    def records(self) -> Iterator[Record]:
        """The shortest history that leads here."""
        yield ("head", self.id, _VERSION)
        yield ("epoch", self.epoch)
        yield ("fence", self.fence)
        for job, entry in self.entries.items():
            if entry.end == "refused":
                yield ("refuse", job, entry.plan_hash, entry.not_after, entry.boot, entry.code, entry.reason)
                continue
            yield ("accept", job, entry.plan_hash, entry.not_after, entry.boot)
            if entry.end == "unsure":
                yield ("unsure", job, entry.reason)
        for job, not_after in self.tombstones.items():
            yield ("forget", job, not_after)

    def prune(self, now: float, limits: Limits) -> None:
        """Drops tombstones whose time is over, and the longest expired of too many; the fence rises over them."""
        expired = sorted((not_after, job) for job, not_after in self.tombstones.items() if not_after < now)
        surplus = len(self.tombstones) - limits.max_tombstones
        for index, (not_after, job) in enumerate(expired):
            if index >= surplus and not_after + limits.tombstone > now:
                break
            del self.tombstones[job]
            self.fence = max(self.fence, not_after)


def block(records: Iterable[Record]) -> bytes:
    body = b"".join(map(msgpack.packb, records))
    return _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def parse(data: bytes) -> tuple[Memory, int]:
    """The memory and the length of the good part; raises Damaged."""
    memory, offset = Memory(), 0
    while offset < len(data):
        body = _body_at(data, offset)
        if body is None:
            _require_torn(data, offset)
            break
        try:
            unpacker = msgpack.Unpacker(max_buffer_size=_MAX_BLOCK, use_list=False)
            unpacker.feed(body)
            for record in unpacker:
                memory.apply(record if isinstance(record, tuple) else ())
        except (ValueError, msgpack.UnpackException) as error:
            raise Damaged(f"a record at byte {offset} cannot be understood: {error}") from None
        offset += _HEADER.size + len(body)
    if not memory.id:  # the file came into its place whole, so its first block cannot be torn
        raise Damaged("it does not begin with its id")
    return memory, offset


def _body_at(data: bytes, offset: int) -> memoryview | None:
    """The body of the good block at `offset`, None where there is none."""
    if len(data) - offset < _HEADER.size:
        return None
    magic, length, crc = _HEADER.unpack_from(data, offset)
    start = offset + _HEADER.size
    if magic != _MAGIC or not 0 < length <= min(_MAX_BLOCK, len(data) - start):
        return None
    body = memoryview(data)[start : start + length]
    return body if zlib.crc32(body) == crc else None


def _require_torn(data: bytes, offset: int) -> None:
    later = data.find(_MAGIC, offset + 1)
    while later != -1:
        if _body_at(data, later) is not None:
            raise Damaged(f"bytes {offset} to {later} are damaged, and good records follow")
        later = data.find(_MAGIC, later + 1)


class Journal:
    """The open journal. All methods are for one thread, the event loop's; `call` is how the writing thread reaches it.

    `memory` is ahead of the disk by what is being written; whoever promises something waits for `done`.
    """

    def __init__(self, path: Path, limits: Limits, now: float, call: Callable[[Callable[[], None]], object]) -> None:
        """Reads the file, cuts a torn tail, writes it anew without what is over; raises UserError."""
        self._path = path
        self._limits = limits
        self._call = call
        try:
            if path.exists():
                data = path.read_bytes()
                self.memory, good = parse(data)
                self.torn = len(data) - good  # bytes cut from the end
            else:
                self.memory, self.torn = Memory(secrets.token_hex(16)), 0
            self.memory.prune(now, limits)
            self._file, self._size = _replace(path, block(self.memory.records()))
        except Damaged as error:
            raise UserError(
                f"{path} is damaged ({error})",
                "move it away together with jobs/ beside it; what this machine had open is then unknown to it",
            ) from None
        except OSError as error:
            raise UserError(f"cannot use {path} ({error.strerror})", "make room or mend the file's rights") from None
        self._grown = 0
        self._pending: list[tuple[bytes, Done | None]] = []  # None: the bytes are a whole new file
        self._waiting = 0
        self._broken: OSError | None = None  # appending proves nothing until there is a new file
        self._behind = False  # the memory holds what is not in the file
        self._closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Appends whose `done` has not been called yet."""
        return self._waiting

    def append(self, *records: Record, done: Done, now: float) -> None:
        """Remembers at once, and calls `done` on the loop when the records are on disk, or with why they are not.

        Without records `done` is called when everything appended before is settled.
        """
        for record in records:
            self.memory.apply(record)
        data = b"".join(map(msgpack.packb, records))
        self._waiting += 1
        self._grown += len(data)
        rewrite = b""
        if self._grown > self._limits.journal_growth or self._behind:
            self._grown = 0
            self.memory.prune(now, self._limits)
            rewrite = block(self.memory.records())
        with self._wake:
            self._pending.append((data, done))
            if rewrite:
                self._pending.append((rewrite, None))
            self._wake.notify()

    def close(self) -> None:
        """Writes what is pending and ends the thread; `done` calls that are due by then still come through `call`."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        os.close(self._file)

    def _write_all(self) -> None:
        while True:
            with self._wake:
                while not self._pending and not self._closing:
                    self._wake.wait()
                batch, self._pending = self._pending, []
            if not batch:
                return
            settled: list[tuple[Done, OSError | None]] = []
            group: list[bytes] = []
            group_done: list[Done] = []
            for data, done in batch:
                if done is not None:
                    group.append(data)
                    group_done.append(done)
                    continue
                # The new file holds all that was remembered when it was made, so also what this batch had so far.
                error = self._rewrite(data) and self._commit(b"".join(group))
                settled += [(each, error) for each in group_done]
                group, group_done = [], []
            error = self._commit(b"".join(group))
            settled += [(each, error) for each in group_done]
            self._tell(settled)

    def _tell(self, settled: list[tuple[Done, OSError | None]]) -> None:
        def settle() -> None:
            for done, error in settled:
                self._waiting -= 1
                done(error)

        try:
            self._call(settle)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to be told

    def _commit(self, body: bytes) -> OSError | None:
        """One block to disk; after a failure nothing of it is left in the file, or the journal is broken."""
        if not body:
            return self._broken
        if self._broken is not None:
            return self._broken
        data = _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        try:
            _write(self._file, data)
        except OSError as error:
            self._behind = True
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                self._broken = error
            return error
        crashpoint("journal.before_sync")
        try:
            os.fdatasync(self._file)
        except OSError as error:
            # What the kernel could not write it may have dropped: a later sync that succeeds would prove nothing.
            self._broken, self._behind = error, True
            return error
        self._size += len(data)
        return None

    def _rewrite(self, data: bytes) -> OSError | None:
        try:
            file, size = _replace(self._path, data)
        except OSError as error:
            return error
        os.close(self._file)
        self._file, self._size, self._broken, self._behind = file, size, None, False
        return None


def _write(file: int, data: bytes) -> None:
    """All of it, or OSError: a short write is what a full disk looks like."""
    written = os.write(file, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _replace(path: Path, data: bytes) -> tuple[int, int]:
    """Puts a whole new file in the place of `path`, durably; gives it back open for appending, with its size."""
    fresh = path.with_name(path.name + ".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _write(file, data)
        os.fsync(file)
        os.replace(fresh, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        os.close(file)
        raise
    return file, len(data)
