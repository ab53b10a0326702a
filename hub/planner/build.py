"""Everything of a hub's models, from its configuration: for `serve`, and for the command line that tries them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.policy import Policy
from common.seal import Sealer
from hub.config import HubConfig
from hub.models.build import bounds_of, servers_of
from hub.models.cache import PlanCache
from hub.models.families import ModelMetrics
from hub.models.pool import Pool
from hub.plan.chain import Chain
from hub.planner.planner import ModelPlanner
from hub.planner.prompt import LEAST_TOKENS

SPARE: Final = 128  # tokens of a node's context for what a server puts around a prompt


@dataclass(frozen=True, slots=True)
class Models:
    """`pool.run()` has to run for `planner.plan` to answer."""

    pool: Pool
    cache: PlanCache
    planner: ModelPlanner
    metrics: ModelMetrics


def models_of(
    config: HubConfig,
    *,
    sealer: Sealer,
    policy: Callable[[], Policy],
    chain: Callable[[], Chain],
    clock: Callable[[], float],
    monotonic: Callable[[], float],
    told: Callable[[str], None] = lambda result: None,
) -> Models | None:
    """None where no model is configured, or models are switched off; raises UserError where a key does not read."""
    planning = config.planning
    if not config.models or not planning.models:
        return None
    pool = Pool(servers_of(config.models), bounds_of(config), monotonic)
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
        tokens=prompt_tokens(config),
        clock=clock,
        monotonic=monotonic,
        told=told,
    )
    return Models(pool, cache, planner, ModelMetrics(pool.views, cache.counts, lambda: pool.waiting))


def prompt_tokens(config: HubConfig) -> int:
    """The bound on a prompt: what [planning] says, less where a node has not the room for it and an answer."""
    room = min(model.context for model in config.models.values()) - config.planning.max_tokens - SPARE
    return max(LEAST_TOKENS, min(config.planning.prompt_tokens, room))
