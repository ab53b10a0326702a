"""The terminal given back, in processes of their own on a terminal of their own."""

from __future__ import annotations

import os
import pty
import signal
import sys
import termios
from pathlib import Path

import pytest

from tui.terminal.restore import RESET

ROOT = Path(__file__).resolve().parents[3]
FAULT = """
import sys, termios, tty
from tui.terminal.restore import restored_terminal
with restored_terminal():
    tty.setraw(0)
    sys.stdout.write("in")
    sys.stdout.flush()
    raise ValueError("a fault")
"""


def run_on_terminal(code: str) -> tuple[bytes, int, bool]:
    """What it wrote, its status, and whether the terminal echoes and reads lines as before."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606 - our own interpreter
    written = b""
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:
            break
        written += data
        if not data:
            break
    modes = termios.tcgetattr(terminal)[3]
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return written, os.waitstatus_to_exitcode(status), bool(modes & termios.ICANON and modes & termios.ECHO)


def test_a_fault_leaves_a_terminal_that_can_be_typed_in() -> None:
    """Everything that was on is off again, and the terminal's own modes are as before."""
    written, status, as_before = run_on_terminal(FAULT)
    assert RESET.encode() in written
    assert (status, as_before) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_console_that_is_ended_gives_the_terminal_back(number: signal.Signals) -> None:
    """Mouse, pasted text, cursor and screen; its status says which signal it was."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe(  # noqa: S606 - our own interpreter
            sys.executable, [sys.executable, "-m", "tui", "console", "--demo"], {**os.environ, "TERM": "xterm-256color"}
        )
    written, sent = b"", 0
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:
            break
        if not data:
            break
        written += data
        if not sent and len(written) > 2_000:  # it has been painted
            sent = len(written)
            os.kill(pid, number)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + number
    for on, off in ((b"?1003h", b"?1003l"), (b"?1049h", b"?1049l"), (b"?2004h", b"?2004l"), (b"?25l", b"?25h")):
        assert b"\x1b[" + on in written[:sent]
        assert b"\x1b[" + off in written[sent:]
