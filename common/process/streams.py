"""Standard streams that a program can rely on, whatever it was started with.

    closed         what a shell closed (`>&-`) becomes /dev/null; else the next file that is opened, a database say, has
                   number 1 or 2 and takes what we print
    not blocking   another program that shares the terminal may have switched it (ssh and Node do); a full buffer then
                   fails a write with EAGAIN. We wait until it takes more
    not UTF-8      a character that the terminal has no sign for becomes a plain one (`common.process.encoding`)

Only a program calls this, at its very start, before any file is open.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, Final, TextIO

from common.process.encoding import FALLBACK, UNSET, UTF_8, normalize, register_fallback, terminal_encoding

_NAMES: Final = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """Puts the three descriptors and `sys.stdin`, `sys.stdout`, `sys.stderr` in order."""
    for number, name in enumerate(_NAMES):
        if _is_closed(number):
            _open_null(number)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif number and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, make_patient(stream))


def discard_output() -> None:
    """Lets what is still in the buffer of standard output go nowhere: its reader has gone, or its disk is full. The
    interpreter's last flush would fail for it again, with a message of its own.
    """
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return  # closed, or not a file: nothing will be flushed to it
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, number)
    os.close(null)


def make_patient(stream: TextIO) -> TextIO:
    """The same stream, of which a write waits while a buffer that does not block is full, and never fails for a
    character that its encoding has not.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    register_fallback()
    found = terminal_encoding(os.environ, stream.encoding, assumed=bool(sys.flags.utf8_mode))
    known = normalize(stream.encoding) != UTF_8 or (found not in (UNSET, UTF_8) and stream.isatty())
    binary = io.BufferedWriter(_PatientFile(stream.fileno(), "wb", closefd=False))
    return io.TextIOWrapper(
        binary,
        encoding=found if known else stream.encoding,
        errors=FALLBACK if known or stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _PatientFile(io.FileIO):
    def write(self, data: Any, /) -> int:
        while True:
            try:
                written: int | None = super().write(data)
            except BlockingIOError:
                written = None
            if written is not None:
                return written
            poll = select.poll()
            poll.register(self.fileno(), select.POLLOUT)
            poll.poll()


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def _open_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)
