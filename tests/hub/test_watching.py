"""The lists that consoles look at: read when they changed, once for all who look, and told in pushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest

from common.filter import parse
from common.filter_fields import View
from hub.consoles import ConsoleLink, Subscription
from hub.live import Sight
from hub.store.windows import NoSort
from hub.watching import Query, StoreLooker, Watching
from tests.hub.house import House


def query(view: View, text: str = "", sort: str = "", lo: int = 0, n: int = 100) -> Query:
    return Query(parse(view, text), sort, lo, n)


class Ear:
    """A console that looks at one list."""

    def __init__(self, watching: Watching, wanted: Query) -> None:
        self.pokes: asyncio.Queue[Subscription] = asyncio.Queue()
        self.subscription = watching.watch(cast(ConsoleLink, self), 1, wanted)

    def poke(self, subscription: Subscription) -> None:
        self.pokes.put_nowait(subscription)

    async def push(self) -> dict[str, Any]:
        """The next push that says something."""
        async with asyncio.timeout(10):
            while True:
                assert await self.pokes.get() is self.subscription
                push = await self.subscription.look()
                if push is not None:
                    return dict(push)


@pytest.fixture
async def watching(inside: House) -> AsyncIterator[Watching]:
    made = Watching(inside.store, inside.fleet, inside.clock)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_list_of_the_store(inside: House, watching: Watching) -> None:
    """The first push is the window as it is; after a commit comes what is new in it."""
    ear = Ear(watching, query("jobs"))
    assert await ear.subscription.look() is None  # nothing has been read yet
    assert await ear.push() == {"seq": 1, "total": 0, "all": 0, "lo": 0, "rows": []}
    job = await inside.working()
    watching.store_changed()
    push = await ear.push()
    assert (push["seq"], push["total"], push["order"]) == (2, 1, [job.id])
    assert [(row["id"], row["state"]) for row in push["upsert"]] == [(job.id, "queued")]


async def test_the_same_list_is_read_once(watching: Watching) -> None:
    """Consoles that look at the same share one read; another window is another list."""
    ears = [Ear(watching, wanted) for wanted in (query("jobs"), query("jobs"), query("jobs", lo=1))]
    for ear in ears:
        assert (await ear.push())["seq"] == 1
    assert watching.looks == 2


async def test_machines(inside: House, watching: Watching) -> None:
    """A machine's row says how many jobs wait for it, and that it has left as soon as it has."""
    await inside.working()
    ear = Ear(watching, query("agents"))
    ((row,), whole) = (push := await ear.push())["rows"], push["all"]
    assert (row["name"], row["online"], row["queued"], row["running"], whole) == ("web-1", True, 1, 0, 1)
    inside.fleet.left("web-1")
    watching.fleet_changed()
    assert [one["online"] for one in (await ear.push())["upsert"]] == [False]


async def test_nobody_looks_any_more(inside: House, watching: Watching) -> None:
    """A list whose last console has left is not read again; one that another still looks at is."""
    gone, one, other = (Ear(watching, wanted) for wanted in (query("audit"), query("jobs"), query("jobs")))
    for ear in (gone, one, other):
        await ear.push()
    looks = watching.looks
    gone.subscription.dropped()
    other.subscription.dropped()
    await inside.working()
    watching.store_changed()
    assert (await one.push())["total"] == 1
    assert watching.looks == looks + 1
    assert gone.pokes.empty()
    assert other.pokes.empty()


async def test_a_list_that_fails(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that cannot be read does not keep the others from being told."""
    failed = asyncio.Event()

    async def look(self: StoreLooker, now: float) -> Sight:
        failed.set()
        raise RuntimeError("no such table")

    monkeypatch.setattr(StoreLooker, "look", look)
    bad = Ear(watching, query("requests"))
    async with asyncio.timeout(10):
        await failed.wait()
    assert (await Ear(watching, query("agents")).push())["total"] == 1
    assert bad.pokes.empty()


async def test_a_window_in_the_middle(inside: House) -> None:
    """A window says where it is and how many fit beyond it; rows that come back the same are the same objects."""
    jobs = [(await inside.working()).id for _ in range(3)]
    looker = StoreLooker(inside.store, inside.fleet, query("jobs", sort="-age", lo=1, n=1))
    sight = await looker.look(inside.clock.now)
    assert ([row.id for row in sight.rows], sight.total, sight.all, sight.lo) == ([jobs[1]], 3, 3, 1)
    again = await looker.look(inside.clock.now)
    assert again.rows[0] is sight.rows[0]


async def test_no_such_sort(inside: House) -> None:
    """A column that there is not is refused before anything is watched."""
    watching = Watching(inside.store, inside.fleet, inside.clock)
    views: tuple[View, ...] = ("jobs", "agents")
    for view in views:
        with pytest.raises(NoSort):
            Ear(watching, query(view, sort="nothing"))
