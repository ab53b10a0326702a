"""A house whose plain words go to a model server in the process of the test, through real pool, cache and planner."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from hub.config import ModelTable
from hub.planning.llm.build import PlanningModels, build_models
from tests.hub.hub_harness import HubHarness
from tests.hub.planning.llm_servers.servers import Behaviour, OllamaServer, OpenAIServer, Server, serving

Answering = Callable[[dict[str, Any]], str]


def said(body: Mapping[str, Any]) -> dict[str, Any]:
    """The person's turn, as the planner wrote it: the newest that is JSON."""
    turns = [message["content"] for message in body["messages"] if message["role"] == "user"]
    return dict(json.loads([turn for turn in turns if turn.startswith("{")][-1]))


def commands(*steps: tuple[list[str], list[str]], risk: str = "low", why: str = "It looks.") -> str:
    """An answer of commands: (argv, machines) each."""
    told = [
        {
            "program": argv[0],
            "arguments": argv[1:],
            "machines": machines,
            "why": why,
            "risk": risk,
            "risk_why": "because",
        }
        for argv, machines in steps
    ]
    return json.dumps({"answer": {"kind": "commands", "steps": told}})


def runbook(name: str, machines: list[str], risk: str = "low", **values: str) -> str:
    answer = {"kind": "runbook", "runbook": name, "values": values, "machines": machines}
    return json.dumps({"answer": {**answer, "why": "It looks.", "risk": risk, "risk_why": "because"}})


def words(kind: str, text: str = "words") -> str:
    return json.dumps({"answer": {"kind": kind, "text": text}})


def server_of(answer: Answering | str, kind: str = "openai", **how: Any) -> Server:
    answering = (lambda body: answer) if isinstance(answer, str) else answer
    make = OpenAIServer if kind == "openai" else OllamaServer
    return make("m", behaviour=Behaviour(answer=answering, **how))


@asynccontextmanager
async def planning(harness: HubHarness, *servers: Server, **more: Any) -> AsyncIterator[PlanningModels]:
    """The house with these servers as its models; `more` are keys of [planning]."""
    async with serving(*servers):
        tables = {
            f"node-{number}": ModelTable(
                server.url, server.model, "ollama" if isinstance(server, OllamaServer) else "openai"
            )
            for number, server in enumerate(servers)
        }
        config = replace(harness.config, models=tables, planning=replace(harness.config.planning, **more))
        models = build_models(
            config,
            sealer=harness.keys.sealer,
            policy=lambda: harness.policy,
            chain=lambda: harness.chain,
            clock=harness.clock,
            monotonic=time.monotonic,
            on_result=lambda result: harness.metrics.count_model_plan(result),
        )
        assert models is not None
        harness.model = models.planner
        await harness.restart()
        for name in harness.fleet.inventory.machines:
            harness.fleet.set_online(name)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(models.pool.run())
            await models.pool.wait_checked()
            try:
                yield models
            finally:
                running.cancel()
