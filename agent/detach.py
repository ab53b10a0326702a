"""Starts the runner so that it outlives its starter: `answerback-agent run` on a machine without systemd.

The runner gets a session of its own (no terminal's signal reaches it), no descriptor of ours but its log, and the
option to exit when no uplink is attached and no job runs. It is started with `posix_spawn` and not with subprocess or
asyncio, whose objects expect to outlive the child and would end or wait for it.
"""

from __future__ import annotations

import os
import signal
import site
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from agent import log
from agent.re_exec import NextProgram
from agent.restarts import SERVED_FOR, RestartBackoff, RunnerDown
from agent.state import StateFolder
from common.errors import UserError
from common.files import create_folder

_NOT_INHERITED: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN"})


def self_command(*arguments: str) -> list[str]:
    """The argument vector that runs this program in another process; -P keeps the working directory off sys.path."""
    return [sys.executable, "-P", "-m", "agent", *arguments]


def child_environment() -> dict[str, str]:
    """The environment for it: without variables meant for this process; PYTHONPATH added where we are not installed."""
    return {key: value for key, value in own_environment().items() if key not in _NOT_INHERITED}


def own_environment() -> dict[str, str]:
    """The environment in which this very process may become the program that is installed now."""
    environment = dict(os.environ)
    root, before = Path(__file__).resolve().parent.parent, environment.get("PYTHONPATH", "")
    known = [*site.getsitepackages(), *filter(None, before.split(os.pathsep))]
    if not any(Path(folder).resolve() == root for folder in known):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), before)))
    return environment


def next_program(arguments: Sequence[str], question: Sequence[str]) -> NextProgram:
    """What is installed under the name of this program, whichever version that is by then."""
    return NextProgram(tuple(self_command(*arguments)), tuple(self_command(*question)), own_environment())


class RunnerProcess:
    """The runner that this process started, if it did. It outlives every end of its runner."""

    def __init__(
        self,
        state: StateFolder,
        socket: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._socket = socket
        self._clock = clock
        self._wall_clock = wall_clock
        self._backoff = RestartBackoff()
        self._pid = 0
        self._started = 0.0
        self._down: RunnerDown | None = None

    @property
    def pid(self) -> int:
        """Of the runner that this process has started; 0 where it has none."""
        return self._pid

    def adopt(self, pid: int) -> None:
        """A runner that this process has started before it became this program."""
        try:
            ended = bool(pid) and os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return
        if not ended:
            self._pid, self._started = pid, self._clock()

    def ensure_started(self) -> RunnerDown | None:
        """Starts a runner unless the last one still lives, or it is too early for the next. None where one was started
        and may be about to serve.
        """
        if self._pid:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if not ended:
                return None
            self._pid = 0
            self._note_end(_how_it_ended(os.waitstatus_to_exitcode(status)))
        if self._clock() >= self._backoff.due:
            self._start()
        return self._down if not self._pid else None

    def _note_end(self, why: str) -> None:
        said = last_line(self._state.runner_log)
        log.error("runner.ended", why=why, last_line=said, log=self._state.runner_log)
        self._wait(f"{why}: {said}" if said else why, lived=self._clock() - self._started)

    def _wait(self, why: str, lived: float) -> None:
        now = self._wall_clock()
        wait = self._backoff.ended(self._clock(), lived)
        since = self._down.since if self._down is not None and lived < SERVED_FOR else now
        self._down = RunnerDown(since, why, now + wait)

    def _start(self) -> None:
        try:
            self._spawn()
        except UserError as error:
            log.error("runner.not_started", reason=error.problem, cure=error.cure)
            self._wait(f"{error.problem}; {error.cure}", lived=0.0)

    def _spawn(self) -> None:
        create_folder(self._state.runtime_folder)
        command = self_command("runner", "--state", str(self._state.path), "--socket", str(self._socket))
        command += ["--exit-when-idle", "--log", str(self._state.runner_log)]
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                command,
                child_environment(),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(self._state.runner_log), append, 0o600),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP),
            )
        except OSError as error:
            cure = f"see {self._state.runtime_folder}"
            raise UserError(f"cannot start the runner ({error.strerror})", cure) from None
        self._started = self._clock()
        log.info("runner.started", pid=self._pid, log=self._state.runner_log)


def _how_it_ended(status: int) -> str:
    return f"the runner was ended by signal {-status}" if status < 0 else f"the runner ended with status {status}"


def last_line(file: Path) -> str:
    """The last line of a log, at most 4 KiB of it; "" where there is none."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - 4096))
            lines = opened.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return "".join(char if char.isprintable() else "?" for char in lines[-1]) if lines else ""
