"""Which commands only read, as far as this machine can tell by itself. Pure.

Where the journal cannot be written (the disk is read-only, or full with its reserve used up) a job cannot be recorded
before it starts, and after a crash nobody could say that it ran. For a command that changes nothing that is no harm: it
is run from memory, with a note that says so. Everything else is refused then.

The list is exact and on the safe side: a program in one of the system's folders, and of its options none that writes,
sends, ends or sets anything. The hub is not asked: a rule of the hub's may be wrong about this machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

_FOLDERS: Final = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})
_ALWAYS: Final = frozenset(
    {
        *("arch", "cat", "df", "du", "findmnt", "free", "getent", "groups", "head", "id", "iostat", "last", "logname"),
        *("ls", "lsblk", "lscpu", "lsmem", "lsof", "lspci", "lsusb", "md5sum", "mpstat", "nproc", "pgrep", "pidof"),
        *("ps", "pstree", "sha1sum", "sha256sum", "stat", "tail", "uname", "uptime", "users", "vmstat", "w", "wc"),
        *("who", "whoami"),
    }
)
"""Programs that read whatever their options."""

_JOURNAL_ACTS: Final = ("--cursor-file", "--flush", "--new-id", "--relinquish", "--rotate", "--setup", "--smart")
_JOURNAL_ACTS_MORE: Final = ("--sync", "--update", "--vacuum")
_SYSTEMCTL: Final = frozenset(
    {"cat", "is-active", "is-enabled", "is-failed", "list-timers", "list-unit-files", "list-units", "show", "status"}
)
_SYSTEMCTL_OPTIONS: Final = frozenset({"--no-pager", "--all", "-a", "--full", "-l", "--"})


def only_reads(argv: Sequence[str]) -> bool:
    """Whether this command is known to change nothing."""
    folder, name = os.path.split(argv[0])
    if folder not in _FOLDERS:
        return False
    words = argv[1:]
    if name in _ALWAYS:
        return True
    check = _SOMETIMES.get(name)
    return check is not None and check(words)


def _journalctl(words: Sequence[str]) -> bool:
    acts = (*_JOURNAL_ACTS, *_JOURNAL_ACTS_MORE)
    # getopt takes abbreviations: whatever begins as an act does, or is the beginning of one, is no reading.
    long = [word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2]
    return not any(option.startswith(act) or act.startswith(option) for option in long for act in acts)


def _systemctl(words: Sequence[str]) -> bool:
    verbs = [word for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("-")]
    return (
        bool(verbs) and verbs[0] in _SYSTEMCTL and set(options) <= {"--no-pager", "--all", "-a", "--full", "-l", "--"}
    )


def _nothing(words: Sequence[str]) -> bool:
    return not words


def _dmesg(words: Sequence[str]) -> bool:
    return set(words) <= {"-T", "--ctime", "-k", "--kernel", "-u", "--userspace", "-x", "--decode", "-P", "--nopager"}


_SOMETIMES: Final[dict[str, Callable[[Sequence[str]], bool]]] = {
    "date": _nothing,
    "dmesg": _dmesg,
    "hostname": _nothing,
    "journalctl": _journalctl,
    "mount": _nothing,
    "systemctl": _systemctl,
}
"""Programs that read with these words and act with others."""
