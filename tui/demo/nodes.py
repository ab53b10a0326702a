"""The demo world's servers of language models, the answer to the verb `models`. Pure: the same seed and moment give the
same answer.

Three servers: a fast one that does most of the work, a slow one beside it, and one whose host is off.
"""

from __future__ import annotations

import math
from typing import Final

from common.api.models import ModelNode, ModelsView, PlanCacheView

WAVES: Final = (37.0, 11.0)  # seconds; how the load goes up and down
ANSWERS_PER_SECOND: Final = 0.35  # a second, at the fast one
MAX_CACHED_PLANS: Final = 180


def demo_nodes(seed: int, since: float) -> ModelsView:
    """The servers, so many seconds after the world began."""
    load = 0.5 + sum(math.sin((since + seed * 5) * math.tau / wave) for wave in WAVES) / 4
    asked = 412 + seed * 3 + int(max(0.0, since) * ANSWERS_PER_SECOND)
    return ModelsView(
        nodes=(_fast_node(load, asked), _slow_node(load, asked), _absent_node()),
        waiting=max(0, round(load * 4) - 3),
        cache=PlanCacheView(
            memory=min(64, asked // 8), disk=min(MAX_CACHED_PLANS, asked // 4), lookups=asked * 2, hit_ratio=0.41
        ),
    )


def _fast_node(load: float, asked: int) -> ModelNode:
    return ModelNode(
        id="gpu-1",
        name="gpu-1",
        kind="ollama",
        model="qwen3:8b-q4_K_M",
        priority=1,
        up=True,
        breaker="closed",
        running=round(load * 4),
        parallel=4,
        tokens_per_second=round(92 - load * 20, 1),
        first_p50=round(0.14 + load * 0.1, 3),
        first_p95=round(0.42 + load * 0.4, 3),
        ok=asked,
        failed=3,
    )


def _slow_node(load: float, asked: int) -> ModelNode:
    return ModelNode(
        id="gpu-2",
        name="gpu-2",
        kind="openai",
        model="Qwen/Qwen3-4B-Instruct-2507",
        priority=2,
        up=True,
        breaker="closed",
        running=int(load * 1.5),
        parallel=2,
        tokens_per_second=round(41 - load * 6, 1),
        first_p50=round(0.31 + load * 0.1, 3),
        first_p95=round(1.2 + load * 0.5, 3),
        ok=asked // 9,
        failed=1,
    )


def _absent_node() -> ModelNode:
    return ModelNode(
        id="cpu-old",
        name="cpu-old",
        kind="ollama",
        model="qwen3:1.7b",
        priority=3,
        up=False,
        problem="gone: connection refused",
        breaker="open",
        parallel=1,
        tokens_per_second=7.4,
        first_p50=1.9,
        first_p95=5.2,
        ok=17,
        failed=6,
    )
