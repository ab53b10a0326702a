"""Looks before a start that may be kept waiting: each in a thread of its own, with a time limit.

A file system that asks another machine may not answer for minutes, or ever, and nothing can end a thread that waits for
it. So such a look is given up on the loop, its job refused, and the thread left to end by itself; there are never more
than a few.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.runner.preparation import PreparedStart

MAX_LOOKS: Final = 8
"""Threads that look, or wait in vain."""

Found = PreparedStart | Exception
Done = Callable[[Found], None]


class LooksAside:
    """`timeout` is in seconds. Everything but the looks themselves runs on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop = loop
        self._timeout = timeout
        self._pending: dict[int, tuple[Done, asyncio.TimerHandle]] = {}
        self._last = 0
        self._threads = 0

    def __len__(self) -> int:
        """How many looks somebody waits for."""
        return len(self._pending)

    @property
    def threads(self) -> int:
        """Threads that look, also those that nobody waits for any more."""
        return self._threads

    def look(self, prepare: Callable[[], PreparedStart], done: Done) -> None:
        """Calls `done` once, later, with what `prepare` returns or raises; with TimeoutError where that takes too
        long, or too many others do already.
        """
        if self._threads >= MAX_LOOKS:
            self._loop.call_soon(done, TimeoutError())
            return
        self._threads += 1
        self._last += 1
        self._pending[self._last] = done, self._loop.call_later(self._timeout, self._give_up, self._last)
        threading.Thread(target=self._work, args=(self._last, prepare), name="look", daemon=True).start()

    def close(self) -> None:
        for _, timer in self._pending.values():
            timer.cancel()
        self._pending.clear()

    def _work(self, number: int, prepare: Callable[[], PreparedStart]) -> None:
        found: Found
        try:
            found = prepare()
        except Exception as error:
            found = error
        try:
            self._loop.call_soon_threadsafe(self._on_found, number, found)
        except RuntimeError:  # the runner has ended
            _discard(found)

    def _on_found(self, number: int, found: Found) -> None:
        self._threads -= 1
        if (pending := self._pending.pop(number, None)) is None:
            _discard(found)
            return
        done, timer = pending
        timer.cancel()
        done(found)

    def _give_up(self, number: int) -> None:
        done, _ = self._pending.pop(number)
        done(TimeoutError())


def _discard(found: Found) -> None:
    if isinstance(found, PreparedStart):
        with suppress(OSError):
            found.close()
