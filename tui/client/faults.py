"""What goes wrong in the console itself. It is told in a line that names what failed and what to do, it is written to
the console's log where there is one, and the console goes on: an operator needs it most when things go wrong.

A traceback with the values of variables is shown to nobody: they hold codes, and the screen is the operator's.
"""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from typing import Final

from common.text import clean
from common.times import format_iso

MAX_FRAMES: Final = 30
_CODE: Final = re.compile(r"(?<!\d)\d{6}(?!\d)")


def _first_cause(error: BaseException) -> BaseException:
    """Of several at once, as a task group raises them, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe_fault(error: BaseException) -> str:
    """What it was and where in the program, in one safe line."""
    error = _first_cause(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return _CODE.sub("******", clean(f"{type(error).__name__}: {error}", limit=200)) + place


def format_fault(what: str, error: BaseException, now: float) -> str:
    """A fault for the log: when, at what, and where in the program; no values but the error's own words."""
    stamp = format_iso(now)
    frames = traceback.extract_tb(_first_cause(error).__traceback__)[-MAX_FRAMES:]
    lines = [f"{stamp} {clean(what, limit=200)}: {describe_fault(error)}"]
    lines += [f"    {clean(frame.filename, limit=300)}:{frame.lineno} {frame.name}" for frame in frames]
    return "\n".join(lines) + "\n"


class FaultLog:
    """Appends to a file that only its owner reads; does nothing without one, and says so where it cannot."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.write_error = ""

    def write(self, what: str, error: BaseException, now: float) -> None:
        if self.path is None:
            return
        try:
            opened = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(opened, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(format_fault(what, error, now))
        except OSError as failed:
            self.write_error = f"{self.path}: {failed.strerror}"
