from __future__ import annotations

import asyncio

import pytest

from hub.planning.llm_servers.single_flight import FlightCancelled, SingleFlight


async def test_one_does_the_work_for_all() -> None:
    """Ten ask at once, the work is done once; afterwards it is done anew."""
    done = 0

    async def work() -> int:
        nonlocal done
        await asyncio.sleep(0)
        done += 1
        return done

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[int] = SingleFlight(group)
        got = await asyncio.gather(*(flights.do("k", work) for _ in range(10)))
        assert got == [(1, False)] + [(1, True)] * 9
        assert await flights.do("k", work) == (2, False)
        assert await asyncio.gather(flights.do("a", work), flights.do("b", work)) == [(3, False), (4, False)]
        assert len(flights) == 0


async def test_an_error_is_everybodys_and_nobody_elses() -> None:
    """Each who waits gets it; the group goes on."""

    async def work() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[int] = SingleFlight(group)
        got = await asyncio.gather(*(flights.do("k", work) for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in got] == ["no"] * 3
        assert len(flights) == 0


async def test_the_last_to_leave_ends_the_work() -> None:
    """One of two leaves: it goes on. Both leave: it is cancelled, and who comes then begins anew."""
    begun, ended = 0, asyncio.Event()

    async def work() -> int:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[int] = SingleFlight(group)
        tasks = [group.create_task(flights.do("k", work)) for _ in range(2)]
        while not begun:
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait({tasks[0]})
        assert not ended.is_set()
        assert flights.in_flight("k")
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
        assert not flights.in_flight("k")
        await ended.wait()
        third = group.create_task(flights.do("k", work))
        while begun < 2:
            await asyncio.sleep(0)
        third.cancel()


async def test_who_waits_is_told_of_the_groups_end() -> None:
    """The work was cancelled with its group, the one who waits was not."""
    flights: list[SingleFlight[int]] = []
    begun = asyncio.Event()

    async def work() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            flights.append(SingleFlight(group))
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as outer:
        running = outer.create_task(run())
        while not flights:
            await asyncio.sleep(0)
        waiting = outer.create_task(_outcome(flights[0].do("k", work)))
        await begun.wait()
        running.cancel()
        assert isinstance(await waiting, FlightCancelled)


async def _outcome(asked: object) -> object:
    with pytest.raises(FlightCancelled) as caught:
        await asked  # type: ignore[misc]
    return caught.value
