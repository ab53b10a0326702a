"""Turns in front of what takes a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from hub.core.fair_queue import NEVER, DrainRate, FairQueue, Key
from hub.engine.fair_line import MAX_WAIT, FairLine, LineFull
from tests.hub.hub_harness import FakeClock

FLOOD, CAROL = Key("ops", "flood"), Key("ops", "carol")


def line(clock: FakeClock, at_a_time: int = 1, seconds: float = 0.01, total: int = 100) -> FairLine:
    return FairLine(FairQueue((NEVER, 4), total=total), at_a_time, clock, DrainRate(seconds))


async def visit(where: FairLine, key: Key, said: list[str], kind: int = 1) -> None:
    await where.enter(kind, key)
    said.append(key.name)
    await asyncio.sleep(0)
    where.leave()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_turns_are_fair_and_some_at_a_time() -> None:
    """Whoever comes first goes in at once; behind them people take turns, and acts go before."""
    where, said = line(FakeClock()), list[str]()
    await where.enter(1, FLOOD)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(visit(where, FLOOD, said))
        tasks.create_task(visit(where, CAROL, said))
        tasks.create_task(visit(where, Key("ops", "bob"), said, kind=0))
        await settled()
        assert (said, where.waiting) == ([], 7)
        where.leave()
    assert said == ["bob", "flood", "carol", "flood", "flood", "flood", "flood"]
    assert where.waiting == 0


async def test_who_would_wait_too_long_is_told_before() -> None:
    """The one with the pile, not the newcomer; and while nothing moves everybody."""
    clock, said = FakeClock(), list[str]()
    where = line(clock, seconds=0.1)
    assert where.refuse(1, FLOOD) is None
    await where.enter(1, FLOOD)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(30):
            tasks.create_task(visit(where, FLOOD, said))
        await settled()
        wait = where.refuse(1, FLOOD)
        assert wait is not None
        assert wait > MAX_WAIT
        assert where.refuse(1, CAROL) is None
        assert where.refuse(0, FLOOD) is None
        clock.advance(3 * MAX_WAIT)
        assert where.refuse(1, CAROL) is not None
        where.leave()
    assert len(said) == 30


async def test_a_full_line_takes_nobody() -> None:
    """It is bounded; the error says when to come again."""
    where = line(FakeClock(), total=1)
    await where.enter(1, FLOOD)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(visit(where, FLOOD, []))
        await settled()
        assert where.refuse(1, CAROL) is not None
        with pytest.raises(LineFull) as full:
            await where.enter(1, CAROL)
        assert full.value.wait > 0
        where.leave()


async def test_who_goes_while_waiting_costs_no_turn() -> None:
    """Also in the moment in which it gets the turn."""
    where, said = line(FakeClock()), list[str]()
    await where.enter(1, FLOOD)
    async with asyncio.TaskGroup() as tasks:
        first, second, third = (tasks.create_task(visit(where, CAROL, said)) for _ in range(3))
        await settled()
        first.cancel()
        await settled()
        where.leave()  # it is the second's
        second.cancel()
        await third
    assert said == ["carol"]
    assert where.refuse(1, FLOOD) is None
