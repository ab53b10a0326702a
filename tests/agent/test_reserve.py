"""agent.reserve"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import reserve as module
from agent.reserve import (
    MAX_PIECE,
    MIN_PIECE,
    PIECES,
    RENEWAL_PIECES,
    RENEWAL_ROOM,
    Reserve,
    keep_room_for_renewal,
    room_for_renewal,
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def disk(monkeypatch: pytest.MonkeyPatch, *, size: int, free: int, files: int = 1_000_000) -> None:
    """A file system of so many bytes, so many of them free."""
    found = SimpleNamespace(
        f_frsize=1, f_blocks=size, f_bfree=free, f_bavail=free, f_files=files and 10**6, f_favail=files
    )
    monkeypatch.setattr(module.os, "statvfs", lambda _: found)


@pytest.mark.parametrize(("size", "piece"), [(1 << 20, MIN_PIECE), (40 << 20, 40_960), (1 << 40, MAX_PIECE)])
def test_it_fits_its_disk(size: int, piece: int, folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of the smallest disk, two megabytes of a large one; bytes that no file system makes smaller."""
    disk(monkeypatch, size=size, free=size)
    reserve = Reserve(folder)
    reserve.refill()
    files = sorted(tmp_path.iterdir())
    assert (reserve.is_whole, len(files), {file.stat().st_size for file in files}) == (True, PIECES, {piece})
    assert len(set(files[0].read_bytes())) > 200
    assert Reserve(folder).is_whole, "a restart finds it again"


def test_pieces_are_given_back_until_the_write_fits(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as it takes and no more; another error takes none; with none left the error is the caller's."""
    disk(monkeypatch, size=1 << 20, free=1 << 20)
    reserve = Reserve(folder)
    reserve.refill()

    def fits_with(pieces: int) -> str:
        if len(list(tmp_path.iterdir())) > pieces:
            raise OSError(errno.ENOSPC, "full")
        return "written"

    assert reserve.retry(lambda: fits_with(PIECES - 3)) == "written"
    assert (reserve.is_used(), reserve.pieces) == (False, PIECES), "there is room: it is whole again"
    disk(monkeypatch, size=1 << 20, free=0)
    assert reserve.retry(lambda: fits_with(PIECES - 3)) == "written"
    assert (reserve.pieces, reserve.is_used()) == (PIECES - 3, True)
    with pytest.raises(OSError, match="mine"):
        reserve.retry(lambda: (_ for _ in ()).throw(OSError(errno.EIO, "mine")))
    assert reserve.pieces == PIECES - 3
    with pytest.raises(OSError, match="full"):
        reserve.retry(lambda: fits_with(-1))
    assert (reserve.pieces, reserve.take()) == (0, False)


def test_it_is_made_whole_only_where_there_is_plenty(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no use to fill the last of a disk with a reserve; inodes count as well."""
    whole = PIECES * MIN_PIECE
    for free, files in ((3 * whole, 1_000), (8 * whole, PIECES)):
        disk(monkeypatch, size=1 << 20, free=free, files=files)
        reserve = Reserve(folder)
        reserve.refill()
        assert reserve.pieces == 0
    disk(monkeypatch, size=1 << 20, free=8 * whole, files=0)  # a file system that does not count inodes
    reserve.refill()
    assert reserve.is_whole


def test_a_folder_that_cannot_be_read_is_no_reserve_and_no_error(tmp_path: Path) -> None:
    """The runner starts all the same."""
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    reserve = Reserve(file)
    assert reserve.take() is False
    reserve.refill()
    reserve.restore()
    os.close(file)


def test_a_renewal_fits_on_a_full_disk(tmp_path: Path) -> None:
    """Room that was kept back while there was some is there when it is needed, and taken back when there is plenty."""
    keep_room_for_renewal(tmp_path)
    folder = tmp_path / "reserve"
    assert len(list(folder.iterdir())) == RENEWAL_PIECES
    free = [0]
    real = os.statvfs

    def full(descriptor: int) -> object:
        found = real(descriptor)
        kept = sum(file.stat().st_size for file in folder.iterdir())
        left = free[0] if free[0] else RENEWAL_PIECES * MAX_PIECE - kept
        return SimpleNamespace(
            f_frsize=1, f_blocks=1 << 40, f_bfree=left, f_bavail=left, f_files=found.f_files, f_favail=10**6
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.os, "statvfs", full)
        with room_for_renewal(tmp_path):
            assert sum(file.stat().st_size for file in folder.iterdir()) == RENEWAL_PIECES * MAX_PIECE - RENEWAL_ROOM
        assert len(list(folder.iterdir())) == RENEWAL_PIECES - 1, "there is no plenty yet"
        free[0] = 1 << 40
        with room_for_renewal(tmp_path):
            pass
        assert len(list(folder.iterdir())) == RENEWAL_PIECES


def test_without_a_reserve_a_renewal_is_tried_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_text("in the way")
    with room_for_renewal(tmp_path):
        pass
    keep_room_for_renewal(tmp_path)
