"""One message tried out: who plans it, what, what policy says, how long; and nothing comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from hub.cli.model_trial import MAX_MESSAGE, clear_cache, format_trial, run_trial
from hub.config import HubConfig, ModelTable
from hub.planning.llm_servers.plan_cache import PlanCache
from tests.hub.hub_harness import HubHarness
from tests.hub.planning.llm.rig import commands, server_of, words
from tests.hub.planning.llm_servers.servers import Server, serving

ODD = "write a poem about how web-1 feels"
STAGES = ["match", "prompt", "recall", "line", "first", "answer"]


def config_of(harness: HubHarness, *servers: Server) -> HubConfig:
    tables = {f"n{index}": ModelTable(server.url, "m", "openai") for index, server in enumerate(servers)}
    return replace(harness.config, models=tables)


def text_of(told: Mapping[str, Any]) -> str:
    return "\n".join(format_trial(told))


@pytest.mark.parametrize(
    ("message", "planner", "argv"),
    [
        ("@web-1 df -h", "explicit", ["/usr/bin/df", "-h"]),
        ("disk on web-1", "runbook:disk", ["/usr/bin/df", "-h"]),
        ("run `df -h` on web-1", "explicit", ["/usr/bin/df", "-h"]),
        ("web-1 的磁盘", "runbook:disk", ["/usr/bin/df", "-h"]),
    ],
)
async def test_what_needs_no_model(harness: HubHarness, message: str, planner: str, argv: list[str]) -> None:
    """The planner, the plan as it would run, the verdict with its reason and rule, the one stage there is."""
    told = await run_trial(harness.config, message)
    assert (told["planner"], told["outcome"], told["verdict"]) == (planner, "plan", "allow")
    assert told["steps"] == [
        {"argv": argv, "targets": ["web-1"], "folder": "", "time_limit": told["steps"][0]["time_limit"]}
    ]
    assert list(told["stages"]) == ["match"]
    shown = text_of(told)
    for part in (
        f"planner   {planner}",
        "/usr/bin/df -h",
        "on web-1",
        "verdict   allow",
        "(rule disk-free)",
        "in all",
    ):
        assert part in shown
    assert harness.read(lambda txn: (txn.requests(), txn.jobs())) == ([], [])


async def test_a_model_is_asked_once_and_then_its_plan_is_kept(harness: HubHarness) -> None:
    """With the latency of each stage; the second time the plan comes from the cache, and --fresh asks again."""
    server = server_of(commands((["df", "-h"], ["web-1"])))
    async with serving(server):
        config = config_of(harness, server)
        first = await run_trial(config, ODD)
        second = await run_trial(config, ODD)
        third = await run_trial(config, ODD, fresh=True)
    assert (first["planner"], first["cached"], list(first["stages"])) == ("model:n0/m", False, STAGES)
    assert (second["planner"], second["cached"], list(second["stages"])) == ("model:n0/m", True, STAGES[:3])
    assert (third["cached"], len(server.asked)) == (False, 2)
    assert first["verdict"] == "ask"
    assert first["seconds"] == pytest.approx(sum(first["stages"].values()), abs=1e-4)
    assert "(from the cache)" in text_of(second)
    assert "the model It looks" in text_of(first)


async def test_rights_are_the_persons(harness: HubHarness) -> None:
    """Denied for whoever may not; a person whom nobody knows is said."""
    restart = "@web-1 systemctl restart nginx.service"
    assert (await run_trial(harness.config, restart, "carol"))["verdict"] == "ask"
    denied = await run_trial(harness.config, restart, "vera")
    assert denied["verdict"] == "deny"
    assert "verdict   deny" in text_of(denied)
    with pytest.raises(UserError, match="no person zoe"):
        await run_trial(harness.config, restart, "zoe")


async def test_what_a_model_says_cannot_draw_on_the_terminal(harness: HubHarness) -> None:
    """Answers in words are cleaned and are words."""
    server = server_of(words("say", "\x1b[2Jall \x07good\u202e"))
    async with serving(server):
        told = await run_trial(config_of(harness, server), ODD)
    assert told["outcome"] == "answer"
    assert not set("\x1b\x07\u202e") & set(text_of(told))


async def test_what_is_not_understood_says_why(harness: HubHarness) -> None:
    """Without a model, and with one that is down."""
    told = await run_trial(harness.config, ODD)
    assert (told["planner"], told["outcome"]) == ("none", "not_understood")
    down = await run_trial(replace(harness.config, models={"n0": ModelTable("http://127.0.0.1:9", "m", "openai")}), ODD)
    assert down["planner"] == "model"
    assert down["outcome"] not in ("plan", "answer")
    assert "says" in text_of(down)


async def test_acts_are_named_and_not_done(harness: HubHarness) -> None:
    """A test approves nothing, and keeps no code."""
    waits = await harness.submit("@web-1 systemctl restart nginx.service")
    told = await run_trial(harness.config, f"approve r{waits.number} 123456", "bob")
    assert (told["outcome"], told["planner"]) == ("act", "acts")
    assert "nothing is done" in text_of(told)
    assert "123456" not in str(told)
    assert harness.request(waits.id).state == waits.state


@pytest.mark.parametrize("message", ["", "  \n", "x" * (MAX_MESSAGE + 1)])
async def test_a_message_that_is_none(harness: HubHarness, message: str) -> None:
    """Empty, or longer than chat would send."""
    with pytest.raises(UserError, match="no message"):
        await run_trial(harness.config, message)


def cache(harness: HubHarness, folder: Path) -> PlanCache:
    return PlanCache(folder, harness.keys.sealer, entries=10, memory=10_000, disk=1_000_000, ttl=1e6, negative_ttl=1e6)


async def test_cleared_here_is_forgotten_there(harness: HubHarness) -> None:
    """On disk at once, and in the memory of a hub that serves when it looks; once. The audit has it."""
    serving_ = cache(harness, harness.config.planning.cache_folder)
    await serving_.put("a" * 64, b"plan", harness.clock.now)
    assert not serving_.forget_if_cleared()
    assert await asyncio.to_thread(clear_cache, harness.config, harness.clock.now) == 1
    assert serving_.forget_if_cleared()
    assert not serving_.forget_if_cleared()
    assert await serving_.get("a" * 64, harness.clock.now) is None
    (row,) = harness.events("plans.cleared")
    assert (row.actor, row.data) == ("terminal", {"plans": 1})
