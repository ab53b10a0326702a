from __future__ import annotations

from collections import Counter

from prometheus_client import CollectorRegistry, generate_latest

from hub.planning.llm_servers.metrics import ModelMetrics
from hub.planning.llm_servers.node import NodeSpec, NodeStatus
from hub.planning.llm_servers.plan_cache import CacheStats
from hub.planning.llm_servers.stats import NodeStats


def test_the_families_tell_of_nodes_and_cache() -> None:
    """One series a node and result, the histogram cumulative, the cache's layers; scraped twice the same."""
    stats = NodeStats()
    stats.answered(cost=10, first=0.02, total=0.5, prompt=7, output=49)
    stats.failed("slow")
    view = NodeStatus(NodeSpec("gpu", "m"), True, "", "half_open", "d", 1, 12.5, stats)
    registry = CollectorRegistry()
    counts = CacheStats(Counter(memory=3, miss=1), 2, 500, 4, 8_192, 1, 1)
    registry.register(ModelMetrics(lambda: [view], lambda: counts, lambda: 6))
    text = generate_latest(registry).decode()
    assert generate_latest(registry).decode() == text
    for line in (
        'answerback_model_up{node="gpu"} 1.0',
        'answerback_model_breaker{node="gpu"} 1.0',
        'answerback_model_running{node="gpu"} 1.0',
        'answerback_model_work{node="gpu"} 12.5',
        'answerback_model_requests_total{node="gpu",result="ok"} 1.0',
        'answerback_model_requests_total{node="gpu",result="slow"} 1.0',
        'answerback_model_tokens_total{kind="output",node="gpu"} 49.0',
        'answerback_model_first_token_seconds_bucket{le="0.01",node="gpu"} 0.0',
        'answerback_model_first_token_seconds_bucket{le="0.025",node="gpu"} 1.0',
        'answerback_model_first_token_seconds_count{node="gpu"} 1.0',
        "answerback_model_queue 6.0",
        'answerback_plan_cache_lookups_total{result="memory"} 3.0',
        'answerback_plan_cache_bytes{layer="disk"} 8192.0',
        "answerback_plan_cache_corrupt_total 1.0",
    ):
        assert line in text.splitlines()
    assert 'answerback_model_tokens_per_second{node="gpu"} 100.0' in text


def test_a_hub_without_models_tells_of_none() -> None:
    """No nodes and no cache: the line, and nothing that looks like a failure."""
    registry = CollectorRegistry()
    registry.register(ModelMetrics(lambda: []))
    text = generate_latest(registry).decode()
    assert "answerback_model_queue 0.0" in text
    assert "plan_cache" not in text
