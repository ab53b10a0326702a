"""Nodes from the configuration. The protocols' libraries are loaded only where a node speaks them."""

from __future__ import annotations

from collections.abc import Mapping

from hub.config import HubConfig, ModelTable
from hub.models.node import Spec, Wire
from hub.models.pool import Bounds
from hub.models.transport import Keys


def servers_of(models: Mapping[str, ModelTable]) -> list[tuple[Spec, Wire]]:
    """Every `[models.NAME]`, ready for a Pool; raises UserError where a key's file does not read."""
    return [(spec_of(name, table), wire_of(table)) for name, table in models.items()]


def bounds_of(config: HubConfig) -> Bounds:
    planning = config.planning
    return Bounds(
        queue=planning.queue,
        max_tokens=planning.max_tokens,
        person_minute=planning.person_minute,
        person_day=planning.person_day,
        hedge=planning.hedge,
        merge=planning.merge,
    )


def spec_of(name: str, table: ModelTable) -> Spec:
    return Spec(name, table.model, table.kind, table.priority, table.parallel, table.timeout, table.context)


def wire_of(table: ModelTable) -> Wire:
    keys = Keys(table.key_file)
    # Imported here: the ollama client brings pydantic, and a hub without models needs neither (tens of MiB).
    if table.kind == "openai":
        from hub.models.wire_openai import OpenAI

        return OpenAI(table.url, table.model, keys, timeout=table.timeout, parallel=table.parallel)
    from hub.models.wire_ollama import Ollama

    return Ollama(
        table.url,
        table.model,
        keys,
        timeout=table.timeout,
        parallel=table.parallel,
        keep_alive=table.keep_alive,
        context=table.context,
    )
