"""Another wall clock for one process tree, which a test sets while it runs.

A library of our own (`wall_clock.c`, compiled on first use) and not libfaketime, which can be set only by a file that
it reads again now and then, and which fakes what we count on besides. It needs a C compiler.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).with_name("wall_clock.c")
VARIABLE: Final = "ANSWERBACK_TEST_CLOCK"
_OFFSET: Final = struct.Struct("=q")


class WallClock:
    """The clock of one process tree: that of the system plus `ahead` seconds."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{name}.clock"
        self._file.write_bytes(_OFFSET.pack(0))
        with self._file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _OFFSET.size)
        self._library = compiled(folder)
        self.ahead = 0.0

    @property
    def env(self) -> dict[str, str]:
        """What the process tree is started with."""
        return {"LD_PRELOAD": str(self._library), VARIABLE: str(self._file)}

    def set(self, ahead: float) -> None:
        """From now on, for every process that has it: also those that run."""
        self.ahead = ahead
        self._map[:] = _OFFSET.pack(round(ahead * 1e9))

    def step(self, by: float) -> None:
        self.set(self.ahead + by)


def compiled(folder: Path) -> Path:
    """The library; skips the test where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt-get install gcc libc6-dev")
    library = folder / "wall_clock.so"
    if not library.exists():
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return library
