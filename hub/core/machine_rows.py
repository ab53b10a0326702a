"""How many audit rows one machine can cause by what it merely says: a few at once, one a minute for long, and the rest
as a sum. Pure; `now` is passed in.

What happens to a job is bounded by the jobs that a machine is given, and is always written. What a machine can say
again and again is not bounded by anything: another report, another contradiction, jobs that nobody has heard of.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from hub.core.audit import WriteAudit
from hub.core.lru import Lru
from hub.core.rate_limits import MAX_KEYS, TokenBucket

SAID: Final = frozenset(
    {"agent.reported", "agent.holder_changed", "job.anomaly", "job.foreign", "job.unheard_of", "recovery.machine"}
)
"""Kinds of rows that a machine can cause as often as it likes."""
SUM: Final = "agent.rows_held"
BURST: Final = 60.0  # a link that comes and goes for an hour tells of each time
RATE: Final = 1 / 60
SUM_AFTER: Final = 600.0
"""Seconds after which what was held back is told, where the machine does not come to it by itself."""


@dataclass(slots=True)
class _Machine:
    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(RATE, BURST))
    held: Counter[str] = field(default_factory=Counter)
    since: float = 0.0


class MachineRows:
    """Touched by units only, and so by one thread."""

    def __init__(self) -> None:
        self._machines: Lru[str, _Machine] = Lru(MAX_KEYS)
        self._holding: dict[str, _Machine] = {}  # of which rows are held back

    @property
    def holding(self) -> bool:
        """Whether there is something to sum up. Any thread may ask."""
        return bool(self._holding)

    def admit(self, machine: str, kind: str, now: float) -> bool:
        """Whether this row is written; else it is counted, for a sum."""
        if kind not in SAID:
            return True
        one = self._machines.get(machine)
        if one is None:
            one = _Machine()
            self._machines.put(machine, one)
        if not one.bucket.try_acquire(now):
            return True
        if not one.held:
            one.since = now
        one.held[kind] += 1
        self._holding[machine] = one
        return False

    def due(self, now: float, *, everything: bool = False) -> list[tuple[str, WriteAudit]]:
        """The sums to write, with the machine that each is about; at shutdown all of them."""
        over = [name for name, one in self._holding.items() if everything or not 0 <= now - one.since < SUM_AFTER]
        return [(name, _sum(self._holding.pop(name), now)) for name in over]


def _sum(one: _Machine, now: float) -> WriteAudit:
    kinds, one.held = dict(one.held), Counter()
    data: dict[str, Any] = {"count": sum(kinds.values()), "seconds": round(max(0.0, now - one.since)), "kinds": kinds}
    return WriteAudit(SUM, data)
