"""agent.runner.journal"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runner import journal as module
from agent.runner.journal import Damaged, Journal, Memory, Record, block, parse
from agent.runner.limits import Limits
from common.errors import UserError

LIMITS = Limits()
HEAD: Record = ("head", "j1", 1)


class Loop:
    """Stands in for the event loop: collects what the writing thread asks for, until the test runs it."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []
        self._came = threading.Condition()

    def call(self, callback: Callable[[], None]) -> None:
        with self._came:
            self._calls.append(callback)
            self._came.notify()

    def run_one(self) -> None:
        with self._came:
            assert self._came.wait_for(lambda: self._calls, timeout=20)
            callback = self._calls.pop(0)
        callback()


class Writer:
    """An open journal, and what became of each append."""

    def __init__(self, path: Path, limits: Limits = LIMITS, now: float = 0.0) -> None:
        self.loop = Loop()
        self.journal = Journal(path, limits, now, self.loop.call)
        self.errors: list[OSError | None] = []

    def append(self, *records: Record, now: float = 0.0) -> None:
        self.journal.append(*records, done=self.errors.append, now=now)

    def settle(self) -> None:
        while self.journal.waiting:
            self.loop.run_one()

    def close(self) -> None:
        self.settle()
        self.journal.close()


def accept(number: int, not_after: float = 100.0) -> Record:
    return ("accept", f"job{number}", "hash", not_after, "boot")


def reopened(path: Path, limits: Limits = LIMITS, now: float = 0.0) -> Memory:
    writer = Writer(path, limits, now)
    writer.close()
    return writer.journal.memory


def test_what_was_appended_is_there_after_reopening(tmp_path: Path) -> None:
    """Every kind of record comes back, and the journal keeps its id."""
    writer = Writer(tmp_path / "journal")
    writer.append(("epoch", 7), accept(1))
    writer.append(accept(2))
    writer.append(("refuse", "job3", "hash", 100.0, "boot", "policy", "no"))
    writer.append(accept(4))
    writer.append(("unsure", "job4", "who knows"))
    writer.append(("forget", "job2", 100.0))
    writer.close()
    assert writer.errors == [None] * 6
    memory = reopened(tmp_path / "journal")
    assert memory == writer.journal.memory
    assert memory.epoch == 7
    assert memory.entries["job1"].end == ""
    assert (memory.entries["job3"].end, memory.entries["job3"].code) == ("refused", "policy")
    assert (memory.entries["job4"].end, memory.entries["job4"].reason) == ("unsure", "who knows")
    assert memory.tombstones == {"job2": 100.0}


def test_done_is_told_after_the_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is promised while the disk has not said yes."""
    allow, synced = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(file: int) -> None:
        assert allow.wait(20)
        real(file)
        synced.set()

    writer = Writer(tmp_path / "journal")
    monkeypatch.setattr(os, "fdatasync", slow)
    writer.append(accept(1))
    assert writer.errors == []
    assert writer.journal.waiting == 1
    allow.set()
    writer.settle()
    assert synced.is_set()
    assert writer.errors == [None]
    writer.close()


def test_what_comes_during_a_sync_shares_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred appends that wait for one sync need one more, not a hundred."""
    allow, begun = threading.Event(), threading.Event()
    count = 0

    def counted(file: int) -> None:
        nonlocal count
        count += 1
        begun.set()
        assert allow.wait(20)

    writer = Writer(tmp_path / "journal")
    monkeypatch.setattr(os, "fdatasync", counted)
    writer.append(accept(0))
    assert begun.wait(20)
    for number in range(1, 101):
        writer.append(accept(number))
    allow.set()
    writer.close()
    assert writer.errors == [None] * 101
    assert count == 2


def test_an_append_of_nothing_is_a_barrier(tmp_path: Path) -> None:
    """It is settled after everything that was appended before it."""
    writer = Writer(tmp_path / "journal")
    order: list[str] = []
    writer.journal.append(accept(1), done=lambda _: order.append("accept"), now=0)
    writer.journal.append(done=lambda _: order.append("barrier"), now=0)
    writer.close()
    assert order == ["accept", "barrier"]


@given(st.data())
def test_a_torn_tail_is_cut_wherever_it_tears(data: st.DataObject) -> None:
    """Any beginning of the file that holds the first block is a journal: of the whole blocks in it."""
    blocks = [block([HEAD]), block([accept(1), accept(2)]), block([("forget", "job1", 100.0)])]
    whole = b"".join(blocks)
    length = data.draw(st.integers(len(blocks[0]), len(whole)))
    memory, good = parse(whole[:length])
    ends = [len(blocks[0]), len(blocks[0]) + len(blocks[1]), len(whole)]
    assert good == max(end for end in ends if end <= length)
    assert len(memory.entries) + len(memory.tombstones) == (0 if good == ends[0] else 2)


@given(st.data())
def test_damage_before_a_good_block_is_never_taken_for_a_torn_tail(data: st.DataObject) -> None:
    """A changed byte anywhere but in the last block stops the runner; in the last one it cuts that off, or is seen."""
    blocks = [block([HEAD]), block([accept(1)]), block([accept(2)])]
    whole = bytearray(b"".join(blocks))
    index = data.draw(st.integers(0, len(whole) - 1))
    whole[index] ^= data.draw(st.integers(1, 255))
    if index < len(blocks[0]) + len(blocks[1]):
        with pytest.raises(Damaged):
            parse(bytes(whole))
    else:
        memory, _ = parse(bytes(whole))
        assert set(memory.entries) == {"job1"}


