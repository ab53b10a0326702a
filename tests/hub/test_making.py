"""Rows are made again only where something of them is another."""

from __future__ import annotations

from typing import Any

from common.filter import parse
from common.filter_fields import View
from hub.making import MAKERS, Made
from hub.records import Approval
from hub.store.windows import Listing
from tests.hub.house import House, ended

RESTART = "@web-1 systemctl restart nginx.service"


def look(inside: House, view: View, before: dict[Any, Made] | None = None) -> dict[Any, Made]:
    now, listing = inside.clock.now, Listing(parse(view, ""))

    def unit(txn: Any) -> dict[Any, Made]:
        rows = txn.window(listing, 0, 50, now)
        return {row[0]: MAKERS[view](txn, inside.fleet, row, (before or {}).get(row[0]), now) for row in rows}

    return inside.read(unit)


async def test_a_job(inside: House) -> None:
    """The same row until it moves, its machine goes or is paused, or time makes it stuck."""
    job = await inside.leased()
    first = look(inside, "jobs")
    again = look(inside, "jobs", first)
    assert again[job.id].row is first[job.id].row
    inside.fleet.left("web-1")
    away = look(inside, "jobs", again)
    assert away[job.id].row.told["agent_online"] is False
    await inside.change_machine("web-1", paused_at=1.0, paused_by="bob")
    paused = look(inside, "jobs", away)
    assert paused[job.id].row.told["agent_paused"] is True
    await inside.change_machine("web-1", paused_at=None, paused_by="")
    free = look(inside, "jobs", paused)
    assert free[job.id].row.told["agent_paused"] is False
    await inside.change_machine("web-1", drain_at=1.0, drain_by="bob")
    paused = look(inside, "jobs", free)
    assert paused[job.id].row.told["agent_paused"] is True  # a drained one takes nothing new either
    inside.clock.pass_(31)
    stuck = look(inside, "jobs", paused)
    assert stuck[job.id].row.told["stuck"] is True
    await inside.heard("web-1", ended(job.id))
    over = look(inside, "jobs", stuck)
    assert (over[job.id].row.told["state"], over[job.id].row.told["stuck"]) == ("succeeded", False)


async def test_a_job_that_does_not_carry_its_command(inside: House) -> None:
    """From before jobs did, or too long for it: the plan says it."""
    inside.allow("long")
    job = await inside.working("@web-1 /opt/tests/long " + " ".join(["x" * 60] * 40))
    assert job.command == ""
    assert look(inside, "jobs")[job.id].row.told["argv"][0] == "/opt/tests/long"


async def test_a_request(inside: House) -> None:
    """Its approvals count while it waits; one that has ended is not asked about again."""
    request = await inside.ask(RESTART)
    first = look(inside, "requests")
    assert look(inside, "requests", first)[request.id].row is first[request.id].row
    inside.write(
        lambda txn: txn.add_approval(Approval(request.id, request.plan_hash, "bob", True, "ops", inside.clock.now))
    )
    given = look(inside, "requests", first)
    assert given[request.id].row.told["given"] == 1


async def test_an_event(inside: House) -> None:
    """Never changes; one about a job says whose it was and what it ran."""
    job = await inside.leased()
    await inside.heard("web-1", ended(job.id))
    first = look(inside, "activity")
    assert all(look(inside, "activity", first)[seq].row is made.row for seq, made in first.items())
    (told,) = [made.row.told for made in first.values() if made.row.told["kind"] == "job.ended"]
    assert (told["person"], told["agent"], told["argv"]) == ("carol", "web-1", ["/usr/bin/uptime"])
