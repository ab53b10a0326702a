"""Stepping in at the console: decisions and their codes, and what is done to jobs."""

from __future__ import annotations

import pytest

from common.api.actions import MAX_NONCE, MAX_STEPS
from common.lifecycle import JobState, RequestState
from common.link.messages import Unsure
from hub.links.console import InvalidArguments
from tests.hub.api_harness import REMOTE, ApiHarness
from tests.hub.hub_harness import HubHarness

RESTART = "@web-1 systemctl restart nginx.service"


async def test_a_yes_is_to_the_plan_that_was_seen(harness: HubHarness) -> None:
    """Another hash is told which plan it is now; sent again with its nonce it is the same yes."""
    request = await harness.submit(RESTART)
    rooms = ApiHarness(harness)
    told = await rooms.call("bob", "approve", number=request.number, plan_hash="0" * 64)
    assert (told["code"], told["plan_hash"]) == ("plan_changed", request.plan_hash)
    assert harness.request(request.id).state is RequestState.ASKING
    for again in (False, True):
        told = await rooms.call("bob", "approve", number=request.number, plan_hash=request.plan_hash, nonce="n")
        assert (told["code"], told.get("again", False)) == ("ok", again)
    (row,) = harness.events("request.approved")
    assert (row.actor, row.data["via"]) == ("bob", "console")
    assert len(harness.jobs(request)) == 1


async def test_whose_word_stands_is_told(harness: HubHarness) -> None:
    """Who comes too late hears who decided and how; one's own request takes somebody else."""
    rooms = ApiHarness(harness)
    own = await harness.submit(RESTART, "bob")
    assert (await rooms.call("bob", "approve", number=own.number))["code"] == "needs_second_person"
    assert (await rooms.call("ann", "reject", number=own.number, why="no"))["code"] == "ok"
    told = await rooms.call("alice", "approve", number=own.number)
    assert (told["code"], told["by"], told["state"]) == ("already_decided", "ann", "rejected")
    yes = await harness.submit(RESTART)
    assert (await rooms.call("ann", "approve", number=yes.number))["code"] == "ok"
    told = await rooms.call("bob", "reject", number=yes.number)
    assert (told["code"], told["by"]) == ("already_decided", "ann")
    late = await harness.submit(RESTART)
    assert late.decide_by is not None
    harness.clock.now = late.decide_by
    assert (await rooms.call("bob", "approve", number=late.number))["code"] == "expired"


async def test_a_second_factor_counts_down(harness: HubHarness) -> None:
    """Not enrolled, no code, a wrong one with how many tries are left, the right one."""
    request = await harness.submit("@web-1 reboot")
    rooms = ApiHarness(harness)
    assert (await rooms.call("bob", "approve", number=request.number))["code"] == "not_enrolled"
    code = await harness.enrol_totp("bob")
    assert (await rooms.call("bob", "approve", number=request.number))["code"] == "code_needed"
    wrong = "000000" if code() != "000000" else "111111"
    lefts = [(await rooms.call("bob", "approve", number=request.number, code=wrong))["left"] for _ in range(2)]
    assert lefts == [4, 3]
    assert (await rooms.call("bob", "approve", number=request.number, code=code()))["code"] == "ok"


async def test_who_may_not_is_told_so(harness: HubHarness) -> None:
    """Rejecting others' takes the right to; a person's own may be rejected with the right to ask."""
    request = await harness.submit(RESTART)
    rooms = ApiHarness(harness)
    assert (await rooms.call("dave", "approve", number=request.number))["code"] == "no_right"
    assert (await rooms.call("dave", "edit", number=request.number, steps=[{}]))["code"] == "no_right"
    assert (await rooms.call("dave", "reject", number=request.number))["code"] == "no_right"
    assert harness.request(request.id).state is RequestState.ASKING
    assert (await rooms.call("carol", "reject", number=request.number))["code"] == "ok"
    (row,) = harness.events("act.done")
    assert (row.subject, row.actor) == (request.id, "carol")
    assert row.data == {"verb": "reject", "via": "console", "from": REMOTE}


async def test_a_job_or_a_whole_request_is_cancelled(harness: HubHarness) -> None:
    """The row names what was meant; what has ended is too late, and others' take a right."""
    await harness.add_machine("web-2")
    request = await harness.submit("@web-* uptime")
    first, second = harness.jobs(request)
    rooms = ApiHarness(harness)
    assert (await rooms.call("dave", "cancel", job=first.id))["code"] == "no_right"
    assert (await rooms.call("carol", "cancel", job=first.id))["code"] == "ok"
    assert [harness.job(job.id).state for job in (first, second)] == [JobState.CANCELLED, JobState.QUEUED]
    assert (await rooms.call("carol", "cancel", job=first.id))["code"] == "too_late"
    assert (await rooms.call("carol", "cancel", number=request.number))["code"] == "ok"
    assert harness.job(second.id).state is JobState.CANCELLED
    assert [row.subject for row in harness.events("act.done")] == [first.id, request.id]


async def test_an_unknown_outcome_is_settled(harness: HubHarness) -> None:
    """How it ended has to be said, and only once."""
    job = await harness.leased_job()
    rooms = ApiHarness(harness)
    assert (await rooms.call("bob", "settle", job=job.id, done=False))["code"] == "too_late"
    await harness.handle_agent_events("web-1", Unsure(job.id, "?"))
    with pytest.raises(InvalidArguments, match="done"):
        await rooms.call("bob", "settle", job=job.id)
    assert (await rooms.call("bob", "settle", job=job.id, done=False))["code"] == "ok"
    assert harness.job(job.id).state is JobState.FAILED
    assert (await rooms.call("bob", "settle", job=job.id, done=True))["code"] == "too_late"


async def test_priority_counts_a_job_named_twice_once(harness: HubHarness) -> None:
    """A dry run is no change; a priority has to be said and is from 0 to 9."""
    job = await harness.queued_job()
    rooms = ApiHarness(harness)
    names = [job.id, job.id[:12]]
    told = await rooms.call("bob", "priority", jobs=names, priority=9, dry_run=True)
    assert not [row for row in harness.events("act.done") if row.data["verb"] == "priority"]
    assert (told["code"], told["count"], harness.job(job.id).priority) == ("ok", 1, job.priority)
    for wrong in (None, -1, 10):
        with pytest.raises(InvalidArguments, match="priority"):
            await rooms.call("bob", "priority", jobs=names, priority=wrong)
    assert (await rooms.call("bob", "priority", jobs=names, priority=9))["count"] == 1
    assert harness.job(job.id).priority == 9
    assert (await rooms.call("carol", "priority", jobs=names, priority=0))["code"] == "no_right"


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("approve", {"nonce": "n" * (MAX_NONCE + 1)}),
        ("approve", {"plan_hash": "0" * 65}),
        ("approve", {"code": "1" * 41}),
        ("edit", {"steps": [{}] * (MAX_STEPS + 1)}),
        ("edit", {"steps": {}}),
        ("edit", {"steps": ["uptime"]}),
        ("cancel", {"kill": 1}),
    ],
)
async def test_arguments_have_bounds(harness: HubHarness, verb: str, args: dict[str, object]) -> None:
    """What lies behind them is no call, and the request waits on."""
    request = await harness.submit(RESTART)
    with pytest.raises(InvalidArguments, match=next(iter(args))):
        await ApiHarness(harness).call("bob", verb, number=request.number, **args)
    assert harness.request(request.id) == request
