"""One message tried out: who plans it, what, what policy says, how long; and nothing comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from hub.config import HubConfig, ModelTable
from hub.model_trial import MAX_MESSAGE, clear, lines_of, trial
from hub.models.cache import PlanCache
from tests.hub.house import House
from tests.hub.models.servers import Server, serving
from tests.hub.planner.rig import commands, server_of, words

ODD = "write a poem about how web-1 feels"
STAGES = ["match", "prompt", "recall", "line", "first", "answer"]


def config_of(inside: House, *servers: Server) -> HubConfig:
    tables = {f"n{index}": ModelTable(server.url, "m", "openai") for index, server in enumerate(servers)}
    return replace(inside.config, models=tables)


def text_of(told: Mapping[str, Any]) -> str:
    return "\n".join(lines_of(told))


@pytest.mark.parametrize(
    ("message", "planner", "argv"),
    [
        ("@web-1 df -h", "explicit", ["/usr/bin/df", "-h"]),
        ("disk on web-1", "runbook:disk", ["/usr/bin/df", "-h"]),
        ("web-1 的磁盘", "runbook:disk", ["/usr/bin/df", "-h"]),
    ],
)
async def test_what_needs_no_model(inside: House, message: str, planner: str, argv: list[str]) -> None:
    """The planner, the plan as it would run, the verdict with its reason and rule, the one stage there is."""
    told = await trial(inside.config, message)
    assert (told["planner"], told["outcome"], told["verdict"]) == (planner, "plan", "allow")
    assert told["steps"] == [
        {"argv": argv, "targets": ["web-1"], "folder": "", "time_limit": told["steps"][0]["time_limit"]}
    ]
    assert list(told["stages"]) == ["match"]
    shown = text_of(told)
    for part in (
        f"planner   {planner}",
        '["/usr/bin/df", "-h"]',
        "on web-1",
        "verdict   allow",
        "(rule disk-free)",
        "in all",
    ):
        assert part in shown
    assert inside.read(lambda txn: (txn.requests(), txn.jobs())) == ([], [])


async def test_a_model_is_asked_once_and_then_its_plan_is_kept(inside: House) -> None:
    """With the latency of each stage; the second time the plan comes from the cache, and --fresh asks again."""
    server = server_of(commands((["df", "-h"], ["web-1"])))
    async with serving(server):
        config = config_of(inside, server)
        first = await trial(config, ODD)
        second = await trial(config, ODD)
        third = await trial(config, ODD, fresh=True)
    assert (first["planner"], first["cached"], list(first["stages"])) == ("model:n0/m", False, STAGES)
    assert (second["planner"], second["cached"], list(second["stages"])) == ("model:n0/m", True, STAGES[:3])
    assert (third["cached"], len(server.asked)) == (False, 2)
    assert first["verdict"] == "ask"
    assert first["seconds"] == pytest.approx(sum(first["stages"].values()), abs=1e-4)
    assert "(from the cache)" in text_of(second)
    assert "the model It looks" in text_of(first)


async def test_rights_are_the_persons(inside: House) -> None:
    """Denied for whoever may not; a person whom nobody knows is said."""
    restart = "@web-1 systemctl restart nginx.service"
    assert (await trial(inside.config, restart, "carol"))["verdict"] == "ask"
    denied = await trial(inside.config, restart, "vera")
    assert denied["verdict"] == "deny"
    assert "verdict   deny" in text_of(denied)
    with pytest.raises(UserError, match="no person zoe"):
        await trial(inside.config, restart, "zoe")


async def test_what_a_model_says_cannot_draw_on_the_terminal(inside: House) -> None:
    """Answers in words are cleaned and are words."""
    server = server_of(words("say", "\x1b[2Jall \x07good\u202e"))
    async with serving(server):
        told = await trial(config_of(inside, server), ODD)
    assert told["outcome"] == "answer"
    assert not set("\x1b\x07\u202e") & set(text_of(told))


async def test_what_is_not_understood_says_why(inside: House) -> None:
    """Without a model, and with one that is down."""
    told = await trial(inside.config, ODD)
    assert (told["planner"], told["outcome"]) == ("none", "not_understood")
    down = await trial(replace(inside.config, models={"n0": ModelTable("http://127.0.0.1:9", "m", "openai")}), ODD)
    assert down["planner"] == "model"
    assert down["outcome"] not in ("plan", "answer")
    assert "says" in text_of(down)


async def test_acts_are_named_and_not_done(inside: House) -> None:
    """A test approves nothing, and keeps no code."""
    waits = await inside.ask("@web-1 systemctl restart nginx.service")
    told = await trial(inside.config, f"approve r{waits.number} 123456", "bob")
    assert (told["outcome"], told["planner"]) == ("act", "acts")
    assert "nothing is done" in text_of(told)
    assert "123456" not in str(told)
    assert inside.request(waits.id).state == waits.state


@pytest.mark.parametrize("message", ["", "  \n", "x" * (MAX_MESSAGE + 1)])
async def test_a_message_that_is_none(inside: House, message: str) -> None:
    """Empty, or longer than chat would send."""
    with pytest.raises(UserError, match="no message"):
        await trial(inside.config, message)


def cache(inside: House, folder: Path) -> PlanCache:
    return PlanCache(folder, inside.keys.sealer, entries=10, memory=10_000, disk=1_000_000, ttl=1e6, negative_ttl=1e6)


async def test_cleared_here_is_forgotten_there(inside: House) -> None:
    """On disk at once, and in the memory of a hub that serves when it looks; once. The audit has it."""
    serving_ = cache(inside, inside.config.planning.cache_folder)
    await serving_.put("a" * 64, b"plan", inside.clock.now)
    assert not serving_.look()
    assert await asyncio.to_thread(clear, inside.config, inside.clock.now) == 1
    assert serving_.look()
    assert not serving_.look()
    assert await serving_.get("a" * 64, inside.clock.now) is None
    (row,) = inside.events("plans.cleared")
    assert (row.actor, row.data) == ("terminal", {"plans": 1})
