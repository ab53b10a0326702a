from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.llm_servers.openai_api import OpenAIClient, _Reader, sse_data
from hub.planning.llm_servers.transport import ApiKeyAuth
from hub.planning.llm_servers.types import MAX_TEXT, AttemptFailed, FirstToken, Healthy, StreamEnd, TextDelta
from tests.hub.planning.llm_servers.servers import ANSWER, Behaviour, OpenAIServer, serving
from tests.hub.planning.llm_servers.wires import SCHEMA, ask, events, text_of


@asynccontextmanager
async def wire(
    server: OpenAIServer, *, timeout: float = 10.0, model: str = "m", path: str = ""
) -> AsyncIterator[OpenAIClient]:
    async with serving(server):
        made = OpenAIClient(server.url + path, model, ApiKeyAuth(None), timeout=timeout, parallel=2)
        try:
            yield made
        finally:
            await made.close()


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_an_answer_is_first_pieces_done(path: str) -> None:
    """The events in their order, counts from the server, and the request as the protocol has it."""
    server = OpenAIServer("m")
    async with wire(server, path=path) as made:
        found = await events(made, ask("disk on web-1"))
    assert isinstance(found[0], FirstToken)
    assert text_of(found) == ANSWER
    assert found[-1] == StreamEnd(11, 4, False)
    (body,) = server.asked
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["max_tokens"] == 64


async def test_plain_text_has_no_format() -> None:
    """Without a schema none is sent; without counts none are made up."""
    server = OpenAIServer("m", behaviour=Behaviour(counts=False, cut=True))
    async with wire(server) as made:
        found = await events(made, ask(schema=None))
    assert "response_format" not in server.asked[0]
    assert found[-1] == StreamEnd(None, None, True)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(die_after=2), "gone"),
        (Behaviour(error_after=2), "gone"),
        (Behaviour(status=429, headers={"retry-after": "3"}), "overloaded"),
        (Behaviour(status=400), "refused"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\ndata: {nonsense\n\n"), "nonsense"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\ndata: [1]\n\n"), "nonsense"),
        (Behaviour(raw=b'HTTP/1.1 200 OK\r\n\r\ndata: {"choices": 7}\n\n'), "nonsense"),
        (Behaviour(raw=b'HTTP/1.1 200 OK\r\n\r\ndata: {"choices":[{"finish_reason":"tool_calls"}]}\n\n'), "nonsense"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\n<html>it works</html>"), "gone"),
        (Behaviour(raw=b"\x00\x01\x02\r\n\r\n"), "gone"),
        (Behaviour(raw=b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\n\r\n"), "gone"),
        (Behaviour(answer=lambda body: "x" * (MAX_TEXT + 1)), "nonsense"),
        (Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9_000_000), "nonsense"),
    ],
)
async def test_failures_are_values(behaviour: Behaviour, kind: str) -> None:
    """Dying in the middle, an error in the middle, statuses, nonsense of several kinds, answers without end."""
    async with wire(OpenAIServer("m", behaviour=behaviour)) as made:
        last = (await events(made, ask()))[-1]
    assert isinstance(last, AttemptFailed)
    assert last.kind == kind
    assert kind != "overloaded" or last.retry_after == 3.0


async def test_silence_is_slow() -> None:
    """A server that takes the request and never says anything."""
    server = OpenAIServer("m", behaviour=Behaviour(gate=asyncio.Event()))
    async with wire(server, timeout=0.2) as made:
        (failed,) = await events(made, ask())
        assert isinstance(failed, AttemptFailed)
        assert failed.kind == "slow"
        await server.until(lambda: server.hung_up == 1)


async def test_nobody_there_is_gone() -> None:
    """No server at the address, for answers and for health checks."""
    server = OpenAIServer("m")
    async with wire(server) as made:
        await server.stop()
        for failed in (*await events(made, ask()), await made.probe()):
            assert isinstance(failed, AttemptFailed)
            assert failed.kind == "gone"


async def test_a_wrong_key_is_unauthorised() -> None:
    """For answers and health checks alike."""
    async with wire(OpenAIServer("m", keys=("k",))) as made:
        for failed in (*await events(made, ask()), await made.probe()):
            assert isinstance(failed, AttemptFailed)
            assert failed.kind == "unauthorised"


async def test_cancelling_closes_the_connection() -> None:
    """The server sees the client hang up, before the first token and in the middle of an answer."""
    server = OpenAIServer("m", behaviour=Behaviour(gate=asyncio.Event()))
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
    server = OpenAIServer("m")
    async with wire(server) as made:
        for _ in range(10):
            await events(made, ask())
    assert server.connections == 1


async def test_the_digest_is_of_the_model() -> None:
    """The same while the model is the same, though the server tells another time; another for another model."""
    server = OpenAIServer("m")
    async with wire(server) as made:
        first, second = await made.probe(), await made.probe()
        assert isinstance(first, Healthy)
        assert first == second
    async with wire(OpenAIServer("n"), model="n") as made:
        assert await made.probe() != first
    async with wire(OpenAIServer("n")) as made:
        missing = await made.probe()
        assert isinstance(missing, AttemptFailed)
        assert missing.detail == "no model m there; it has n"


async def lines(text: str) -> AsyncIterator[str]:
    for line in text.split("\n"):
        yield line


async def test_server_sent_events_are_read_as_the_standard_has_them() -> None:
    """Comments and other fields are passed over, data lines are joined, what no empty line ends is dropped."""
    text = ": hi\n\nevent: x\ndata: a\ndata:b\nid: 1\n\nerror: {}\n\ndata: cut"
    assert [data async for data in sse_data(lines(text))] == ["a\nb", '{"error": {}}']


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "delta", "content", "error", "usage", "finish_reason", "code", "message"]),
                x,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    """No chunk of JSON makes the reader do anything but give events or raise what the wire takes for nonsense."""
    from hub.planning.llm_servers.transport import CLIENT_ERRORS

    try:
        found = _Reader().read(json.dumps(value))
    except CLIENT_ERRORS:
        return
    assert all(isinstance(event, FirstToken | TextDelta | StreamEnd | AttemptFailed) for event in found)
