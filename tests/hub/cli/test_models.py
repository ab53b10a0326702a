"""answerback-hub models, as a person uses it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import hub.cli.main
from hub.chat.inlets import load_config
from hub.cli.admin import open_store
from hub.core.records import Agent
from tests.hub.planning.llm.rig import commands, server_of
from tests.hub.planning.llm_servers.servers import serving
from tests.run_main import CommandResult, run_main


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The configuration of a hub with the machine web-1."""
    folder = tmp_path / "hub"
    assert run_main(hub.cli.main.main, "init", str(folder), "--admin", "alice", "--http", "127.0.0.1:1").code == 0
    with open_store(load_config(folder / "hub.toml"), 1.0) as store:
        store.write_now(lambda txn: txn.add_agent(Agent("web-1", {}, "active", 1.0)))
    return folder / "hub.toml"


def models(made: Path, *argv: str) -> CommandResult:
    ended = run_main(hub.cli.main.main, "models", *argv, "--config", str(made))
    assert "Traceback" not in ended.err
    return ended


def test_without_a_model(made: Path) -> None:
    """Everything answers; what is missing is said with its cure."""
    ended = models(made)
    assert (ended.code, ended.err) == (0, "")
    assert "no model is configured" in ended.text
    assert models(made, "--json").json["nodes"] == []
    assert models(made, "clear").text == "0 plans are forgotten\n"
    assert models(made, "clear", "--json").json == {"cleared": 0}


def test_trying_a_message(made: Path) -> None:
    """0 planned, 1 not understood, 3 denied, 2 for a person who is nobody; JSON is one document."""
    told = models(made, "test", "disk on web-1")
    assert (told.code, told.err) == (0, "")
    assert "runbook:disk" in told.text
    assert models(made, "test", "what is the meaning").code == 1
    denied = models(made, "test", "@web-1 rm -rf /", "--json")
    assert (denied.code, denied.json["verdict"]) == (3, "deny")
    assert models(made, "test", "help", "--as", "nobody").code == 2
    assert models(made, "test", "web-1 的磁盘", "--as", "alice", "--json").json["planner"] == "runbook:disk"


def test_the_configuration_may_be_named_before_the_verb(made: Path) -> None:
    """`models --config FILE test …` reads that file too."""
    ended = run_main(hub.cli.main.main, "models", "--config", str(made), "test", "disk on web-1")
    assert (ended.code, ended.err) == (0, "")


def test_help_teaches() -> None:
    """With an example of each, and without any configuration."""
    ended = run_main(hub.cli.main.main, "models", "--help")
    assert ended.code == 0
    for words in ("models test", "models clear", "[models.local]", 'kind = "openai"'):
        assert words in ended.text


async def test_with_a_model(made: Path) -> None:
    """Nodes, a plan of a model with its stages, the plan kept, and forgotten; status 1 while no node is up."""
    server = server_of(commands((["df", "-h"], ["web-1"])))
    async with serving(server):
        table = f'\n[models.local]\nurl = "{server.url}"\nmodel = "m"\nkind = "openai"\n'
        made.write_text(made.read_text() + table)
        nodes = await asyncio.to_thread(models, made)
        assert (nodes.code, nodes.err) == (0, "")
        assert "local" in nodes.text
        first = await asyncio.to_thread(models, made, "test", "sing about web-1")
        assert first.code == 0, first.err
        for words in ("planner   model:local/m", "verdict   ask", "recall", "answer"):
            assert words in first.text
        assert (await asyncio.to_thread(models, made, "test", "sing about web-1", "--json")).json["cached"]
        assert (await asyncio.to_thread(models, made, "clear")).text == "1 plans are forgotten\n"
        assert not (await asyncio.to_thread(models, made, "test", "sing about web-1", "--json")).json["cached"]
    down = await asyncio.to_thread(models, made)
    assert down.code == 1
    assert "down" in down.text
