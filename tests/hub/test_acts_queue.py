"""Jobs that wait: their order in the line, and taking back what is held."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.lifecycle import JobState, RequestState
from hub.acts import By, Done
from hub.acts_queue import MAX_SHOWN, set_priority, take_back
from hub.records import Job
from tests.hub.house import House
from tests.hub.rooms import REMOTE, Rooms

BOB = By("bob", "console", remote=REMOTE)


async def put(inside: House, jobs: Sequence[Job], priority: int, dry_run: bool = False) -> Done:
    done: list[Done] = []
    current = [inside.job(job.id) for job in jobs]
    await inside.change(lambda change: done.append(set_priority(change, BOB, current, priority, dry_run=dry_run)))
    return done[0]


async def back(inside: House, identity: str, person: str = "carol") -> Done:
    done: list[Done] = []
    by, current = By(person, "console"), inside.request(identity)
    await inside.change(lambda change: done.append(take_back(change, by, inside.people, current)))
    return done[0]


async def in_line(inside: House, count: int) -> list[Job]:
    jobs = []
    for _ in range(count):
        jobs.append(await inside.working())
        inside.clock.pass_(1)
    return jobs


async def test_a_higher_priority_goes_first(inside: House) -> None:
    """The machine is handed the job next; who moved it, from what to what, is a row."""
    jobs = await in_line(inside, 3)
    was = jobs[2].priority
    done = await put(inside, jobs[2:], 9)
    assert (done.code, done.subject, done.more["count"]) == ("", jobs[2].id, 1)
    assert done.more["order"] == [{"job": jobs[2].id, "agent": "web-1", "was": 3, "now": 1, "of": 3}]
    (row,) = inside.events("job.priority")
    data = {"was": was, "priority": 9, "via": "console", "from": REMOTE}
    assert (row.subject, row.actor, row.data) == (jobs[2].id, "bob", data)
    assert inside.effects[-1].changed >= {jobs[2].id}
    assert [job for _, job in await inside.claim(limit=1)] == [jobs[2].id]


async def test_a_dry_run_tells_the_same_order_and_changes_nothing(inside: House) -> None:
    """Between equals the older stays first."""
    jobs = await in_line(inside, 4)
    would = await put(inside, [jobs[3], jobs[1]], 9, dry_run=True)
    assert inside.events("job.priority") == []
    assert [inside.job(job.id).priority for job in jobs] == [job.priority for job in jobs]
    assert [(row["job"], row["was"], row["now"]) for row in would.more["order"]] == [
        (jobs[1].id, 2, 1),
        (jobs[3].id, 4, 2),
    ]
    assert (await put(inside, [jobs[3], jobs[1]], 9)).more == would.more


async def test_only_what_waits_is_moved(inside: House) -> None:
    """Jobs that a machine has are counted and left alone; where none waits it is too late."""
    leased = await inside.leased()
    waits = await inside.working()
    done = await put(inside, [leased, waits], 9)
    assert (done.more["count"], done.more["skipped"]) == (1, 1)
    assert inside.job(leased.id).priority == leased.priority
    assert inside.job(waits.id).priority == 9
    assert (await put(inside, [leased], 9)).code == "too_late"


async def test_the_same_priority_again_is_no_row(inside: House) -> None:
    """Nothing was changed, so nothing is written."""
    (job,) = await in_line(inside, 1)
    assert (await put(inside, [job], job.priority)).code == ""
    assert inside.events("job.priority") == []


async def test_the_order_of_the_first_few_machines_is_shown(inside: House) -> None:
    """All jobs are moved, but the answer stays small."""
    for place in range(2, MAX_SHOWN + 3):
        await inside.machine(f"web-{place}")
    request = await inside.ask("@web-* uptime")
    jobs = inside.jobs(request)
    done = await put(inside, jobs, 8)
    assert done.more["count"] == len(jobs) == MAX_SHOWN + 2
    assert [row["agent"] for row in done.more["order"]] == [f"web-{place}" for place in range(1, MAX_SHOWN + 1)]
    assert {inside.job(job.id).priority for job in jobs} == {8}


async def test_what_is_held_is_taken_back_whole(inside: House) -> None:
    """Until the hold is over; from then on it is too late though the job still waits."""
    rooms = Rooms(inside)
    early, late = [await rooms.call("carol", "run", target="web-1", argv=["uptime"], hold=30) for _ in range(2)]
    assert await inside.claim() == []
    inside.clock.pass_(29.5)
    assert (await back(inside, early["id"])).more == {"count": 1}
    assert inside.jobs(inside.request(early["id"]))[0].state is JobState.CANCELLED
    inside.clock.pass_(0.5)
    done = await back(inside, late["id"])
    assert (done.code, done.more) == ("too_late", {"handed_out": 0})
    assert [job for _, job in await inside.claim()] == [inside.jobs(inside.request(late["id"]))[0].id]
    assert (await back(inside, late["id"])).more == {"handed_out": 1}


@pytest.mark.parametrize(("person", "code"), [("dave", "no_right"), ("carol", ""), ("bob", "")])
async def test_who_may_take_back(inside: House, person: str, code: str) -> None:
    """Whose it is, and who may cancel others'; what waits for a yes can be taken back without a hold."""
    request = await inside.ask("@web-1 systemctl restart nginx.service")
    assert (await back(inside, request.id, person)).code == code
    assert inside.request(request.id).state is (RequestState.ASKING if code else RequestState.CANCELLED)
