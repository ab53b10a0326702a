"""Starts a program without a shell, in a session of its own; kills its process group; reaps it.

A job inherits from the runner: user and groups, resource limits (no core file), the cgroup, umask 077. It does not
inherit: environment, working directory, descriptors, signal dispositions and mask, protection from the OOM killer.

Programs are started by `posix_spawn` with file actions. On Linux that shares the address space until the exec, so the
cost does not grow with the runner, and a program that cannot be executed raises here instead of leaving a dead child.

A process that leaves the group (a daemon that calls setsid) cannot be killed here; under systemd the unit's cgroup
contains it.
"""

from __future__ import annotations

import os
import pwd
import resource
import signal
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
JOB_VARIABLE: Final = "ANSWERBACK_JOB"
"""In the environment of every job: its id, by which a process that it leaves behind is known as its own."""
RESERVED_VARIABLES: Final = frozenset({"PATH", "HOME", "USER", "TERM", JOB_VARIABLE})
"""Variables that an order may not set: programs find other programs and their configuration by them."""
_IGNORABLE: Final = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MAX_DESCRIPTORS: Final = 65_536
MAX_SHOWN_PATH: Final = 300


class CannotRun(Exception):
    """A program that must not or cannot be run; `str()` is the reason."""


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


def find_program(path: str, uid: int) -> str:
    """The file that `path` names, links resolved, if `uid` may run it; raises CannotRun with the reason.

    Nobody but root (or the runner's own user) may be able to replace it: the file, and every folder on the way to it,
    has root or `uid` as owner and no other writer. Execute the returned path, so that no link can be changed in
    between.
    """
    if not os.path.isabs(path):
        raise CannotRun(f"{path} is not an absolute path")
    try:
        real = os.path.realpath(path, strict=True)
        found = os.lstat(real)
    except (OSError, ValueError) as error:
        raise CannotRun(f"{path}: {_error_text(error)}{_missing_part(path, error)}") from None
    if not stat.S_ISREG(found.st_mode):
        raise CannotRun(f"{path} is not a file")
    if not os.access(real, os.X_OK):
        raise CannotRun(f"{path} is not executable")
    if found.st_uid not in (0, uid):
        raise CannotRun(f"{path} belongs to user {found.st_uid}, who is neither root nor the runner's")
    if found.st_mode & 0o022:
        raise CannotRun(f"{path} can be written by others than its owner")
    folder = real
    while folder != "/":
        folder = os.path.dirname(folder)
        found = os.lstat(folder)
        if found.st_uid not in (0, uid):
            raise CannotRun(f"{folder}, on the way to {path}, belongs to user {found.st_uid}")
        writers = found.st_mode & (0o002 if found.st_gid == 0 else 0o022)
        if writers and not found.st_mode & stat.S_ISVTX:
            raise CannotRun(f"{folder}, on the way to {path}, can be written by others than its owner")
    return real


def open_folder(path: str) -> int:
    """A descriptor of the directory, opened part by part, never through a symbolic link; raises CannotEnter."""
    if not path.startswith("/"):
        raise CannotEnter(f"{path} is not an absolute path")
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open("/", flags)
    try:
        for part in filter(None, path.split("/")):
            if part in (".", ".."):
                raise CannotEnter(f"{path} holds {part}")
            deeper = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = deeper
        # Entering needs search permission, which O_PATH does not check.
        if not os.access(".", os.X_OK, dir_fd=folder):
            raise CannotEnter(f"{path}: permission denied")
    except (OSError, ValueError) as error:
        os.close(folder)
        raise CannotEnter(f"{path}: {_error_text(error)} (symbolic links are not followed)") from None
    except CannotEnter:
        os.close(folder)
        raise
    return folder


def base_environment() -> dict[str, str]:
    """The environment of every job, before the order's own variables; nothing comes from the runner's environment."""
    try:
        user = pwd.getpwuid(os.geteuid())
        name, home = user.pw_name, user.pw_dir
    except KeyError:
        name, home = str(os.geteuid()), "/"
    return {"PATH": DEFAULT_PATH, "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb", "USER": name}


class Spawner:
    """Starts programs. For one thread only: each start changes the process's working directory for a moment."""

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._home = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._environment = {key.encode(): value.encode() for key, value in base_environment().items()}
        self._oom_protected = _oom_score_adj() < 0

    def close(self) -> None:
        os.close(self._null)
        os.close(self._home)

    def spawn(self, program: str, argv: Iterable[str], env: Iterable[tuple[str, str]], folder: int) -> ChildProcess:
        """Starts `program` in the directory of the descriptor `folder`; raises OSError, and then nothing was
        started.
        """
        args = [arg.encode() for arg in argv]
        environment = self._environment | {key.encode(): value.encode() for key, value in env}
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
            pid = self._start(program.encode(), args, environment, folder, out_end, err_end)
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
        self, program: bytes, args: list[bytes], environment: dict[bytes, bytes], folder: int, out: int, err: int
    ) -> int:
        os.fchdir(folder)
        try:
            pid = os.posix_spawn(
                program,
                args,
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, self._null, 0),
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=_IGNORABLE,
            )
        finally:
            os.fchdir(self._home)
        if self._oom_protected:
            _set_oom_score_adj(pid, 0)
        return pid


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


def _missing_part(path: str, error: OSError | ValueError) -> str:
    """Which file is missing where it is another one: the end of a link."""
    missing = os.fsdecode(error.filename) if isinstance(error, OSError) and error.filename else path
    if missing == path or path.startswith(f"{missing}/"):
        return ""
    return f" ({missing[:MAX_SHOWN_PATH]}, to which it leads)"


def _error_text(error: OSError | ValueError) -> str:
    return (error.strerror or "").lower() or str(error) if isinstance(error, OSError) else str(error)
