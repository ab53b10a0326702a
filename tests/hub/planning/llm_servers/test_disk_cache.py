from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.identity.sealing import Sealer
from hub.planning.llm_servers.disk_cache import DiskCache

SEALER = Sealer.generate()
A, B, C, D = (f"{number:064x}" for number in range(1, 5))
BLOCK = 4096


def shelf(folder: Path, entries: int = 100, size: int = 100 * BLOCK, sealer: Sealer = SEALER) -> DiskCache:
    return DiskCache(folder, sealer, entries, size)


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    """And for nobody else to read: sealed, 0600, in a folder of 0700."""
    folder = tmp_path / "plans"
    shelf(folder).put(A, b"canary")
    assert shelf(folder).get(A) == b"canary"
    assert b"canary" not in (folder / A).read_bytes()
    assert (folder / A).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_order_of_use_outlives_a_restart(tmp_path: Path) -> None:
    """The one not used for longest goes first, by entries and by bytes."""
    first = shelf(tmp_path)
    for number, name in enumerate((A, B, C)):
        first.put(name, b"x")
        os.utime(tmp_path / name, (number, number))
    assert first.get(A) == b"x"
    second = shelf(tmp_path, entries=3)
    second.put(D, b"x")
    assert [second.get(name) for name in (A, B, C, D)] == [b"x", None, b"x", b"x"]
    third = shelf(tmp_path, size=2 * BLOCK)
    assert (len(third), third.size) == (2, 2 * BLOCK)
    third.put(B, b"x" * 5_000)
    assert (len(third), third.size, third.evicted) == (1, 2 * BLOCK, 2)
    third.put(B, b"x" * 50_000)
    assert (len(third), third.size, list(tmp_path.iterdir())) == (0, 0, [])


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "swapped", "grown"])
def test_a_file_that_is_not_what_it_was_is_dropped(tmp_path: Path, harm: str, restarted: bool) -> None:
    """Cut off, changed, emptied, another's, grown: as if it had never been, and the others stay."""
    kept = shelf(tmp_path)
    for name in (A, B):
        kept.put(name, name.encode())
    path, data = tmp_path / A, (tmp_path / A).read_bytes()
    harmed = {
        "cut": data[:-1],
        "flipped": data[:-1] + bytes([data[-1] ^ 1]),
        "empty": b"",
        "swapped": (tmp_path / B).read_bytes(),
        "grown": data + b"x" * 100_000,
    }
    path.write_bytes(harmed[harm])
    kept = shelf(tmp_path) if restarted else kept
    assert kept.get(A) is None
    assert (path.exists(), kept.corrupt) == (False, 1)
    assert kept.get(B) == B.encode()


def test_another_ring_opens_nothing(tmp_path: Path) -> None:
    """A hub that was set up anew does not read the plans of the one before."""
    shelf(tmp_path).put(A, b"x")
    assert shelf(tmp_path, sealer=Sealer.generate()).get(A) is None
    assert list(tmp_path.iterdir()) == []


def test_a_crash_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """What was half written is under another name, and is removed; what is not the cache's stays."""
    shelf(tmp_path).put(A, b"x")
    (tmp_path / f"{B}.part").write_bytes(b"half")
    (tmp_path / "README").write_text("mine")
    again = shelf(tmp_path)
    assert (len(again), again.get(B)) == (1, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [A, "README"]


def test_a_file_that_went_away_is_a_miss(tmp_path: Path) -> None:
    """Somebody cleaned up by hand."""
    kept = shelf(tmp_path)
    kept.put(A, b"x")
    (tmp_path / A).unlink()
    assert (kept.get(A), len(kept), kept.size) == (None, 0, 0)


def test_a_folder_that_cannot_be_keeps_nothing(tmp_path: Path) -> None:
    """A file is in its place: the cache is without its disk, and nobody is troubled."""
    (tmp_path / "plans").write_text("")
    kept = shelf(tmp_path / "plans")
    kept.put(A, b"x")
    assert (kept.get(A), len(kept), kept.size) == (None, 0, 0)


def test_clear_removes_the_files(tmp_path: Path) -> None:
    """All of them."""
    kept = shelf(tmp_path)
    for name in (A, B):
        kept.put(name, b"x")
    kept.clear()
    assert (len(kept), kept.size, list(tmp_path.iterdir())) == (0, 0, [])
