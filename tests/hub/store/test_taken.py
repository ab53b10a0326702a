"""The messages that are known outside the database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.store import taken
from hub.store.taken import MAX_AGE, MAX_LINES, NAME, TakenEvents

NOW = 1_800_000_000.0
FIRST, SECOND = ("ops", "e1"), ("ops", "e2")


def test_a_message_is_known_again(tmp_path: Path) -> None:
    """By a reader of its own, after more was added by another run; not under another inlet; private; no id in it."""
    file = TakenEvents(tmp_path / NAME)
    assert FIRST not in file.read()
    file.add([FIRST, ("ops", "x" * 5_000)], NOW)
    file.close()
    file.close()
    file = TakenEvents(tmp_path / NAME)
    file.add([SECOND, ("房间", "消息\udc80")], NOW)
    known = TakenEvents(tmp_path / NAME).read()
    assert [event in known for event in (FIRST, SECOND, ("房间", "消息\udc80"))] == [True] * 3
    assert [event in known for event in (("op", "se1"), ("dev", "e1"), ("ops", "e3"))] == [False] * 3
    assert len(known) == 4
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert b"xxxx" not in (tmp_path / NAME).read_bytes()  # of the longest id: two characters may well be in a hash
    file.close()


def test_the_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By count and by age; what was before the last two files is forgotten, and nothing sooner."""
    monkeypatch.setattr(taken, "MAX_LINES", 4)
    file = TakenEvents(tmp_path / NAME)
    for number in range(9):
        file.add([("ops", f"e{number}")], NOW)
        if number == 5:  # the next run counts on from what is there
            file.close()
            file = TakenEvents(tmp_path / NAME)
    known = file.read()
    assert [("ops", f"e{number}") in known for number in range(9)] == [False] * 4 + [True] * 5
    file.add([FIRST], NOW + MAX_AGE + 1)
    assert ("ops", "e8") in file.read()
    file.add([SECOND], NOW)  # the clock was set back: no file may stay for years
    known = file.read()
    assert (FIRST in known, ("ops", "e8") in known) == (True, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, f"{NAME}.1"]
    file.close()


def test_a_file_that_grew_beyond_its_bound_is_read_to_it(tmp_path: Path) -> None:
    with (tmp_path / NAME).open("wb") as file:
        file.write(b"1 " + b"0" * 32 + b" 1800000000\n")
        file.writelines(b"%016x\n" % number for number in range(3 * MAX_LINES))
    assert len(TakenEvents(tmp_path / NAME).read()) < 2 * MAX_LINES + 10
    writer = TakenEvents(tmp_path / NAME)
    writer.add([FIRST], NOW)
    assert (tmp_path / NAME).stat().st_size < 100
    writer.close()


@pytest.mark.parametrize("cut", [0, 5, 30, 46, 50, 62, 63, 70])
def test_a_damaged_file_is_no_hindrance(tmp_path: Path, cut: int) -> None:
    """Cut anywhere, or with other bytes in it: whole lines behind a head that reads count, and it is written on."""
    path = tmp_path / NAME
    file = TakenEvents(path)
    file.add([FIRST, SECOND], NOW)
    file.close()
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    assert (FIRST in TakenEvents(path).read()) == (cut >= 62)
    file.add([("ops", "later")], NOW)
    assert ("ops", "later") in TakenEvents(path).read()
    assert (FIRST in TakenEvents(path).read()) == (cut >= 62)
    file.close()
    path.write_bytes(data[:50] + b"\xff\x00\n" + data[53:])
    assert SECOND in TakenEvents(path).read()
    path.write_bytes(os.urandom(200))
    assert len(TakenEvents(path).read()) == 0


def test_a_folder_that_cannot_be_written_does_not_stop_the_hub(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "nowhere" / NAME, tmp_path / NAME):
        file = TakenEvents(path)
        file.add([FIRST], NOW)
        file.add([FIRST], NOW)
        assert FIRST not in file.read()
        file.close()
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_loses_only_what_did_not_fit() -> None:
    """A device that is always full: told, not raised."""
    file = TakenEvents(Path("/dev/full"))
    file._fd, file._key, file._since, file._room = os.open("/dev/full", os.O_WRONLY), b"k", NOW, 10
    file.add([FIRST], NOW)
    assert file._fd is None
