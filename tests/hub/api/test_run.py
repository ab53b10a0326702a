"""Asking for work at the console: exactly this command, on exactly these machines, and the same once more."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.arguments import MAX_SELECTION
from common.api.work import MAX_HOLD
from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step
from hub.core.outcome import Planned
from hub.core.records import Request
from hub.engine.request_actions import new_request
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import InvalidArguments
from tests.hub.api_harness import REMOTE, ApiHarness
from tests.hub.hub_harness import HubHarness, ended_message

RESTART = ["systemctl", "restart", "nginx.service"]


def count(harness: HubHarness) -> int:
    return len(harness.read(lambda txn: txn.requests()))


async def test_a_command_is_a_request_with_its_row(harness: HubHarness) -> None:
    """It is the caller's own, from the console, and queued at once where policy allows it."""
    told = await ApiHarness(harness).call("carol", "run", target="web-1", argv=["uptime"], timeout=9)
    assert (told["code"], told["person"], told["inlet"], told["job_count"]) == ("ok", "carol", "console", 1)
    assert told["text"].count(f"r{told['number']}") == 1
    (job,) = harness.jobs(harness.request(told["id"]))
    assert (job.agent, job.state, job.time_limit, job.source) == ("web-1", JobState.QUEUED, 9, "operator")
    (row,) = harness.events("message.accepted")
    assert (row.subject, row.actor, row.data["inlet"], row.data["from"]) == (told["id"], "carol", "console", REMOTE)
    assert (await harness.claim())[0][1] == job.id


async def test_policy_decides_on_each(harness: HubHarness) -> None:
    """What it denies is refused with its reason, what it asks for waits: a console is no way around it."""
    rooms = ApiHarness(harness)
    denied = await rooms.call("alice", "run", target="web-1", argv=["bash"])
    assert (denied["code"], denied["state"], denied["jobs"]) == ("denied", "refused", [])
    waits = await rooms.call("alice", "run", target="web-1", argv=RESTART)
    assert (waits["code"], waits["state"], waits["jobs"]) == ("ok", "asking", [])
    assert await harness.claim() == []


async def test_a_broadcast_goes_where_it_was_counted(harness: HubHarness) -> None:
    """Where the selection means another number than was typed, nothing is asked."""
    await harness.add_machine("web-2")
    rooms = ApiHarness(harness)
    told = await rooms.call("carol", "run", target="web-*", argv=["uptime"], expect=1)
    assert (told["code"], told["count"], count(harness)) == ("selection_changed", 2, 0)
    told = await rooms.call("carol", "run", target="web-*", argv=["uptime"], expect=2)
    assert sorted(job["agent"] for job in told["jobs"]) == ["web-1", "web-2"]


async def test_a_hold_keeps_the_jobs_back(harness: HubHarness) -> None:
    """Until it is over no machine is handed any."""
    told = await ApiHarness(harness).call("carol", "run", target="web-1", argv=["uptime"], hold=MAX_HOLD)
    assert told["jobs"][0]["not_before"] == harness.clock.now + MAX_HOLD
    harness.clock.advance(MAX_HOLD - 1)
    assert await harness.claim() == []
    harness.clock.advance(1)
    assert len(await harness.claim()) == 1


@pytest.mark.parametrize(
    "args",
    [
        {"hold": MAX_HOLD + 1},
        {"hold": -1},
        {"expect": 0},
        {"expect": MAX_SELECTION + 1},
        {"timeout": 0},
        {"timeout": "9"},
        {"argv": []},
        {"argv": "uptime"},
        {"argv": ["a\0b"]},
        {"target": "db-9"},
        {"target": ""},
        {"cwd": "relative"},
    ],
)
async def test_what_is_no_command_asks_nothing(harness: HubHarness, args: dict[str, Any]) -> None:
    """The caller is told; no request is made of it."""
    with pytest.raises(InvalidArguments):
        await ApiHarness(harness).call("carol", "run", **{"target": "web-1", "argv": ["uptime"], **args})
    assert count(harness) == 0


