"""Whose turn it is in the writer: which units go before which. The rules are those of `hub.core.fair_queue`.

    PEOPLE       what people have said and decided: messages, acts, the operators' API
    JOBS         what machines report and are handed
    REPLIES      what became of replies
    OUTPUT       what jobs print, machine by machine
    BACKGROUND   retention, housekeeping

A unit waits for those before it and for one of its own lane from each key; each lane below has a turn again and again,
so none of them stands still. Units of one lane and key run in the order in which they were given, and of units in
different lanes none may count on the other having run, unless its caller has waited for that.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from hub.core.fair_queue import NEVER, Key

OUTPUT_TURN: Final = 256 * 1024
"""Bytes of output that a machine has written in one turn."""
NOBODY: Final = Key("", "")


class Lane(IntEnum):
    PEOPLE = 0
    JOBS = 1
    REPLIES = 2
    OUTPUT = 3
    BACKGROUND = 4


FLOORS: Final = {Lane.PEOPLE: NEVER, Lane.JOBS: 2, Lane.REPLIES: 3, Lane.OUTPUT: 16, Lane.BACKGROUND: 16}
"""How many units of other lanes go before one of this, at most, while it waits."""
