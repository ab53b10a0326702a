"""A hub's models from its configuration."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hub.config import HubConfig, ModelTable
from hub.planner.build import SPARE, Models, models_of, prompt_tokens
from tests.hub.house import House

NODE = ModelTable("http://127.0.0.1:9", "m")


def with_models(inside: House, *models: ModelTable, **planning: Any) -> HubConfig:
    tables = {f"n{index}": model for index, model in enumerate(models)}
    return replace(inside.config, models=tables, planning=replace(inside.config.planning, **planning))


def made(inside: House, config: HubConfig) -> Models | None:
    return models_of(
        config,
        sealer=inside.keys.sealer,
        policy=lambda: inside.policy,
        chain=lambda: inside.chain,
        clock=inside.clock,
        monotonic=time.monotonic,
    )


async def test_without_models_there_is_nothing_to_run(inside: House) -> None:
    """None configured, or all switched off."""
    assert made(inside, inside.config) is None
    assert made(inside, with_models(inside, NODE, models=False)) is None


async def test_everything_is_made_of_one_configuration(inside: House) -> None:
    """Nodes, cache and what `/metrics` tells of both."""
    found = made(inside, with_models(inside, NODE, replace(NODE, kind="openai")))
    assert found is not None
    assert [view.spec.kind for view in found.pool.views()] == ["ollama", "openai"]
    registry = CollectorRegistry()
    registry.register(found.metrics)
    text = generate_latest(registry).decode()
    assert 'answerback_model_up{node="n0"}' in text
    assert "answerback_plan_cache_lookups_total" in text


@pytest.mark.parametrize(
    ("contexts", "tokens"), [((8_192,), 6_000), ((4_096, 32_768), 4_096 - 512 - SPARE), ((512,), 1_000)]
)
async def test_a_prompt_fits_every_node(inside: House, contexts: tuple[int, ...], tokens: int) -> None:
    """What [planning] says, or what the smallest node has room for beside an answer."""
    nodes = [replace(NODE, context=context) for context in contexts]
    assert prompt_tokens(with_models(inside, *nodes)) == tokens
