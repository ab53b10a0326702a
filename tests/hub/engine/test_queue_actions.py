"""Jobs that wait: their order in the line, and taking back what is held."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.lifecycle import JobState, RequestState
from hub.core.records import Job
from hub.engine.actor import ActionResult, Actor
from hub.engine.queue_actions import MAX_PREVIEW_AGENTS, set_priority, take_back
from tests.hub.api_harness import REMOTE, ApiHarness
from tests.hub.hub_harness import HubHarness

BOB = Actor("bob", "console", remote=REMOTE)


async def put(harness: HubHarness, jobs: Sequence[Job], priority: int, dry_run: bool = False) -> ActionResult:
    done: list[ActionResult] = []
    current = [harness.job(job.id) for job in jobs]
    await harness.change(lambda change: done.append(set_priority(change, BOB, current, priority, dry_run=dry_run)))
    return done[0]


async def back(harness: HubHarness, identity: str, person: str = "carol") -> ActionResult:
    done: list[ActionResult] = []
    by, current = Actor(person, "console"), harness.request(identity)
    await harness.change(lambda change: done.append(take_back(change, by, current)))
    return done[0]


async def in_line(harness: HubHarness, count: int) -> list[Job]:
    jobs = []
    for _ in range(count):
        jobs.append(await harness.queued_job())
        harness.clock.advance(1)
    return jobs


async def test_a_higher_priority_goes_first(harness: HubHarness) -> None:
    """The machine is handed the job next; who moved it, from what to what, is a row."""
    jobs = await in_line(harness, 3)
    was = jobs[2].priority
    done = await put(harness, jobs[2:], 9)
    assert (done.code, done.subject, done.data["count"]) == ("", jobs[2].id, 1)
    assert done.data["order"] == [{"job": jobs[2].id, "agent": "web-1", "was": 3, "now": 1, "of": 3}]
    (row,) = harness.events("job.priority")
    data = {"was": was, "priority": 9, "via": "console", "from": REMOTE}
    assert (row.subject, row.actor, row.data) == (jobs[2].id, "bob", data)
    assert harness.effects[-1].changed >= {jobs[2].id}
    assert [job for _, job in await harness.claim(limit=1)] == [jobs[2].id]


async def test_a_dry_run_tells_the_same_order_and_changes_nothing(harness: HubHarness) -> None:
    """Between equals the older stays first."""
    jobs = await in_line(harness, 4)
    would = await put(harness, [jobs[3], jobs[1]], 9, dry_run=True)
    assert harness.events("job.priority") == []
    assert [harness.job(job.id).priority for job in jobs] == [job.priority for job in jobs]
    assert [(row["job"], row["was"], row["now"]) for row in would.data["order"]] == [
        (jobs[1].id, 2, 1),
        (jobs[3].id, 4, 2),
    ]
    assert (await put(harness, [jobs[3], jobs[1]], 9)).data == would.data


async def test_only_what_waits_is_moved(harness: HubHarness) -> None:
    """Jobs that a machine has are counted and left alone; where none waits it is too late."""
    leased = await harness.leased_job()
    waits = await harness.queued_job()
    done = await put(harness, [leased, waits], 9)
    assert (done.data["count"], done.data["skipped"]) == (1, 1)
    assert harness.job(leased.id).priority == leased.priority
    assert harness.job(waits.id).priority == 9
    assert (await put(harness, [leased], 9)).code == "too_late"


async def test_the_same_priority_again_is_no_row(harness: HubHarness) -> None:
    """Nothing was changed, so nothing is written."""
    (job,) = await in_line(harness, 1)
    assert (await put(harness, [job], job.priority)).code == ""
    assert harness.events("job.priority") == []


async def test_the_order_of_the_first_few_machines_is_shown(harness: HubHarness) -> None:
    """All jobs are moved, but the answer stays small."""
    for place in range(2, MAX_PREVIEW_AGENTS + 3):
        await harness.add_machine(f"web-{place}")
    request = await harness.submit("@web-* uptime")
    jobs = harness.jobs(request)
    done = await put(harness, jobs, 8)
    assert done.data["count"] == len(jobs) == MAX_PREVIEW_AGENTS + 2
    assert [row["agent"] for row in done.data["order"]] == [
        f"web-{place}" for place in range(1, MAX_PREVIEW_AGENTS + 1)
    ]
    assert {harness.job(job.id).priority for job in jobs} == {8}


async def test_what_is_held_is_taken_back_whole(harness: HubHarness) -> None:
    """Until the hold is over; from then on it is too late though the job still waits."""
    rooms = ApiHarness(harness)
    early, late = [await rooms.call("carol", "run", target="web-1", argv=["uptime"], hold=30) for _ in range(2)]
    assert await harness.claim() == []
    harness.clock.advance(29.5)
    assert (await back(harness, early["id"])).data == {"count": 1}
    assert harness.jobs(harness.request(early["id"]))[0].state is JobState.CANCELLED
    harness.clock.advance(0.5)
    done = await back(harness, late["id"])
    assert (done.code, done.data) == ("too_late", {"handed_out": 0})
    assert [job for _, job in await harness.claim()] == [harness.jobs(harness.request(late["id"]))[0].id]
    assert (await back(harness, late["id"])).data == {"handed_out": 1}


@pytest.mark.parametrize(("person", "code"), [("dave", "no_right"), ("carol", ""), ("bob", "")])
async def test_who_may_take_back(harness: HubHarness, person: str, code: str) -> None:
    """Whose it is, and who may cancel others'; what waits for a yes can be taken back without a hold."""
    request = await harness.submit("@web-1 systemctl restart nginx.service")
    assert (await back(harness, request.id, person)).code == code
    assert harness.request(request.id).state is (RequestState.ASKING if code else RequestState.CANCELLED)
