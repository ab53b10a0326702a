"""The runner's journal: an append-only file, on disk before an order is accepted.

The file is a sequence of blocks, each one group commit:

    magic "ABJ1" | length, 4 bytes | CRC-32 of the rest, 4 bytes | records, each a msgpack array [kind, ...]

A block is written with one write and synced before the next one is begun, so a crash can only tear the last: a bad
block with no good one after it is cut off, and nothing in it had been acknowledged. A bad block with a good one after
it is damage, and the runner refuses to start rather than forget what may have run.

Records: head (the journal's id), life, hub, epoch, fence, accept, refuse, unsure, forget. `JournalState.apply` gives
each its meaning.

A life is one start of a runner on this journal, and where that was (agent/place.py). It is on disk before anything else
of that runner is, so that of two who hold copies of a journal each has lives that the other does not know
(common/link/lineage.py). A journal that is found elsewhere than where it was last used is not served, unless a person
has said that it goes on there: then it is another journal from there on, and of what was open in the one before it only
results are believed.

Epochs count the starts of one hub and say nothing of another's: each hub that this machine was joined to has its own,
or the first orders of a new one would be refused as an old one's.

The fence keeps old orders out for good: when a forgotten job's tombstone is dropped, the fence rises to that order's
expiry, and an order that expires at or before the fence is refused, whatever the clock says then.

One thread writes and syncs; records that arrive during a sync go into the next block together.
"""

from __future__ import annotations

import errno
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgpack

from agent import log
from agent.place import Place, Word, moved_error, why_moved
from agent.reserve import Reserve
from agent.runner.limits import RunnerLimits
from common.crashpoints import crashpoint
from common.errors import UserError
from common.link.lineage import MAX_IDS, Lineage, begin

_MAGIC: Final = b"ABJ1"
_HEADER: Final = struct.Struct(">4sII")
_MAX_BLOCK: Final = 64 * 1024 * 1024
_VERSION: Final = 1
MAX_HUBS: Final = 16
"""Hubs of before whose epochs are kept."""

TAKEN_OVER: Final = "the state folder was moved here while this job was open: what became of it is not known here"

T = TypeVar("T")

Record = tuple[Any, ...]
OnDone = Callable[[OSError | None], None]


class JournalDamaged(ValueError):
    """A journal with a bad block that good blocks follow, or that is not a journal; `str()` says where."""


@dataclass(slots=True)
class JournalEntry:
    """A job that the hub has not told us to forget."""

    plan_hash: str
    not_after: float
    boot: str  # id of the boot in which the order came
    end: str = ""  # "" | refused | unsure
    code: str = ""  # of a refusal
    reason: str = ""


@dataclass(slots=True)
class Life:
    """One start of a runner on this journal."""

    counter: int  # from 1
    id: str
    place: Place


