"""The demo world's servers of language models, as a hub's verb `models` would tell of them. Pure: a moment gives the
same nodes however often it is looked at.

Three of them, of which one is down: a fast one with most of the work, a slow one beside it, and one whose host is off.
"""

from __future__ import annotations

import math
from typing import Any, Final

WAVES: Final = (37.0, 11.0)  # seconds; how the load goes up and down
ANSWERS: Final = 0.35  # a second, at the fast one
PLANS: Final = 180


def nodes(seed: int, since: float) -> dict[str, Any]:
    """The answer, so many seconds after the world has begun."""
    load = 0.5 + sum(math.sin((since + seed * 5) * math.tau / wave) for wave in WAVES) / 4
    asked = 412 + seed * 3 + int(max(0.0, since) * ANSWERS)
    return {
        "nodes": [
            _node("gpu-1", "ollama", "qwen3:8b-q4_K_M", 1, 4)
            | {"running": round(load * 4), "tokens_per_second": round(92 - load * 20, 1), "ok": asked, "failed": 3}
            | {"first_p50": round(0.14 + load * 0.1, 3), "first_p95": round(0.42 + load * 0.4, 3)},
            _node("gpu-2", "openai", "Qwen/Qwen3-4B-Instruct-2507", 2, 2)
            | {"running": int(load * 1.5), "tokens_per_second": round(41 - load * 6, 1), "ok": asked // 9, "failed": 1}
            | {"first_p50": round(0.31 + load * 0.1, 3), "first_p95": round(1.2 + load * 0.5, 3)},
            _node("cpu-old", "ollama", "qwen3:1.7b", 3, 1)
            | {"up": False, "problem": "gone: connection refused", "breaker": "open", "ok": 17, "failed": 6}
            | {"running": 0, "tokens_per_second": 7.4, "first_p50": 1.9, "first_p95": 5.2},
        ],
        "waiting": max(0, round(load * 4) - 3),
        "cache": {
            "memory": min(64, asked // 8),
            "disk": min(PLANS, asked // 4),
            "lookups": asked * 2,
            "hit_ratio": 0.41,
        },
    }


def _node(name: str, kind: str, model: str, priority: int, parallel: int) -> dict[str, Any]:
    whole = {"id": name, "name": name, "kind": kind, "model": model, "priority": priority, "parallel": parallel}
    return whole | {"up": True, "problem": "", "breaker": "closed"}
