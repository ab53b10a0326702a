"""Starting the runner so that it outlives whoever started it: `answerback-agent run` on a machine without systemd.

The runner gets a session of its own (no terminal's signal reaches it), no descriptor of ours but its log, and the
option to end when it is idle and alone. `posix_spawn`, since an object that thinks of itself as the parent (subprocess,
asyncio) may end or outlast its child; here nobody does.
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
from agent.state import State
from common.errors import UserError, WorkFailed
from common.files import make_folder

_OURS_ALONE: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "ANSWERBACK_TOKEN"})
_SOON: Final = 10.0


def own_command(*arguments: str) -> list[str]:
    """This program again, in another process of this interpreter; never what happens to lie in the working folder."""
    return [sys.executable, "-P", "-m", "agent", *arguments]


def own_environment() -> dict[str, str]:
    """The environment for it: without what is meant for this process, and with a way to a checkout not installed."""
    environment = {key: value for key, value in os.environ.items() if key not in _OURS_ALONE}
    root = str(Path(__file__).resolve().parent.parent)
    if root not in site.getsitepackages():
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH", ""))))
    return environment


class RunnerProcess:
    """The runner that this process started, if it did."""

    def __init__(self, state: State, socket: Path) -> None:
        self._state = state
        self._socket = socket
        self._pid = 0
        self._started = 0.0
        self._starts = 0

    def start(self) -> None:
        """Starts one unless the last is still on its way; raises WorkFailed where the very first ends at once."""
        if self._pid:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if not ended:
                return
            self._pid = 0
            self._explain(os.waitstatus_to_exitcode(status))
        self._spawn()

    def _explain(self, status: int) -> None:
        if status == 0:
            log.info("runner.ended", status=status)
            return
        last = last_line(self._state.runner_log)
        if self._starts == 1 and time.monotonic() - self._started < _SOON:
            raise WorkFailed(f"the runner ended with status {status}", last or f"see {self._state.runner_log}")
        log.error("runner.ended", status=status, last_line=last, log=self._state.runner_log)

    def _spawn(self) -> None:
        make_folder(self._state.run)
        command = own_command("runner", "--state", str(self._state.path), "--socket", str(self._socket))
        command += ["--exit-when-idle", "--log", str(self._state.runner_log)]
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                command,
                own_environment(),
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
            raise UserError(f"cannot start the runner ({error.strerror})", f"see {self._state.run}") from None
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
