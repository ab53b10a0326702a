"""The lists that consoles look at: one look for all, not more often than needed, and always the truth in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.filter import parse
from common.filter_fields import View
from hub import watching as module
from hub.consoles import Subscription
from hub.store.windows import NoSort
from hub.watching import TICK, Query, Watching
from tests.hub.house import House, ended

WITHIN = 10.0


class Link:
    """A console's link that takes a push when the test looks, as a slow console does."""

    def __init__(self) -> None:
        self.poked = asyncio.Event()

    def poke(self, subscription: Subscription) -> None:
        subscription.dirty = True
        self.poked.set()


class Console:
    """Looks at one list and believes what it is told."""

    def __init__(
        self, watching: Watching, text: str = "", view: View = "jobs", sort: str = "", lo: int = 0, n: int = 50
    ) -> None:
        self.link = Link()
        query = Query(parse(view, text), sort, lo, n)
        self.subscription = watching.watch(self.link, id(self), query)  # type: ignore[arg-type]
        self.pushes: list[dict[str, Any]] = []
        self.rows: dict[str, Any] = {}
        self.order: list[str] = []

    async def take(self) -> dict[str, Any] | None:
        """What the hub says now; None where that is nothing."""
        push: dict[str, Any] | None = await self.subscription.look()
        if push is not None:
            self.pushes.append(push)
            for row in push.get("rows", push.get("upsert", ())):
                self.rows[row["id"]] = row
            self.order = push.get("order", [row["id"] for row in push["rows"]] if "rows" in push else self.order)
        return push

    async def until(self, holds: Callable[[], bool]) -> None:
        """Takes what comes until it holds."""
        async with asyncio.timeout(WITHIN):
            while not holds():
                self.link.poked.clear()
                if await self.take() is None:
                    await self.link.poked.wait()

    def states(self) -> list[str]:
        return [self.rows[identity]["state"] for identity in self.order]


@pytest.fixture
async def watching(inside: House) -> AsyncIterator[Watching]:
    made = Watching(inside.store, inside.fleet, inside.clock)
    inside.engine.after = lambda effects: made.store_changed()
    inside.fleet.on_change = lambda name: made.fleet_changed()
    async with running(made):
        yield made


@asynccontextmanager
async def running(made: Watching) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.run())
        try:
            yield
        finally:
            task.cancel()


async def test_a_list_follows_what_happens(inside: House, watching: Watching) -> None:
    """A job from the queue to its end, with every row the hub's own, newest first."""
    console = Console(watching)
    await console.until(lambda: bool(console.pushes))
    assert console.pushes[0]["rows"] == []
    first = await inside.working()
    await console.until(lambda: console.states() == ["queued"])
    await inside.working()
    await console.until(lambda: console.states() == ["queued", "queued"])
    await inside.claim()
    await console.until(lambda: console.states() == ["leased", "leased"])
    await inside.heard("web-1", ended(first.id))
    await console.until(lambda: console.states() == ["leased", "succeeded"])
    assert [push["seq"] for push in console.pushes] == list(range(1, len(console.pushes) + 1))
    assert console.pushes[-1]["total"] == 2


async def test_nothing_new_nothing_told(inside: House, watching: Watching) -> None:
    """A commit that changes no row of the list is no push; an audit row alone moves no list of jobs."""
    await inside.working()
    console = Console(watching)
    await console.until(lambda: console.states() == ["queued"])
    looks = watching.looks
    inside.write(lambda txn: txn.audit("x.y", "z", "hub", {}, inside.clock.now))
    watching.store_changed()
    async with asyncio.timeout(WITHIN):
        while watching.looks == looks:
            console.link.poked.clear()
            await console.link.poked.wait()
    assert await console.take() is None


async def test_one_look_for_all_who_look_at_the_same(inside: House, watching: Watching) -> None:
    """Five consoles on one list cost one query a tick; another window or order is another list."""
    consoles = [Console(watching) for _ in range(5)]
    for console in consoles:
        await console.until(lambda console=console: bool(console.pushes))
    assert len(watching._lists) == 1
    looks = watching.looks
    await inside.working()
    for console in consoles:
        await console.until(lambda console=console: console.states() == ["queued"])
    assert watching.looks == looks + 1
    Console(watching, n=10)
    Console(watching, sort="agent")
    assert len(watching._lists) == 3


async def test_a_burst_is_looked_at_once_a_tick(inside: House, watching: Watching) -> None:
    """However many commits there are; the last state is what is told."""
    console = Console(watching)
    await console.until(lambda: bool(console.pushes))
    looks, begun = watching.looks, asyncio.get_running_loop().time()
    for _ in range(30):
        await inside.working()
    await console.until(lambda: len(console.order) == 30)
    took = asyncio.get_running_loop().time() - begun
    assert watching.looks - looks <= took / TICK + 2


