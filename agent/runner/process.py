"""Starts a program without a shell, in a session of its own; kills its process group; reaps it.

A job inherits from the runner: user and groups, resource limits (no core file), the cgroup, umask 077. It does not
inherit: environment, working directory, descriptors, signal dispositions and mask, protection from the OOM killer.

Programs are started by `posix_spawn` with file actions. On Linux that shares the address space until the exec, so the
cost does not grow with the runner, and a program that cannot be executed raises here instead of leaving a dead child.

What is executed is the descriptor that was judged (`programs`), through /proc/self/fd, so that nothing can be put in
its place between the check and the start. Two kinds cannot be had that way, and are started by their real path:

    a script           whose interpreter opens it again by the name it is given, and which looks for its neighbours by
                       that name; one that a rule knows by its digest is started by descriptor all the same
    without /proc      as in some containers

For those the path is compared with what was judged right after the start, and what came in its place is killed. Only
root and the runner's own user could have put it there.

A job of another user than the runner's, which then is root (`agent.runner.job_user`), is forked (`forker`).

A process that leaves the group (a daemon that calls setsid) cannot be killed here; under systemd the unit's cgroup
contains it.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from agent.runner.job_user import JobUser, own_user
from agent.runner.programs import OpenProgram, error_text
from agent.runner.walk import SlowPlace

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
JOB_VARIABLE: Final = "ANSWERBACK_JOB"
"""In the environment of every job: its id, by which a process that it leaves behind is known as its own."""
RESERVED_VARIABLES: Final = frozenset({"PATH", "HOME", "USER", "TERM", JOB_VARIABLE})
"""Variables that an order may not set: programs find other programs and their configuration by them."""
_IGNORABLE: Final = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MAX_DESCRIPTORS: Final = 65_536


class CannotEnter(Exception):
    """A working directory that does not exist or lies behind a symbolic link; `str()` is the reason."""


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """A running program. The caller closes the descriptors."""

    pid: int  # also its process group and session, until it is reaped
    pidfd: int
    out: int
    err: int


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a program ended."""

    code: int | None
    signal: int | None
    cpu_user: float
    cpu_system: float
    max_rss: int  # bytes; 0 where it is not above the runner's own, which the kernel counts until the exec


def open_folder(path: str, slow: Container[str] = ()) -> int:
    """A descriptor of the directory, opened part by part, never through a symbolic link; raises CannotEnter, or
    SlowPlace before it looks at one of `slow`.
    """
    if not path.startswith("/"):
        raise CannotEnter(f"{path} is not an absolute path")
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder, place = os.open("/", flags), ""
    try:
        for part in filter(None, path.split("/")):
            if part in (".", ".."):
                raise CannotEnter(f"{path} holds {part}")
            place = f"{place}/{part}"
            if place in slow:
                raise SlowPlace(place)
            deeper = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = deeper
        # Entering needs search permission, which O_PATH does not check.
        if not os.access(".", os.X_OK, dir_fd=folder):
            raise CannotEnter(f"{path}: permission denied")
    except (OSError, ValueError) as error:
        os.close(folder)
        raise CannotEnter(f"{path}: {error_text(error)} (symbolic links are not followed)") from None
    except (CannotEnter, SlowPlace):
        os.close(folder)
        raise
    return folder


def base_environment(user: JobUser | None = None) -> dict[str, str]:
    """The environment of every job, before the order's own variables; nothing comes from the runner's environment."""
    who = user or own_user()
    return {"PATH": DEFAULT_PATH, "HOME": who.home, "LANG": "C.UTF-8", "TERM": "dumb", "USER": who.name}


class StartsAsOther(Protocol):
    """Starts programs as the one other user that a runner that is root has jobs of."""

    names: str | None  # how that user reaches the folder of the programs' names
    environment: dict[bytes, bytes]

    def fork(self, path: str, args: Sequence[bytes], environment: Mapping[bytes, bytes], passed: Sequence[int]) -> int:
        """The process id; raises OSError. `passed` are the three standard streams and what keeps its number."""

    def close(self) -> None: ...


