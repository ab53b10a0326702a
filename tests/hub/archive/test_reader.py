"""What was done to the files is found and named, by the hub and by whoever has only the files and the key (security
lesson A7).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.audit.archive import verify_archive
from common.audit.verification import Witness
from common.identity.signing import SigningKey
from hub.archive.reader import AuditArchive
from tests.each import each_of
from tests.hub.archive.log import HUB, KEY, Log

KEYS = {KEY.id: KEY.public}


@pytest.fixture
async def files(log: Log) -> list[Path]:
    """Three files of a log whose later events are in the database."""
    log.add(13)
    await log.archiver().run(log.at - 1)
    log.sign()
    assert log.verify().ok
    return [file.path for file in log.archive.files()]


def remove(files: list[Path]) -> None:
    files[1].unlink()


def remove_first(files: list[Path]) -> None:
    files[0].unlink()


def remove_last(files: list[Path]) -> None:
    files[-1].unlink()


def cut(files: list[Path]) -> None:
    os.truncate(files[1], files[1].stat().st_size - 7)


def cut_to_nothing(files: list[Path]) -> None:
    os.truncate(files[1], 0)


def extend(files: list[Path]) -> None:
    files[1].write_bytes(files[1].read_bytes() + b"x")


def flip(files: list[Path]) -> None:
    data = bytearray(files[1].read_bytes())
    data[-9] ^= 1
    files[1].write_bytes(bytes(data))


def flip_head(files: list[Path]) -> None:
    files[1].write_bytes(files[1].read_bytes().replace(b'"made_at":1', b'"made_at":2', 1))


def swap(files: list[Path]) -> None:
    first, second = files[0].read_bytes(), files[1].read_bytes()
    files[0].write_bytes(second)
    files[1].write_bytes(first)


def exchange_contents(files: list[Path]) -> None:
    """Their first lines stay."""
    heads, contents = zip(*(_split(path) for path in files[:2]), strict=True)
    files[0].write_bytes(heads[0] + contents[1])
    files[1].write_bytes(heads[1] + contents[0])


def _split(path: Path) -> tuple[bytes, bytes]:
    first, second, rest = path.read_bytes().split(b"\n", 2)
    return first + b"\n" + second + b"\n", rest


@each_of(
    ("act", "code", "named"),
    [
        (remove, "archive_missing", "audit-000000000021-….archive is missing"),
        (remove_first, "archive_missing", "events 1 to 20 are neither in the database nor in the archive"),
        (cut, "archive_changed", "audit-000000000021-000000000040.archive is not as it was written: it is cut off"),
        (cut_to_nothing, "archive_changed", "000000000040.archive is not as it was written: its first two lines"),
        (extend, "archive_changed", "000000000040.archive is not as it was written: it is longer"),
        (flip, "archive_changed", "000000000040.archive is not as it was written: its content is another one"),
        (flip_head, "archive_changed", "000000000040.archive is not as it was written: its signature is bad"),
        (swap, "archive_changed", "it is audit-000000000021-000000000040.archive, in the place of another"),
        (exchange_contents, "archive_changed", "000000000001-000000000020.archive is not as it was written: it"),
    ],
)
def test_each_act_is_named_by_the_hub_and_by_a_stranger(
    log: Log, files: list[Path], act: Callable[[list[Path]], None], code: str, named: str
) -> None:
    """One log for all of them, whose files are put back after each."""
    kept = {path: path.read_bytes() for path in files}
    try:
        act(files)
        for report in (log.verify(), verify_archive(log.archive.folder, KEYS)):
            assert (report.ok, report.code) == (False, code), report
            assert named in report.problem
            assert report.cure
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    assert log.verify().ok


async def test_the_newest_file_is_missed_by_the_database(log: Log, files: list[Path]) -> None:
    """Who has only the files cannot know that there was another one, but for a witness; the hub can."""
    remove_last(files)
    report = log.verify()
    assert (report.code, report.first_bad_seq) == ("archive_missing", 41)
    assert "events 41 to 60 are neither" in report.problem
    assert verify_archive(log.archive.folder, KEYS).checked == 40


async def test_files_that_another_key_signed_do_not_count(log: Log, files: list[Path]) -> None:
    other = SigningKey.generate()
    assert verify_archive(log.archive.folder, {other.id: other.public}).code == "key_replaced"
    archive = AuditArchive(log.archive.folder, "h-ffffffffffffffff", KEYS)
    log.archive = archive
    assert log.verify().code == "other_hub"


async def test_a_witness_of_another_history_is_heard(log: Log, files: list[Path]) -> None:
    note = next(note for note in log.notes if note.seq == 40)
    lie = type(note)(note.seq, "0" * 64, note.signature, note.key, note.at, note.root, note.previous)
    report = verify_archive(log.archive.folder, KEYS, [Witness("w", [(HUB, lie)])])
    assert (report.code, report.ok) == ("rewritten", False)


async def test_reading_may_begin_anywhere(log: Log, files: list[Path]) -> None:
    rows = log.rows()
    for after in (0, 1, 19, 20, 21, 59, 60, 61):
        assert log.store.read_now(lambda txn, after=after: list(log.archive.rows(txn, after))) == rows[after:]


async def test_a_start_compares_the_witness_with_what_is_archived(log: Log, files: list[Path]) -> None:
    """The file's newest note may be of an event that is in the archive: its checkpoint stays, and is compared."""
    old = next(note for note in log.notes if note.seq == 40)
    log.notes = [old]
    log.__post_init__()
    log.sign()
    assert log.notes[-1].seq > 60
    wrong = type(old)(old.seq, "0" * 64, old.signature, old.key, old.at, old.root, old.previous)
    log.notes = [wrong]
    log.__post_init__()
    with pytest.raises(Exception, match="event 40 is another one than its witness has seen"):
        log.sign()


async def test_a_database_that_was_put_back_is_read_from_itself(log: Log, files: list[Path]) -> None:
    """Where rows are there and in a file too, nothing is read twice."""
    assert [row.seq for row in log.rows()] == list(range(1, log.here()[1] + 1))
    assert log.archive.used_bytes() == sum(path.stat().st_size for path in files)
