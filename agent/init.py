"""The duties of process 1, where the agent is the only program of a container.

Process 1 inherits every orphan of its container and must reap it, and the kernel delivers to it only signals that it
handles. A program that has children of its own cannot do that for strangers without taking their exit statuses from its
libraries, so process 1 stays a small parent: it starts the program as a child, passes signals on, reaps whatever ends,
and exits as the child did. The kernel ends all that is left with process 1; so when the child has ended, a runner is
asked to end first (twice: then it kills its jobs and writes down how each ended).
"""

from __future__ import annotations

import os
import signal
import time
from typing import Final

_PASSED_ON: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
GRACE: Final = (3.0, 3.0)
"""Seconds after each of the two requests to end; together less than the ten that a container is commonly given."""


def become_child_of_init() -> None:
    """In process 1: goes on in a child, while process 1 itself stays behind and exits as that did. Else nothing."""
    if os.getpid() == 1:
        split(GRACE)


def split(grace: tuple[float, ...]) -> None:
    """Returns in a child; this process stays behind, reaps, and does not return."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # a terminal's Ctrl-C comes once, by way of process 1
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        return
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _: _send(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    status = reap_until(child)
    _end_the_rest(grace)
    os._exit(status if status >= 0 else 128 - status)


def reap_until(child: int) -> int:
    """Reaps children, whosever they were, until `child` ends; its exit code, or minus the signal that ended it."""
    while True:
        try:
            ended, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return 1  # somebody else has taken it
        if ended == child:
            return os.waitstatus_to_exitcode(status)


def _end_the_rest(grace: tuple[float, ...]) -> None:
    """Asks the children that are left to end, as often as `grace` has seconds to wait for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for seconds in grace:
        for pid in _children():
            _send(pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return  # nobody is left
            signal.sigtimedwait([signal.SIGCHLD], left)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except (OSError, ValueError):
        return []


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
