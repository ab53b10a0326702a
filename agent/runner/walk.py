"""Where a path leads, found by hand: one name after the other in the folder that was opened before, links read and
followed by us, each folder and link shown to a judge before it is used. The kernel follows nothing.

What comes out holds a descriptor of the very file that was looked at: whoever opens or executes that descriptor gets
this file, whatever happens to the names meanwhile.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

MAX_LINKS: Final = 40
"""Links on one way, as the kernel has it (path_resolution(7))."""
MAX_PARTS: Final = 4_096
"""Names on one way, with those of its links."""
_ONE_NAME: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = _ONE_NAME | os.O_DIRECTORY

_SYS_OPENAT2: Final = 437  # on every architecture
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_UNSUPPORTED: Final = (errno.ENOSYS, errno.EPERM, errno.EINVAL)
"""Of a kernel before 5.6, of a sandbox that knows no openat2, of one that answers for it."""

Judge = Callable[[str, os.stat_result], None]
"""Told of each folder before a name is looked up in it, and of each link before it is followed; raises to end it."""


class SlowPlace(Exception):
    """The way goes into a file system that may keep us waiting; `str()` is where that begins."""


class LeadsNowhere(OSError):
    """`filename` is what is missing, which may be the end of a link."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads. The caller closes the descriptor."""

    path: str  # real: no links, no dots
    descriptor: int  # O_PATH; -1 where nothing is there: `path` is then what would be
    status: os.stat_result | None


def walk(path: str, judge: Judge | None = None, *, missing: bool = False, slow: Container[str] = ()) -> Place:
    """The place that the absolute `path` leads to. Raises OSError, or SlowPlace before it looks at one of `slow`. With
    `missing`, what is not there, or not to be searched by this user, ends the walk, and the rest of the path is taken
    as it is written.
    """
    if "/" in slow:
        raise SlowPlace("/")
    folder, real = os.open("/", _FOLDER), "/"
    parts = _split(path)
    links = taken = 0
    status = os.fstat(folder)
    try:
        while parts:
            part, taken = parts.pop(), taken + 1
            if taken > MAX_PARTS:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
            if judge is not None:
                judge(real, status)
            if part == "..":
                folder, status = _enter(folder, "..", _FOLDER)
                real = os.path.dirname(real)
                continue
            place = os.path.join(real, part)
            if place in slow:
                raise SlowPlace(place)
            try:
                found = os.open(part, _ONE_NAME, dir_fd=folder)
            except OSError as error:
                if missing and error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):
                    os.close(folder)
                    folder = -1
                    return Place(_rest(place, parts), -1, None)
                raise LeadsNowhere(error.errno, error.strerror, place) from None
            status = os.fstat(found)
            if not stat.S_ISLNK(status.st_mode):
                os.close(folder)
                folder, real = found, place
                continue
            try:
                if judge is not None:
                    judge(place, status)
                target = os.readlink("", dir_fd=found)
            finally:
                os.close(found)
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), place)
            if target.startswith("/"):
                root = os.open("/", _FOLDER)
                os.close(folder)
                folder, real = root, "/"
            status = os.fstat(folder)
            parts += _split(target)
    except BaseException:
        if folder >= 0:
            os.close(folder)
        raise
    return Place(real, folder, status)


def open_exactly(path: str) -> int:
    """An O_PATH descriptor of the absolute `path`, in which no part may be a link; raises OSError (ELOOP for one)."""
    try:
        return _openat2(path)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return _open_by_hand(path)


def _open_by_hand(path: str) -> int:
    """The same, name by name, for kernels and sandboxes without openat2."""
    folder = os.open("/", _FOLDER)
    parts = _split(path)
    while parts:
        try:
            folder, status = _enter(folder, parts.pop(), _ONE_NAME)
        except OSError:
            os.close(folder)
            raise
        if stat.S_ISLNK(status.st_mode):
            os.close(folder)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return folder


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_libc: Final = ctypes.CDLL(None, use_errno=True)


def _openat2(path: str) -> int:
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    found: int = _libc.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(-100),  # AT_FDCWD, which an absolute path does not look at
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return found


def _enter(folder: int, part: str, flags: int) -> tuple[int, os.stat_result]:
    """The part's descriptor in exchange for the folder's; where this raises, the folder stays open."""
    found = os.open(part, flags, dir_fd=folder)
    os.close(folder)
    return found, os.fstat(found)


def _split(path: str) -> list[str]:
    """The names of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _rest(place: str, parts: list[str]) -> str:
    """A path of which nothing more is there, with what was still to come, as it is written."""
    return os.path.normpath("/".join((place, *reversed(parts))))
