from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from hub.planning.llm_servers import node as node_module
from hub.planning.llm_servers.node import PACE_HALF_LIFE, PREFIXES_PER_SLOT, Node, NodeAnswer, NodeSpec
from hub.planning.llm_servers.types import (
    AttemptFailed,
    FirstToken,
    Healthy,
    ModelRequest,
    StreamEnd,
    StreamEvent,
    TextDelta,
)
from tests.hub.planning.llm_servers.wires import ask


class Scripted:
    """A wire whose events and health are the test's: a node needs nothing but this of a protocol."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = [FirstToken(), TextDelta("{}"), StreamEnd(5, 2)]
        self.health: Healthy | AttemptFailed = Healthy("d")
        self.gate: asyncio.Event | None = None
        self.probes = 0
        self.streams = 0
        self.closed = 0

    async def stream(self, asked: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        self.streams += 1
        try:
            for event in self.events:
                yield event
                if self.gate is not None:
                    await self.gate.wait()
        finally:
            self.closed += 1

    async def probe(self) -> Healthy | AttemptFailed:
        self.probes += 1
        return self.health

    async def close(self) -> None:
        self.closed += 100


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(wire: Scripted, clock: Clock | None = None, **spec: float) -> Node:
    return Node(NodeSpec("a", "m", **spec), wire, clock or time.monotonic, lambda: None)  # type: ignore[arg-type]


async def test_a_slot_is_taken_and_given_back() -> None:
    """The work under way goes down as tokens come, and is nothing afterwards; releasing twice frees one."""
    wire = Scripted()
    wire.gate = asyncio.Event()
    node = made(wire, parallel=2)
    asked = ask()
    lease = node.lease(asked)
    assert (node.routing_state().free, node.routing_state().load) == (1, asked.cost)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(node.call(asked, lease))
        while node.routing_state().load == asked.cost:
            await asyncio.sleep(0)
        wire.gate.set()
        outcome, attempt = await task
    assert isinstance(outcome, NodeAnswer)
    assert (attempt.node, attempt.result) == ("a", "ok")
    lease.release()
    assert (node.routing_state().free, node.routing_state().load) == (2, 0)


async def test_cancelling_closes_the_stream_and_frees_the_slot() -> None:
    """And is no failure of the node's; overtaken by another, it counts as slow."""
    for overtaken, result in ((False, "cancelled"), (True, "hedged")):
        wire = Scripted()
        wire.gate = asyncio.Event()
        node = made(wire)
        lease = node.lease(ask())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(node.call(ask(), lease))
            while not wire.streams:
                await asyncio.sleep(0)
            lease.overtaken = overtaken
            task.cancel()
            await asyncio.wait({task})
        assert wire.closed == 1
        assert node.routing_state().free == 2
        assert node.stats.results == {result: 1}
        assert node.status().breaker == "closed"


async def test_an_attempt_has_its_time() -> None:
    """The node's own bound is the node's fault; a request that is in a hurry is not."""
    wire = Scripted()
    wire.gate = asyncio.Event()
    node = made(wire, timeout=0.02)
    for _ in range(3):
        asked = ask()
        outcome, _ = await node.call(asked, node.lease(asked))
        assert isinstance(outcome, AttemptFailed)
        assert outcome.kind == "slow"
    assert node.status().breaker == "open"
    hurried = made(wire, timeout=60.0)
    for _ in range(3):
        asked = ask(deadline=time.monotonic() + 0.01)
        await hurried.call(asked, hurried.lease(asked))
    assert hurried.status().breaker == "closed"


