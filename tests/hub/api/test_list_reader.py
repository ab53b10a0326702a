"""Reading a window of a list from the store or from memory."""

from __future__ import annotations

import pytest

from common.filter.fields import VIEWS, ViewName
from common.filter.parser import parse
from hub.api import list_reader
from hub.api.agent_list import AgentRowCache
from hub.api.list_reader import AgentListReader, StoreListReader, WindowQuery
from hub.store.lists import UnknownSort
from tests.hub.hub_harness import HubHarness


async def test_a_window_and_how_long_the_list_is(harness: HubHarness) -> None:
    """Rows from a place on; a window that reaches the end of the list knows how many fit."""
    jobs = [await harness.queued_job() for _ in range(5)]
    reader = StoreListReader(harness.store, harness.fleet, WindowQuery(parse("jobs", ""), "-age", 1, 2))
    found = await reader.read(harness.clock.now)
    assert ([row.id for row in found.rows], found.total, found.all, found.lo) == ([jobs[1].id, jobs[2].id], 5, 5, 1)
    reader = StoreListReader(harness.store, harness.fleet, WindowQuery(parse("jobs", "state:queued"), "-age", 3, 9))
    found = await reader.read(harness.clock.now)
    assert ([row.id for row in found.rows], found.total) == ([jobs[3].id, jobs[4].id], 5)


async def test_rows_that_have_not_changed_are_the_same(harness: HubHarness) -> None:
    """So that nothing is pushed for them."""
    await harness.queued_job()
    reader = StoreListReader(harness.store, harness.fleet, WindowQuery(parse("jobs", ""), "", 0, 9))
    (first,) = (await reader.read(harness.clock.now)).rows
    second = await harness.queued_job()
    rows = (await reader.read(harness.clock.now)).rows
    assert [row.id for row in rows] == [second.id, first.id]
    assert rows[1] is first


async def test_the_length_is_counted_seldom(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not counted yet is counted when the reader says that it is due."""
    await harness.queued_job()
    reader = StoreListReader(harness.store, harness.fleet, WindowQuery(parse("jobs", "state:queued"), "", 0, 1))
    assert (await reader.read(harness.clock.now)).total == 1
    assert reader.refresh_at == float("inf")
    await harness.queued_job()
    assert (await reader.read(harness.clock.now)).all == 1
    assert reader.refresh_at < float("inf")
    monkeypatch.setattr(list_reader, "COUNT_INTERVAL", 0.0)
    reader._count_at = 0.0
    found = await reader.read(harness.clock.now)
    assert (found.total, found.all) == (2, 2)


@pytest.mark.parametrize("view", VIEWS)
async def test_what_cannot_be_sorted_by(harness: HubHarness, view: ViewName) -> None:
    """Is said when the reader is made."""
    query = WindowQuery(parse(view, ""), "colour", 0, 9)
    with pytest.raises(UnknownSort):
        if view == "agents":
            AgentListReader(harness.fleet, AgentRowCache(harness.fleet), query)
        else:
            StoreListReader(harness.store, harness.fleet, query)


async def test_machines_come_from_memory(harness: HubHarness) -> None:
    """In the same form."""
    await harness.add_machine("web-2", online=False)
    query = WindowQuery(parse("agents", "state:offline"), "", 0, 9)
    found = await AgentListReader(harness.fleet, AgentRowCache(harness.fleet), query).read(harness.clock.now)
    assert ([row.id for row in found.rows], found.total, found.all, found.lo) == (["web-2"], 1, 2, 0)
