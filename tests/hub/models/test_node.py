from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from hub.models import node as node_module
from hub.models.ask import Ask, Done, Event, Failed, First, Healthy, Piece
from hub.models.node import PACE_HALVES, PREFIXES, Answer, Node, Spec
from tests.hub.models.wires import ask


class Scripted:
    """A wire whose events and health are the test's: a node needs nothing but this of a protocol."""

    def __init__(self) -> None:
        self.events: list[Event] = [First(), Piece("{}"), Done(5, 2)]
        self.health: Healthy | Failed = Healthy("d")
        self.gate: asyncio.Event | None = None
        self.probes = 0
        self.streams = 0
        self.closed = 0

    async def stream(self, asked: Ask) -> AsyncGenerator[Event, None]:
        self.streams += 1
        try:
            for event in self.events:
                yield event
                if self.gate is not None:
                    await self.gate.wait()
        finally:
            self.closed += 1

    async def probe(self) -> Healthy | Failed:
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
    return Node(Spec("a", "m", **spec), wire, clock or time.monotonic, lambda: None)  # type: ignore[arg-type]


async def test_a_slot_is_taken_and_given_back() -> None:
    """The work under way goes down as tokens come, and is nothing afterwards; releasing twice frees one."""
    wire = Scripted()
    wire.gate = asyncio.Event()
    node = made(wire, parallel=2)
    asked = ask()
    lease = node.lease(asked)
    assert (node.standing().free, node.standing().work) == (1, asked.cost)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(node.call(asked, lease))
        while node.standing().work == asked.cost:
            await asyncio.sleep(0)
        wire.gate.set()
        outcome, attempt = await task
    assert isinstance(outcome, Answer)
    assert (attempt.node, attempt.result) == ("a", "ok")
    lease.release()
    assert (node.standing().free, node.standing().work) == (2, 0)


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
        assert node.standing().free == 2
        assert node.stats.results == {result: 1}
        assert node.view().breaker == "closed"


async def test_an_attempt_has_its_time() -> None:
    """The node's own bound is the node's fault; a request that is in a hurry is not."""
    wire = Scripted()
    wire.gate = asyncio.Event()
    node = made(wire, timeout=0.02)
    for _ in range(3):
        asked = ask()
        outcome, _ = await node.call(asked, node.lease(asked))
        assert isinstance(outcome, Failed)
        assert outcome.kind == "slow"
    assert node.view().breaker == "open"
    hurried = made(wire, timeout=60.0)
    for _ in range(3):
        asked = ask(deadline=time.monotonic() + 0.01)
        await hurried.call(asked, hurried.lease(asked))
    assert hurried.view().breaker == "closed"


@pytest.mark.parametrize(
    ("events", "schema", "kind"),
    [
        ([First(), Piece("{}"), Done()], {}, None),
        ([First(), Piece("no"), Done()], {}, "nonsense"),
        ([First(), Piece("no"), Done()], None, None),
        ([First(), Piece("[" * 60_000), Done()], {}, "nonsense"),
        ([First(), Piece('{"a'), Done(cut=True)], {}, "cut"),
        ([First(), Piece("half a sen"), Done(cut=True)], None, None),
        ([Done()], None, None),
        ([First(), Piece("{}")], {}, "gone"),
        ([], {}, "gone"),
        ([First(), Failed("overloaded", "x", 5.0)], {}, "overloaded"),
    ],
)
async def test_an_answer_is_whole_and_of_the_form(events: list[Event], schema: object, kind: str | None) -> None:
    """JSON where a schema was given, and to its end; plain text may be cut."""
    wire = Scripted()
    wire.events = events
    node = made(wire)
    asked = ask(schema=schema)
    outcome, attempt = await node.call(asked, node.lease(asked))
    assert (outcome.kind if isinstance(outcome, Failed) else None) == kind
    assert attempt.result == (kind or "ok")


async def test_tokens_are_estimated_where_they_are_not_told() -> None:
    """And it says so."""
    wire = Scripted()
    wire.events = [First(), Piece("word " * 20), Done()]
    node = made(wire)
    asked = ask(schema=None)
    outcome, _ = await node.call(asked, node.lease(asked))
    assert isinstance(outcome, Answer)
    assert not outcome.tokens.counted
    assert outcome.tokens.prompt == asked.prompt_tokens
    assert 20 <= outcome.tokens.output <= 40


async def test_health_is_looked_at_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down with its reason, back without; the digest stays; warmed up whenever it comes back or has another model."""
    monkeypatch.setattr(node_module, "UP_EVERY", 0.001)
    monkeypatch.setattr(node_module, "DOWN_LONGEST", 0.001)
    wire = Scripted()
    node = made(wire)
    node.warm(ask())

    async def until(state: tuple[bool, str, int]) -> None:
        async with asyncio.timeout(5):
            while (node.view().up, node.digest, wire.streams) != state:
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(node.watch())
        await until((True, "d", 1))
        wire.health = Failed("gone", "no model m there; it has n")
        await until((False, "d", 1))
        assert node.view().problem == "gone: no model m there; it has n"
        assert not node.standing().up
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
        await node.checked.wait()
        wire.events, wire.health = [Failed("gone", "x")], Failed("gone", "x")
        asked = ask()
        await node.call(asked, node.lease(asked))
        async with asyncio.timeout(5):
            while node.view().up:
                await asyncio.sleep(0)
        watching.cancel()


async def test_an_idle_node_is_thought_faster_again() -> None:
    """What was measured long ago counts less, so that a node that was slow once gets another chance."""
    clock, wire = Clock(), Scripted()
    node = made(wire, clock)
    node.stats.overtaken(100.0, 10.0)
    assert node.standing().pace == pytest.approx(0.1)
    clock.now += 2 * PACE_HALVES
    assert node.standing().pace == pytest.approx(0.025)


async def test_remembered_prefixes_are_bounded() -> None:
    """The latest, a few for each slot."""
    node = made(Scripted(), parallel=1)
    for number in range(3 * PREFIXES):
        node.lease(ask(affinity=f"p{number}")).release()
    assert list(node.standing().prefixes) == [f"p{number}" for number in range(2 * PREFIXES, 3 * PREFIXES)]
