"""agent.runner.journal"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.place import Moved, Place, Word
from agent.reserve import Reserve
from agent.runner import journal as module
from agent.runner.journal import (
    MAX_HUBS,
    TAKEN_OVER,
    Journal,
    JournalDamaged,
    JournalState,
    Record,
    encode_block,
    parse_journal,
)
from agent.runner.limits import RunnerLimits
from common.errors import UserError
from common.link.lineage import MAX_IDS, advance_seen, compare

LIMITS = RunnerLimits()
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

    def __init__(self, path: Path, limits: RunnerLimits = LIMITS, now: float = 0.0) -> None:
        self.loop = Loop()
        self.journal = Journal(path, limits, now, self.loop.call)
        self.errors: list[OSError | None] = []

    def append(self, *records: Record, now: float = 0.0) -> None:
        self.journal.append(*records, on_done=self.errors.append, now=now)

    def settle(self) -> None:
        while self.journal.pending_count:
            self.loop.run_one()

    def close(self) -> None:
        self.settle()
        self.journal.close()


def accept(number: int, not_after: float = 100.0) -> Record:
    return ("accept", f"job{number}", "hash", not_after, "boot")


def reopened(path: Path, limits: RunnerLimits = LIMITS, now: float = 0.0) -> JournalState:
    writer = Writer(path, limits, now)
    writer.close()
    return writer.journal.state


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
    assert memory == writer.journal.state
    assert memory.epoch == 7
    assert memory.entries["job1"].end == ""
    assert (memory.entries["job3"].end, memory.entries["job3"].code) == ("refused", "policy")
    assert (memory.entries["job4"].end, memory.entries["job4"].reason) == ("unsure", "who knows")
    assert memory.tombstones == {"job2": 100.0}


def test_each_hub_has_its_own_epochs(tmp_path: Path) -> None:
    """What was heard before hubs were told apart is the first one's; who comes back goes on where it was."""
    writer = Writer(tmp_path / "journal")
    told = [("epoch", 50), ("hub", "h1"), ("hub", "h1"), ("epoch", 51), ("hub", "h2"), ("epoch", 3), ("hub", "h1")]
    seen = []
    for record in told:
        writer.append(record)
        seen.append(writer.journal.state.epoch)
    writer.close()
    assert seen == [50, 50, 50, 51, 0, 3, 51]
    for _ in range(2):  # read as it was written, and as it was written anew
        memory = reopened(tmp_path / "journal")
        assert (memory.hub, memory.epoch, memory.earlier_hubs) == ("h1", 51, {"h2": 3})


HERE = Place("m1", 7, 8, "boot1")


def served(path: Path, place: Place, word: Word = "") -> Journal:
    """A journal opened as a runner does, and closed again."""
    journal = Journal(path, LIMITS, 0.0, Loop().call, place=place, word=word)
    journal.close()
    return journal


def test_each_start_is_a_life_that_goes_on_from_the_last(tmp_path: Path) -> None:
    """Trust: one holder of a name. It is on disk when the journal is open; of many the last are kept; a copy's differ
    from the first on.
    """
    path, known = tmp_path / "journal", None
    for number in range(1, 2 * MAX_IDS):
        journal = served(path, replace(HERE, boot=f"boot{number}"))
        lineage = journal.lineage
        assert lineage is not None
        assert lineage == parse_journal(path.read_bytes())[0].lineage()
        assert (lineage.chain, lineage.counter, len(lineage.ids)) == (journal.state.id, number, min(number, MAX_IDS))
        assert compare(known, lineage) in ("first", "follows")
        known = advance_seen(known, lineage)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    copy, own = served(tmp_path / "copy", HERE), served(path, HERE)
    assert copy.lineage is not None
    assert own.lineage is not None
    known = advance_seen(known, copy.lineage)
    assert compare(known, own.lineage) == "diverged"


def test_a_journal_that_was_moved_is_not_served_without_a_word(tmp_path: Path) -> None:
    """Trust: one holder of a name. Nothing of it changes then. With the word it is another journal: what was refused
    stays so, of what was open nobody knows, and what is forgotten and fenced stays so too.
    """
    path, elsewhere = tmp_path / "journal", replace(HERE, machine="m2")
    first = served(path, HERE)
    writer = Writer(path)
    writer.append(("epoch", 4), accept(1), accept(2), ("forget", "job2", 100.0))
    writer.append(("refuse", "job3", "hash", 100.0, "boot", "policy", "no"))
    writer.close()
    before = path.read_bytes()
    with pytest.raises(Moved, match="another machine"):
        served(path, elsewhere)
    assert path.read_bytes() == before
    moved = served(path, elsewhere, "moved")
    assert (moved.begun_anew, moved.state.epoch, moved.state.tombstones) == (True, 4, {"job2": 100.0})
    assert moved.state.id != first.state.id
    assert moved.lineage is not None
    assert moved.lineage.counter == 1
    ends = {job: (entry.end, entry.reason) for job, entry in moved.state.entries.items()}
    assert ends == {"job1": ("unsure", TAKEN_OVER), "job3": ("refused", "no")}
    again = served(path, elsewhere, "moved")  # it is where it was: the word means nothing
    assert (again.begun_anew, again.state.id) == (False, moved.state.id)
    assert served(path, elsewhere, "anew").begun_anew


