from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from hub.planning.llm_servers.ollama_api import OllamaClient
from hub.planning.llm_servers.transport import ApiKeyAuth
from hub.planning.llm_servers.types import MAX_TEXT, AttemptFailed, FirstToken, Healthy, StreamEnd, TextDelta
from tests.hub.planning.llm_servers.servers import ANSWER, Behaviour, OllamaServer, serving
from tests.hub.planning.llm_servers.wires import SCHEMA, ask, events, text_of


@asynccontextmanager
async def wire(server: OllamaServer, *, timeout: float = 10.0, model: str = "m") -> AsyncIterator[OllamaClient]:
    async with serving(server):
        made = OllamaClient(
            server.url, model, ApiKeyAuth(None), timeout=timeout, parallel=2, keep_alive=600.0, context=4_096
        )
        try:
            yield made
        finally:
            await made.close()


async def test_an_answer_is_first_pieces_done() -> None:
    """The events in their order, counts from the server, and the request as the protocol has it."""
    server = OllamaServer("m")
    async with wire(server) as made:
        found = await events(made, ask("disk on web-1"))
    assert isinstance(found[0], FirstToken)
    assert text_of(found) == ANSWER
    assert found[-1] == StreamEnd(11, 4, False)
    (body,) = server.asked
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert body["format"] == SCHEMA
    assert body["options"] == {"num_predict": 64, "temperature": 0, "num_ctx": 4_096}
    assert body["keep_alive"] == 600.0


async def test_plain_text_has_no_format() -> None:
    """Without a schema none is sent; without counts none are made up."""
    server = OllamaServer("m", behaviour=Behaviour(counts=False, cut=True))
    async with wire(server) as made:
        found = await events(made, ask(schema=None))
    assert server.asked[0].get("format") is None
    assert found[-1] == StreamEnd(None, None, True)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(die_after=2), "gone"),
        (Behaviour(error_after=2), "gone"),
        (Behaviour(status=503), "overloaded"),
        (Behaviour(status=400), "refused"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\n{nonsense\n"), "nonsense"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\n[1]\n"), "nonsense"),
        (Behaviour(raw=b'HTTP/1.1 200 OK\r\n\r\n{"message": 7}\n'), "nonsense"),
        (
            Behaviour(raw=b'HTTP/1.1 200 OK\r\n\r\n{"message":{"role":"assistant","content":"x"},"done":false}\n'),
            "gone",
        ),
        (Behaviour(raw=b"\x00\x01\x02\r\n\r\n"), "gone"),
        (Behaviour(raw=b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\n\r\n"), "gone"),
        (Behaviour(answer=lambda body: "x" * (MAX_TEXT + 1)), "nonsense"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9_000_000), "nonsense"),
    ],
)
async def test_failures_are_values(behaviour: Behaviour, kind: str) -> None:
    """Dying in the middle, an error in the middle, statuses, nonsense of several kinds, answers without end."""
    async with wire(OllamaServer("m", behaviour=behaviour)) as made:
        last = (await events(made, ask()))[-1]
    assert isinstance(last, AttemptFailed)
    assert last.kind == kind


async def test_silence_is_slow_and_nobody_there_is_gone() -> None:
    """A server that never says anything, and one that has ended."""
    server = OllamaServer("m", behaviour=Behaviour(gate=asyncio.Event()))
    async with wire(server, timeout=0.2) as made:
        (slow,) = await events(made, ask())
        assert isinstance(slow, AttemptFailed)
        assert slow.kind == "slow"
        await server.stop()
        for failed in (*await events(made, ask()), await made.probe()):
            assert isinstance(failed, AttemptFailed)
            assert failed.kind == "gone"


async def test_cancelling_closes_the_connection() -> None:
    """The server sees the client hang up, before the first token and in the middle of an answer."""
    server = OllamaServer("m", behaviour=Behaviour(gate=asyncio.Event()))
    async with wire(server) as made:
        task = asyncio.get_running_loop().create_task(events(made, ask()))
        await server.until(lambda: server.running == 1)
        task.cancel()
        await server.until(lambda: server.hung_up == 1)
        server.behaviour = Behaviour(per_token=5.0)
        async with aclosing(made.stream(ask())) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
        await server.until(lambda: server.hung_up == 2)


async def test_connections_are_used_again() -> None:
    """Ten whole answers, one connection."""
    server = OllamaServer("m")
    async with wire(server) as made:
        for _ in range(10):
            await events(made, ask())
    assert server.connections == 1


async def test_a_key_in_the_environment_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client takes OLLAMA_API_KEY; a node sends the key that its table names, or none."""
    monkeypatch.setenv("OLLAMA_API_KEY", "canary")
    server = OllamaServer("m")
    async with wire(server) as made:
        await events(made, ask())
    assert server.authorizations == [""]


async def test_the_digest_is_the_servers() -> None:
    """Found with and without the tag; a model that is not there is told with those that are."""
    async with wire(OllamaServer("m:latest")) as made:
        found = await made.probe()
        assert found == Healthy("ollama:m:latest:sha256:" + "ab" * 28 + "a")
    async with wire(OllamaServer("n")) as made:
        missing = await made.probe()
        assert isinstance(missing, AttemptFailed)
        assert missing.detail == "no model m there; it has n"