async def test_a_slow_console_gets_the_state_of_now(inside: House, watching: Watching) -> None:
    """What happened while it did not take anything is one push, and the console beside it missed nothing."""
    slow, quick = Console(watching), Console(watching)
    for console in (slow, quick):
        await console.until(lambda console=console: bool(console.pushes))
    for count in range(1, 4):
        job = await inside.leased()
        await inside.heard("web-1", ended(job.id))
        await quick.until(lambda count=count: quick.states() == ["succeeded"] * count)
    await slow.take()
    assert slow.states() == ["succeeded"] * 3
    assert len(slow.pushes) == 2 < len(quick.pushes)


async def test_a_filter_and_how_many_fit(inside: House, watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row enters and leaves as it begins and ceases to fit; the sizes, of the filter and of all, come along, though
    they are counted less often.
    """
    monkeypatch.setattr(module, "COUNT_EVERY", 0.3)
    console = Console(watching, "state:queued")
    job = await inside.working()
    await console.until(lambda: console.states() == ["queued"])
    await inside.claim()
    await console.until(lambda: console.order == [])
    assert (console.pushes[-1]["gone"], console.pushes[-1]["total"]) == ([job.id], 0)
    await console.until(lambda: console.pushes[-1]["all"] == 1)


async def test_a_window_in_the_middle(inside: House, watching: Watching) -> None:
    """Shows its part, and knows how long the list is."""
    jobs = [await inside.working() for _ in range(6)]
    console = Console(watching, sort="-age", lo=2, n=3)
    await console.until(lambda: len(console.order) == 3)
    assert console.order == [job.id for job in jobs[2:5]]
    assert (console.pushes[0]["lo"], console.pushes[0]["total"]) == (2, 6)


async def test_time_alone_changes_a_list(inside: House, watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter on an age is looked at again without a commit."""
    monkeypatch.setattr(module, "TIMELY_EVERY", 0.01)
    await inside.working()
    console = Console(watching, "age>10s")
    await console.until(lambda: bool(console.pushes))
    assert console.order == []
    inside.clock.pass_(11)
    await console.until(lambda: console.states() == ["queued"])


async def test_a_machine_that_leaves_is_seen_on_its_jobs(inside: House, watching: Watching) -> None:
    """Its row on the machines' list, and its jobs' rows."""
    await inside.working()
    jobs, agents = Console(watching), Console(watching, view="agents")
    await jobs.until(lambda: bool(jobs.order))
    await agents.until(lambda: bool(agents.order))
    assert agents.rows["web-1"]["online"]
    assert agents.rows["web-1"]["queued"] == 1
    inside.fleet.left("web-1")
    await jobs.until(lambda: jobs.rows[jobs.order[0]]["agent_online"] is False)
    await agents.until(lambda: agents.rows["web-1"]["online"] is False)


async def test_who_leaves_costs_nothing(inside: House, watching: Watching) -> None:
    """The last console of a list takes it along."""
    one, two = Console(watching), Console(watching)
    one.subscription.dropped()
    assert len(watching._lists) == 1
    two.subscription.dropped()
    two.subscription.dropped()
    assert watching._lists == {}


async def test_a_list_that_fails_is_tried_again(
    inside: House, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on meanwhile."""
    monkeypatch.setattr(module, "ANYWAY_EVERY", 0.01)
    good = Console(watching, view="requests")
    bad = Console(watching, "is:open")
    await good.until(lambda: bool(good.pushes))
    looker = watching._lists[Query(parse("jobs", "is:open"), "", 0, 50)].looker
    broken = iter([True, True])
    whole = looker.look

    async def look(now: float) -> Any:
        if next(broken, False):
            raise OSError("disk")
        return await whole(now)

    monkeypatch.setattr(looker, "look", look)
    await inside.working()
    await good.until(lambda: bool(good.order))
    await bad.until(lambda: bad.states() == ["queued"])


async def test_what_cannot_be_sorted_by(watching: Watching) -> None:
    """Is said at once, and leaves no list behind."""
    with pytest.raises(NoSort):
        Console(watching, sort="colour")
    assert watching._lists == {}


async def test_a_costly_list_is_read_less_often(
    inside: House, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it takes no more than its share of the time."""
    console = Console(watching)
    await console.until(lambda: bool(console.pushes))
    (seen,) = watching._lists.values()
    whole = seen.looker.look

    async def slow(now: float) -> Any:
        await asyncio.sleep(0.1)
        return await whole(now)

    monkeypatch.setattr(seen.looker, "look", slow)
    before = seen.next_at
    await inside.working()
    await console.until(lambda: bool(console.order))
    assert seen.next_at - max(before, asyncio.get_running_loop().time() - 0.2) >= 0.1 / module.SHARE - 0.2
