"""A followed list: what the hub pushes is what the types say."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from common.api.agents import AgentView
from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.jobs import JobView
from common.api.lists import ROWS, Delta, Snapshot, decode_list_push
from common.api.requests import RequestRow
from common.filter.fields import VIEWS, ViewName
from common.filter.parser import parse
from hub.api.agent_list import AgentList, AgentRowCache
from hub.api.list_delta import Cursor, ListSnapshot
from hub.api.row_cache import BUILDERS
from hub.api.rows import Row
from hub.store.lists import ListQuery
from tests.common.api.checked import wire
from tests.hub.hub_harness import HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"


async def rows(harness: HubHarness, view: ViewName) -> tuple[Row, ...]:
    """The rows of a list as the hub makes them."""
    now = harness.clock.now
    if view == "agents":
        return AgentList(AgentRowCache(harness.fleet), harness.fleet, parse(view, "")).window(0, 50, now)[0]

    def unit(txn: Any) -> tuple[Row, ...]:
        found = txn.list_rows(ListQuery(parse(view, "")), 0, 50, now)
        return tuple(BUILDERS[view](txn, harness.fleet, row, None, now).row for row in found)

    return harness.read(unit)


async def busy(harness: HubHarness) -> None:
    """A bit of everything, and more of it than a row shows."""
    await harness.add_machine("web-2", online=False, labels={"env": "x" * 300}, paused_at=1.0, paused_by="bob")
    await harness.add_machine("db-1", drain_at=1.0, drain_by="bob", drain_jobs=3)
    harness.fleet.vitals["web-1"] = {"load1": 3.0, "at": harness.clock.now - 1, "rtt": 0.5}
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id, "failed", 3))
    await harness.submit(RESTART)
    harness.add_rule("long")
    await harness.queued_job("@web-1 /opt/tests/long " + " ".join(["x" * 60] * 40))
    await harness.submit("what is this")


@pytest.mark.parametrize("view", VIEWS)
async def test_pushes_are_what_the_hub_sends(harness: HubHarness, view: ViewName) -> None:
    """The snapshot, then a delta; read and encoded again each is the same."""
    await busy(harness)
    told, found = Cursor(), await rows(harness, view)
    assert found
    push, _ = told.diff(ListSnapshot(found[1:], len(found) - 1, len(found), 0))
    first = encode(push)
    snapshot = decode_list_push(view, wire(first))
    assert isinstance(snapshot, Snapshot)
    assert isinstance(snapshot.rows[0], ROWS[view])
    assert encode(snapshot) == wire(first)
    push, _ = told.diff(ListSnapshot(found[:-1], len(found) - 1, len(found), 0))
    second = encode(push)
    delta = decode_list_push(view, wire(second))
    assert isinstance(delta, Delta)
    assert (delta.gone, len(delta.upsert)) == ((found[-1].id,), 1)
    assert encode(delta) == wire(second)


async def test_rows_say_what_readers_ask_of_them(harness: HubHarness) -> None:
    """A row that is cut says so, and counts what it does not name."""
    await busy(harness)
    jobs = [decode(JobView, wire(row.payload)) for row in await rows(harness, "jobs")]
    assert {job.state for job in jobs} == {"failed", "queued"}
    assert any(job.argv_cut for job in jobs)
    requests = [decode(RequestRow, wire(row.payload)) for row in await rows(harness, "requests")]
    assert {request.is_cut for request in requests} == {True, False}
    assert any(request.is_asking and request.machine_count == 1 for request in requests)
    agents = {row.id: decode(AgentView, wire(row.payload)) for row in await rows(harness, "agents")}
    assert (agents["web-2"].is_paused, agents["web-2"].is_bad, agents["db-1"].takes_jobs) == (True, True, False)


def test_a_push_that_is_none() -> None:
    """The path of what is off is told; one with no order leaves it out."""
    push = {"seq": 1, "total": 1, "all": 1, "lo": 0, "rows": [{"id": "a"}]}
    with pytest.raises(BadValue, match=r"^rows\.0\.request: missing$"):
        decode_list_push("jobs", push)
    with pytest.raises(BadValue, match=r"^seq: missing$"):
        decode_list_push("jobs", {})
    empty: Delta[Any] = Delta(seq=2, total=0, all=0, lo=0)
    assert "order" not in encode(empty)
    assert encode(dataclasses.replace(empty, order=()))["order"] == []
    assert encode(dataclasses.replace(empty, version=2))["version"] == 2
