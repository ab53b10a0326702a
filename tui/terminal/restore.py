"""The terminal given back: whatever ends the console, what it had switched on is off again afterwards.

Textual does so when it ends by itself. This holds where it does not, as after a fault of its own.
"""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

RESET: Final = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l"  # mouse reports
    "\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[<u"  # pasted text in brackets, focus and size reports, the kitty keyboard
    "\x1b[?7h\x1b[?25h\x1b[0m"  # lines wrap, the cursor is there, no colour
    "\x1b[?1049l"  # the main screen
)


@contextmanager
def restored_terminal() -> Iterator[None]:
    """Puts the terminal back where what stands inside fails to, and its modes in any case."""
    number = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
    before = None
    with suppress(termios.error, OSError):
        before = termios.tcgetattr(number)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.write(2, RESET.encode())
        raise
    finally:
        if before is not None:
            with suppress(termios.error, OSError):
                termios.tcsetattr(number, termios.TCSADRAIN, before)


def has_job_control() -> bool:
    """Whether a shell started us that can continue us once we have stopped."""
    try:
        return os.getsid(os.getppid()) == os.getsid(0) and os.getsid(0) != os.getpid()
    except OSError:
        return False
