"""Which file systems may keep us waiting: those that ask another machine or another process.

A look at a path there can take for ever, and the runner has one thread for all jobs. `SlowMounts` knows them by their
kind from /proc/self/mountinfo (proc_pid_mountinfo(5)), without touching them.
"""

from __future__ import annotations

import os
import re
import select
from typing import Final

_SLOW: Final = frozenset(
    {
        *("9p", "afs", "autofs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
        *("nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs"),
    }
)
_MAX_BYTES: Final = 16 * 1024 * 1024
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class SlowMounts:
    """The places where such file systems are mounted, read again when the kernel says that mounts have changed."""

    def __init__(self, path: str = "/proc/self/mountinfo") -> None:
        self._places: frozenset[str] | None = None
        self._poll = select.poll()
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._descriptor, select.POLLPRI)
        except OSError:  # no /proc: nothing is known of any
            self._descriptor = -1

    def __contains__(self, place: object) -> bool:
        """Whether such a file system begins at this absolute path."""
        if self._descriptor >= 0 and (self._places is None or self._poll.poll(0)):
            self._places = read_slow_places(self._read())
        return place in (self._places or ())

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _read(self) -> bytes:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        parts, size = [], 0
        while size < _MAX_BYTES and (part := os.read(self._descriptor, 65_536)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)


def read_slow_places(table: bytes) -> frozenset[str]:
    """The mount points of mountinfo whose file systems may keep us waiting. Pure."""
    found: set[str] = set()
    for line in table.splitlines():
        fields, _, kind = line.partition(b" - ")
        words = fields.split(b" ")
        name = os.fsdecode(kind.split(b" ", 1)[0])
        if len(words) > 4 and (name in _SLOW or name.split(".")[0] in ("fuse", "fuseblk")):
            found.add(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), os.fsdecode(words[4])))
    return frozenset(found)
