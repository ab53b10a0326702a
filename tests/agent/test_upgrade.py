"""agent.upgrade: who is asked, and what is said of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent.cli
import agent.upgrade  # before the fork: an ordinary user may not read this checkout
from agent.re_exec import REQUEST
from agent.state import StateFolder
from agent.upgrade import Upgraded, describe, upgrade
from agent.upgrade_report import UpgradeReport, write_upgrade
from common.version import VERSION
from tests.forked import NOBODY, Setting, run_forked

HOLDS = """
import fcntl, os, signal, sys
file = open(sys.argv[1], "w+")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(str(os.getpid())); file.flush()
if sys.argv[2] == "takes":
    signal.signal(signal.SIGUSR2, lambda *_: print("asked", flush=True))
print("ready", flush=True)
while True: signal.pause()
"""


class Holder:
    """A process that has the runner's lock."""

    def __init__(self, lock: Path, how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(lock), how], stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        assert self.line() == "ready"

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def lives(self) -> bool:
        return self._process.poll() is None


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path)
    folder.runner.mkdir()
    folder.uplink.mkdir()
    return folder


@pytest.fixture
def holders(state: StateFolder) -> Iterator[list[Holder]]:
    found: list[Holder] = []
    yield found
    for holder in found:
        holder.kill()


def test_what_does_not_run_needs_no_upgrade(state: StateFolder) -> None:
    """The next that is started is the installed version."""
    found = upgrade(state, ("runner", "uplink"), print)
    assert [each.done for each in found] == [True, True]
    assert describe(found).splitlines() == [
        f"runner: none runs; the next one is {VERSION}",
        f"uplink: none runs; the next one is {VERSION}",
    ]


def test_a_version_that_does_not_know_the_signal_is_not_sent_it(state: StateFolder, holders: list[Holder]) -> None:
    """Trust: it would end it, and its jobs with it. The uplink is left as it is, too."""
    holders.append(Holder(state.runner_lock, "older"))
    found = upgrade(state, ("runner", "uplink"), print)
    assert [each.name for each in found] == ["runner"]
    assert not found[0].done
    assert "cannot be upgraded while it runs; when `answerback-agent status` shows no job" in str(found[0])
    assert holders[0].lives


@pytest.mark.parametrize("final", ["done", "refused"])
def test_the_answer_to_this_request_is_told_and_no_other(state: StateFolder, holders: list[Holder], final: str) -> None:
    """What an earlier request came to stays in the file until the process says more."""
    write_upgrade(state.runner, UpgradeReport("done", 5.0, 1, "0.8", "0.9"))
    holder = Holder(state.runner_lock, "takes")
    holders.append(holder)
    lines: list[str] = []

    def answer() -> None:
        assert holder.line() == "asked"
        write_upgrade(state.runner, UpgradeReport("checking", 6.0, holder.pid, "0.9"))
        told.wait(20)
        report = UpgradeReport(final, 6.0, holder.pid, "0.9", "1.0\x1b[2J", "why \x1b", 3, 1.5)  # type: ignore[arg-type]
        write_upgrade(state.runner, report)

    told = threading.Event()
    thread = threading.Thread(target=answer)
    thread.start()

    def note(line: str) -> None:
        lines.append(line)
        told.set()

    (found,) = upgrade(state, ["runner"], note)
    thread.join()
    assert lines == ["runner: the installed program is asked whether it takes over"]
    assert (found.done, found.before, found.jobs, found.took) == (final == "done", "0.9", 3, 1.5)
    assert "\x1b" not in str(found)
    assert str(found).startswith("runner: 0.9 -> 1.0" if final == "done" else "runner: still 0.9: why")


def test_a_process_that_ends_meanwhile_is_told(state: StateFolder, holders: list[Holder]) -> None:
    """As it is: what ran then is unknown."""
    holder = Holder(state.runner_lock, "takes")
    holders.append(holder)
    write_upgrade(state.runner, UpgradeReport("handing_over", 6.0, holder.pid, "0.9"))

    def end() -> None:
        assert holder.line() == "asked"
        holder.kill()

    thread = threading.Thread(target=end)
    thread.start()
    (found,) = upgrade(state, ["runner"], print)
    thread.join()
    assert (found.done, "what ran then is unknown" in found.reason) == (False, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_whose_it_is_not_is_told_the_cure(tmp_path: Path) -> None:
    """Another user's runner: sudo."""

    folder = StateFolder(tmp_path)
    folder.runner.mkdir(mode=0o700)
    folder.runner_lock.write_text(f"{os.getpid()}\n")
    setting = Setting(dict(os.environ), user=NOBODY)
    ended = run_forked(agent.cli.main, ["upgrade", "--state", str(tmp_path)], setting)
    assert (ended.status, "run this with sudo" in ended.err) == (2, True), ended


def test_the_signal_is_the_one_that_the_kernel_is_asked_about() -> None:
    """Documented, and sent by hand with `kill -USR2` as well."""
    assert REQUEST is signal.SIGUSR2


def test_what_is_told_of_each() -> None:
    """One line for a person; for a program everything by name."""
    well = Upgraded("runner", True, "1.0", "1.1", jobs=3, took=0.84)
    assert str(well) == "runner: 1.0 -> 1.1, and 3 jobs ran on (0.8 s)"
    assert well.to_json() == {"done": True, "before": "1.0", "after": "1.1", "reason": "", "jobs": 3, "took": 0.84}
