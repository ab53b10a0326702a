"""A hub's models from its configuration."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hub.config import HubConfig, ModelTable
from hub.planning.llm.build import CONTEXT_RESERVE, PlanningModels, build_models, max_prompt_tokens
from tests.hub.hub_harness import HubHarness

NODE = ModelTable("http://127.0.0.1:9", "m")


def with_models(harness: HubHarness, *models: ModelTable, **planning: Any) -> HubConfig:
    tables = {f"n{index}": model for index, model in enumerate(models)}
    return replace(harness.config, models=tables, planning=replace(harness.config.planning, **planning))


def made(harness: HubHarness, config: HubConfig) -> PlanningModels | None:
    return build_models(
        config,
        sealer=harness.keys.sealer,
        policy=lambda: harness.policy,
        chain=lambda: harness.chain,
        clock=harness.clock,
        monotonic=time.monotonic,
    )


async def test_without_models_there_is_nothing_to_run(harness: HubHarness) -> None:
    """None configured, or all switched off."""
    assert made(harness, harness.config) is None
    assert made(harness, with_models(harness, NODE, models=False)) is None


async def test_everything_is_made_of_one_configuration(harness: HubHarness) -> None:
    """Nodes, cache and what `/metrics` tells of both."""
    found = made(harness, with_models(harness, NODE, replace(NODE, kind="openai")))
    assert found is not None
    assert [view.spec.kind for view in found.pool.node_statuses()] == ["ollama", "openai"]
    registry = CollectorRegistry()
    registry.register(found.metrics)
    text = generate_latest(registry).decode()
    assert 'answerback_model_up{node="n0"}' in text
    assert "answerback_plan_cache_lookups_total" in text


@pytest.mark.parametrize(
    ("contexts", "tokens"), [((8_192,), 6_000), ((4_096, 32_768), 4_096 - 512 - CONTEXT_RESERVE), ((512,), 1_000)]
)
async def test_a_prompt_fits_every_node(harness: HubHarness, contexts: tuple[int, ...], tokens: int) -> None:
    """What [planning] says, or what the smallest node has room for beside an answer."""
    nodes = [replace(NODE, context=context) for context in contexts]
    assert max_prompt_tokens(with_models(harness, *nodes)) == tokens
