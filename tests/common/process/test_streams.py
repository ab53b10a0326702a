"""common.process.streams: closed streams and terminals whose buffer is full, in processes of their own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PREPARE = "import os, sys; from common.process.streams import *; prepare_streams(); "


def python(code: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    """CODE with the streams prepared, started by a shell that closed some."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, PREPARE + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_closed_stream_is_not_given_to_a_file() -> None:
    """Where 0, 1 and 2 are closed, the next file that is opened is none of them, and printing harms nothing."""
    code = (
        "fd = os.open('/', os.O_RDONLY); print('x'); sys.stderr.write('y'); assert sys.stdin.read() == ''; os._exit(fd)"
    )
    ended = python(code, "<&- >&- 2>&-")
    assert (ended.returncode > 2, ended.stdout, ended.stderr) == (True, "", "")


def test_a_full_buffer_that_does_not_block_is_waited_for() -> None:
    """A pipe that another program switched to not blocking: every byte arrives, in order."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, fcntl.fcntl(writing, fcntl.F_GETFL) | os.O_NONBLOCK)
    code = PREPARE + "[print(i) for i in range(100_000)]; sys.stdout.flush()"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    found: list[bytes] = []

    def read() -> None:
        with open(reading, "rb") as file:
            found.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    _, errors = process.communicate(timeout=60)
    reader.join(60)
    assert (process.returncode, errors) == (0, b"")
    assert found[0].split() == [str(i).encode() for i in range(100_000)]


def test_what_a_reader_did_not_take_is_dropped_quietly() -> None:
    """After `discard_output` the interpreter's last flush says nothing."""
    ended = python("print('x'); discard_output()", ">/dev/full")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_terminal_that_is_not_utf_8_is_written_to_all_the_same() -> None:
    """Signs that it has not become plain ones, on both streams; nothing raises."""
    code = "print('caf\\u00e9 \\u2026 \\u6c49'); sys.stderr.write('\\u2192'); sys.stdout.flush()"
    ended = subprocess.run(
        [sys.executable, "-c", PREPARE + code],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"caf\xe9 ... ?\n", b"->")
