"""The order of a machine's queue: 9 first, then who came first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

QueueEntry = tuple[str, int, float]
"""Job id, priority, when it was queued."""


def preview_order(
    agent: str, queue: Sequence[QueueEntry], chosen: Collection[str], priority: int
) -> list[dict[str, Any]]:
    """The place of each chosen job in the machine's queue, before and after it has the priority. `queue` is in its
    order of now. The turns that people take within a priority are not foreseen: they are settled at each dispatch.
    """
    before = {job: place for place, (job, _, _) in enumerate(queue, 1)}
    after = sorted(queue, key=lambda entry: (-(priority if entry[0] in chosen else entry[1]), entry[2], entry[0]))
    return [
        {"job": job, "agent": agent, "was": before[job], "now": place, "of": len(queue)}
        for place, (job, _, _) in enumerate(after, 1)
        if job in chosen
    ]
