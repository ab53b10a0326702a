"""Turns in front of what takes a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from hub.core.fair_queue import NEVER, DrainRate, Key, Turn, Turns
from hub.engine.fair_line import MAX_WAIT, FairLine, LineFull
from tests.hub.hub_harness import FakeClock

FLOOD, CAROL = Turn(1, Key("ops", "flood")), Turn(1, Key("ops", "carol"))


def line(clock: FakeClock, at_a_time: int = 1, seconds: float = 0.01, total: int = 100) -> FairLine:
    return FairLine(Turns((NEVER, 4), total=total, per_key=100), at_a_time, clock, DrainRate(seconds))


async def visit(where: FairLine, turn: Turn, said: list[str]) -> None:
    await where.enter(turn)
    said.append(turn.key.name)
    await asyncio.sleep(0)
    where.leave(turn)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_turns_are_fair_and_some_at_a_time() -> None:
    """Whoever comes first goes in at once; behind them people take turns, and acts go before."""
    where, said = line(FakeClock()), list[str]()
    await where.enter(FLOOD)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(visit(where, FLOOD, said))
        tasks.create_task(visit(where, CAROL, said))
        tasks.create_task(visit(where, Turn(0, Key("ops", "bob")), said))
        await settled()
        assert (said, where.waiting) == ([], 7)
        where.leave(FLOOD)
    assert said == ["bob", "carol", "flood", "flood", "flood", "flood", "flood"]
    assert where.waiting == 0


async def test_who_would_wait_too_long_is_told_before() -> None:
    """The one with the pile, not the newcomer; and while nothing moves everybody."""
    clock, said = FakeClock(), list[str]()
    where = line(clock, seconds=0.1)
    assert where.refuse(FLOOD) is None
    await where.enter(FLOOD)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(30):
            tasks.create_task(visit(where, FLOOD, said))
        await settled()
        wait = where.refuse(FLOOD)
        assert wait is not None
        assert wait > MAX_WAIT
        assert where.refuse(CAROL) is None
        assert where.refuse(Turn(0, FLOOD.key)) is None
        clock.advance(3 * MAX_WAIT)
        assert where.refuse(CAROL) is not None
        where.leave(FLOOD)
    assert len(said) == 30


async def test_a_full_line_takes_nobody() -> None:
    """It is bounded; the error says when to come again."""
    where = line(FakeClock(), total=1)
    await where.enter(FLOOD)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(visit(where, FLOOD, []))
        await settled()
        assert where.refuse(CAROL) is not None
        with pytest.raises(LineFull) as full:
            await where.enter(CAROL)
        assert full.value.wait > 0
        where.leave(FLOOD)


async def test_who_goes_while_waiting_costs_no_turn() -> None:
    """Also in the moment in which it gets the turn."""
    where, said = line(FakeClock()), list[str]()
    await where.enter(FLOOD)
    async with asyncio.TaskGroup() as tasks:
        first, second, third = (tasks.create_task(visit(where, CAROL, said)) for _ in range(3))
        await settled()
        first.cancel()
        await settled()
        where.leave(FLOOD)  # it is the second's
        second.cancel()
        await third
    assert said == ["carol"]
    assert where.refuse(FLOOD) is None


async def test_of_one_key_one_at_a_time() -> None:
    """A pile takes up one place, in its order; a second sender goes in beside it at once."""
    where, said = line(FakeClock(), at_a_time=4), list[str]()
    await where.enter(FLOOD)
    async with asyncio.TaskGroup() as tasks:
        pile = [tasks.create_task(where.enter(FLOOD)) for _ in range(3)]
        await settled()
        assert [each.done() for each in pile] == [False, False, False]
        await visit(where, CAROL, said)
        assert said == ["carol"]
        for each in pile:
            where.leave(FLOOD)
            await settled()
            assert each.done()
    where.leave(FLOOD)
    assert where.refuse(FLOOD) is None