def test_a_life_that_was_not_written_down_is_told_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the next life would have the same number: it would look like a copy's."""
    path = tmp_path / "journal"
    first = served(path, HERE).lineage
    assert first is not None

    def full(path: Path, data: bytes) -> tuple[int, int]:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(module, "_replace_file", full)
    assert served(path, HERE).lineage is None
    monkeypatch.undo()
    second = served(path, HERE).lineage
    assert second is not None
    assert (second.counter, second.ids[0]) == (2, first.id)


def test_a_journal_of_before_lives_is_taken_where_it_is(tmp_path: Path) -> None:
    """An agent that is upgraded in place."""
    path = tmp_path / "journal"
    Writer(path).close()
    identity = parse_journal(path.read_bytes())[0].id
    journal = served(path, HERE)
    assert (journal.state.id, journal.begun_anew) == (identity, False)
    assert journal.lineage is not None
    assert journal.lineage.counter == 1


def test_hubs_of_before_are_bounded() -> None:
    """The longest ago goes first."""
    memory = JournalState("id")
    for number in range(MAX_HUBS + 5):
        memory.apply(("hub", f"h{number}"))
        memory.apply(("epoch", number))
    assert list(memory.earlier_hubs) == [f"h{number}" for number in range(4, MAX_HUBS + 4)]
    rebuilt = JournalState()
    for record in memory.records():
        rebuilt.apply(record)
    assert rebuilt == memory


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
    assert writer.journal.pending_count == 1
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
    writer.journal.append(accept(1), on_done=lambda _: order.append("accept"), now=0)
    writer.journal.append(on_done=lambda _: order.append("barrier"), now=0)
    writer.close()
    assert order == ["accept", "barrier"]


@given(st.data())
def test_a_torn_tail_is_cut_wherever_it_tears(data: st.DataObject) -> None:
    """Any beginning of the file that holds the first block is a journal: of the whole blocks in it."""
    blocks = [encode_block([HEAD]), encode_block([accept(1), accept(2)]), encode_block([("forget", "job1", 100.0)])]
    whole = b"".join(blocks)
    length = data.draw(st.integers(len(blocks[0]), len(whole)))
    memory, good = parse_journal(whole[:length])
    ends = [len(blocks[0]), len(blocks[0]) + len(blocks[1]), len(whole)]
    assert good == max(end for end in ends if end <= length)
    assert len(memory.entries) + len(memory.tombstones) == (0 if good == ends[0] else 2)


@given(st.data())
def test_damage_before_a_good_block_is_never_taken_for_a_torn_tail(data: st.DataObject) -> None:
    """A changed byte anywhere but in the last block stops the runner; in the last one it cuts that off, or is seen."""
    blocks = [encode_block([HEAD]), encode_block([accept(1)]), encode_block([accept(2)])]
    whole = bytearray(b"".join(blocks))
    index = data.draw(st.integers(0, len(whole) - 1))
    whole[index] ^= data.draw(st.integers(1, 255))
    if index < len(blocks[0]) + len(blocks[1]):
        with pytest.raises(JournalDamaged):
            parse_journal(bytes(whole))
    else:
        memory, _ = parse_journal(bytes(whole))
        assert set(memory.entries) == {"job1"}


@given(st.binary(max_size=400))
def test_what_is_no_journal_is_refused(data: bytes) -> None:
    """A file that does not begin with a good first block is not taken for an empty memory."""
    if data:
        with pytest.raises(JournalDamaged):
            parse_journal(data)


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
    with pytest.raises(JournalDamaged):
        parse_journal(encode_block(records))


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
    path.write_bytes(encode_block([HEAD]) + encode_block([accept(1)]) + encode_block([accept(2)])[:-1])
    writer = Writer(path)
    assert writer.journal.torn > 0
    writer.append(accept(3))
    writer.close()
    assert set(reopened(path).entries) == {"job1", "job3"}


def test_it_is_written_anew_when_it_has_grown(tmp_path: Path) -> None:
    """A long life of jobs that come and go leaves a short file, and nothing is lost on the way."""
    limits = RunnerLimits(journal_growth=2_000, max_tombstones=3, tombstone_ttl=10.0)
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
    assert memory.id == writer.journal.state.id
    assert set(memory.entries) == {"job1"}
    assert len(memory.tombstones) <= 3


