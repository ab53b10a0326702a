"""Starts programs as another user, for a runner that is root.

A thread of its own does it, which has given up gaining rights (PR_SET_NO_NEW_PRIVS is a thread's, and its children's):
set-user-ID programs raise nobody there, as under the unit of a runner that is not root. The fork and what follows to
the exec are `subprocess`'s own C code: no Python runs in the child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from agent.runner.job_user import JobUser

_PR_SET_NO_NEW_PRIVS: Final = 38


class Forker:
    """For one user. `names` is how they reach the folder of the programs' names, whose own place is the runner's."""

    def __init__(self, user: JobUser, names: str, environment: Mapping[str, str]) -> None:
        self._user = user
        self.environment = {key.encode(): value.encode() for key, value in environment.items()}
        self._folder = -1
        if names:
            with suppress(OSError):
                os.makedirs(names, 0o711, exist_ok=True)
                os.chmod(names, 0o711)  # noqa: S103 - to be passed through by descriptor; its own folder is closed
                self._folder = os.open(names, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.names = f"/proc/self/fd/{self._folder}" if self._folder >= 0 else None
        _ignore_nothing()
        self._thread = ThreadPoolExecutor(1, "forker", initializer=_gain_nothing)

    def close(self) -> None:
        self._thread.shutdown()
        if self._folder >= 0:
            os.close(self._folder)

    def fork(self, path: str, args: Sequence[bytes], environment: Mapping[bytes, bytes], passed: Sequence[int]) -> int:
        """The process id; raises OSError. `passed` are the three standard streams and what keeps its number."""
        return self._thread.submit(self._fork, path, args, environment, passed).result()

    def _fork(self, path: str, args: Sequence[bytes], environment: Mapping[bytes, bytes], passed: Sequence[int]) -> int:
        kept = [descriptor for descriptor in passed[3:] if not os.get_inheritable(descriptor)]
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        try:
            started = subprocess.Popen(
                args,
                executable=path,
                stdin=passed[0],
                stdout=passed[1],
                stderr=passed[2],
                env=environment,
                close_fds=False,  # all of ours are closed by the exec, and the program's own must be open until then
                start_new_session=True,
                user=self._user.uid,
                group=self._user.gid,
                extra_groups=self._user.groups,
            )
        except subprocess.SubprocessError as error:
            raise OSError(str(error)) from None
        finally:
            for descriptor in kept:
                os.set_inheritable(descriptor, False)
        started.returncode = 0  # the runner reaps it: `subprocess` is to wait for nothing
        return started.pid


def _gain_nothing() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # which the forked programs keep
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "a thread cannot give up gaining rights")


def _ignore_nothing() -> None:
    """What is ignored stays so in a forked child; a function that does nothing is the default there."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _do_nothing)


def _do_nothing(number: int, frame: object) -> None:
    """As if it were ignored."""
