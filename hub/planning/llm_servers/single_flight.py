"""Shares identical work under way: a second caller waits for the first one's result.

The work runs in a task of its own, so that cancelling the first caller does not affect the others; when the last caller
is cancelled, so is the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class FlightCancelled(Exception):
    """The task group of the work was cancelled."""


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Task[T | Exception]) -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[T]):
    """Work by key; its tasks run in `group`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._flights: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def in_flight(self, key: str) -> bool:
        return key in self._flights

    async def do(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """The result of `work`, and whether it was under way already (shared). Raises what the work raised."""
        flight = self._flights.get(key)
        shared = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight(self._group.create_task(_catch(work)))
        flight.waiting += 1
        try:
            result = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if flight.task.cancelled() and caller is not None and not caller.cancelling():
                raise FlightCancelled from None
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


async def _catch(work: Callable[[], Coroutine[Any, Any, T]]) -> T | Exception:
    """Returns an error as a result: it is for the callers, and must not cancel the task group."""
    try:
        return await work()
    except Exception as error:
        return error
