"""Builds nodes from the configuration. A protocol's libraries are loaded only where a node uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from hub.config import HubConfig, ModelTable
from hub.planning.llm_servers.node import ModelClient, NodeSpec
from hub.planning.llm_servers.pool import PoolLimits


def build_clients(
    models: Mapping[str, ModelTable], on_key: Callable[[str, bytes], None] = lambda owner, key: None
) -> list[tuple[NodeSpec, ModelClient]]:
    """Every `[models.NAME]`, ready for a Pool; raises UserError where a key file cannot be read. `on_key` hears, with
    "models.NAME", which key a server took.
    """
    return [
        (node_spec(name, table), build_client(table, partial(on_key, f"models.{name}")))
        for name, table in models.items()
    ]


def pool_limits(config: HubConfig) -> PoolLimits:
    planning = config.planning
    return PoolLimits(
        queue=planning.queue,
        max_tokens=planning.max_tokens,
        person_minute=planning.person_minute,
        person_day=planning.person_day,
        hedge=planning.hedge,
        merge=planning.merge,
    )


def node_spec(name: str, table: ModelTable) -> NodeSpec:
    return NodeSpec(name, table.model, table.kind, table.priority, table.parallel, table.timeout, table.context)


def build_client(table: ModelTable, on_key: Callable[[bytes], None] = lambda key: None) -> ModelClient:
    # Imported here: httpx, and pydantic with the ollama client, which a hub without models does not need (tens of MiB).
    from hub.planning.llm_servers.transport import ApiKeyAuth

    keys = ApiKeyAuth(table.key_file, on_key)
    if table.kind == "openai":
        from hub.planning.llm_servers.openai_api import OpenAIClient

        return OpenAIClient(table.url, table.model, keys, timeout=table.timeout, parallel=table.parallel)
    from hub.planning.llm_servers.ollama_api import OllamaClient

    return OllamaClient(
        table.url,
        table.model,
        keys,
        timeout=table.timeout,
        parallel=table.parallel,
        keep_alive=table.keep_alive,
        context=table.context,
    )
