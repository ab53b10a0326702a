"""The whole path to a real model, through both protocols: schema, streaming, cancelling, failover. Not its wisdom."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.values import Duration
from hub.config import ModelTable
from hub.planning.llm_servers.build import build_clients
from hub.planning.llm_servers.pool import Pool, PoolLimits
from hub.planning.llm_servers.types import ModelCompletion, ModelRequest, NoAnswer, TextDelta
from tests.hub.planning.llm_servers import wires
from tests.hub.planning.llm_servers.rig import running
from tests.models.real import MISSING, Running, installed, ollama_front, openai_server

HAVE = installed() is not None
pytestmark = [
    pytest.mark.skipif(not HAVE and "ANSWERBACK_MODEL_URL" not in os.environ, reason=MISSING),
    pytest.mark.xdist_group("model"),
    pytest.mark.timeout(400),
]
SCHEMA = {
    "type": "object",
    "properties": {
        "machine": {"enum": ["web-1", "web-2", "db-1"]},
        "program": {"enum": ["df", "uptime", "free"]},
        "why": {"type": "string", "maxLength": 40},
    },
    "required": ["machine", "program", "why"],
    "additionalProperties": False,
}
SYSTEM = "You plan one command. Machines: web-1, web-2, db-1. Programs: df (disk), uptime (load), free (memory)."


SECONDS = 150.0  # a machine that is busy with other tests takes its time


def ask(text: str = "hello", **more: Any) -> ModelRequest:
    return wires.ask(text, deadline=time.monotonic() + SECONDS, **more)


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with openai_server() as found:
        yield found


def table(at: Running, kind: str, folder: Path) -> ModelTable:
    file = None
    if at.key:
        file = folder / f"key-{len(list(folder.iterdir()))}"
        file.write_text(at.key)
        file.chmod(0o600)
    return ModelTable(at.url, at.model, kind, key_file=file, context=4_096, timeout=Duration(SECONDS))  # type: ignore[arg-type]


def pool_of(**tables: ModelTable) -> Pool:
    return Pool(build_clients(tables), PoolLimits(), time.monotonic)


def follows(text: str) -> bool:
    plan = json.loads(text)
    return (
        set(plan) == {"machine", "program", "why"}
        and plan["machine"] in SCHEMA["properties"]["machine"]["enum"]  # type: ignore[index]
        and plan["program"] in SCHEMA["properties"]["program"]["enum"]  # type: ignore[index]
    )


async def test_an_answer_of_the_form_through_both_protocols(server: Running, tmp_path: Path) -> None:
    """OpenAI's with a key and `response_format`, and the real Ollama client's `format` through a front."""
    async with ollama_front(server) as front:
        for kind, at in (("openai", server), ("ollama", front)):
            async with running(pool_of(one=table(at, kind, tmp_path))) as pool:
                await pool.wait_checked()
                assert pool.node_statuses()[0].up, pool.node_statuses()[0].problem
                asked = ask("how full is the disk of web-1?", system=SYSTEM, schema=SCHEMA, max_tokens=120)
                got = await pool.complete(asked)
            assert follows(got.text), got.text
            assert got.tokens.output > 5
            assert 0 < got.timings.first < got.timings.total
            assert got.digest


async def test_cancelling_ends_the_generation(server: Running, tmp_path: Path) -> None:
    """The server has nothing under way soon after the client is gone."""
    ((_, wire),) = build_clients({"one": table(server, "openai", tmp_path)})
    stream = wire.stream(ask("Tell a very long story.", schema=None, max_tokens=2_000))
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {server.key}"}) as client:
        assert (await client.get(server.url + "/running")).json() == {"running": 1}
        await stream.aclose()
        async with asyncio.timeout(45):
            while (await client.get(server.url + "/running")).json()["running"]:
                await asyncio.sleep(0.02)
    await wire.close()


async def test_a_wrong_key_and_a_wrong_name_are_told(server: Running, tmp_path: Path) -> None:
    """By the health check, in words that say what to change."""
    wrong = table(Running(server.url, server.model, "sk-wrong"), "openai", tmp_path)
    other = table(Running(server.url, "gpt-9", server.key), "openai", tmp_path)
    async with running(pool_of(wrong=wrong, other=other)) as pool:
        await pool.wait_checked()
        problems = [view.problem for view in pool.node_statuses()]
        with pytest.raises(NoAnswer, match="down"):
            await pool.complete(ask())
    assert problems[0] == "unauthorised: HTTP 401: the key is not taken"
    assert problems[1] == f"gone: no model gpt-9 there; it has {server.model}"


async def test_a_burst_is_answered_by_two_nodes_of_which_one_dies(tmp_path: Path) -> None:
    """The first server is ended while it works; every request is answered by the other."""
    async with openai_server(threads=1) as stays:
        dying = openai_server(threads=1)
        tables = {
            "stays": table(stays, "openai", tmp_path),
            "dies": table(await dying.__aenter__(), "openai", tmp_path),
        }
        ended = False
        try:
            async with running(pool_of(**tables)) as pool, asyncio.TaskGroup() as group:
                await pool.wait_checked()
                tasks = [
                    group.create_task(
                        pool.complete(ask(f"load of web-{n}?", system=SYSTEM, schema=SCHEMA, max_tokens=80))
                    )
                    for n in range(8)
                ]
                while not any(view.running for view in pool.node_statuses() if view.spec.name == "dies"):
                    await asyncio.sleep(0.01)
                await dying.__aexit__(None, None, None)
                ended = True
                got = [await task for task in tasks]
        finally:
            if not ended:
                await dying.__aexit__(None, None, None)
    assert all(isinstance(one, ModelCompletion) and follows(one.text) for one in got)
    assert any("gone" in [attempt.result for attempt in one.attempts] for one in got)
