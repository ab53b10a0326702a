"""Back-pressure: how many jobs may wait in the queue, in all, of one person, for one machine. Pure.

A full queue is a refusal in chat that names the limit, never a silent delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.catalogue import Sentence


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Jobs that may be queued at a time ([queue] of hub.toml)."""

    total: int
    person: int
    agent: int


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Jobs that are queued now; `agents` holds the counts that `needs_agent_counts` asks for."""

    total: int
    person: int
    agents: Mapping[str, int] = field(default_factory=dict)


def needs_agent_counts(total: int, limits: QueueLimits) -> bool:
    """Whether one machine can be at its limit at all; where it cannot, its jobs need not be counted."""
    return total >= limits.agent


def check_queue_limits(
    person: str, targets: Sequence[str], counts: QueueCounts, limits: QueueLimits
) -> Sentence | None:
    """Why one job more for each of `targets` does not fit; None where it does."""
    more = len(targets)
    if counts.total + more > limits.total:
        return _queue_full(Sentence("queue_of_all"), counts.total, limits.total)
    if counts.person + more > limits.person:
        return _queue_full(Sentence("queue_of_person", {"person": person}), counts.person, limits.person)
    for target in targets:
        if (count := counts.agents.get(target, 0)) >= limits.agent:
            return _queue_full(Sentence("queue_of_agent", {"agent": target}), count, limits.agent)
    return None


def _queue_full(what: Sentence, count: int, limit: int) -> Sentence:
    return Sentence("queue_full", {"what": what, "count": count, "limit": limit})
