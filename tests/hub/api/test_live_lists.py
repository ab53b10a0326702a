"""The lists that consoles look at: one look for all, not more often than needed, and always the truth in the end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from common.filter.fields import ViewName
from common.filter.parser import parse
from hub.api import list_reader
from hub.api import live_lists as module
from hub.api.list_reader import WindowQuery
from hub.api.live_lists import MIN_READ_INTERVAL, LiveLists
from hub.links.console import Caller, ConsoleLink
from hub.links.subscription import Subscription
from hub.store.lists import UnknownSort
from tests.hub.api_harness import ANYBODY
from tests.hub.hub_harness import HubHarness, ended_message

WITHIN = 45.0


class Link:
    """A console's link that takes a push when the test looks, as a slow console does."""

    def __init__(self) -> None:
        self.notified = asyncio.Event()

    def notify(self, subscription: Subscription) -> None:
        subscription.dirty = True
        self.notified.set()


class Console:
    """Looks at one list and believes what it is told."""

    def __init__(
        self, watching: LiveLists, text: str = "", view: ViewName = "jobs", sort: str = "", lo: int = 0, n: int = 50
    ) -> None:
        self.link = Link()
        query = WindowQuery(parse(view, text), sort, lo, n)
        caller = Caller("vera", cast(ConsoleLink, self.link), id(self))
        self.subscription = watching.subscribe(caller, ANYBODY, query)
        self.pushes: list[dict[str, Any]] = []
        self.rows: dict[str, Any] = {}
        self.order: list[str] = []

    async def take(self) -> dict[str, Any] | None:
        """What the hub says now; None where that is nothing."""
        push: dict[str, Any] | None = await self.subscription.poll()
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
                self.link.notified.clear()
                if await self.take() is None:
                    await self.link.notified.wait()

    def states(self) -> list[str]:
        return [self.rows[identity]["state"] for identity in self.order]


@pytest.fixture
async def watching(harness: HubHarness) -> AsyncIterator[LiveLists]:
    made = LiveLists(harness.store, harness.fleet, harness.clock)
    harness.fan_out.subscribe(lambda effects: made.store_changed())
    harness.fan_out.subscribe_agents(lambda name: made.fleet_changed())
    async with running(made):
        yield made


@asynccontextmanager
async def running(made: LiveLists) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.run())
        try:
            yield
        finally:
            task.cancel()


async def test_a_list_follows_what_happens(harness: HubHarness, watching: LiveLists) -> None:
    """A job from the queue to its end, with every row the hub's own, newest first."""
    console = Console(watching)
    await console.until(lambda: bool(console.pushes))
    assert console.pushes[0]["rows"] == []
    first = await harness.queued_job()
    await console.until(lambda: console.states() == ["queued"])
    await harness.queued_job()
    await console.until(lambda: console.states() == ["queued", "queued"])
    await harness.claim()
    await console.until(lambda: console.states() == ["leased", "leased"])
    await harness.handle_agent_events("web-1", ended_message(first.id))
    await console.until(lambda: console.states() == ["leased", "succeeded"])
    assert [push["seq"] for push in console.pushes] == list(range(1, len(console.pushes) + 1))
    assert console.pushes[-1]["total"] == 2


async def test_nothing_new_nothing_told(harness: HubHarness, watching: LiveLists) -> None:
    """A commit that changes no row of the list is no push; an audit row alone moves no list of jobs."""
    await harness.queued_job()
    console = Console(watching)
    await console.until(lambda: console.states() == ["queued"])
    looks = watching.reads
    harness.write(lambda txn: txn.audit("x.y", "z", "hub", {}, harness.clock.now))
    watching.store_changed()
    async with asyncio.timeout(WITHIN):
        while watching.reads == looks:
            console.link.notified.clear()
            await console.link.notified.wait()
    assert await console.take() is None


async def test_one_look_for_all_who_look_at_the_same(harness: HubHarness, watching: LiveLists) -> None:
    """Five consoles on one list cost one query a tick; another window or order is another list."""
    consoles = [Console(watching) for _ in range(5)]
    for console in consoles:
        await console.until(lambda console=console: bool(console.pushes))
    assert len(watching._lists) == 1
    looks = watching.reads
    await harness.queued_job()
    for console in consoles:
        await console.until(lambda console=console: console.states() == ["queued"])
    assert watching.reads == looks + 1
    Console(watching, n=10)
    Console(watching, sort="agent")
    assert len(watching._lists) == 3


async def test_a_burst_is_looked_at_once_a_tick(harness: HubHarness, watching: LiveLists) -> None:
    """However many commits there are; the last state is what is told."""
    console = Console(watching)
    await console.until(lambda: bool(console.pushes))
    looks, begun = watching.reads, asyncio.get_running_loop().time()
    for _ in range(30):
        await harness.queued_job()
    await console.until(lambda: len(console.order) == 30)
    took = asyncio.get_running_loop().time() - begun
    assert watching.reads - looks <= took / MIN_READ_INTERVAL + 2


async def test_a_list_that_nobody_takes_is_not_read(harness: HubHarness, watching: LiveLists) -> None:
    """A console that is not read costs the others nothing: one read more, then none until it takes what there is."""
    unread, quick = Console(watching), Console(watching, n=10)
    for console in (unread, quick):
        await console.until(lambda console=console: bool(console.pushes))
    mine = unread.subscription._list
    await harness.queued_job()
    async with asyncio.timeout(WITHIN):
        while not unread.subscription.is_behind:
            unread.link.notified.clear()
            await unread.link.notified.wait()
    seen = mine.snapshot
    assert mine.due_at() == math.inf
    for count in range(2, 5):
        await harness.queued_job()
        await quick.until(lambda count=count: len(quick.order) == count)
    assert (mine.dirty, mine.snapshot is seen) == (True, True)
    await unread.until(lambda: len(unread.order) == 4)


