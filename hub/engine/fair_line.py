"""A fair line in front of what takes a few at a time: whoever comes waits for a turn, and is told before that where the
wait would be too long. The rules are `hub.core.fair_queue`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hub.core.fair_queue import DrainRate, FairQueue, Key

MAX_WAIT: Final = 2.0
"""Seconds in line beyond which somebody is asked to come again instead."""


class LineFull(Exception):
    """There is no room in the line; `wait` is when to come again, in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too much waits here; come again in {wait:.0f} s")
        self.wait = wait


class FairLine:
    def __init__(
        self, queue: FairQueue[asyncio.Future[None]], at_a_time: int, clock: Callable[[], float], rate: DrainRate
    ) -> None:
        self._queue = queue
        self._at_a_time = at_a_time
        self._clock = clock
        self._rate = rate
        self._busy = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def refuse(self, kind: int, key: Key) -> float | None:
        """In how many seconds to come again, where the line is too long for this one now; None where it is not."""
        if self._busy < self._at_a_time and not self._queue:
            return None
        wait = self._rate.wait(self._queue.ahead(kind, key), self._clock())
        return wait if wait > MAX_WAIT or not self._queue.has_room(kind, key) else None

    async def enter(self, kind: int, key: Key, cost: int = 1) -> None:
        """Returns when it is this one's turn, which it has until `leave`. Raises LineFull."""
        if self._busy < self._at_a_time and not self._queue:
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._queue:
            self._rate.begin(self._clock())
        if not self._queue.put(kind, key, turn, cost):
            raise LineFull(self._rate.wait(self._queue.ahead(kind, key), self._clock()))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was given the turn in the same moment
            raise

    def leave(self) -> None:
        """The turn is over: the next one has it."""
        self._busy -= 1
        while self._busy < self._at_a_time and (turn := self._queue.pop()) is not None:
            if turn.done():
                continue  # it has gone
            self._rate.served(self._clock(), len(self._queue))
            self._busy += 1
            turn.set_result(None)
