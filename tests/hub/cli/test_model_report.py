"""How the nodes are: a health check made now, and the figures of the hub that serves, where one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from common.values import Address
from hub.cli.model_report import build_report, fetch_metrics, format_report, parse_metrics
from hub.config import HubConfig, ModelTable
from tests.hub.hub_harness import HubHarness
from tests.hub.planning.llm.rig import commands, planning, server_of
from tests.hub.planning.llm_servers.servers import OllamaServer, OpenAIServer, Server, serving


def config_of(harness: HubHarness, **servers: Server) -> HubConfig:
    tables = {
        name: ModelTable(server.url, "m", "ollama" if isinstance(server, OllamaServer) else "openai")
        for name, server in servers.items()
    }
    nowhere = replace(harness.config.http, listen=Address("127.0.0.1", 9))
    return replace(harness.config, models=tables, http=nowhere)


@asynccontextmanager
async def page(body: bytes, status: str = "200 OK") -> AsyncIterator[Address]:
    """An HTTP server that answers everything with this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_each_node_by_a_health_check(harness: HubHarness) -> None:
    """Both protocols; one that has another model and one that is gone say what is wrong."""
    ollama, openai = OllamaServer("m"), OpenAIServer("m")
    other, gone = OpenAIServer("another"), OpenAIServer("m")
    async with serving(ollama, openai, other, gone):
        await gone.stop()
        told = await build_report(config_of(harness, a=ollama, b=openai, c=other, d=gone))
    states = {node["name"]: node["up"] for node in told["nodes"]}
    assert states == {"a": True, "b": True, "c": False, "d": False}
    assert (told["hub"], told["shared"]) == (False, None)
    text = "\n".join(format_report(told))
    assert "only a health check was made" in text
    for node in told["nodes"]:
        assert node["url"] in text
        assert not node["problem"] or node["problem"] in text


async def test_the_figures_of_the_hub_that_serves(harness: HubHarness) -> None:
    """Speed, first token, answers, errors, the line, the cache: read from its metrics."""
    server = server_of(commands((["df"], ["web-1"])))
    async with planning(harness, server) as models:
        await harness.submit("write a poem about how web-1 feels")
        await harness.submit("write a poem about how web-1 feels")
        registry = CollectorRegistry()
        registry.register(models.metrics)
        async with page(generate_latest(registry)) as address:
            config = config_of(harness, **{"node-0": server})
            told = await build_report(replace(config, http=replace(config.http, listen=address)))
    (node,) = told["nodes"]
    assert (node["up"], node["hub_up"], node["answered"], node["errors"]) == (True, True, 1, {})
    assert node["first_token"] >= 0
    assert told["shared"]["hit_ratio"] == 0.5
    assert told["shared"]["cached"]["memory"] == 1
    text = "\n".join(format_report(told))
    assert "50% of 2 lookups" in text


async def test_no_model_is_configured(harness: HubHarness) -> None:
    """It is said, with the cure."""
    told = await build_report(config_of(harness))
    assert told["nodes"] == []
    assert "[models.NAME]" in "\n".join(format_report(told))


@pytest.mark.parametrize(
    "page_of",
    [
        (b"", "200 OK"),
        (b"<html>", "200 OK"),
        (b"python_info 1\n", "200 OK"),
        (b"x", "500 No"),
        (b"\xff{{{", "200 OK"),
        (b"answerback_model_queue +Inf\n", "200 OK"),
        (b"answerback_x{a=\n", "200 OK"),
    ],
)
async def test_what_is_no_hub_is_none(harness: HubHarness, page_of: tuple[bytes, str]) -> None:
    """Another program's page on that port tells nothing."""
    async with page(*page_of) as address:
        config = replace(harness.config, http=replace(harness.config.http, listen=address))
        assert await fetch_metrics(config) is None


async def test_a_hub_that_listens_everywhere_is_asked_here(harness: HubHarness) -> None:
    """0.0.0.0 is no address to dial."""
    async with page(b"answerback_model_queue 3\n") as address:
        listen = Address("0.0.0.0", address.port)  # noqa: S104
        figures = await fetch_metrics(replace(harness.config, http=replace(harness.config.http, listen=listen)))
    assert figures is not None
    assert figures.waiting == 3


def test_figures_of_nodes_that_said_nothing_yet() -> None:
    """No speed and no first token before the first answer."""
    lines: list[Any] = ['answerback_model_up{node="a"} 1', 'answerback_model_first_token_seconds_count{node="a"} 0']
    figures = parse_metrics("\n".join(lines) + "\n")
    assert figures is not None
    assert (figures.up, figures.first, figures.speed) == ({"a": True}, {}, {})


async def test_what_stands_on_that_port_cannot_draw_on_the_terminal(harness: HubHarness) -> None:
    """Whoever listens there names results and layers; a server's own words are in problems."""
    hostile = 'answerback_model_up{node="a"} 1\nanswerback_model_requests_total{node="a",result="\x1b[2J\u202ex"} 3\n'
    async with page(hostile.encode()) as address:
        gone = replace(config_of(harness), models={"a": ModelTable("http://127.0.0.1:9", "m", "openai")})
        told = await build_report(replace(gone, http=replace(gone.http, listen=address)))
    told["nodes"][0]["problem"] = "\x1b]0;owned\x07"
    text = "\n".join(format_report(told))
    assert "3 " in text
    assert not set("\x1b\x07\u202e") & set(text)
