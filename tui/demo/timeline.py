"""The demo world's clock and what is to happen: one heap, so that the same seed gives the same world however often it
is advanced. Pure but for what the callbacks change."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timeline:
    """Times are seconds since the epoch; the clock moves by `advance` alone and never goes back."""

    def __init__(self, start: float) -> None:
        self.now = start
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0  # of two callbacks at the same time the one that was scheduled first comes first

    def schedule_at(self, when: float, callback: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, callback))

    def schedule_in(self, seconds: float, callback: Callable[[], None]) -> None:
        self.schedule_at(self.now + seconds, callback)

    def advance(self, to: float, most: int = 1_000_000) -> None:
        """Runs what is due until `to`, at most `most` callbacks."""
        while most and self._heap and self._heap[0][0] <= to:
            self.now, _, happen = heapq.heappop(self._heap)
            happen()
            most -= 1
        self.now = max(self.now, to)
