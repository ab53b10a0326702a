"""`answerback-agent upgrade`: runner and uplink go on as the installed version, and it is told what became of that.

Each is asked by a signal and writes down how far it is (`agent.upgrade_report`); this command waits for that. A process
of a version that does not know the signal would be ended by it, so the kernel is asked first whether it is taken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.lock import holder_of, is_locked
from agent.re_exec import REQUEST
from agent.state import StateFolder
from agent.upgrade_report import UpgradeReport, read_upgrade
from common.errors import UserError
from common.text import clean
from common.version import VERSION

NAMES: Final = ("runner", "uplink")
"""In this order: a newer runner serves an older uplink, so what could go wrong goes wrong first."""
WITHIN: Final = 120.0
_POLL: Final = 0.05
_SERVICES: Final = {"runner": "answerback-runner", "uplink": "answerback-agent"}
_WORDS: Final = {
    "checking": "the installed program is asked whether it takes over",
    "handing_over": "it takes over",
}


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What became of one of the two."""

    name: str
    done: bool
    before: str = ""
    after: str = ""
    reason: str = ""  # why it serves on as it was
    jobs: int = 0
    took: float = 0.0

    def __str__(self) -> str:
        if not self.done:
            serving = f"still {self.before}: " if self.before else ""
            return f"{self.name}: {serving}{self.reason}"
        if not self.before:
            return f"{self.name}: {self.reason}"
        how = f", and {self.jobs} jobs ran on" if self.name == "runner" else ""
        what = f"{self.before} -> {self.after}" if self.before != self.after else f"{self.after}, begun anew"
        return f"{self.name}: {what}{how} ({self.took:.1f} s)"

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "name"}


def describe(found: Sequence[Upgraded]) -> str:
    return "\n".join(map(str, found))


def upgrade(state: StateFolder, names: Sequence[str], told: Callable[[str], None]) -> list[Upgraded]:
    """Asks each of them in turn, and none after one that did not. `told` takes a line of progress. Raises UserError
    where this user may not ask.
    """
    found: list[Upgraded] = []
    for name in names:
        folder, lock = (state.runner, state.runner_lock) if name == "runner" else (state.uplink, state.lock)
        found.append(_upgrade_one(name, folder, lock, told))
        if not found[-1].done:
            break
    return found


def _upgrade_one(name: str, folder: Path, lock: Path, told: Callable[[str], None]) -> Upgraded:
    held = is_locked(lock)
    if held is None:
        raise UserError(f"the {name} of {folder.parent} is not this user's to see", "run this with sudo")
    pid = holder_of(lock)
    if not held or not pid:
        return Upgraded(name, True, reason=f"none runs; the next one is {VERSION}")
    last = read_upgrade(folder)
    if not _takes_requests(pid):
        cure = f"when `answerback-agent status` shows no job: systemctl restart {_SERVICES[name]}"
        return Upgraded(name, False, reason=f"what runs is of a version that cannot be upgraded while it runs; {cure}")
    try:
        os.kill(pid, REQUEST)
    except PermissionError:
        raise UserError(f"process {pid} is not this user's to signal", "run this with sudo") from None
    except ProcessLookupError:
        return Upgraded(name, False, reason="it has just ended; try again")
    return _wait(name, folder, pid, 0.0 if last is None else last.begun, told)


def _wait(name: str, folder: Path, pid: int, after: float, told: Callable[[str], None]) -> Upgraded:
    """`after` is when the request before this one was made."""
    until, said = time.monotonic() + WITHIN, ""
    while True:
        alive = _is_alive(pid)
        report = read_upgrade(folder)
        if report is not None and report.begun <= after:
            report = None
        if report is not None and report.state in ("done", "refused"):
            return _result(name, report)
        if not alive:
            why = "the process ended while it was upgraded; what ran then is unknown: see its log"
            return Upgraded(name, False, report.before if report else "", reason=why)
        if report is not None and report.state != said:
            said = report.state
            told(f"{name}: {_WORDS[said]}")
        if time.monotonic() > until:
            why = f"no answer within {WITHIN:g} s: see its log"
            return Upgraded(name, False, report.before if report else "", reason=why)
        time.sleep(_POLL)


def _result(name: str, report: UpgradeReport) -> Upgraded:
    done = report.state == "done"
    before, after, reason = clean(report.before), clean(report.after), clean(report.reason)
    return Upgraded(name, done, before, after, reason, int(report.jobs), float(report.took))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _takes_requests(pid: int) -> bool:
    """Whether the process catches the signal, by proc_pid_status(5); raises UserError where that is hidden."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    except (OSError, StopIteration, ValueError, IndexError):
        raise UserError(f"process {pid} is not this user's to look at", "run this with sudo") from None
    return bool(caught >> (REQUEST - 1) & 1)
