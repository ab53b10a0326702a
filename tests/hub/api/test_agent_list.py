"""The machines as a list in memory."""

from __future__ import annotations

from typing import Any

import pytest

from common.filter.parser import parse
from hub.api.agent_list import MAX_AGE, AgentList, AgentRowCache
from hub.core.records import Agent
from hub.store.lists import UnknownSort
from tests.hub.hub_harness import NOW, HubHarness


@pytest.fixture
async def four(harness: HubHarness) -> HubHarness:
    """web-1 is here, web-2 is away, db-1 is here and paused, old-1 is revoked."""
    await harness.add_machine("web-2", online=False, labels={"env": "prod"}, last_seen=NOW - 50, version="0.2")
    await harness.add_machine("db-1", paused_at=NOW, paused_by="bob", labels={"env": "dev"}, version="0.3")
    await harness.add_machine("old-1", online=False, state="revoked")
    harness.fleet.vitals["web-1"] = {"load1": 3.0, "at": NOW - 1, "rtt": 0.5}
    harness.fleet.vitals["db-1"] = {"load1": 1.0, "at": NOW - 2, "rtt": 0.1}
    return harness


def names(harness: HubHarness, text: str = "", sort: str = "", lo: int = 0, n: int = 10) -> list[str]:
    listed = AgentList(AgentRowCache(harness.fleet), harness.fleet, parse("agents", text), sort)
    return [row.id for row in listed.window(lo, n, NOW)[0]]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["db-1", "old-1", "web-1", "web-2"]),
        ("-name", ["web-2", "web-1", "old-1", "db-1"]),
        ("rtt", ["db-1", "web-1", "old-1", "web-2"]),
        ("-load", ["web-1", "db-1", "old-1", "web-2"]),
        ("state", ["web-2", "db-1", "web-1", "old-1"]),
        ("version", ["web-2", "db-1", "old-1", "web-1"]),
        ("last_seen", ["web-2", "db-1", "web-1", "old-1"]),
        ("seen", ["web-1", "db-1", "web-2", "old-1"]),
    ],
)
async def test_any_order(four: HubHarness, sort: str, order: list[str]) -> None:
    """By name, by a number, by what needs a person first; those without a value last either way."""
    assert names(four, sort=sort) == order


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("state:online", ["db-1", "web-1"]),
        ("state:paused", ["db-1"]),
        ("state:bad", ["old-1", "web-2"]),
        ("label:env=prod", ["web-2"]),
        ("load>2", ["web-1"]),
        ("seen>10s", ["web-2"]),
        ("name:web-* !state:online", ["web-2"]),
        ("web", ["web-1", "web-2"]),
    ],
)
async def test_any_filter(four: HubHarness, text: str, found: list[str]) -> None:
    """On what the rows say."""
    assert names(four, text) == found


async def test_windows_and_sizes(four: HubHarness) -> None:
    """A part of the list, how many fit, how many there are."""
    listed = AgentList(AgentRowCache(four.fleet), four.fleet, parse("agents", "!state:revoked"))
    rows, total, whole = listed.window(1, 1, NOW)
    assert ([row.id for row in rows], total, whole) == (["web-1"], 3, 4)
    assert names(four, lo=9) == []


async def test_a_row_is_the_same_until_something_of_it_changes(four: HubHarness) -> None:
    """Vitals, presence, the row in the store, what waits for it: each makes another row, and of that machine alone."""
    roster = AgentRowCache(four.fleet)
    listed = AgentList(roster, four.fleet, parse("agents", ""))
    now = {row.id: row for row in listed.window(0, 10, NOW)[0]}

    async def changed(act: Any) -> set[str]:
        nonlocal now
        await act()
        before, now = now, {row.id: row for row in listed.window(0, 10, NOW)[0]}
        return {name for name, row in now.items() if before[name] is not row}

    async def nothing() -> None: ...
    async def vitals() -> None:
        four.fleet.vitals["web-1"] = {"load1": 4.0}

    async def leaves() -> None:
        four.fleet.set_offline("db-1")

    async def locked() -> None:
        await four.change_machine("web-2", state="locked")

    async def waits() -> None:
        roster.queued, roster.running = {"web-1": 3}, {"web-1": 1}

    assert await changed(nothing) == set()
    assert await changed(vitals) == {"web-1"}
    assert await changed(leaves) == {"db-1"}
    assert await changed(locked) == {"web-2"}
    assert await changed(waits) == {"web-1"}
    assert (now["web-1"].payload["queued"], now["web-1"].payload["running"]) == (3, 1)


async def test_a_large_fleet_is_sorted_once_a_second(harness: HubHarness) -> None:
    """Who is in the list may be a second old; what the rows say is of now."""

    def add(txn: Any) -> None:
        for number in range(600):
            txn.add_agent(Agent(f"m-{number:03}", {}, "active", NOW))

    harness.write(add)
    await harness.fleet.refresh()
    listed = AgentList(AgentRowCache(harness.fleet), harness.fleet, parse("agents", "state:offline"))
    assert listed.window(0, 1, NOW)[1] == 600
    harness.fleet.set_online("m-000")
    rows, total, _ = listed.window(0, 1, NOW + MAX_AGE / 2)
    assert (total, rows[0].payload["online"]) == (600, True)
    assert listed.window(0, 1, NOW + MAX_AGE)[1] == 599


async def test_machines_that_are_no_more_are_forgotten(harness: HubHarness) -> None:
    """Rows are kept for those that there are."""
    roster = AgentRowCache(harness.fleet)
    roster.row(Agent("ghost", {}, "active", NOW))
    AgentList(roster, harness.fleet, parse("agents", "")).window(0, 1, NOW)
    assert set(roster._entries) == {"web-1"}


def test_what_cannot_be_sorted_by() -> None:
    """A column that is none."""
    with pytest.raises(UnknownSort):
        AgentList(None, None, parse("agents", ""), "colour")  # type: ignore[arg-type]
