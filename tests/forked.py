"""One of our programs in a process of its own without the time of a start: forked from the test's, with everything
loaded, and given a user, an environment, a folder and descriptors of its own. For tests that are plain functions.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

NOBODY = 65534


@dataclass(frozen=True)
class Forked:
    """How it ended: status (minus a signal's number; None where it had to be killed), and what it wrote."""

    status: int | None
    out: bytes
    err: str


@dataclass(frozen=True)
class Setting:
    """What a program is started with. `prepare` runs in the new process last, before the program: it may close
    descriptors.
    """

    environment: Mapping[str, str]
    folder: str = "/"
    user: int = 0  # 0: as the test
    prepare: Callable[[], None] = lambda: None
    interrupt_after: float | None = None  # seconds until SIGINT
    encoding: str = "utf-8"


def run_forked(main: Callable[[], object], argv: list[str], setting: Setting, within: float = 30.0) -> Forked:
    """Runs `main` to its end, at most `within` seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        started, starts = os.pipe()  # the end of file says that `main` is about to be called
        pid = os.fork()
        if not pid:
            os.close(started)
            _become(main, argv, setting, out.fileno(), err.fileno(), starts)
        os.close(starts)
        with open(started, "rb") as beginning:
            beginning.read()
        status = _wait(pid, setting.interrupt_after, within)
        out.seek(0)
        err.seek(0)
        return Forked(status, out.read(), err.read().decode("utf-8", "replace"))


def _wait(pid: int, interrupt_after: float | None, within: float) -> int | None:
    descriptor = os.pidfd_open(pid)
    try:
        ready = False
        if interrupt_after is not None:
            ready = bool(select.select([descriptor], [], [], interrupt_after)[0])
            if not ready:
                signal.pidfd_send_signal(descriptor, signal.SIGINT)
        if not ready and not select.select([descriptor], [], [], within)[0]:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(descriptor)


def _become(main: Callable[[], object], argv: list[str], setting: Setting, out: int, err: int, starts: int) -> NoReturn:
    """In the new process: never returns to the test."""
    code = 99
    atexit._clear()  # what the test has to do at its end is not this process's
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((null, out, err)):
            os.dup2(descriptor, number)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            raw = open(number, "rb" if number == 0 else "wb", buffering=-1, closefd=False)  # noqa: SIM115
            stream = io.TextIOWrapper(
                raw, encoding=setting.encoding, errors="strict" if number < 2 else "backslashreplace"
            )
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        os.environ.clear()
        os.environ.update(setting.environment)
        time.tzset()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(setting.folder)
        if setting.user:
            os.setgroups([])
            os.setresgid(setting.user, setting.user, setting.user)
            os.setresuid(setting.user, setting.user, setting.user)
        sys.argv = ["program", *argv]
        setting.prepare()
        os.close(starts)
        code = _exit_code(main)
    except KeyboardInterrupt as interrupt:
        # Before the program's first line or after its last one, which is this module's time and not the program's.
        frames = traceback.extract_tb(interrupt.__traceback__)
        code = 130 if frames[-1].filename == __file__ else 99
        if code == 99:
            os.write(2, traceback.format_exc().encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _exit_code(main: Callable[[], object]) -> int:
    """As the interpreter would end: what is still buffered is written, and a failure of that is heard."""
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.write(2, b"Exception ignored in: flush at the end\n")
            code = 120
    return code
