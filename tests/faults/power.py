"""A power failure, as far as one machine can play it: what was not synced is gone, and the boot is another one.

`power.c` keeps what was synced of the files below a folder. `fail` kills processes, all at once, and puts the folder
back to that: the harshest disk that POSIX allows, which loses every write and every name that nobody synced. Files that
were there when the disk was made count as synced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil
import pytest

SOURCE: Final = Path(__file__).with_name("power.c")


class Disk:
    """What is below `folder` in processes that are started with `env`."""

    def __init__(self, folder: Path, beside: Path) -> None:
        """`beside` is a folder for what is kept, on another disk as it were; made here."""
        self.folder = folder.resolve()
        self._synced = beside / "synced"
        self._boot = beside / "boot_id"
        beside.mkdir(parents=True)
        self._library = compiled(beside)
        self._synced.mkdir()
        self._boot.write_text(f"{uuid.uuid4()}\n")
        self._keep_all()

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "ANSWERBACK_TEST_DISK": str(self.folder),
            "ANSWERBACK_TEST_SYNCED": str(self._synced),
            "ANSWERBACK_TEST_BOOT": str(self._boot),
        }

    def fail(self, pids: Iterable[int]) -> None:
        """The power fails for these processes and all below them; they are gone when this returns."""
        kill_together(pids)
        aside = self.folder.with_name(self.folder.name + ".aside")
        aside.mkdir()
        self._take_apart(self.folder, aside)
        self._put_back(self.folder.stat().st_ino, self.folder, aside)
        shutil.rmtree(aside)
        self._boot.write_text(f"{uuid.uuid4()}\n")
        shutil.rmtree(self._synced)
        self._synced.mkdir()
        self._keep_all()

    def _keep_all(self) -> None:
        for root, folders, files in os.walk(self.folder):
            place = Path(root)
            lines = []
            for name in [*folders, *files]:
                found = (place / name).lstat()
                kind = "d" if name in folders else "f" if (place / name).is_file() else "-"
                lines.append(f"{kind} {found.st_mode & 0o7777:o} {found.st_ino} {name}\n")
                if kind == "f":
                    shutil.copyfile(place / name, self._synced / str(found.st_ino))
            (self._synced / str(place.stat().st_ino)).write_text("".join(lines))

    def _take_apart(self, folder: Path, aside: Path) -> None:
        """Each file and folder by its inode: what comes back is the same one, not a copy of it."""
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                self._take_apart(path, aside)
            path.rename(aside / str(path.lstat().st_ino))

    def _put_back(self, inode: int, to: Path, aside: Path) -> None:
        names = self._synced / str(inode)
        for line in names.read_text().splitlines() if names.exists() else []:
            kind, mode, child, name = line.split(" ", 3)
            place, kept = to / name, self._synced / child
            if kind == "-":
                continue
            if (aside / child).exists():
                (aside / child).rename(place)
            elif kind == "d":
                place.mkdir()
            if kind == "d":
                self._put_back(int(child), place, aside)
            else:
                place.write_bytes(kept.read_bytes() if kept.exists() else b"")
            place.chmod(int(mode, 8))


def kill_together(pids: Iterable[int]) -> None:
    """These and all below them: stopped first, so that none sees the end of another."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in found.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
    _, alive = psutil.wait_procs(found.values(), timeout=10)
    assert not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def compiled(folder: Path) -> Path:
    """The library; skips the test where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt-get install gcc libc6-dev")
    library = folder / "power.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return library
