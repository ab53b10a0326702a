"""Sealed files in one folder, bounded in files and bytes; what was not used for longest goes first.

A file is named by its key's digest and sealed for that name, so one that was changed, cut off by a crash or put in the
place of another does not open, and is removed. It is written under another name and renamed: there is never half a file
under a real name. Nothing is synced: what a power cut takes from a cache is made again. The modification time is the
time of last use, so that the order outlives a restart.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from common.identity.sealing import Sealer, UnsealError, context
from hub.core.lru import Lru

_NAME: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BLOCK: Final = 4096
"""A file takes up whole blocks; counted so, the bound is what the disk has to give."""


class DiskCache:
    """Blocking: for a worker thread. One at a time."""

    def __init__(self, folder: Path, sealer: Sealer, entries: int, size: int) -> None:
        """`size`: bytes on disk. The folder is made with the first file."""
        self._folder = folder
        self._sealer = sealer
        self._sizes: Lru[str, int] = Lru(entries, size)  # name -> bytes on disk
        self.corrupt = 0
        self._scan()

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._sizes.size

    @property
    def evicted(self) -> int:
        return self._sizes.evicted

    def get(self, name: str) -> bytes | None:
        """What was put there; a file that does not open is removed, and as if it had never been."""
        size = self._sizes.get(name)
        if size is None:
            return None
        path = self._folder / name
        try:
            value = self._sealer.open(_read(path, size), context("plan_cache", "value", name))
            os.utime(path)
        except UnsealError:
            self.corrupt += 1
            self.drop(name)
            return None
        except OSError:
            self.drop(name)
            return None
        return value

    def put(self, name: str, value: bytes) -> None:
        """Keeps it; a disk that is full or gone keeps nothing, and nobody is told: it is a cache."""
        self.drop(name)
        blob = self._sealer.seal(value, context("plan_cache", "value", name))
        self._add(name, len(blob))
        if name not in self._sizes:
            return
        part = self._folder / f"{name}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_bytes(blob)
            part.chmod(0o600)
            part.replace(self._folder / name)
        except OSError:
            self._sizes.pop(name)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        self._sizes.pop(name)
        self._remove(name)

    def clear(self) -> None:
        for name in list(self._sizes):
            self.drop(name)

    def _add(self, name: str, length: int) -> None:
        """Counts a file of so many bytes, if it fits at all; removes those that made room."""
        size = -(-length // _BLOCK) * _BLOCK
        for removed in self._sizes.put(name, size, size):
            self._remove(removed)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)

    def _scan(self) -> None:
        """Takes stock of the folder: removes what a crash left half written, and what is beyond the bounds."""
        found: list[tuple[float, str, int]] = []
        with suppress(OSError):
            for entry in os.scandir(self._folder):
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, entry.name, status.st_size))
                elif entry.name.endswith(".part"):
                    with suppress(OSError):
                        os.unlink(entry.path)
        for _, name, length in sorted(found):
            self._add(name, length)
            if name not in self._sizes:
                self._remove(name)  # larger than all of the cache may be
        self._sizes.evicted = 0


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit + 1)