class Spawner:
    """Starts programs. For one thread only: each start changes the process's working directory for a moment.

    The kernel names a process after the last part of the path that was executed, which would be a number. So `names` is
    a folder of links, each with a program's name and all to the one descriptor `_slot`, which is made to be the program
    that is being started. Without the folder, or where it cannot be written, processes have that number as their name.
    """

    def __init__(self, names: str = "", others: StartsAsOther | None = None) -> None:
        """`others` starts the jobs of another user, where the runner is root (`agent.runner.forker`)."""
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._slot = os.dup(self._null)
        self._by_slot = f"/proc/self/fd/{self._slot}"
        self._has_proc = os.path.exists(self._by_slot)
        self._names = os.path.abspath(names) if names else ""
        if names:
            with suppress(OSError):
                os.mkdir(names, 0o700)
        self._environment = {key.encode(): value.encode() for key, value in base_environment().items()}
        self._oom_protected = _oom_score_adj() < 0
        self._others = others

    def close(self) -> None:
        if self._others is not None:
            self._others.close()
        for descriptor in (self._null, self._home, self._slot):
            os.close(descriptor)

    def spawn(
        self,
        program: OpenProgram,
        argv: Iterable[str],
        env: Iterable[tuple[str, str]],
        folder: int,
        kept: Iterable[int] = (),
        *,
        uid: int | None = None,
    ) -> ChildProcess:
        """Starts `program` in the directory of the descriptor `folder`, with the descriptors `kept` under the numbers
        they have here; raises OSError, and then nothing was started, or what was has been killed. `uid` is whose it
        will be: the runner's own user, or the other one that this was made for.
        """
        args = [arg.encode() for arg in argv]
        forker = None if uid in (None, os.geteuid()) else self._others
        if forker is None and uid not in (None, os.geteuid()):
            raise PermissionError(errno.EPERM, "no process is started as another user here")
        base = self._environment if forker is None else forker.environment
        environment = base | {key.encode(): value.encode() for key, value in env}
        out, out_end = os.pipe2(os.O_CLOEXEC)
        try:
            err, err_end = os.pipe2(os.O_CLOEXEC)
        except OSError:
            os.close(out)
            os.close(out_end)
            raise
        pid = 0
        try:
            os.set_blocking(out, False)
            os.set_blocking(err, False)
            pid = self._start(program, args, environment, folder, (out_end, err_end, *kept), forker)
            pidfd = os.pidfd_open(pid)
        except OSError:
            if pid:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(out_end)
            os.close(err_end)
        return ChildProcess(pid, pidfd, out, err)

    def _start(
        self,
        program: OpenProgram,
        args: list[bytes],
        environment: dict[bytes, bytes],
        folder: int,
        passed: tuple[int, ...],
        forker: StartsAsOther | None,
    ) -> int:
        """`passed` are the ends of the pipes, and what keeps its number."""
        path = self._path_of(program, None if forker is None else forker.names)
        if path != program.real and program.is_script:
            passed += (self._slot,)  # the interpreter opens it again
        os.dup2(program.descriptor, self._slot, inheritable=False)
        os.fchdir(folder)
        try:
            pid = (
                forker.fork(path, args, environment, (self._null, *passed))
                if forker
                else os.posix_spawn(
                    path,
                    args,
                    environment,
                    file_actions=(
                        (os.POSIX_SPAWN_DUP2, self._null, 0),
                        (os.POSIX_SPAWN_DUP2, passed[0], 1),
                        (os.POSIX_SPAWN_DUP2, passed[1], 2),
                        *((os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in passed[2:]),
                    ),
                    setsid=True,
                    setsigmask=(),
                    setsigdef=_IGNORABLE,
                )
            )
        finally:
            os.fchdir(self._home)
            os.dup2(self._null, self._slot, inheritable=False)  # no program is kept open longer than it takes
        if path == program.real:
            _kill_a_replacement(pid, program)
        if self._oom_protected:
            _set_oom_score_adj(pid, 0)
        return pid

    def _path_of(self, program: OpenProgram, seen: str | None) -> str:
        """The path to execute. `seen` is how the folder of names is reached by whoever may not come to it."""
        if not self._has_proc or (program.is_script and not program.pinned):
            return program.real
        if program.is_script or not self._names:
            return self._by_slot
        name = os.path.join(self._names, os.path.basename(program.real))
        shown = name if seen is None else os.path.join(seen, os.path.basename(name))
        try:
            if os.readlink(name) == self._by_slot:
                return shown
            os.unlink(name)  # of a runner before this one
        except OSError:
            pass  # there is none
        try:
            os.symlink(self._by_slot, name)
        except OSError:
            return self._by_slot
        return shown


def _kill_a_replacement(pid: int, program: OpenProgram) -> None:
    """For a program that was started by its path: raises where that leads to another file by now."""
    try:
        now = os.stat(program.real, follow_symlinks=False)
        same = os.path.samestat(now, program.status) and now.st_ctime_ns == program.status.st_ctime_ns
    except OSError:
        same = False
    if not same:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        why = "its file was replaced while it was started, and what came in its place was stopped"
        raise OSError(errno.ESTALE, why, program.real)


def has_exited(child: ChildProcess) -> bool:
    """Whether the program has ended; does not reap it."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def signal_group(child: ChildProcess, number: int) -> None:
    """Sends a signal to the whole group. The leader must not be reaped yet: until then the id cannot be reused."""
    try:
        os.killpg(child.pid, number)
        if number == signal.SIGTERM:
            os.killpg(child.pid, signal.SIGCONT)  # a stopped program could not answer
    except ProcessLookupError:
        pass


def reap(child: ChildProcess) -> ExitStatus:
    """For a program that has exited: kills the rest of its group, then collects its exit status."""
    signal_group(child, signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return ExitStatus(
        code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        cpu_user=usage.ru_utime,
        cpu_system=usage.ru_stime,
        max_rss=usage.ru_maxrss * 1024 if usage.ru_maxrss > own else 0,
    )


def is_alive(pid: int, since_boot: float) -> bool:
    """Whether process `pid` runs and was started at `since_boot` (CLOCK_BOOTTIME, within 0.1 s); pids are reused."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        # proc_pid_stat(5): field 3 is the first after the name, field 22 the start time in clock ticks.
        return fields[0] not in (b"Z", b"X") and abs(int(fields[19]) / _TICKS - since_boot) < 0.1
    except (OSError, ValueError, IndexError):
        return False


def prepare_process() -> int:
    """Prepares this process as the parent of jobs: no core files, umask 077, no inherited descriptors. Returns the old
    umask.
    """
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # where it is ignored, as under some parents, exit statuses are thrown away
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    for descriptor in _open_descriptors():
        if descriptor > 2:
            try:
                os.set_inheritable(descriptor, False)
            except OSError:
                pass  # the one that listed the folder
    return os.umask(0o077)


def _open_descriptors() -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except (OSError, ValueError):  # no /proc in this container: try all that there can be
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return range(min(soft, _MAX_DESCRIPTORS) if soft > 0 else _MAX_DESCRIPTORS)


def _oom_score_adj() -> int:
    try:
        with open("/proc/self/oom_score_adj", encoding="ascii") as file:
            return int(file.read(16))
    except (OSError, ValueError):
        return 0


def _set_oom_score_adj(pid: int, value: int) -> None:
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError:
        pass  # it has ended already
