"""Each machine's load, memory and link latency of the last ten minutes. Pure; kept in memory and lost with the hub.

A ring of SLOTS slots for each machine that was heard, about 900 bytes: nothing grows with time.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SLOT: Final = 10.0
"""Seconds of a slot; the least time between two heartbeats."""
SLOTS: Final = 60
MAX_CARRY: Final = 6
"""Slots for which a sample holds until the next: with many machines heartbeats are rarer than slots."""
KINDS: Final = ("load1", "memory", "rtt")
"""The vitals that are kept, by their names in a heartbeat."""


@dataclass(slots=True)
class _Ring:
    values: array[float]
    last: int  # the number of the newest slot, counted from the epoch


class VitalsHistory:
    def __init__(self) -> None:
        self._rings: dict[str, _Ring] = {}

    def record(self, name: str, vitals: Mapping[str, float], now: float) -> None:
        """Takes note of a heartbeat; a clock that was set back writes into the newest slot."""
        slot = int(now / SLOT)
        ring = self._rings.get(name)
        if ring is None or slot - ring.last >= SLOTS:
            ring = self._rings[name] = _Ring(array("f", [math.nan]) * (SLOTS * len(KINDS)), slot)
        for gone in range(ring.last + 1, slot + 1):
            self._write(ring, gone, {})
        ring.last = max(ring.last, slot)
        self._write(ring, ring.last, vitals)

    def _write(self, ring: _Ring, slot: int, vitals: Mapping[str, float]) -> None:
        at = slot % SLOTS * len(KINDS)
        for index, kind in enumerate(KINDS):
            ring.values[at + index] = vitals.get(kind, math.nan)

    def samples(self, name: str, now: float) -> dict[str, tuple[float | None, ...]]:
        """SLOTS values by kind, the oldest first, the last one of now; None where nothing is known of that time."""
        ring, here = self._rings.get(name), int(now / SLOT)
        found: dict[str, tuple[float | None, ...]] = {}
        for index, kind in enumerate(KINDS):
            values: list[float | None] = []
            carried = MAX_CARRY
            for slot in range(here - SLOTS + 1, here + 1):
                known = ring is not None and ring.last - SLOTS < slot <= ring.last
                value = ring.values[slot % SLOTS * len(KINDS) + index] if ring is not None and known else math.nan
                if math.isfinite(value):
                    carried = 0
                    values.append(value)
                else:
                    carried += 1
                    values.append(values[-1] if values and carried <= MAX_CARRY else None)
            found[kind] = tuple(values)
        return found

    def forget(self, name: str) -> None:
        """The machine is no more."""
        self._rings.pop(name, None)