@dataclass(slots=True)
class JournalState:
    """The state that the journal's records add up to."""

    id: str = ""
    lives: list[Life] = field(default_factory=list)  # the last ones, the newest last
    epoch: int = 0  # the highest that was heard of `hub`
    hub: str = ""  # "" in a journal of before hubs were told apart, until the next order
    earlier_hubs: dict[str, int] = field(default_factory=dict)  # hub -> epoch, the latest last
    fence: float = 0.0
    entries: dict[str, JournalEntry] = field(default_factory=dict)
    tombstones: dict[str, float] = field(default_factory=dict)  # job -> not_after

    def apply(self, record: Record) -> None:
        """Applies one record; raises ValueError on a malformed one."""
        match record:
            case ("head", str(identity), int(version)):
                if version != _VERSION:
                    raise ValueError(f"version {version}")
                self.id = identity
            case ("life", int(counter), str(life), str(machine), int(folder), int(device), str(boot)):
                place = Place(machine, folder, device, boot)
                self.lives = [*self.lives, Life(counter, life, place)][-MAX_IDS:]
            case ("hub", str(hub)):
                self._turn_to(hub)
            case ("epoch", int(epoch)):
                self.epoch = max(self.epoch, epoch)
            case ("fence", float(fence)):
                self.fence = max(self.fence, fence)
            case ("accept", str(job), str(plan_hash), float(not_after), str(boot)):
                self.entries[job] = JournalEntry(plan_hash, not_after, boot)
            case ("refuse", str(job), str(plan_hash), float(not_after), str(boot), str(code), str(reason)):
                self.entries[job] = JournalEntry(plan_hash, not_after, boot, "refused", code, reason)
            case ("unsure", str(job), str(reason)):
                if (entry := self.entries.get(job)) is not None:
                    entry.end, entry.reason = "unsure", reason
            case ("forget", str(job), float(not_after)):
                self.entries.pop(job, None)
                self.tombstones[job] = not_after
            case _:
                raise ValueError("unknown record")

    def _turn_to(self, hub: str) -> None:
        if self.hub not in ("", hub):  # what was heard before hubs were told apart is the first one's
            self.earlier_hubs[self.hub] = self.epoch
            self.epoch = self.earlier_hubs.pop(hub, 0)
            while len(self.earlier_hubs) > MAX_HUBS:
                del self.earlier_hubs[next(iter(self.earlier_hubs))]
        self.hub = hub

    def lineage(self) -> Lineage | None:
        """The lives, as the hub is told them; None in a journal of before there were any."""
        if not self.lives:
            return None
        return Lineage(self.id, self.lives[-1].counter, tuple(life.id for life in self.lives))

    def start_life(self, place: Place) -> None:
        salt = secrets.token_bytes(16)
        before = self.lineage()
        now = begin(self.id, salt) if before is None else before.advance(salt)
        self.apply(("life", now.counter, now.id, *place.to_json()))

    def begin_anew(self, identity: str) -> None:
        """Another journal from here on. What was open is not known any more, but for what has a result."""
        self.id, self.lives = identity, []
        for entry in self.entries.values():
            if not entry.end:
                entry.end, entry.reason = "unsure", TAKEN_OVER

    def records(self) -> Iterator[Record]:
        """The fewest records that lead to this state."""
        yield ("head", self.id, _VERSION)
        for life in self.lives:
            yield ("life", life.counter, life.id, *life.place.to_json())
        for hub, epoch in (*self.earlier_hubs.items(), *([(self.hub, self.epoch)] if self.hub else [])):
            yield ("hub", hub)
            yield ("epoch", epoch)
        if not self.hub:
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

    def prune(self, now: float, limits: RunnerLimits) -> None:
        """Drops tombstones past their TTL and, beyond `max_tombstones`, the longest expired; the fence rises over
        each.
        """
        expired = sorted((not_after, job) for job, not_after in self.tombstones.items() if not_after < now)
        surplus = len(self.tombstones) - limits.max_tombstones
        for index, (not_after, job) in enumerate(expired):
            if index >= surplus and not_after + limits.tombstone_ttl > now:
                break
            del self.tombstones[job]
            self.fence = max(self.fence, not_after)


def encode_block(records: Iterable[Record]) -> bytes:
    body = b"".join(map(msgpack.packb, records))
    return _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def parse_journal(data: bytes) -> tuple[JournalState, int]:
    """The state, and the bytes of `data` that are whole blocks; raises JournalDamaged."""
    memory, offset = JournalState(), 0
    while offset < len(data):
        body = _body_at(data, offset)
        if body is None:
            _check_torn_tail(data, offset)
            break
        try:
            unpacker = msgpack.Unpacker(max_buffer_size=_MAX_BLOCK, use_list=False)
            unpacker.feed(body)
            for record in unpacker:
                memory.apply(record if isinstance(record, tuple) else ())
        except (ValueError, msgpack.UnpackException) as error:
            raise JournalDamaged(f"a record at byte {offset} cannot be understood: {error}") from None
        offset += _HEADER.size + len(body)
    if not memory.id:  # the file was put in place whole, so its first block cannot be torn
        raise JournalDamaged("it does not begin with its id")
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


