"""Times of what was measured, and rounds in which those that are compared take turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Measure = Callable[[int], Awaitable[list[float]]]
"""So many times one after another; the seconds of each."""


def percentile(seconds: list[float], share: float) -> float:
    """Milliseconds."""
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))], 2)


def figures(seconds: list[float]) -> dict[str, Any]:
    return {"n": len(seconds), "p50_ms": percentile(seconds, 50), "p99_ms": percentile(seconds, 99)}


async def take_turns(measures: Mapping[str, Measure], rounds: int, each: int) -> dict[str, list[float]]:
    """`each` of every kind in every round, so that what else the machine does meets them all; the first is warm-up."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            seconds = await measure(each)
            if number:
                found[name] += seconds
    return found
