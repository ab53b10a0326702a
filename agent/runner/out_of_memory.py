"""Whether the kernel has ended a process for want of memory: the reason that a SIGKILL from nowhere does not give."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_VMSTAT: Final = Path("/proc/vmstat")


class OutOfMemory:
    """Compares the kernel's count of such ends (`oom_kill` in /proc/vmstat) with the last time it was asked."""

    def __init__(self, file: Path = _VMSTAT) -> None:
        self._file = file
        self._kills = self._count()

    def has_killed(self) -> bool:
        before, self._kills = self._kills, self._count()
        return self._kills > before

    def _count(self) -> int:
        try:
            for line in self._file.read_text(encoding="ascii").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
        except (OSError, ValueError):
            pass  # hidden in this container
        return 0
