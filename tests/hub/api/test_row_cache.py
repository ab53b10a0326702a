"""Rows are made again only where something of them is another."""

from __future__ import annotations

from typing import Any

from common.filter.fields import ViewName
from common.filter.parser import parse
from hub.api.row_cache import BUILDERS, CachedRow
from hub.core.records import Approval
from hub.store.lists import ListQuery
from tests.hub.hub_harness import HubHarness, ended_message

VIEWS: tuple[ViewName, ...] = ("audit", "activity")
RESTART = "@web-1 systemctl restart nginx.service"


def look(harness: HubHarness, view: ViewName, before: dict[Any, CachedRow] | None = None) -> dict[Any, CachedRow]:
    now, listing = harness.clock.now, ListQuery(parse(view, ""))

    def unit(txn: Any) -> dict[Any, CachedRow]:
        rows = txn.list_rows(listing, 0, 50, now)
        return {row[0]: BUILDERS[view](txn, harness.fleet, row, (before or {}).get(row[0]), now) for row in rows}

    return harness.read(unit)


async def test_a_job(harness: HubHarness) -> None:
    """The same row until it moves, its machine goes or is paused, or time makes it stuck."""
    job = await harness.leased_job()
    first = look(harness, "jobs")
    again = look(harness, "jobs", first)
    assert again[job.id].row is first[job.id].row
    harness.fleet.set_offline("web-1")
    away = look(harness, "jobs", again)
    assert away[job.id].row.payload["agent_online"] is False
    await harness.change_machine("web-1", paused_at=1.0, paused_by="bob")
    paused = look(harness, "jobs", away)
    assert paused[job.id].row.payload["agent_paused"] is True
    await harness.change_machine("web-1", paused_at=None, paused_by="")
    free = look(harness, "jobs", paused)
    assert free[job.id].row.payload["agent_paused"] is False
    await harness.change_machine("web-1", drain_at=1.0, drain_by="bob")
    paused = look(harness, "jobs", free)
    assert paused[job.id].row.payload["agent_paused"] is True  # a drained one takes nothing new either
    harness.clock.advance(31)
    stuck = look(harness, "jobs", paused)
    assert stuck[job.id].row.payload["stuck"] is True
    await harness.handle_agent_events("web-1", ended_message(job.id))
    over = look(harness, "jobs", stuck)
    assert (over[job.id].row.payload["state"], over[job.id].row.payload["stuck"]) == ("succeeded", False)


async def test_a_job_that_does_not_carry_its_command(harness: HubHarness) -> None:
    """From before jobs did, or too long for it: the plan says it."""
    harness.add_rule("long")
    job = await harness.queued_job("@web-1 /opt/tests/long " + " ".join(["x" * 60] * 40))
    assert job.command == ""
    assert look(harness, "jobs")[job.id].row.payload["argv"][0] == "/opt/tests/long"


async def test_a_request(harness: HubHarness) -> None:
    """Its approvals count while it waits; one that has ended is not asked about again."""
    request = await harness.submit(RESTART)
    first = look(harness, "requests")
    assert look(harness, "requests", first)[request.id].row is first[request.id].row
    harness.write(
        lambda txn: txn.add_approval(Approval(request.id, request.plan_hash, "bob", True, "ops", harness.clock.now))
    )
    given = look(harness, "requests", first)
    assert given[request.id].row.payload["given"] == 1


async def test_an_event(harness: HubHarness) -> None:
    """Never changes; one about a job says whose it was and what it ran."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    first = look(harness, "activity")
    harness.write(lambda txn: txn.audit("agent.locked", "web-9", "hub", {"reason": "copied", "key": "canary"}, 1.0))
    told = {view: str([made.row.payload for made in look(harness, view).values()]) for view in VIEWS}
    assert ["canary" in told[view] for view in VIEWS] == [True, False]  # what lists do not show is the audit's
    assert "copied" in told["activity"]
    assert all(look(harness, "activity", first)[seq].row is made.row for seq, made in first.items())
    (told,) = [made.row.payload for made in first.values() if made.row.payload["kind"] == "job.ended"]
    assert (told["person"], told["agent"], told["argv"]) == ("carol", "web-1", ["/usr/bin/uptime"])
