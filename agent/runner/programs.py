"""The file of a program: found, judged and held open, so that what is started is what was judged.

Nobody but root (or the runner's own user) may be able to put another file in its place. So each folder on the way, and
on the way of each link of the chain, has root or that user as owner and no other writer but in a sticky folder; each
link and the file belong to one of the two; and the file behind the links is one that the policies do not deny by its
real name either (`common.policy.real_names`). What a script's first line names is judged the same way.

The file is then known by its descriptor alone: its digest is taken from there, and `process.Spawner` executes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

from agent.runner.walk import Place, walk
from common.policy.machine_checks import MachineChecks
from common.policy.real_names import real_name_objection

MAX_SHOWN_PATH: Final = 300
MAX_DIGEST_BYTES: Final = 256 * 1024 * 1024
"""A program that is larger is not run by a rule with a digest: reading it would hold up every other job."""
_MAX_DIGESTS: Final = 256
_SETTLED: Final = 2.0
"""Seconds after its last change from which a file's digest is kept: within a tick of the clock it could change again
unseen."""
_READ: Final = 1024 * 1024
_MAX_LINE: Final = 255
"""Bytes of a script's first line that every kernel reads (execve(2))."""
_MAX_NESTED: Final = 4
"""Interpreters that are scripts themselves, as the kernel has it."""
_SHOWN_DIGITS: Final = 12


class CannotRun(Exception):
    """A program that must not or cannot be run; `str()` is the reason."""


class UnsafeProgram(CannotRun):
    """A program that somebody else could have put there."""


@dataclass(frozen=True, slots=True)
class OpenProgram:
    """A program that may run. The caller closes the descriptor."""

    asked: str
    real: str  # where it was when it was opened
    descriptor: int  # O_PATH
    status: os.stat_result
    is_script: bool
    pinned: bool = False  # by a digest: then nothing but this descriptor's content may run

    def close(self) -> None:
        os.close(self.descriptor)


def find_program(path: str, uid: int) -> str:
    """The file that `path` names, links resolved, if `uid` may run it; raises CannotRun with the reason."""
    program = open_program(path, uid)
    program.close()
    return program.real


def open_program(
    path: str, uid: int, policies: Sequence[tuple[str, MachineChecks]] = (), slow: Container[str] = ()
) -> OpenProgram:
    """The program that `path` names, if `uid` may run it and the policies (each with its name for people) have
    nothing against it; raises CannotRun with the reason,
    or SlowPlace before it looks at one of `slow`.
    """
    program = _open(path, uid, slow, nested=0)
    try:
        if why := real_name_objection(path, program.real, policies):
            raise CannotRun(f"{path} is really {program.real[:MAX_SHOWN_PATH]}, {why}")
        wanted = [checks.sha256 for _, checks in policies if checks.sha256]
        if wanted:
            found = _digests.of(program)
            for allowed in wanted:
                if found not in allowed:
                    raise CannotRun(_other_content(path, allowed, found))
            return OpenProgram(path, program.real, program.descriptor, program.status, program.is_script, pinned=True)
    except BaseException:
        program.close()
        raise
    return program


def _open(path: str, uid: int, slow: Container[str], nested: int) -> OpenProgram:
    if not os.path.isabs(path):
        raise CannotRun(f"{path} is not an absolute path")
    try:
        place = walk(path, lambda where, status: _judge_way(path, where, status, uid), slow=slow)
    except (OSError, ValueError) as error:
        raise CannotRun(f"{path}: {error_text(error)}{_missing_part(path, error)}") from None
    try:
        status = _judge_file(path, place, uid)
        interpreter = _interpreter(place)
        if interpreter:
            _judge_interpreter(path, interpreter, uid, slow, nested)
    except BaseException:
        os.close(place.descriptor)
        raise
    return OpenProgram(path, place.path, place.descriptor, status, is_script=interpreter is not None)


def _judge_way(path: str, where: str, status: os.stat_result, uid: int) -> None:
    """Whether nobody else can turn this folder's names or this link."""
    if status.st_uid not in (0, uid):
        what = "the link " if stat.S_ISLNK(status.st_mode) else ""
        raise UnsafeProgram(f"{what}{where}, on the way to {path}, belongs to user {status.st_uid}")
    if stat.S_ISLNK(status.st_mode):
        return  # a link has no mode: whether it can be replaced is the folder's to say
    writers = status.st_mode & (0o002 if status.st_gid == 0 else 0o022)
    if writers and not status.st_mode & stat.S_ISVTX:
        raise UnsafeProgram(f"{where}, on the way to {path}, can be written by others than its owner")


