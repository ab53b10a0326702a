"""What jobs leave behind: processes that go on when the program that was asked for has ended.

The runner is a child subreaper (prctl(2)): a process whose parent dies becomes the runner's child, so none is lost
sight of, whatever session or group it has moved to. Such a process is told with the end of its job, and reaped when it
ends; it is not killed, since a command may be meant to start a service.

Which job it is of is read from its environment (JOB_VARIABLE); where that cannot be read or was overwritten, it is of
the job that ends where no other job can have started it.

A pipe that it holds is not closed: the next write would kill it (SIGPIPE). The pipe is given to a small process that
reads it until it ends, and that outlives this runner.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from agent import log
from agent.runner.process import JOB_VARIABLE

MAX_NAMED: Final = 3
"""Processes that a note names; more are counted."""
_PR_SET_CHILD_SUBREAPER: Final = 36
_MAX_READ: Final = 256 * 1024
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_READERS: Final = ("/usr/bin/cat", "/bin/cat")
MAX_DRAINS: Final = 64
"""Pipes that are read on at a time; one more is closed."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process that a job left behind."""

    pid: int
    name: str


def become_subreaper() -> bool:
    """Makes this process the parent of its descendants' orphans; False where the system does not allow it."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
            return True
        why = os.strerror(ctypes.get_errno())
    except (OSError, AttributeError) as error:
        why = str(error)
    log.warning("orphans.unwatched", why=why)
    return False


class Orphans:
    """The processes that became this process's children, and the readers of their pipes."""

    def __init__(self, *, watching: bool) -> None:
        """`watching`: this process is a subreaper, and every child of it that is no program of a job is an orphan."""
        self._watching = watching
        self._told: set[int] = set()  # of which a job's end has said that they go on
        self._drains: set[int] = set()

    def hand_over(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The orphans that were told, and the readers of pipes, for the process that takes over."""
        return tuple(sorted(self._told)), tuple(sorted(self._drains))

    def resume(self, told: Iterable[int], drains: Iterable[int]) -> None:
        """Goes on with those of the process that this one took over from."""
        self._told.update(told)
        self._drains.update(drains)

    def left_by(self, job: str, group: int, since_boot: float, running: Collection[int]) -> tuple[Leftover, ...]:
        """The processes that `job`, which began at `since_boot`, has left; told once. What is in its process group
        `group` has been killed, and may only need a moment to go. `running` are the programs of the other jobs: without
        any, a process that does not say whose it is can only be of this one.
        """
        if not self._watching:
            return ()
        children = _children()
        self._told &= children
        found = []
        for pid in sorted(children - self._told - self._drains - set(running)):
            whose = _job_of(pid)
            mine = whose == job if whose else not running and _started_at(pid) >= since_boot - 0.1
            if mine and (name := _name_of(pid, group)):
                self._told.add(pid)
                found.append(Leftover(pid, name))
        return tuple(found)

    def drain(self, pipe: int) -> bool:
        """Gives a pipe to a process that reads it to its end; False where there is none, and the caller closes it."""
        if len(self._drains) >= MAX_DRAINS:
            return False
        reader = next((path for path in _READERS if os.access(path, os.X_OK)), None)
        if reader is None:
            return False
        try:
            os.set_blocking(pipe, True)
            pid = os.posix_spawn(
                reader,
                ["cat"],
                {"LANG": "C"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, pipe, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
            )
        except OSError as error:
            log.warning("orphans.no_reader", error=error)
            return False
        self._drains.add(pid)
        return True

    def reap(self, running: Collection[int]) -> int:
        """Collects the readers and orphans that have ended, never one of `running`, whose exit status the supervisor
        collects. How many there were.
        """
        count = sum(self._collect(pid) for pid in list(self._drains))
        while self._watching:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            # One of the running programs hides what is behind it: it is reaped first, and we are called again then.
            if found is None or found.si_pid in running or not self._collect(found.si_pid):
                break
            count += 1
        return count

    def _collect(self, pid: int) -> bool:
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            self._drains.discard(pid)
            self._told.discard(pid)
        return bool(ended)


def describe_leftovers(left: Iterable[Leftover]) -> str:
    """`4711 python3, 4712 sh`, as the note `left` has it."""
    every = list(left)
    named = ", ".join(f"{one.pid} {one.name}" for one in every[:MAX_NAMED])
    return named if len(every) <= MAX_NAMED else f"{named} +{len(every) - MAX_NAMED}"


def _children() -> set[int]:
    """The children of this process, as far as the kernel says (proc_pid_task_children, CONFIG_PROC_CHILDREN)."""
    found: set[int] = set()
    try:
        for thread in os.listdir("/proc/self/task"):
            found.update(map(int, _read(f"/proc/self/task/{thread}/children").split()))
    except (OSError, ValueError):
        pass
    return found


def _job_of(pid: int) -> str:
    """The job that the process's environment names; "" where it names none or cannot be read."""
    prefix = JOB_VARIABLE.encode() + b"="
    try:
        environment = _read(f"/proc/{pid}/environ")
    except OSError:
        return ""
    found = next((entry for entry in environment.split(b"\0") if entry.startswith(prefix)), b"")
    return found.removeprefix(prefix).decode("ascii", "replace")


def _started_at(pid: int) -> float:
    """When the process was started, in seconds since boot; 0 where that cannot be read."""
    try:
        return int(_stat(pid)[19]) / _TICKS
    except (OSError, ValueError, IndexError):
        return 0.0


def _name_of(pid: int, group: int) -> str:
    """The name of a process that goes on; "" where it has ended, or is in a group that was killed."""
    try:
        state, _, its_group, *_ = _stat(pid)
        if state in (b"Z", b"X") or int(its_group) == group:
            return ""
        name = _read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    except (OSError, ValueError):
        return ""
    return "".join(char if char.isprintable() else "?" for char in name) or "?"


def _stat(pid: int) -> list[bytes]:
    """proc_pid_stat(5) from its third field on, which is the first behind the name."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, _MAX_READ)
    except OSError as error:
        if error.errno == errno.ESRCH:
            return b""
        raise
    finally:
        os.close(file)