async def test_a_slow_console_gets_the_state_of_now(harness: HubHarness, watching: LiveLists) -> None:
    """What happened while it did not take anything is one push, and the console beside it missed nothing."""
    slow, quick = Console(watching), Console(watching)
    for console in (slow, quick):
        await console.until(lambda console=console: bool(console.pushes))
    for count in range(1, 4):
        job = await harness.leased_job()
        await harness.handle_agent_events("web-1", ended_message(job.id))
        await quick.until(lambda count=count: quick.states() == ["succeeded"] * count)
    await slow.take()
    assert slow.states() == ["succeeded"] * 3
    assert len(slow.pushes) == 2 < len(quick.pushes)


async def test_a_filter_and_how_many_fit(
    harness: HubHarness, watching: LiveLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row enters and leaves as it begins and ceases to fit; the sizes, of the filter and of all, come along, though
    they are counted less often.
    """
    monkeypatch.setattr(list_reader, "COUNT_INTERVAL", 0.3)
    console = Console(watching, "state:queued")
    job = await harness.queued_job()
    await console.until(lambda: console.states() == ["queued"])
    await harness.claim()
    await console.until(lambda: console.order == [])
    assert (console.pushes[-1]["gone"], console.pushes[-1]["total"]) == ([job.id], 0)
    await console.until(lambda: console.pushes[-1]["all"] == 1)


async def test_a_window_in_the_middle(harness: HubHarness, watching: LiveLists) -> None:
    """Shows its part, and knows how long the list is."""
    jobs = [await harness.queued_job() for _ in range(6)]
    console = Console(watching, sort="-age", lo=2, n=3)
    await console.until(lambda: len(console.order) == 3)
    assert console.order == [job.id for job in jobs[2:5]]
    assert (console.pushes[0]["lo"], console.pushes[0]["total"]) == (2, 6)


async def test_time_alone_changes_a_list(
    harness: HubHarness, watching: LiveLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter on an age is looked at again without a commit."""
    monkeypatch.setattr(module, "TIMELY_REFRESH", 0.01)
    await harness.queued_job()
    console = Console(watching, "age>10s")
    await console.until(lambda: bool(console.pushes))
    assert console.order == []
    harness.clock.advance(11)
    await console.until(lambda: console.states() == ["queued"])


async def test_a_machine_that_leaves_is_seen_on_its_jobs(harness: HubHarness, watching: LiveLists) -> None:
    """Its row on the machines' list, and its jobs' rows."""
    await harness.queued_job()
    jobs, agents = Console(watching), Console(watching, view="agents")
    await jobs.until(lambda: bool(jobs.order))
    await agents.until(lambda: bool(agents.order))
    assert agents.rows["web-1"]["online"]
    assert agents.rows["web-1"]["queued"] == 1
    harness.fleet.set_offline("web-1")
    await jobs.until(lambda: jobs.rows[jobs.order[0]]["agent_online"] is False)
    await agents.until(lambda: agents.rows["web-1"]["online"] is False)


async def test_who_leaves_costs_nothing(harness: HubHarness, watching: LiveLists) -> None:
    """The last console of a list takes it along."""
    one, two = Console(watching), Console(watching)
    one.subscription.close()
    assert len(watching._lists) == 1
    two.subscription.close()
    two.subscription.close()
    assert watching._lists == {}


async def test_a_list_that_fails_is_tried_again(
    harness: HubHarness, watching: LiveLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on meanwhile."""
    monkeypatch.setattr(module, "IDLE_REFRESH", 0.01)
    good = Console(watching, view="requests")
    bad = Console(watching, "is:open")
    await good.until(lambda: bool(good.pushes))
    looker = watching._lists[WindowQuery(parse("jobs", "is:open"), "", 0, 50)].reader
    broken = iter([True, True])
    whole = looker.read

    async def look(now: float) -> Any:
        if next(broken, False):
            raise OSError("disk")
        return await whole(now)

    monkeypatch.setattr(looker, "read", look)
    await harness.queued_job()
    await good.until(lambda: bool(good.order))
    await bad.until(lambda: bad.states() == ["queued"])


async def test_what_cannot_be_sorted_by(watching: LiveLists) -> None:
    """Is said at once, and leaves no list behind."""
    with pytest.raises(UnknownSort):
        Console(watching, sort="colour")
    assert watching._lists == {}


async def test_a_costly_list_is_read_less_often(
    harness: HubHarness, watching: LiveLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it takes no more than its share of the time."""
    console = Console(watching)
    await console.until(lambda: bool(console.pushes))
    (seen,) = watching._lists.values()
    whole = seen.reader.read

    async def slow(now: float) -> Any:
        await asyncio.sleep(0.1)
        return await whole(now)

    monkeypatch.setattr(seen.reader, "read", slow)
    before = seen.not_before
    await harness.queued_job()
    await console.until(lambda: bool(console.order))
    assert seen.not_before - max(before, asyncio.get_running_loop().time() - 0.2) >= 0.1 / module.READ_TIME_SHARE - 0.2
