"""The language models as operators see them: the state of each server, who waits, how often the cache of plans hit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from common.api.arguments import NoArgs
from common.api.models import ModelNode, ModelsView, PlanCacheView
from common.text import clean
from hub.api.views import fit_items
from hub.links.console import Caller
from hub.planning.llm.build import LiveModels
from hub.planning.llm_servers.node import NodeStatus
from hub.planning.llm_servers.plan_cache import CacheStats, hit_ratio
from hub.planning.llm_servers.stats import MIN_PERCENTILE_SAMPLES

MAX_TEXT: Final = 300
"""Characters of a model's name, and of the problem that a server reports."""
_NOT_FAILED: Final = frozenset({"ok", "hedged", "cancelled"})
"""Results of attempts that do not count as failures of a node."""


class ModelHandlers:
    """Only a hub that has models has these: a console that finds no such verb shows no such screen."""

    def __init__(self, models: LiveModels) -> None:
        self._models = models

    async def models(self, caller: Caller, args: NoArgs) -> ModelsView:
        current = self._models.current
        if current is None:  # there were some until hub.toml was read again
            return ModelsView(nodes=(), waiting=0, cache=PlanCacheView(memory=0, disk=0, lookups=0, hit_ratio=None))
        pool, cache = current.pool, current.cache
        return models_view(pool.node_statuses(), pool.waiting, cache.stats)


def models_view(statuses: Iterable[NodeStatus], waiting: int, stats: Callable[[], CacheStats]) -> ModelsView:
    """Every node, and what they share."""
    found = stats()
    lookups = sum(found.results.values())
    return ModelsView(
        nodes=fit_items(map(node_view, statuses)),
        waiting=waiting,
        cache=PlanCacheView(
            memory=found.memory_entries,
            disk=found.disk_entries,
            lookups=lookups,
            hit_ratio=round(hit_ratio(found.results), 4) if lookups else None,
        ),
    )


def node_view(status: NodeStatus) -> ModelNode:
    stats, buckets = status.stats, status.stats.first_tokens.buckets()
    return ModelNode(
        id=status.spec.name,
        name=status.spec.name,
        kind=status.spec.kind,
        model=clean(status.spec.model, limit=MAX_TEXT),
        priority=status.spec.priority,
        up=status.up,
        problem=clean(status.problem, limit=MAX_TEXT),
        breaker=status.breaker,
        running=status.running,
        parallel=status.spec.parallel,
        tokens_per_second=stats.tokens_per_second,
        first_p50=quantile(buckets, 0.50),
        first_p95=quantile(buckets, 0.95),
        ok=stats.results["ok"],
        failed=sum(count for result, count in stats.results.items() if result not in _NOT_FAILED),
    )


def quantile(buckets: Sequence[tuple[str, float]], share: float) -> float | None:
    """Within how many seconds that share was; None where fewer than `MIN_PERCENTILE_SAMPLES` are known.

    An estimate, as Prometheus makes it from the same buckets: even spread within one, and what is above the last bound
    is given as that bound. `buckets`: (upper bound, how many are at or below it), the last one "+Inf".
    """
    total = buckets[-1][1] if buckets else 0.0
    if total < MIN_PERCENTILE_SAMPLES:
        return None
    wanted, low, below = share * total, 0.0, 0.0
    for bound, count in buckets[:-1]:
        if count >= wanted:
            return low + (float(bound) - low) * (wanted - below) / (count - below)
        low, below = float(bound), count
    return low
