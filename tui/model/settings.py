"""What the person who started the console chose. Loads nothing else, since the command line reads it at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.catalogue import Language
from common.process.encoding import UTF_8
from common.times import Zone, utc


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """How the console looks and what it may do; all of it can be given on the command line."""

    language: Language = "en"
    theme: str = "dark"
    ascii: bool = False
    read_only: bool = False
    slow: bool = False
    hide_codes: bool = False  # dots for digits, for recordings
    static: bool = False  # no clock, no rates: pictures and snapshot tests
    log: Path | None = None  # a file for faults of the console's own
    zone: Zone = utc  # the reader's time zone
    encoding: str = UTF_8  # of the terminal: what it has no sign for is replaced
