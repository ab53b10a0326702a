"""hub.store.disk_use"""

from __future__ import annotations

import os
from pathlib import Path

from hub.store.disk_use import measure

KIB = 1024


def test_what_fills_a_disk_is_told_apart(tmp_path: Path) -> None:
    """Each file once, under what it is; what is no file of the hub's is of others."""
    database = tmp_path / "data" / "a.sqlite"
    database.parent.mkdir()
    for path, size in (
        (database, 64),
        (database.with_name("a.sqlite-wal"), 32),
        (database.with_name("a.sqlite-shm"), 32),
        (tmp_path / "hub.log", 128),
        (tmp_path / "night.tar", 256),
        (tmp_path / "policy.toml", 4),
        (tmp_path / "a.sqlite.reserve", 512),
    ):
        path.write_bytes(os.urandom(size * KIB))
    with (tmp_path / "hub.log").open("rb") as log:
        use = measure(database, tmp_path, log.fileno())
    sizes = (use.database, use.wal, use.log, use.backups, use.hub)
    assert [size // KIB for size in sizes] == [64, 64, 128, 256, 4]
    assert use.size > use.free > 0
    assert use.others >= 0
    assert use.sizes()["backups"] == "256.0 KiB"


def test_a_log_on_another_file_system_is_not_counted(tmp_path: Path) -> None:
    """Nor one that is no file."""
    with open(os.devnull, "rb") as log:
        assert measure(tmp_path / "a.sqlite", tmp_path, log.fileno()).log == 0