def _check_torn_tail(data: bytes, offset: int) -> None:
    later = data.find(_MAGIC, offset + 1)
    while later != -1:
        if _body_at(data, later) is not None:
            raise JournalDamaged(f"bytes {offset} to {later} are damaged, and good records follow")
        later = data.find(_MAGIC, later + 1)


class Journal:
    """The open journal. All methods are for one thread, the event loop's; `call_soon` runs a callback in it.

    `state` is ahead of the disk by what is being written; who acknowledges something waits for `on_done`.
    """

    def __init__(
        self,
        path: Path,
        limits: RunnerLimits,
        now: float,
        call_soon: Callable[[Callable[[], None]], object],
        reserve: Reserve | None = None,
        hub: str = "",
        place: Place | None = None,
        *,
        word: Word = "",
        life: str = "",
    ) -> None:
        """Reads the file, cuts a torn tail and rewrites it without expired tombstones; raises UserError. Where the disk
        is full or read-only it goes on with the file as it is, and this is no life that anybody is told of. `hub` is
        whose orders are taken now, "" where that is not known; `place` is where this is (None: it does not matter),
        `word` a person's that the journal goes on here. `life` is that of the program that this one took over from,
        whose lock it holds: it goes on.
        """
        self._path = path
        self._reserve = reserve
        self._broken: OSError | None = None  # a failed sync: appends are refused until a rewrite succeeds
        self._needs_rewrite = False  # `state` has records that the file lacks
        self._life_is_lost = False
        self._limits = limits
        self._call_soon = call_soon
        try:
            if path.exists():
                data = path.read_bytes()
                self.state, good = parse_journal(data)
                self.torn = len(data) - good  # bytes cut from the end
            else:
                self.state, self.torn = JournalState(secrets.token_hex(16)), 0
            self.state.prune(now, limits)
            if hub:
                self.state.apply(("hub", hub))
            lives = self.state.lives
            self._life_goes_on = bool(lives) and lives[-1].id == life
            self.begun_anew = place is not None and not self._life_goes_on and self._start_life(place, word)
            self._file, self._size = self._open(encode_block(self.state.records()))
        except JournalDamaged as error:
            raise UserError(
                f"{path} is damaged ({error})",
                "move it away together with jobs/ beside it; what this machine had open is then unknown to it",
            ) from None
        except OSError as error:
            raise UserError(f"cannot use {path} ({error.strerror})", "make room or mend the file's rights") from None
        self._appended_bytes = 0
        self._pending: list[tuple[bytes, OnDone | None]] = []  # None: the bytes are a whole new file
        self._pending_count = 0
        self._closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    def _start_life(self, place: Place, word: Word) -> bool:
        """A life of its own for this runner; True where it is another journal from here on. Raises Moved."""
        lives = self.state.lives
        why = why_moved(lives[-1].place, place) if lives else ""
        if why and not word:
            raise moved_error(self._path.parent.parent, why)
        anew = bool(why) or word == "anew"
        if anew:
            self.state.begin_anew(secrets.token_hex(16))
        self.state.start_life(place)
        return anew

    @property
    def lineage(self) -> Lineage | None:
        """This runner's life, with those before it; None where it could not be written down."""
        return None if self._life_is_lost else self.state.lineage()

    @property
    def is_sound(self) -> bool:
        """Whether the file holds all that was acknowledged, or the next write will make it so for what is new."""
        return self._broken is None and not self._needs_rewrite and not self._life_is_lost

    def _open(self, data: bytes) -> tuple[int, int]:
        """Replaces the file by `data`; where no disk takes that, and there is a file, opens that one. Returns its
        descriptor and size; raises OSError.
        """
        try:
            return self._with_room(lambda: _replace_file(self._path, data))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO) or not self._path.exists():
                raise
            log.error("journal.not_rewritten", error=error, cure="make room, or mend the disk")
            self._broken, self._needs_rewrite, self._life_is_lost = error, True, not self._life_goes_on
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), self._path.stat().st_size

    def _with_room(self, act: Callable[[], T]) -> T:
        """Does `act`, with room from the reserve where the disk is full; raises OSError."""
        return act() if self._reserve is None else self._reserve.retry(act)

    @property
    def pending_count(self) -> int:
        """Appends whose `on_done` has not been called yet."""
        return self._pending_count

    def append(self, *records: Record, on_done: OnDone, now: float) -> None:
        """Applies the records to `state` at once and calls `on_done` in the loop: with None when they are on disk, else
        with the error.

        Without records `on_done` is called when all earlier appends have succeeded or failed.
        """
        for record in records:
            self.state.apply(record)
        data = b"".join(map(msgpack.packb, records))
        self._pending_count += 1
        self._appended_bytes += len(data)
        rewrite = b""
        if self._appended_bytes > self._limits.journal_growth or self._needs_rewrite:
            self._appended_bytes = 0
            self.state.prune(now, self._limits)
            rewrite = encode_block(self.state.records())
        with self._wake:
            self._pending.append((data, on_done))
            if rewrite:
                self._pending.append((rewrite, None))
            self._wake.notify()

    def close(self) -> None:
        """Writes what is pending and ends the thread; `on_done` calls that are due still go through `call_soon`."""
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
            results: list[tuple[OnDone, OSError | None]] = []
            group: list[bytes] = []
            group_done: list[OnDone] = []
            for data, done in batch:
                if done is not None:
                    group.append(data)
                    group_done.append(done)
                    continue
                # The new file holds the whole state as of its making, so also the records before it in this batch.
                error = self._rewrite(data) and self._commit(b"".join(group))
                results += [(each, error) for each in group_done]
                group, group_done = [], []
            error = self._commit(b"".join(group))
            results += [(each, error) for each in group_done]
            self._notify(results)

    def _notify(self, results: list[tuple[OnDone, OSError | None]]) -> None:
        def call_back() -> None:
            for done, error in results:
                self._pending_count -= 1
                done(error)

        try:
            self._call_soon(call_back)
        except RuntimeError:
            pass  # the loop is closed: there is nobody left to call

    def _commit(self, body: bytes) -> OSError | None:
        """Writes and syncs one block; after an error nothing of it is left in the file, or the journal counts as
        broken.
        """
        if not body:
            return self._broken
        if self._broken is not None:
            return self._broken
        data = _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        try:
            self._with_room(lambda: self._write_block(data))
        except OSError as error:
            self._needs_rewrite = True
            return error
        crashpoint("journal.before_sync")
        try:
            os.fdatasync(self._file)
        except OSError as error:
            # What the kernel could not write it may have dropped: a later sync that succeeds would prove nothing.
            self._broken, self._needs_rewrite = error, True
            with suppress(OSError):  # or the next runner would read what was never acknowledged
                os.ftruncate(self._file, self._size)
            return error
        self._size += len(data)
        return None

    def _write_block(self, data: bytes) -> None:
        """Writes a block, or leaves the file as it was and raises OSError."""
        try:
            _write(self._file, data)
        except OSError as error:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                self._broken = error
                raise OSError(errno.EIO, os.strerror(errno.EIO)) from error  # not to be tried again behind half a block
            raise

    def _rewrite(self, data: bytes) -> OSError | None:
        try:
            file, size = self._with_room(lambda: _replace_file(self._path, data))
        except OSError as error:
            return error
        os.close(self._file)
        self._file, self._size, self._broken, self._needs_rewrite = file, size, None, False
        return None


def _write(file: int, data: bytes) -> None:
    """Writes all of `data` or raises OSError; a short write means a full disk."""
    written = os.write(file, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _replace_file(path: Path, data: bytes) -> tuple[int, int]:
    """Replaces `path` durably with a new file; returns its descriptor, open for appending, and its size."""
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
        with suppress(OSError):
            fresh.unlink(missing_ok=True)  # half of it would take room from a full disk
        raise
    return file, len(data)
