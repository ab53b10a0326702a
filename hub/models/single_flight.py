"""Identical work that is under way is shared: the second who asks waits for the first one's result.

The work runs as a task of its own, so the first one's leaving does not take it from the others; when the last has left,
it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ended(Exception):
    """The group that the work ran in was ended."""


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Task[T | Exception]) -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[T]):
    """Work by key, run in `group`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._flights: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def under_way(self, key: str) -> bool:
        return key in self._flights

    async def do(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """The result of `work`, and whether it was under way already. Raises what the work raised."""
        flight = self._flights.get(key)
        shared = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight(self._group.create_task(_caught(work)))
        flight.waiting += 1
        try:
            result = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if flight.task.cancelled() and me is not None and not me.cancelling():
                raise Ended from None
            raise
        finally:
            flight.waiting -= 1
            if flight.task.done() or not flight.waiting:
                flight.task.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]
        if isinstance(result, Exception):
            raise result
        return result, shared


async def _caught(work: Callable[[], Coroutine[Any, Any, T]]) -> T | Exception:
    """An error is a result here: it belongs to those who wait, not to the group."""
    try:
        return await work()
    except Exception as error:
        return error
