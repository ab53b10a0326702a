"""Builds the planner with models, its servers and its cache from a hub's configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.identity.sealing import Sealer
from common.policy.check import Policy
from hub.config import HubConfig
from hub.planning.chain import PlannerChain
from hub.planning.llm.planner import ModelPlanner
from hub.planning.llm.prompt import MIN_TOKENS
from hub.planning.llm_servers.build import build_clients, pool_limits
from hub.planning.llm_servers.metrics import ModelMetrics
from hub.planning.llm_servers.plan_cache import PlanCache
from hub.planning.llm_servers.pool import Pool

CONTEXT_RESERVE: Final = 128  # tokens of a node's context for what a server puts around a prompt


@dataclass(frozen=True, slots=True)
class PlanningModels:
    """The parts of planning with models. `pool.run()` must be running for `planner.plan` to return."""

    pool: Pool
    cache: PlanCache
    planner: ModelPlanner
    metrics: ModelMetrics


@dataclass(slots=True)
class LiveModels:
    """The models in use, which a hub.toml that is read again may replace; None where none are."""

    current: PlanningModels | None = None


def build_models(
    config: HubConfig,
    *,
    sealer: Sealer,
    policy: Callable[[], Policy],
    chain: Callable[[], PlannerChain],
    clock: Callable[[], float],
    monotonic: Callable[[], float],
    on_result: Callable[[str], None] = lambda result: None,
    on_key: Callable[[str, bytes], None] = lambda owner, key: None,
) -> PlanningModels | None:
    """None where no model is configured, or models are switched off; raises UserError where a key file cannot be
    read.
    """
    planning = config.planning
    if not config.models or not planning.models:
        return None
    pool = Pool(build_clients(config.models, on_key), pool_limits(config), monotonic)
    cache = PlanCache(
        planning.cache_folder,
        sealer,
        entries=planning.cache_entries,
        memory=planning.cache_memory,
        disk=planning.cache_disk,
        ttl=planning.cache_ttl,
        negative_ttl=planning.cache_negative_ttl,
    )
    planner = ModelPlanner(
        pool=pool,
        cache=cache,
        policy=policy,
        chain=chain,
        planning=planning,
        tokens=max_prompt_tokens(config),
        clock=clock,
        monotonic=monotonic,
        on_result=on_result,
    )
    return PlanningModels(pool, cache, planner, ModelMetrics(pool.node_statuses, cache.stats, lambda: pool.waiting))


def max_prompt_tokens(config: HubConfig) -> int:
    """The token limit of a prompt: that of [planning], or less where a node's context has no room for it and an
    answer.
    """
    room = min(model.context for model in config.models.values()) - config.planning.max_tokens - CONTEXT_RESERVE
    return max(MIN_TOKENS, min(config.planning.prompt_tokens, room))
