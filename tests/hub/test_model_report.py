"""How the nodes are: a health check made now, and the figures of the hub that serves, where one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from common.config import Address
from hub.config import HubConfig, ModelTable
from hub.model_report import ask_hub, lines_of, read_figures, report
from tests.hub.house import House
from tests.hub.models.servers import OllamaServer, OpenAIServer, Server, serving
from tests.hub.planner.rig import commands, planning, server_of


def config_of(inside: House, **servers: Server) -> HubConfig:
    tables = {
        name: ModelTable(server.url, "m", "ollama" if isinstance(server, OllamaServer) else "openai")
        for name, server in servers.items()
    }
    nowhere = replace(inside.config.http, listen=Address("127.0.0.1", 9))
    return replace(inside.config, models=tables, http=nowhere)


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


async def test_each_node_by_a_health_check(inside: House) -> None:
    """Both protocols; one that has another model and one that is gone say what is wrong."""
    ollama, openai = OllamaServer("m"), OpenAIServer("m")
    other, gone = OpenAIServer("another"), OpenAIServer("m")
    async with serving(ollama, openai, other, gone):
        await gone.stop()
        told = await report(config_of(inside, a=ollama, b=openai, c=other, d=gone))
    states = {node["name"]: node["up"] for node in told["nodes"]}
    assert states == {"a": True, "b": True, "c": False, "d": False}
    assert (told["hub"], told["shared"]) == (False, None)
    text = "\n".join(lines_of(told))
    assert "only a health check was made" in text
    for node in told["nodes"]:
        assert node["url"] in text
        assert not node["problem"] or node["problem"] in text


async def test_the_figures_of_the_hub_that_serves(inside: House) -> None:
    """Speed, first token, answers, errors, the line, the cache: read from its metrics."""
    server = server_of(commands((["df"], ["web-1"])))
    async with planning(inside, server) as models:
        await inside.ask("write a poem about how web-1 feels")
        await inside.ask("write a poem about how web-1 feels")
        registry = CollectorRegistry()
        registry.register(models.metrics)
        async with page(generate_latest(registry)) as address:
            config = config_of(inside, **{"node-0": server})
            told = await report(replace(config, http=replace(config.http, listen=address)))
    (node,) = told["nodes"]
    assert (node["up"], node["hub_up"], node["answered"], node["errors"]) == (True, True, 1, {})
    assert node["first_token"] >= 0
    assert told["shared"]["hit_ratio"] == 0.5
    assert told["shared"]["cached"]["memory"] == 1
    text = "\n".join(lines_of(told))
    assert "50% of 2 lookups" in text


async def test_no_model_is_configured(inside: House) -> None:
    """It is said, with the cure."""
    told = await report(config_of(inside))
    assert told["nodes"] == []
    assert "[models.NAME]" in "\n".join(lines_of(told))


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
async def test_what_is_no_hub_is_none(inside: House, page_of: tuple[bytes, str]) -> None:
    """Another program's page on that port tells nothing."""
    async with page(*page_of) as address:
        config = replace(inside.config, http=replace(inside.config.http, listen=address))
        assert await ask_hub(config) is None


async def test_a_hub_that_listens_everywhere_is_asked_here(inside: House) -> None:
    """0.0.0.0 is no address to dial."""
    async with page(b"answerback_model_queue 3\n") as address:
        listen = Address("0.0.0.0", address.port)  # noqa: S104
        figures = await ask_hub(replace(inside.config, http=replace(inside.config.http, listen=listen)))
    assert figures is not None
    assert figures.waiting == 3


def test_figures_of_nodes_that_said_nothing_yet() -> None:
    """No speed and no first token before the first answer."""
    lines: list[Any] = ['answerback_model_up{node="a"} 1', 'answerback_model_first_token_seconds_count{node="a"} 0']
    figures = read_figures("\n".join(lines) + "\n")
    assert figures is not None
    assert (figures.up, figures.first, figures.speed) == ({"a": True}, {}, {})


async def test_what_stands_on_that_port_cannot_draw_on_the_terminal(inside: House) -> None:
    """Whoever listens there names results and layers; a server's own words are in problems."""
    hostile = 'answerback_model_up{node="a"} 1\nanswerback_model_requests_total{node="a",result="\x1b[2J\u202ex"} 3\n'
    async with page(hostile.encode()) as address:
        gone = replace(config_of(inside), models={"a": ModelTable("http://127.0.0.1:9", "m", "openai")})
        told = await report(replace(gone, http=replace(gone.http, listen=address)))
    told["nodes"][0]["problem"] = "\x1b]0;owned\x07"
    text = "\n".join(lines_of(told))
    assert "3 " in text
    assert not set("\x1b\x07\u202e") & set(text)
