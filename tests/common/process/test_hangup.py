"""common.process.hangup: a process that outlives SIGHUP and continues its log where logrotate wants it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal, sys
from common.process.hangup import StandardError, outlive_hangup
outlive_hangup()
error = StandardError()
os.kill(os.getpid(), signal.SIGHUP)
print("before", file=sys.stderr, flush=True)
if sys.argv[1:]:
    exec(sys.argv[1])
print(repr(error.reopen()), flush=True)
print("after", file=sys.stderr, flush=True)
"""
ROOT = Path(__file__).resolve().parents[3]


def run(log: Path, change: str = "") -> str:
    """What the program says of its reopening; `log` is where its standard error goes."""
    command = [sys.executable, "-c", PROGRAM, change]
    with log.open("ab") as sink:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=sink, check=True, timeout=30)
    return done.stdout.decode().strip()


def test_a_log_that_was_moved_away_goes_on_under_its_name(tmp_path: Path) -> None:
    """The lines after the signal are in a new file with the mode of the old one; the old one keeps what it had."""
    log, old = tmp_path / "hub.log", tmp_path / "hub.log.1"
    log.touch(0o640)
    log.chmod(0o640)
    assert run(log, f"os.rename({str(log)!r}, {str(old)!r})") == "''"
    assert (old.read_text(), log.read_text()) == ("before\n", "after\n")
    assert log.stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_log_that_stayed_is_left_alone(tmp_path: Path) -> None:
    """Nothing is lost and nothing is cut off."""
    log = tmp_path / "hub.log"
    assert run(log) == "''"
    assert log.read_text() == "before\nafter\n"


def test_a_log_that_cannot_be_opened_again_goes_on_in_the_old_file(tmp_path: Path) -> None:
    """The problem names the file; here a symbolic link stands in its place."""
    log, old = tmp_path / "hub.log", tmp_path / "hub.log.1"
    change = f"os.rename({str(log)!r}, {str(old)!r}); os.symlink('/nowhere/at/all', {str(log)!r})"
    assert "hub.log cannot be opened again" in run(log, change)
    assert old.read_text() == "before\nafter\n"


def test_what_is_no_file_is_left_alone() -> None:
    """A null device, as a terminal or the journal's socket, has nothing to reopen."""
    assert run(Path(os.devnull)) == "''"


def test_it_holds_under_nohup_too() -> None:
    """A signal that was ignored at the start is handled like any other."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert (done.returncode, done.stderr) == (0, b"before\nafter\n")
