"""The disk that forgets: what it keeps is what was synced, and nothing else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.power import Disk

WRITER = """
import os, sys, sqlite3, time
os.chdir(sys.argv[1])
{body}
print(open("/proc/sys/kernel/random/boot_id").read().strip(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "old").write_text("of before")
    (folder / "sub").mkdir(mode=0o700)
    return Disk(folder, tmp_path / "beside")


def run_until_written(disk: Disk, body: str) -> str:
    """The power fails when the program has done this; its boot id."""
    argv = [sys.executable, "-c", WRITER.format(body=body), str(disk.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, **disk.env}) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        disk.fail([process.pid])
    return said


def test_what_was_not_synced_is_gone(disk: Disk) -> None:
    """Content, names, renames, deletions; each has its own sync."""
    run_until_written(
        disk,
        """
def sync(path):
    descriptor = os.open(path, os.O_RDONLY); os.fsync(descriptor); os.close(descriptor)
open("old", "w").write("written over, not synced")
open("unsynced", "w").write("x")
with open("named", "w") as f: f.write("synced"); f.flush(); os.fsync(f.fileno())
with open("sub/nameless", "w") as f: f.write("synced, its name not"); f.flush(); os.fsync(f.fileno())
open("empty", "w").write("its name is synced, not what is in it")
sync(".")
with open("named", "a") as f: f.write(" and more, not synced")
os.rename("old", "new")
""",
    )
    found = {path.relative_to(disk.folder).as_posix() for path in disk.folder.rglob("*")}
    assert found == {"old", "named", "sub", "unsynced", "empty"}
    assert (disk.folder / "old").read_text() == "of before"
    assert (disk.folder / "named").read_text() == "synced"
    assert (disk.folder / "empty").read_text() == (disk.folder / "unsynced").read_text() == ""
    assert (disk.folder / "sub").stat().st_mode & 0o777 == 0o700


def test_each_boot_is_another(disk: Disk) -> None:
    first, second = run_until_written(disk, ""), run_until_written(disk, "")
    real = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len({first, second, real}) == 3


@pytest.mark.parametrize(("level", "kept"), [("FULL", 20), ("OFF", 0)])
def test_commits_of_sqlite_are_kept_where_they_are_synced(disk: Disk, level: str, kept: int) -> None:
    """With synchronous = FULL all of them, with OFF none since the file was made: this disk can fail a store."""
    database = sqlite3.connect(disk.folder / "old.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (x)")
    database.close()
    made = Disk(disk.folder, disk.folder.parent / "again")
    run_until_written(
        made,
        f"""
db = sqlite3.connect("old.sqlite", isolation_level=None)
db.execute("PRAGMA synchronous = {level}")
for number in range(20):
    db.execute("INSERT INTO t VALUES (zeroblob(5000))")
""",  # noqa: S608 - two words from above
    )
    after = sqlite3.connect(made.folder / "old.sqlite")
    assert after.execute("SELECT count(*) FROM t").fetchone() == (kept,)
    assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    after.close()
