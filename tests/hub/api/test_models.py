"""The operators' look at the servers of language models."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api.codec import encode as encode_view
from common.errors import Denied
from common.link.codec import encode
from common.link.messages import Answer
from hub.api.models import MAX_TEXT, models_view, node_view, quantile
from hub.config import ModelTable
from hub.planning.llm.build import PlanningModels, build_models
from hub.planning.llm_servers.node import NodeSpec, NodeStatus
from hub.planning.llm_servers.plan_cache import CacheStats
from hub.planning.llm_servers.stats import FIRST_BUCKETS, MIN_PERCENTILE_SAMPLES, Histogram, NodeStats
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness

NODE = ModelTable("http://127.0.0.1:9", "qwen3:8b")


def models(harness: HubHarness) -> PlanningModels:
    config = replace(harness.config, models={"gpu": NODE, "old": replace(NODE, kind="openai", priority=2)})
    found = build_models(
        config,
        sealer=harness.keys.sealer,
        policy=lambda: harness.policy,
        chain=lambda: harness.chain,
        clock=harness.clock,
        monotonic=time.monotonic,
    )
    assert found is not None
    return found


def view(**more: object) -> NodeStatus:
    spec = NodeSpec("gpu", "qwen3:8b", priority=3, parallel=4)
    return replace(NodeStatus(spec, True, "", "closed", "d", 1, 0.0, NodeStats()), **more)  # type: ignore[arg-type]


async def test_only_a_hub_with_models_has_the_verb(harness: HubHarness) -> None:
    """Without them it is not among those that whoami tells, so no console shows a screen of them."""
    assert "models" not in ApiHarness(harness).api.table
    assert "models" not in (await ApiHarness(harness).call("vera", "whoami"))["verbs"]
    told = await ApiHarness(harness, models=models(harness)).call("vera", "whoami")
    assert told["verbs"]["models"] == {"may": True, "role": "viewer"}


async def test_nodes_line_and_cache(harness: HubHarness) -> None:
    """One of each node in the order of the configuration; what is not known yet is None and not nought."""
    told = await ApiHarness(harness, models=models(harness)).call("vera", "models")
    assert [(node["name"], node["kind"], node["priority"]) for node in told["nodes"]] == [
        ("gpu", "ollama", 1),
        ("old", "openai", 2),
    ]
    node = told["nodes"][0]
    assert (node["model"], node["up"], node["breaker"], node["running"]) == ("qwen3:8b", True, "closed", 0)
    assert (node["tokens_per_second"], node["first_p50"], node["ok"], node["failed"]) == (None, None, 0, 0)
    assert told["waiting"] == 0
    assert told["cache"] == {"memory": 0, "disk": 0, "lookups": 0, "hit_ratio": None}


async def test_it_takes_the_right_to_look_at_machines(harness: HubHarness) -> None:
    """A viewer may, as with machines; somebody whom the hub does not know is refused."""
    rooms = ApiHarness(harness, models=models(harness))
    await rooms.call("vera", "models")
    with pytest.raises(Denied, match="machines"):
        await rooms.call("mallory", "models")


def test_results_are_counted_for_and_against_a_node() -> None:
    """What was overtaken or taken back is neither; the cache's hits are of all lookups."""
    stats = NodeStats()
    for _ in range(MIN_PERCENTILE_SAMPLES):
        stats.answered(cost=10, first=0.2, total=1.2, prompt=7, output=41)
    stats.failed("slow")
    stats.failed("nonsense")
    stats.results["hedged"] += 5
    stats.results["cancelled"] += 5
    told = encode_view(
        models_view([view(stats=stats)], 3, lambda: CacheStats(Counter(memory=3, disk=1, miss=4), 2, 500, 6))
    )
    node = told["nodes"][0]
    assert (node["ok"], node["failed"], node["parallel"]) == (MIN_PERCENTILE_SAMPLES, 2, 4)
    assert node["tokens_per_second"] == pytest.approx(40.0)
    assert 0.1 < node["first_p50"] < 0.25
    assert told["waiting"] == 3
    assert told["cache"] == {"memory": 2, "disk": 6, "lookups": 8, "hit_ratio": 0.5}


def test_what_a_server_says_is_bounded_and_made_safe() -> None:
    """Its trouble and its model's name come from outside; a thousand nodes still fit one frame."""
    nasty = "\x1b[31m" + "x\u202e" * 5_000
    node = encode_view(node_view(view(problem=nasty, spec=NodeSpec("gpu", nasty))))
    assert len(node["problem"]) <= MAX_TEXT + 1
    assert not {"\x1b", "\u202e"} & set(node["problem"] + node["model"])
    many = encode_view(
        models_view(
            [view(problem="字" * 5_000, spec=NodeSpec(f"n{index}", "m")) for index in range(1_000)], 0, CacheStats
        )
    )
    assert many["nodes"]
    encode(Answer(1, many, "", ""), seq=1)


@given(st.lists(st.floats(0, 60), max_size=60), st.floats(0.01, 1))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    """None where too few are known; what is beyond the last bound is told as that bound."""
    histogram = Histogram(FIRST_BUCKETS)
    for value in values:
        histogram.observe(value)
    found = quantile(histogram.buckets(), share)
    if len(values) < MIN_PERCENTILE_SAMPLES:
        assert found is None
        return
    assert found is not None
    below = next(index for index in range(1, len(values) + 1) if index >= share * len(values))
    true = sorted(values)[below - 1]
    bounds = [0.0, *FIRST_BUCKETS]
    low = max([bound for bound in bounds if bound < true], default=0.0)
    high = min([bound for bound in bounds[1:] if bound >= true], default=bounds[-1])
    assert low <= found <= high + 1e-9


def test_no_buckets_no_percentile() -> None:
    """Nothing was asked yet."""
    assert quantile([], 0.5) is None
