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
from pathlib import Path
from typing import Final

from agent import log
from agent.state import StateFolder
from common.errors import UserError, WorkFailed
from common.files import create_folder

_NOT_INHERITED: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN"})
_EARLY_EXIT_WITHIN: Final = 10.0


def self_command(*arguments: str) -> list[str]:
    """The argument vector that runs this program in another process; -P keeps the working directory off sys.path."""
    return [sys.executable, "-P", "-m", "agent", *arguments]


def child_environment() -> dict[str, str]:
    """The environment for it: without variables meant for this process; PYTHONPATH added where we are not installed."""
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    root = str(Path(__file__).resolve().parent.parent)
    if root not in site.getsitepackages():
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH", ""))))
    return environment


class RunnerProcess:
    """The runner that this process started, if it did."""

    def __init__(self, state: StateFolder, socket: Path) -> None:
        self._state = state
        self._socket = socket
        self._pid = 0
        self._started = 0.0
        self._starts = 0

    def ensure_started(self) -> None:
        """Starts a runner unless the last one still lives.

        Raises WorkFailed where the first runner exited with an error within ten seconds, UserError where none can
        start.
        """
        if self._pid:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if not ended:
                return
            self._pid = 0
            self._report_exit(os.waitstatus_to_exitcode(status))
        self._spawn()

    def _report_exit(self, status: int) -> None:
        if status == 0:
            log.info("runner.ended", status=status)
            return
        last = last_line(self._state.runner_log)
        if self._starts == 1 and time.monotonic() - self._started < _EARLY_EXIT_WITHIN:
            raise WorkFailed(f"the runner ended with status {status}", last or f"see {self._state.runner_log}")
        log.error("runner.ended", status=status, last_line=last, log=self._state.runner_log)

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
        self._starts += 1
        self._started = time.monotonic()
        log.info("runner.started", pid=self._pid, log=self._state.runner_log)


def last_line(file: Path) -> str:
    """The last line of a log, at most 4 KiB of it; "" where there is none."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - 4096))
            lines = opened.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return "".join(char if char.isprintable() else "?" for char in lines[-1]) if lines else ""
