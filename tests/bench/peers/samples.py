"""Times of what was measured, and rounds in which those that are compared take turns."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import psutil

from tests.bench.percentile import percentile

Measure = Callable[[int], Awaitable[list[float]]]
"""So many times one after another; the seconds of each."""


def in_ms(seconds: list[float], share: float) -> float:
    """A percentile, in milliseconds."""
    return round(1000 * percentile(seconds, share), 2)


def figures(seconds: list[float]) -> dict[str, Any]:
    return {"n": len(seconds), "p50_ms": in_ms(seconds, 50), "p99_ms": in_ms(seconds, 99)}


async def take_turns(measures: Mapping[str, Measure], rounds: int, each: int) -> dict[str, list[float]]:
    """`each` of every kind in every round, so that what else the machine does meets them all; the first is warm-up."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            seconds = await measure(each)
            if number:
                found[name] += seconds
    return found


async def cpu_ms(measure: Measure, count: int, pids: Iterable[int]) -> float:
    """Milliseconds of processor that one takes in all processes: `pids` with their children, and those that ended. On a
    machine that others use too this is what can be compared; what waits takes none.
    """
    pids = list(pids)
    await measure(1)
    before = _cpu_seconds(pids)
    await measure(count)
    return round(1000 * (_cpu_seconds(pids) - before) / count, 1)


def _cpu_seconds(pids: Iterable[int]) -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for pid in pids:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(one.cpu_times()[:4])
    return total