def _judge_file(path: str, place: Place, uid: int) -> os.stat_result:
    status = place.status
    if status is None or not stat.S_ISREG(status.st_mode):
        raise CannotRun(f"{path} is not a file")
    if not os.access(place.path, os.X_OK):
        raise CannotRun(f"{path} is not executable")
    if status.st_uid not in (0, uid):
        raise UnsafeProgram(f"{path} belongs to user {status.st_uid}, who is neither root nor the runner's")
    if status.st_mode & 0o022:
        raise UnsafeProgram(f"{path} can be written by others than its owner")
    return status


def _judge_interpreter(path: str, interpreter: str, uid: int, slow: Container[str], nested: int) -> None:
    """What a script's first line names decides what runs, so it must be as safe as the script. What is missing or
    broken is told by the start, with the reason.
    """
    if nested >= _MAX_NESTED:
        return  # the kernel refuses it
    try:
        _open(interpreter, uid, slow, nested + 1).close()
    except UnsafeProgram as unsafe:
        raise UnsafeProgram(f"{path} runs by {interpreter}: {unsafe}") from None
    except CannotRun:
        pass


def _interpreter(place: Place) -> str | None:
    """What the first line of a script names, None for what is no script. A file that cannot be read is none that an
    interpreter could read.
    """
    try:
        descriptor = reopen(place)
    except OSError:
        return None
    try:
        head = os.pread(descriptor, _MAX_LINE + 1, 0)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if not head.startswith(b"#!"):
        return None
    words = head[2:].partition(b"\n")[0].split()
    return os.fsdecode(words[0]) if words else ""


def reopen(place: Place | OpenProgram) -> int:
    """A descriptor of the same file for reading; raises OSError."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        return os.open(f"/proc/self/fd/{place.descriptor}", flags)
    except FileNotFoundError:  # no /proc here: by its name, as long as that still leads to it
        name = place.path if isinstance(place, Place) else place.real
        descriptor = os.open(name, flags | os.O_NOFOLLOW)
        if not os.path.sameopenfile(descriptor, place.descriptor):
            os.close(descriptor)
            raise OSError(errno.ESTALE, "it was replaced meanwhile") from None
        return descriptor


class _Digests:
    """The last digests by what a file is known by. A change of content changes the times, which no one but root can set
    back (ctime), and a file that changed a moment ago is read again each time.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], str] = OrderedDict()

    def of(self, program: OpenProgram) -> str:
        """SHA-256 of the file's content, in hex; raises CannotRun."""
        if program.status.st_size > MAX_DIGEST_BYTES:
            size = MAX_DIGEST_BYTES // 1024**2
            raise CannotRun(f"{program.asked} is larger than the {size} MiB of which a digest is taken")
        try:
            descriptor = reopen(program)
        except OSError as error:
            raise CannotRun(f"{program.asked} cannot be read for its digest: {error_text(error)}") from None
        try:
            return self._of_open(program.asked, descriptor)
        except OSError as error:
            raise CannotRun(f"{program.asked} cannot be read for its digest: {error_text(error)}") from None
        finally:
            os.close(descriptor)

    def _of_open(self, asked: str, descriptor: int) -> str:
        before = _identity(os.fstat(descriptor))
        if known := self._known.get(before):
            return known
        found, taken = hashlib.sha256(), 0
        while data := os.pread(descriptor, _READ, taken):
            found.update(data)
            taken += len(data)
            if taken > MAX_DIGEST_BYTES:
                raise CannotRun(f"{asked} grows while its digest is taken")
        after = os.fstat(descriptor)
        if _identity(after) != before:
            raise CannotRun(f"{asked} changed while its digest was taken")
        if time.time() - max(after.st_mtime, after.st_ctime) > _SETTLED:
            self._known[before] = found.hexdigest()
            while len(self._known) > _MAX_DIGESTS:
                self._known.popitem(last=False)
        return found.hexdigest()


_digests: Final = _Digests()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _other_content(path: str, allowed: frozenset[str], found: str) -> str:
    shown = " or ".join(digest[:_SHOWN_DIGITS] for digest in sorted(allowed)[:3])
    more = f" or {len(allowed) - 3} more" if len(allowed) > 3 else ""
    return (
        f"{path} is not the file that the rule names: its SHA-256 begins with {found[:_SHOWN_DIGITS]}, "
        f"the rule wants {shown}{more}"
    )


def error_text(error: OSError | ValueError) -> str:
    """What went wrong, in the system's own words."""
    return (error.strerror or "").lower() or str(error) if isinstance(error, OSError) else str(error)


def _missing_part(path: str, error: OSError | ValueError) -> str:
    """Which file is missing where it is another one: the end of a link."""
    missing = os.fsdecode(error.filename) if isinstance(error, OSError) and error.filename else path
    if missing == path or path.startswith(f"{missing}/"):
        return ""
    return f" ({missing[:MAX_SHOWN_PATH]}, to which it leads)"
