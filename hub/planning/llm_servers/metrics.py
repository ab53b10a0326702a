"""The Prometheus metrics of model nodes and of the plan cache; register a `ModelMetrics` with a registry.

The values are read from the nodes' own figures at each scrape, so that they cannot drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub.planning.llm_servers.node import NodeStatus
from hub.planning.llm_servers.plan_cache import CacheStats

_BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class ModelMetrics(Collector):
    """Collects the metric families of nodes, queue and cache."""

    def __init__(
        self,
        views: Callable[[], Sequence[NodeStatus]],
        counts: Callable[[], CacheStats] | None = None,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        self._views = views
        self._counts = counts
        self._waiting = waiting

    def collect(self) -> Iterator[Metric]:
        yield from node_families(self._views())
        yield GaugeMetricFamily("answerback_model_queue", "Requests that wait for a model.", self._waiting())
        if self._counts is not None:
            yield from cache_families(self._counts())


def node_families(views: Iterable[NodeStatus]) -> Iterator[Metric]:
    up = _gauge("up", "Whether the last health check found the node with its model.")
    breaker = _gauge("breaker", "0 closed, 1 half open, 2 open.")
    running = _gauge("running", "Requests under way.")
    work = _gauge("work", "Work under way, in generated tokens.")
    speed = _gauge("tokens_per_second", "Generated tokens a second of one request, moving average.")
    requests = CounterMetricFamily(
        "answerback_model_requests", "Attempts by what came of them.", labels=["node", "result"]
    )
    tokens = CounterMetricFamily("answerback_model_tokens", "Tokens read and generated.", labels=["node", "kind"])
    first = HistogramMetricFamily("answerback_model_first_token_seconds", "Until the first token.", labels=["node"])
    for view in views:
        name, stats = view.spec.name, view.stats
        up.add_metric([name], float(view.up))
        breaker.add_metric([name], _BREAKER[view.breaker])
        running.add_metric([name], view.running)
        work.add_metric([name], view.load)
        if stats.tokens_per_second is not None:
            speed.add_metric([name], stats.tokens_per_second)
        for result, count in sorted(stats.results.items()):
            requests.add_metric([name, result], count)
        tokens.add_metric([name, "prompt"], stats.prompt_tokens)
        tokens.add_metric([name, "output"], stats.output_tokens)
        first.add_metric([name], buckets=stats.first_tokens.buckets(), sum_value=stats.first_tokens.sum)
    yield from (up, breaker, running, work, speed, requests, tokens, first)


def cache_families(counts: CacheStats) -> Iterator[Metric]:
    lookups = CounterMetricFamily("answerback_plan_cache_lookups", "Lookups by result.", labels=["result"])
    for result in ("memory", "disk", "miss", "expired"):
        lookups.add_metric([result], counts.results.get(result, 0))
    yield lookups
    entries = GaugeMetricFamily("answerback_plan_cache_entries", "Plans kept.", labels=["layer"])
    size = GaugeMetricFamily("answerback_plan_cache_bytes", "Bytes that they take.", labels=["layer"])
    for layer, count, held in (
        ("memory", counts.memory_entries, counts.memory_bytes),
        ("disk", counts.disk_entries, counts.disk_bytes),
    ):
        entries.add_metric([layer], count)
        size.add_metric([layer], held)
    yield from (entries, size)
    yield CounterMetricFamily("answerback_plan_cache_evicted", "Plans that made room for others.", counts.evicted)
    yield CounterMetricFamily(
        "answerback_plan_cache_corrupt", "Files that did not open and were removed.", counts.corrupt
    )


def _gauge(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"answerback_model_{name}", about, labels=["node"])