@pytest.mark.parametrize(
    ("events", "schema", "kind"),
    [
        ([FirstToken(), TextDelta("{}"), StreamEnd()], {}, None),
        ([FirstToken(), TextDelta("no"), StreamEnd()], {}, "nonsense"),
        ([FirstToken(), TextDelta("no"), StreamEnd()], None, None),
        ([FirstToken(), TextDelta("[" * 60_000), StreamEnd()], {}, "nonsense"),
        ([FirstToken(), TextDelta('{"a'), StreamEnd(truncated=True)], {}, "cut"),
        ([FirstToken(), TextDelta("half a sen"), StreamEnd(truncated=True)], None, None),
        ([StreamEnd()], None, None),
        ([FirstToken(), TextDelta("{}")], {}, "gone"),
        ([], {}, "gone"),
        ([FirstToken(), AttemptFailed("overloaded", "x", 5.0)], {}, "overloaded"),
    ],
)
async def test_an_answer_is_whole_and_of_the_form(events: list[StreamEvent], schema: object, kind: str | None) -> None:
    """JSON where a schema was given, and to its end; plain text may be cut."""
    wire = Scripted()
    wire.events = events
    node = made(wire)
    asked = ask(schema=schema)
    outcome, attempt = await node.call(asked, node.lease(asked))
    assert (outcome.kind if isinstance(outcome, AttemptFailed) else None) == kind
    assert attempt.result == (kind or "ok")


async def test_tokens_are_estimated_where_they_are_not_told() -> None:
    """And it says so."""
    wire = Scripted()
    wire.events = [FirstToken(), TextDelta("word " * 20), StreamEnd()]
    node = made(wire)
    asked = ask(schema=None)
    outcome, _ = await node.call(asked, node.lease(asked))
    assert isinstance(outcome, NodeAnswer)
    assert not outcome.tokens.counted
    assert outcome.tokens.prompt == asked.prompt_tokens
    assert 20 <= outcome.tokens.output <= 40


async def test_health_is_looked_at_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down with its reason, back without; the digest stays; warmed up whenever it comes back or has another model."""
    monkeypatch.setattr(node_module, "UP_CHECK_INTERVAL", 0.001)
    monkeypatch.setattr(node_module, "MAX_DOWN_CHECK_INTERVAL", 0.001)
    wire = Scripted()
    node = made(wire)
    node.warm(ask())

    async def until(state: tuple[bool, str, int]) -> None:
        async with asyncio.timeout(45):
            while (node.status().up, node.digest, wire.streams) != state:
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(node.watch())
        await until((True, "d", 1))
        wire.health = AttemptFailed("gone", "no model m there; it has n")
        await until((False, "d", 1))
        assert node.status().problem == "gone: no model m there; it has n"
        assert not node.routing_state().up
        wire.health = Healthy("e")
        await until((True, "e", 2))
        before = wire.probes
        while wire.probes < before + 5:
            await asyncio.sleep(0)
        assert wire.streams == 2
        watching.cancel()
    assert wire.closed == 102


async def test_a_lost_connection_is_looked_into_at_once() -> None:
    """The health check does not wait for its turn."""
    wire = Scripted()
    node = made(wire)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(node.watch())
        await node.first_check.wait()
        wire.events, wire.health = [AttemptFailed("gone", "x")], AttemptFailed("gone", "x")
        asked = ask()
        await node.call(asked, node.lease(asked))
        async with asyncio.timeout(45):
            while node.status().up:
                await asyncio.sleep(0)
        watching.cancel()


async def test_an_idle_node_is_thought_faster_again() -> None:
    """What was measured long ago counts less, so that a node that was slow once gets another chance."""
    clock, wire = Clock(), Scripted()
    node = made(wire, clock)
    node.stats.overtaken(100.0, 10.0)
    assert node.routing_state().pace == pytest.approx(0.1)
    clock.now += 2 * PACE_HALF_LIFE
    assert node.routing_state().pace == pytest.approx(0.025)


async def test_remembered_prefixes_are_bounded() -> None:
    """The latest, a few for each slot."""
    node = made(Scripted(), parallel=1)
    for number in range(3 * PREFIXES_PER_SLOT):
        node.lease(ask(affinity=f"p{number}")).release()
    assert list(node.routing_state().prefixes) == [
        f"p{number}" for number in range(2 * PREFIXES_PER_SLOT, 3 * PREFIXES_PER_SLOT)
    ]
