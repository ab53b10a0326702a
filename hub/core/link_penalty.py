"""How long somebody who is known and sends what is no frame has to stay away. Pure; `now` is passed in.

A fault or two is forgiven: a machine of another version may send one. From then on each doubles the time, up to a
quarter of an hour; an hour without one is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.core.lru import Lru

FORGIVEN: Final = 2
FIRST_WAIT: Final = 10.0
MAX_WAIT: Final = 900.0
FORGOTTEN_AFTER: Final = 3_600.0
MAX_NAMES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Faults:
    count: int
    last_at: float
    until: float


class LinkPenalties:
    """By identity, such as "agent web-1"."""

    def __init__(self) -> None:
        self._faults: Lru[str, _Faults] = Lru(MAX_NAMES)

    def note(self, identity: str, now: float) -> float:
        """One more fault; the seconds to stay away, 0 where it is forgiven."""
        before = self._faults.get(identity)
        recent = before is not None and 0 <= now - before.last_at < FORGOTTEN_AFTER
        count = 1 + (before.count if before is not None and recent else 0)
        wait = 0.0 if count <= FORGIVEN else min(MAX_WAIT, FIRST_WAIT * 2.0 ** min(count - FORGIVEN - 1, 16))
        self._faults.put(identity, _Faults(count, now, now + wait))
        return wait

    def wait(self, identity: str, now: float) -> float:
        """Seconds until this one may come again; 0 for now."""
        faults = self._faults.peek(identity)
        if faults is None or not faults.last_at <= now < faults.until:
            return 0.0  # a clock that was set back ends it
        return faults.until - now
