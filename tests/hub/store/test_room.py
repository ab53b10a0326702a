"""hub.store.room"""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.store import room as room_module
from hub.store.room import LOW, NEEDED, RESERVE, Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "a.sqlite")


def free(room: Room, monkeypatch: pytest.MonkeyPatch, count: int | None) -> None:
    monkeypatch.setattr(room, "free", lambda: count)


def test_a_reserve_is_real_and_made_once(room: Room) -> None:
    """Its bytes are taken from the disk, not only named in the file's size; only its owner reads it."""
    assert room.make_reserve()
    assert room.reserve is not None
    found = room.reserve.stat()
    assert (found.st_size, found.st_mode & 0o777) == (RESERVE, 0o600)
    assert found.st_blocks * 512 >= RESERVE
    assert room.make_reserve()
    assert room.reserve.stat().st_mtime_ns == found.st_mtime_ns


def test_a_reserve_is_made_only_where_there_is_more(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    free(room, monkeypatch, NEEDED - 1)
    assert not room.make_reserve()
    assert room.reserve is not None
    assert not room.reserve.exists()
    free(room, monkeypatch, NEEDED)
    assert room.make_reserve()


def test_a_commit_that_finds_no_room_gives_the_reserve_up(room: Room) -> None:
    """Read-only until somebody opens it; stuck until the next commit."""
    room.make_reserve()
    room.note_full()
    assert (room.read_only, room.stuck) == (True, True)
    assert room.reserve is not None
    assert not room.reserve.exists()
    room.note_commit()
    assert (room.read_only, room.stuck) == (True, False)
    room.open()
    assert (room.read_only, room.stuck) == (False, False)
    assert room.reserve.exists()


def test_a_disk_that_is_nearly_full_is_found_before_a_commit(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    free(room, monkeypatch, LOW)
    room.look()
    assert not room.read_only
    free(room, monkeypatch, LOW - 1)
    room.look()
    assert (room.read_only, room.stuck) == (True, False)


def test_another_database_has_no_file_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its room is the server's: what commits find is all that is known."""
    room = Room(None)
    room.look()
    assert (room.free(), room.reserve, room.make_reserve(), room.read_only) == (None, None, False, False)
    room.note_full()
    assert room.read_only


def test_a_folder_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    assert room_module.free_bytes(tmp_path / "gone") is None