def test_dropping_a_tombstone_raises_the_fence(tmp_path: Path) -> None:
    """Whatever is no longer known by its id is kept out by its time, for good."""
    memory = JournalState("j1")
    for number in range(10):
        memory.apply(("forget", f"job{number}", float(number)))
    memory.apply(("forget", "late", 1_000.0))
    memory.prune(now=17.5, limits=RunnerLimits(tombstone_ttl=10.0))
    assert memory.fence == 7.0
    assert set(memory.tombstones) == {"job8", "job9", "late"}
    again, _ = parse_journal(encode_block(memory.records()))
    assert again.fence == 7.0


def test_too_many_tombstones_lose_the_longest_expired_only() -> None:
    """An id whose order could still be taken is never dropped, however many there are."""
    memory = JournalState("j1")
    for number in range(10):
        memory.apply(("forget", f"job{number}", float(number)))
    memory.prune(now=5.0, limits=RunnerLimits(max_tombstones=2))
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
    assert parse_journal((tmp_path / "journal").read_bytes())[0].entries == {}
    monkeypatch.undo()
    writer.journal.state.apply(("refuse", "job1", "hash", 100.0, "boot", "disk", "full"))  # as `work` then does
    writer.append(accept(2))
    writer.close()
    assert [error and error.strerror for error in writer.errors] == ["No space left on device", None]
    data = (tmp_path / "journal").read_bytes()
    memory, good = parse_journal(data)
    assert good == len(data)
    assert memory == writer.journal.state
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


class FakeReserve:
    """A reserve of so many pieces, for a disk that takes a write once two of them are gone."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.taken = 0

    def retry(self, act: Callable[[], Any]) -> Any:
        while True:
            try:
                return act()
            except OSError as error:
                if error.errno != errno.ENOSPC or self.taken == self.pieces:
                    raise
                self.taken += 1


@pytest.mark.parametrize(("pieces", "written"), [(0, False), (1, False), (2, True)])
def test_the_reserve_is_there_for_the_journal(
    pieces: int, written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many pieces as the write needs; too few leave no half record, and what was promised before stays."""
    reserve, real = FakeReserve(pieces), os.write
    writer = Writer(tmp_path / "journal")
    writer.journal._reserve = cast(Reserve, reserve)

    def write(file: int, data: bytes) -> int:
        return real(file, data[:9] if reserve.taken < 2 else data)  # half of it: the disk is full

    writer.append(accept(1))
    writer.settle()
    monkeypatch.setattr(module.os, "write", write)
    writer.append(accept(2))
    writer.settle()
    monkeypatch.undo()
    assert [error is None for error in writer.errors] == [True, written]
    found, good = parse_journal((tmp_path / "journal").read_bytes())
    assert good == (tmp_path / "journal").stat().st_size
    assert found.entries.keys() == {"job1", *(["job2"] if written else [])}
    assert not (tmp_path / "journal.new").exists()
    writer.close()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_it_is_opened_on_a_disk_that_takes_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is known, what is new is refused with the disk's word, and once the disk is well all is written."""
    path, real, sick = tmp_path / "journal", os.open, True
    writer = Writer(path)
    writer.append(accept(1))
    writer.close()

    def open_(file: Any, flags: int, *more: Any, **named: Any) -> int:
        if sick and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(number, os.strerror(number))
        return real(file, flags, *more, **named)

    monkeypatch.setattr(module.os, "open", open_)
    writer = Writer(path)
    assert writer.journal.state.entries.keys() == {"job1"}
    writer.append(accept(2))
    writer.settle()
    assert [error.errno for error in writer.errors if error] == [number]
    sick = False
    writer.append(accept(3))
    writer.close()
    assert writer.errors[1] is None
    monkeypatch.undo()
    assert reopened(path).entries.keys() == {"job1", "job2", "job3"}


def test_without_a_file_such_a_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows then what this machine has run."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "write", full)
    with pytest.raises(UserError, match="No space left"):
        Writer(tmp_path / "journal")


def test_a_life_goes_on_where_its_lock_was_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: no start is made up and none is hidden: only the newest life goes on, and any other begins one."""
    path = tmp_path / "journal"

    def again(life: str) -> Journal:
        journal = Journal(path, LIMITS, 0.0, Loop().call, place=HERE, life=life)
        journal.close()
        return journal

    first = served(path, HERE).lineage
    assert first is not None
    assert again(first.id).lineage == first
    second = again("0" * 16).lineage
    assert second is not None
    assert second.counter == 2
    third = again(first.id).lineage
    assert third is not None
    assert third.counter == 3

    def full(path: Path, data: bytes) -> tuple[int, int]:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(module, "_replace_file", full)
    journal = again(third.id)
    assert journal.lineage == third  # it is on the disk already
    assert not journal.is_sound
