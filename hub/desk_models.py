"""The room for the language models: how each server of one is, who waits, and how often the cache of plans knew it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from common.text import clean
from hub.consoles import Caller
from hub.desk_args import Args, Office
from hub.models.cache import Counts, ratio
from hub.models.node import View
from hub.models.stats import ENOUGH
from hub.planner.build import Models
from hub.views import fitting

MAX_WORDS: Final = 300
"""Characters that a server may have said of its trouble, or a model's name may have."""
_NOT_FAILED: Final = frozenset({"ok", "hedged", "cancelled"})
"""Results of attempts that say nothing against a node."""


class ModelRoom:
    """Only of a hub that has models: a console that finds no such verb shows no such screen."""

    def __init__(self, office: Office, models: Models) -> None:
        self._office = office
        self._models = models

    async def models(self, caller: Caller, args: Args) -> Any:
        """Every node, and what they share. The right is that of looking at machines."""
        self._office.allow(caller, "machines")
        pool, cache = self._models.pool, self._models.cache
        return told_of(pool.views(), pool.waiting, cache.counts)


def told_of(views: Iterable[View], waiting: int, counts: Callable[[], Counts]) -> dict[str, Any]:
    """The answer to `models`:

    {"nodes": [{"id", "name", "kind", "model", "priority", "up", "problem", "breaker", "running", "parallel",
    "tokens_per_second", "first_p50", "first_p95", "ok", "failed"}], "waiting", "cache": {"memory", "disk", "lookups",
    "hit_ratio"}}; times in seconds, what is not known is None.
    """
    found = counts()
    lookups = sum(found.results.values())
    return {
        "nodes": fitting(map(node_view, views)),
        "waiting": waiting,
        "cache": {
            "memory": found.memory_entries,
            "disk": found.disk_entries,
            "lookups": lookups,
            "hit_ratio": round(ratio(found.results), 4) if lookups else None,
        },
    }


def node_view(view: View) -> dict[str, Any]:
    stats, buckets = view.stats, view.stats.first_tokens.buckets()
    return {
        "id": view.spec.name,
        "name": view.spec.name,
        "kind": view.spec.kind,
        "model": clean(view.spec.model, limit=MAX_WORDS),
        "priority": view.spec.priority,
        "up": view.up,
        "problem": clean(view.problem, limit=MAX_WORDS),
        "breaker": view.breaker,
        "running": view.running,
        "parallel": view.spec.parallel,
        "tokens_per_second": stats.tokens_per_second,
        "first_p50": quantile(buckets, 0.50),
        "first_p95": quantile(buckets, 0.95),
        "ok": stats.results["ok"],
        "failed": sum(count for result, count in stats.results.items() if result not in _NOT_FAILED),
    }


def quantile(buckets: Sequence[tuple[str, float]], share: float) -> float | None:
    """Within how many seconds that share was; None where fewer than `ENOUGH` are known.

    An estimate, as Prometheus makes it of the same buckets: even spread within one, and what is above the last bound
    is told as that bound. `buckets`: (upper bound, how many are at or below it), the last one "+Inf".
    """
    total = buckets[-1][1] if buckets else 0.0
    if total < ENOUGH:
        return None
    wanted, low, below = share * total, 0.0, 0.0
    for bound, count in buckets[:-1]:
        if count >= wanted:
            return low + (float(bound) - low) * (wanted - below) / (count - below)
        low, below = float(bound), count
    return low
