"""The oracle on the machine: a program whose every start appends one line to a file, whatever else becomes of it.

The line is written with one write to a file that is open for appending, by the job itself and before it does anything
else: its id, the boot clock and the wall clock of its start, both the system's own.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.end_to_end.system import SystemHarness

NAME: Final = "oracle"
_PROGRAM: Final = """read up rest < /proc/uptime
printf '%s %s %s\\n' "$ANSWERBACK_JOB" "$up" "$(date +%s.%N)" >> {file}
sleep "${{1:-0}}"
exit "${{2:-0}}"
"""


class Start(NamedTuple):
    job: str
    boot: float  # seconds of CLOCK_BOOTTIME, to the hundredth
    wall: float  # seconds since the epoch


class Oracle:
    """`oracle SECONDS [EXIT]` for the people of a rig."""

    def __init__(self, rig: SystemHarness) -> None:
        self.file = rig.folder / "oracle.log"
        self._rig = rig
        rig.add_program(NAME, _PROGRAM.format(file=self.file))

    def allow_after_a_question(self, name: str) -> None:
        """The same under another name, for which somebody has to be asked."""
        self._rig.add_program(name, _PROGRAM.format(file=self.file), verdict="ask")

    def starts(self) -> list[Start]:
        return read_starts(self.file)


def read_starts(file: Path) -> list[Start]:
    """Every start, in the order they were written; a line that is not whole is an error."""
    if not file.exists():
        return []
    found = (line.split() for line in file.read_text().splitlines())
    return [Start(job, float(boot), float(wall)) for job, boot, wall in found]


def boot_now() -> float:
    """The clock that starts are told by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
