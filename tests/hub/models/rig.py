"""A pool in front of in-process model servers, for the tests of the pool and the bench."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hub.models.node import Spec, Wire
from hub.models.pool import Bounds, Pool
from hub.models.transport import Keys
from hub.models.wire_ollama import Ollama
from hub.models.wire_openai import OpenAI
from tests.hub.models.servers import OllamaServer, Server, serving


def wire_to(server: Server, spec: Spec) -> Wire:
    if isinstance(server, OllamaServer):
        return Ollama(
            server.url,
            spec.model,
            Keys(None),
            timeout=spec.timeout,
            parallel=spec.parallel,
            keep_alive=60.0,
            context=spec.context,
        )
    return OpenAI(server.url, spec.model, Keys(None), timeout=spec.timeout, parallel=spec.parallel)


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
    servers: Sequence[Server], *, checked: bool = True, bounds: Bounds | None = None, **spec: Any
) -> AsyncIterator[Pool]:
    """Nodes a, b, c… over the servers. `spec`: a value for all of them, or a list with one for each."""
    async with serving(*servers):
        made = []
        for number, server in enumerate(servers):
            own = {key: value[number] if isinstance(value, list) else value for key, value in spec.items()}
            one = Spec("abcdefgh"[number], server.model, **own)
            made.append((one, wire_to(server, one)))
        async with running(Pool(made, bounds or Bounds(), time.monotonic)) as pool:
            if checked:
                await pool.checked()
            yield pool