async def test_a_viewer_may_not(harness: HubHarness) -> None:
    """Neither ask nor ask again, whatever else is wrong with the call."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    assert (await rooms.call("vera", "run", target="db-9", argv=[]))["code"] == "no_right"
    assert (await rooms.call("vera", "retry", job=job.id))["code"] == "no_right"
    assert count(harness) == 1


async def test_a_job_is_asked_for_again_on_its_machine(harness: HubHarness) -> None:
    """Once it has ended: a new request of the caller's, whose parent is the job."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    job = harness.jobs(request)[0]
    rooms = ApiHarness(harness)
    assert (await rooms.call("dave", "retry", job=job.id))["code"] == "not_ended"
    await harness.claim(job.agent)
    await harness.handle_agent_events(job.agent, ended_message(job.id, "failed", 1))
    told = await rooms.call("dave", "retry", job=job.id)
    assert (told["code"], told["person"], told["parent"]) == ("ok", "dave", job.id)
    (again,) = harness.jobs(harness.request(told["id"]))
    assert (again.agent, again.id != job.id) == (job.agent, True)


async def test_a_request_is_asked_for_again_whole(harness: HubHarness) -> None:
    """Once it has ended; policy asks once more where it asked before, the old yes does not count."""
    request = await harness.submit(f"@web-1 {' '.join(RESTART)}")
    rooms = ApiHarness(harness)
    assert (await rooms.call("carol", "retry", number=request.number))["code"] == "not_ended"
    await harness.submit(f"approve r{request.number}", "bob")
    (job,) = harness.jobs(request)
    await harness.claim()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    told = await rooms.call("carol", "retry", number=request.number)
    assert (told["code"], told["parent"], told["jobs"]) == ("ok", request.id, [])
    assert harness.request(told["id"]).state is RequestState.ASKING
    with pytest.raises(InvalidArguments, match="r999"):
        await rooms.call("carol", "retry", number=999)


async def test_a_plan_keeps_where_it_came_from(harness: HubHarness) -> None:
    """Trust: a model's plan that a person rejected does not run because somebody says `retry`: in chat, at the console,
    of the request or of one job, edited or said again, it is a model's plan still, and waits for a yes. Lesson A5 1.
    """
    rooms = ApiHarness(harness)
    plans = [
        Plan((Step(("uptime",), ("web-1",)),), source="model:m", proposed=True, explanation="x"),
        Plan((Step(("uptime",), ("web-1",)),), source="runbook:load", tainted=True, explanation="x"),
    ]
    for plan in plans:
        request = new_request(person="carol", text="load?", language="en", now=harness.clock.now)

        def ask(uow: UnitOfWork, request: Request = request, plan: Plan = plan) -> None:
            added = uow.txn.add_request(request)
            assert added is not None
            harness.engine.apply_outcome(uow, added, Planned(plan))

        await harness.change(ask)
        asked = harness.request(request.id)
        assert asked.state is RequestState.ASKING
        assert asked.plan is not None
        edit = {"base_hash": asked.plan_hash, "steps": [{"argv": ["uptime", "-p"]}]}
        told_edit = await rooms.call("ann", "edit", number=asked.number, **edit)
        assert told_edit["code"] == "ok", told_edit
        edited = harness.request(told_edit["id"])
        await harness.submit(f"reject r{edited.number}", "bob")
        said = await harness.submit(f"retry r{asked.number}")
        told = harness.request((await rooms.call("carol", "retry", number=asked.number))["id"])
        assert (await rooms.call("bob", "approve", number=told.number))["code"] == "ok"
        (job,) = harness.jobs(harness.request(told.id))
        await harness.claim()
        await harness.handle_agent_events("web-1", ended_message(job.id))
        of_job = harness.request((await rooms.call("carol", "retry", job=job.id))["id"])
        for one in (said, told, of_job, edited):
            kept = harness.request(one.id).plan
            assert kept is not None
            assert one.state is RequestState.ASKING, one.text
            assert (kept.source, kept.proposed, kept.tainted) == (plan.source, plan.proposed, plan.tainted)
