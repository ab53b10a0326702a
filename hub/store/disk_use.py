"""What fills the disk of the store, for whoever has to make room: sizes of files, and of their file system."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from common.values import format_rounded_size
from hub.store.room import SUFFIX

MAX_FILES: Final = 20_000
"""Files of the hub's folder that are looked at."""
STANDARD_ERROR: Final = 2
BACKUP: Final = (".tar", ".backup")


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes. Of files on another file system than the store's nothing is counted."""

    size: int  # of the file system
    free: int
    database: int
    wal: int  # SQLite's log of what is not in its file yet, with the index of it
    log: int  # the file that this process logs to, where it is one
    backups: int  # in the hub's folder
    hub: int  # other files of the hub's folder
    others: int

    def sizes(self) -> dict[str, str]:
        """For people."""
        return {name: format_rounded_size(value) for name, value in asdict(self).items()}


def measure(database: Path, folder: Path, log: int = STANDARD_ERROR) -> DiskUse:
    """`folder` is the hub's, `log` the descriptor that it logs to. Raises OSError where it does not tell."""
    system = os.statvfs(database.parent)
    device = database.parent.stat().st_dev
    own = {database: "database", **{Path(f"{database}{end}"): "wal" for end in ("-wal", "-shm")}}
    sizes = dict.fromkeys(("database", "wal", "log", "backups", "hub"), 0)
    seen: set[int] = set()

    def count(found: os.stat_result, name: str) -> None:
        if stat.S_ISREG(found.st_mode) and found.st_dev == device and found.st_ino not in seen:
            seen.add(found.st_ino)
            sizes[name] += found.st_blocks * 512

    for path, name in own.items():
        if (found := _status(path)) is not None:
            count(found, name)
    count(os.fstat(log), "log")
    for number, path in enumerate(folder.rglob("*")):
        if number == MAX_FILES:
            break
        if (found := _status(path)) is not None and not path.name.endswith(SUFFIX):
            count(found, "backups" if path.suffix in BACKUP else "hub")
    size, free = system.f_blocks * system.f_frsize, system.f_bavail * system.f_frsize
    used = (system.f_blocks - system.f_bfree) * system.f_frsize
    return DiskUse(size=size, free=free, others=max(0, used - sum(sizes.values())), **sizes)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None