@given(st.binary(max_size=400))
def test_what_is_no_journal_is_refused(data: bytes) -> None:
    """A file that does not begin with a good first block is not taken for an empty memory."""
    if data:
        with pytest.raises(Damaged):
            parse(data)


@pytest.mark.parametrize(
    "records",
    [
        [accept(1)],  # no head
        [HEAD, ("accept", "job1")],
        [HEAD, ("surprise",)],
        [HEAD, 7],
        [("head", "j1", 2)],
    ],
)
def test_records_that_are_not_understood_are_damage(records: list[Any]) -> None:
    """A journal of a later version, or of someone else, is not half understood."""
    with pytest.raises(Damaged):
        parse(block(records))


def test_a_damaged_file_is_named_with_the_cure(tmp_path: Path) -> None:
    """The person who has to mend it learns which file and what to do; the file is left as it is."""
    path = tmp_path / "journal"
    path.write_bytes(b"not a journal")
    with pytest.raises(UserError, match="journal is damaged") as caught:
        Writer(path)
    assert "move it away" in caught.value.cure
    assert path.read_bytes() == b"not a journal"


def test_an_empty_file_is_damage(tmp_path: Path) -> None:
    """The file comes into its place whole, so an empty one has lost something."""
    path = tmp_path / "journal"
    path.write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        Writer(path)


def test_a_torn_tail_is_gone_after_opening(tmp_path: Path) -> None:
    """What is cut is told, and the next records follow the last good one."""
    path = tmp_path / "journal"
    path.write_bytes(block([HEAD]) + block([accept(1)]) + block([accept(2)])[:-1])
    writer = Writer(path)
    assert writer.journal.torn > 0
    writer.append(accept(3))
    writer.close()
    assert set(reopened(path).entries) == {"job1", "job3"}


def test_it_is_written_anew_when_it_has_grown(tmp_path: Path) -> None:
    """A long life of jobs that come and go leaves a short file, and nothing is lost on the way."""
    limits = Limits(journal_growth=2_000, max_tombstones=3, tombstone=10.0)
    writer = Writer(tmp_path / "journal", limits)
    writer.append(accept(1, 1e9))
    for number in range(2, 302):
        writer.append(accept(number, float(number)), now=1_000.0)
        writer.append(("forget", f"job{number}", float(number)), now=1_000.0)
        if number % 50 == 0:
            writer.settle()
    writer.close()
    assert (tmp_path / "journal").stat().st_size < 10_000
    memory = reopened(tmp_path / "journal", limits, now=1_000.0)
    assert memory.id == writer.journal.memory.id
    assert set(memory.entries) == {"job1"}
    assert len(memory.tombstones) <= 3


def test_dropping_a_tombstone_raises_the_fence(tmp_path: Path) -> None:
    """Whatever is no longer known by its id is kept out by its time, for good."""
    memory = Memory("j1")
    for number in range(10):
        memory.apply(("forget", f"job{number}", float(number)))
    memory.apply(("forget", "late", 1_000.0))
    memory.prune(now=17.5, limits=Limits(tombstone=10.0))
    assert memory.fence == 7.0
    assert set(memory.tombstones) == {"job8", "job9", "late"}
    again, _ = parse(block(memory.records()))
    assert again.fence == 7.0


def test_too_many_tombstones_lose_the_longest_expired_only() -> None:
    """An id whose order could still be taken is never dropped, however many there are."""
    memory = Memory("j1")
    for number in range(10):
        memory.apply(("forget", f"job{number}", float(number)))
    memory.prune(now=5.0, limits=Limits(max_tombstones=2))
    assert set(memory.tombstones) == {"job5", "job6", "job7", "job8", "job9"}
    assert memory.fence == 4.0


def test_a_full_disk_is_told_and_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The append that did not fit says so; when there is room again, the file holds all of the memory, untorn."""
    writer = Writer(tmp_path / "journal")
    real = os.write

    def full(file: int, data: bytes) -> int:
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(module.os, "write", full)
    writer.append(accept(1))
    writer.settle()
    assert parse((tmp_path / "journal").read_bytes())[0].entries == {}
    monkeypatch.undo()
    writer.journal.memory.apply(("refuse", "job1", "hash", 100.0, "boot", "disk", "full"))  # as `work` then does
    writer.append(accept(2))
    writer.close()
    assert [error and error.strerror for error in writer.errors] == ["No space left on device", None]
    data = (tmp_path / "journal").read_bytes()
    memory, good = parse(data)
    assert good == len(data)
    assert memory == writer.journal.memory
    assert memory.entries["job1"].code == "disk"


def test_after_a_failed_sync_nothing_is_promised_until_a_new_file_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that fails once and succeeds later proves nothing about what was written between."""
    writer = Writer(tmp_path / "journal")

    def broken(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "fdatasync", broken)
    monkeypatch.setattr(module.os, "fsync", broken)
    writer.append(accept(1))
    writer.settle()
    monkeypatch.setattr(module.os, "fdatasync", lambda file: None)
    writer.append(accept(2))
    writer.settle()
    monkeypatch.undo()
    writer.append(accept(3))
    writer.close()
    assert [error is None for error in writer.errors] == [False, False, True]
    assert "job3" in reopened(tmp_path / "journal").entries


def test_a_place_without_rights_is_named(tmp_path: Path) -> None:
    """A folder where the journal should be is the person's to move."""
    (tmp_path / "journal").mkdir()
    with pytest.raises(UserError, match="cannot use"):
        Writer(tmp_path / "journal")
