"""A pool in front of in-process model servers, for the tests of the pool and the bench."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hub.planning.llm_servers.node import ModelClient, NodeSpec
from hub.planning.llm_servers.ollama_api import OllamaClient
from hub.planning.llm_servers.openai_api import OpenAIClient
from hub.planning.llm_servers.pool import Pool, PoolLimits
from hub.planning.llm_servers.transport import ApiKeyAuth
from tests.hub.planning.llm_servers.servers import OllamaServer, Server, serving


def wire_to(server: Server, spec: NodeSpec) -> ModelClient:
    if isinstance(server, OllamaServer):
        return OllamaClient(
            server.url,
            spec.model,
            ApiKeyAuth(None),
            timeout=spec.timeout,
            parallel=spec.parallel,
            keep_alive=60.0,
            context=spec.context,
        )
    return OpenAIClient(server.url, spec.model, ApiKeyAuth(None), timeout=spec.timeout, parallel=spec.parallel)


@asynccontextmanager
async def running(pool: Pool) -> AsyncIterator[Pool]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pool.run())
        await asyncio.sleep(0)
        try:
            yield pool
        finally:
            task.cancel()


@asynccontextmanager
async def pooled(
    servers: Sequence[Server], *, checked: bool = True, bounds: PoolLimits | None = None, **spec: Any
) -> AsyncIterator[Pool]:
    """Nodes a, b, c… over the servers. `spec`: a value for all of them, or a list with one for each."""
    async with serving(*servers):
        made = []
        for number, server in enumerate(servers):
            own = {key: value[number] if isinstance(value, list) else value for key, value in spec.items()}
            one = NodeSpec("abcdefgh"[number], server.model, **own)
            made.append((one, wire_to(server, one)))
        async with running(Pool(made, bounds or PoolLimits(), time.monotonic)) as pool:
            if checked:
                await pool.wait_checked()
            yield pool
