"""A hub's position in its own history, as it tells it to machines: how far it had come when it said so. Pure.

    epoch.start.seq.number            4.9f0c2a7be1d35566.1042.45
    epoch.start.seq.number.seal       the same, sealed by the hub that said it

`epoch` counts the hub's starts, `start` is the random id of one of them, `seq` the last row of the audit then, `number`
the highest request. A machine keeps the newest one it was told and says it when it links again. A hub whose store does
not know that position was restored from a backup, whatever its numbers say (`hub.core.recovery`). The seal is the hub's
own: no machine can make up a position that never was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_MARK: Final = 160
"""Characters of a mark with its seal."""
_MARK: Final = re.compile(r"([0-9]{1,15})\.([0-9a-f]{16})\.([0-9]{1,15})\.([0-9]{1,15})(?:\.([0-9a-f]{32}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mark:
    epoch: int
    start: str  # 16 hex digits
    seq: int
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.start}.{self.seq}.{self.number}"

    def supersedes(self, other: Mark) -> bool:
        """Whether this one is later than `other` in one and the same history."""
        return self.epoch > other.epoch or (self.epoch, self.start) == (other.epoch, other.start)


def parse_mark(text: str) -> tuple[Mark, str] | None:
    """The mark and its seal ("" without one); None where the text is no mark."""
    found = _MARK.fullmatch(text) if len(text) <= MAX_MARK else None
    if found is None:
        return None
    return Mark(int(found[1]), found[2], int(found[3]), int(found[4])), found[5] or ""
