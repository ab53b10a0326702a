"""The planner before a real model: schema, grammar and prompt accepted, an answer read into a judged outcome."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.lifecycle import RequestState
from common.values import Duration
from hub.config import ModelTable
from hub.engine.planning_queue import seal_context
from hub.planning.llm.answer import parse_answer
from hub.planning.llm.build import build_models
from hub.planning.llm.transcript import decompress_prompt
from tests.hub.hub_harness import FakeClock, HubHarness, hub_harness
from tests.hub.planning.llm_servers.rig import running
from tests.models.real import MISSING, Running, installed, ollama_front, openai_server

HAVE = installed() is not None
pytestmark = [
    pytest.mark.skipif(not HAVE and "ANSWERBACK_MODEL_URL" not in os.environ, reason=MISSING),
    pytest.mark.xdist_group("model"),
    pytest.mark.timeout(500),
]
SECONDS = 200.0  # a machine that is busy with other tests takes its time
MESSAGES = ("how is web-1 holding up these days, roughly", "web-1 最近运行得怎么样")


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[HubHarness]:
    with hub_harness(tmp_path, FakeClock()) as made:
        await made.add_machine("web-1", labels={"role": "web"})
        yield made


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_a_real_model_plans(inside: HubHarness, tmp_path: Path, kind: str) -> None:
    """Through both protocols: what it answers is of the schema, becomes an outcome, and policy has judged it; the
    prompt and the answer are kept. The same again is answered without it.
    """
    async with openai_server() as server, ollama_front(server) as front:
        at: Running = server if kind == "openai" else front
        key = tmp_path / "key"
        key.write_text(at.key)
        key.chmod(0o600)
        node = ModelTable(at.url, at.model, kind, key if at.key else None, context=4_096, timeout=Duration(SECONDS))  # type: ignore[arg-type]
        planning = replace(inside.config.planning, prompt_tokens=1_200, max_tokens=400, deadline=Duration(SECONDS))
        models = build_models(
            replace(inside.config, models={"real": node}, planning=planning),
            sealer=inside.keys.sealer,
            policy=lambda: inside.policy,
            chain=lambda: inside.chain,
            clock=inside.clock,
            monotonic=time.monotonic,
        )
        assert models is not None
        inside.model = models.planner
        await inside.restart()
        async with running(models.pool):
            await models.pool.wait_checked()
            assert models.pool.node_statuses()[0].up, models.pool.node_statuses()[0].problem
            for text in MESSAGES:  # a small model may not come to an end; of two, one does
                request = await inside.submit(text)
                if request.rule not in ("model_failed", "model_late", "model_unfit"):
                    break
            assert request.state in (RequestState.WORKING, RequestState.ASKING, RequestState.DONE, RequestState.REFUSED)
            prompt, answer = (
                inside.keys.sealer.open(paper.data, seal_context(request.id))
                for paper in inside.read(lambda txn: txn.sealed_of(request.id))
            )
            assert "web-1: role=web" in json.loads(decompress_prompt(prompt))["system"]
            world = models.planner._prompt_for(("operator",), inside.fleet.inventory).scope
            read = parse_answer(json.loads(answer)["text"], world, "en", "model:x/y", tainted=False)
            assert read.kind in ("runbook", "commands", "say", "ask", "unknown")
            calls = models.pool.node_statuses()[0].stats.results["ok"]
            again = await inside.submit(text)
            assert again.state is request.state
            assert models.pool.node_statuses()[0].stats.results["ok"] == calls
