"""Named places where a test can kill the runner; in production each is one string comparison.

The names are the points between two durable steps of a job where a crash must be survivable; tests/agent/runner kills
the process at each.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = frozenset(
    {
        "journal.before_sync",
        "accept.durable",
        "start.before_marker",
        "start.after_marker",
        "start.after_spawn",
        "end.before_result",
        "end.after_result",
        "forget.before_tombstone",
        "forget.after_tombstone",
    }
)
_CHOSEN: Final = os.environ.get("ANSWERBACK_CRASHPOINT", "") if os.environ.get("ANSWERBACK_TEST") == "1" else ""


def crashpoint(name: str) -> None:
    """Kills this process where the test that started it asked for `name`."""
    if name == _CHOSEN:
        os.kill(os.getpid(), signal.SIGKILL)
