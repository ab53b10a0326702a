"""A fair line in front of what takes a few at a time: whoever comes waits for a turn, and is told before that where the
wait would be too long. The rules are `hub.core.fair_queue`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hub.core.fair_queue import DrainRate, Turn, Turns

MAX_WAIT: Final = 2.0
"""Seconds in line beyond which somebody is asked to come again instead."""


class LineFull(Exception):
    """There is no room in the line; `wait` is when to come again, in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too much waits here; come again in {wait:.0f} s")
        self.wait = wait


class FairLine:
    """Of one key one at a time has a turn, of all `at_a_time`."""

    def __init__(
        self, turns: Turns[asyncio.Future[None]], at_a_time: int, clock: Callable[[], float], rate: DrainRate
    ) -> None:
        self._turns = turns
        self._at_a_time = at_a_time
        self._clock = clock
        self._rate = rate
        self._busy = 0

    @property
    def waiting(self) -> int:
        return len(self._turns)

    def refuse(self, turn: Turn) -> float | None:
        """In how many seconds to come again, where the line is too long for this one now; None where it is not."""
        if self._is_free(turn):
            return None
        wait = self._rate.wait(self._turns.ahead(turn), self._clock())
        return wait if wait > MAX_WAIT or not self._turns.has_room(turn) else None

    async def enter(self, turn: Turn) -> None:
        """Returns when it is this one's turn, which it has until `leave`. Raises LineFull."""
        if self._is_free(turn):
            self._busy += 1
            self._turns.begin(turn)
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._turns:
            self._rate.begin(self._clock())
        if not self._turns.put(turn, mine):
            raise LineFull(self._rate.wait(self._turns.ahead(turn), self._clock()))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.leave(turn)  # it was given the turn in the same moment
            raise

    def leave(self, turn: Turn) -> None:
        """The turn is over: the next one has it."""
        self._busy -= 1
        self._turns.done(turn)
        while self._busy < self._at_a_time and (popped := self._turns.pop()) is not None:
            whose, mine = popped
            if mine.done():
                self._turns.done(whose)  # it has gone
                continue
            self._rate.served(self._clock(), len(self._turns))
            self._busy += 1
            mine.set_result(None)

    def _is_free(self, turn: Turn) -> bool:
        """Whether there is a place for one who has none, and nobody before."""
        return self._busy < self._at_a_time and not self._turns.ready and not self._turns.is_served(turn)
