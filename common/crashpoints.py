"""Named places where a test ends or holds a process; in production each is one comparison.

A name is a place between two durable steps of a message or job, where an end of the process must be survivable:

    THING.uncommitted, THING.committed   in the hub, around the commit of that row of the audit
    MESSAGE.STAGE                        what a link carries: at the hub received, committed, acknowledged, leaving,
                                         sent; in the uplink at_uplink, handed_on (to the runner), from_runner, sent_on
    KIND.posting, .posted, .marked       a reply of the outbox, on its way to chat
    anything else                        written where it is: `crashpoint("start.before_marker")`

`ANSWERBACK_CRASHPOINT` names a file, which counts only where `ANSWERBACK_TEST` is 1. The file has one line, `NAME
ACTION SKIP`: what to do when NAME is reached after SKIP times. It may be written while the process runs, and says `hit
NAME PID` afterwards, so that a place is taken once, by one process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

FILE_VARIABLE: Final = "ANSWERBACK_CRASHPOINT"
TEST_VARIABLE: Final = "ANSWERBACK_TEST"
ACTIONS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
HIT: Final = "hit"

_orders: Path | None = None


def crashpoint(name: str) -> None:
    """Ends or stops this process where the test that started it asked for `name`."""
    if _orders is not None:
        _reach(_orders, name)


def crashpoints_of(things: Iterable[object], stage: str) -> None:
    """One place for each of them: its text, or the name of its type, and the stage."""
    if _orders is not None:
        for thing in things:
            _reach(_orders, f"{thing if isinstance(thing, str) else type(thing).__name__.lower()}.{stage}")


def configure(environment: Mapping[str, str]) -> None:
    """Takes what a process was started with: once as this is imported, and again by what forks what is loaded."""
    global _orders
    file = environment.get(FILE_VARIABLE, "") if environment.get(TEST_VARIABLE) == "1" else ""
    _orders = Path(file) if file else None


def write_order(file: Path, name: str, action: str = "kill", skip: int = 0) -> None:
    """For tests: what is to happen at which place. In one step, for whoever reads the file meanwhile."""
    _write(file, f"{name} {action} {skip}")


def _reach(file: Path, name: str) -> None:
    try:
        wanted, action, skip = file.read_text().split()
    except (OSError, ValueError):
        return  # nothing is asked for
    if wanted != name or action not in ACTIONS:
        return
    if int(skip):
        write_order(file, name, action, int(skip) - 1)
        return
    _write(file, f"{HIT} {name} {os.getpid()}")
    os.kill(os.getpid(), ACTIONS[action])


def _write(file: Path, line: str) -> None:
    new = file.with_name(f"{file.name}.new")
    new.write_text(line)
    new.replace(file)


configure(os.environ)
