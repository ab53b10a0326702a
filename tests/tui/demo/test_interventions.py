"""Stepping in, in the demo world: what is asked for happens, and what is too late says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tui.demo.answers import answer, approve, asking, create_api, done, job_in, refused
from tui.demo.api import DemoApi
from tui.demo.cast import DEMO_USER
from tui.demo.interventions import WAKES_AFTER


@pytest.fixture
def api() -> DemoApi:
    return create_api()


def test_cancelling_jobs_and_requests(api: DemoApi) -> None:
    """Asked for, and promised no more than that; too late where it has ended; one that waits is taken back at once."""
    job = job_in(api, "running")
    assert "asked" in done(api, "cancel", job=job.id).text
    job = api.world.jobs[job.id]
    assert (job.state, job.cancel_asked_by) == ("running", DEMO_USER)
    assert refused(api, "cancel", job=job_in(api, "succeeded").id) == "too_late"
    assert refused(api, "cancel", job=job_in(api, "unknown").id) == "too_late"
    request = asking(api)
    done(api, "cancel", number=request.number)
    assert api.world.requests[request.id].state == "cancelled"
    assert refused(api, "cancel", number=request.number) == "too_late"
    working = asking(api, "han.meimei")
    approve(api, working, nonce="w")
    count = len(api.world.jobs_of(working.id))
    assert str(count) in done(api, "cancel", number=working.number).text
    api.world.advance(api.world.now + 5)
    assert {job.state for job in api.world.jobs_of(working.id)} == {"cancelled"}


def test_priority_is_for_what_waits(api: DemoApi) -> None:
    """Queued ones get it, others do not; where none waits any more it is too late."""
    waiting, running = job_in(api, "queued"), job_in(api, "running")
    assert "1 jobs" in done(api, "priority", jobs=[waiting.id, running.id], priority=9).text
    assert (api.world.jobs[waiting.id].priority, api.world.jobs[running.id].priority) == (9, 5)
    assert refused(api, "priority", jobs=[running.id], priority=9) == "too_late"


def test_a_priority_that_is_tried_changes_nothing(api: DemoApi) -> None:
    """It tells each job's place in its machine's line, before and after."""
    done(api, "pause", agent="db-1")
    made = [done(api, "run", target="db-1", argv=["/usr/bin/uptime"]).request.jobs[0] for _ in range(3)]
    (place,) = done(api, "priority", jobs=[made[2].id], priority=9, dry_run=True).order
    assert (place.job, place.agent, place.was, place.now, place.of) == (made[2].id, "db-1", 3, 1, 3)
    assert api.world.jobs[made[2].id].priority == 5


@pytest.mark.parametrize(("word", "state"), [(True, "succeeded"), (False, "failed")])
def test_settling(api: DemoApi, word: bool, state: str) -> None:
    """A person's word ends an unknown outcome, once."""
    job = job_in(api, "unknown")
    done(api, "settle", job=job.id, done=word)
    job = api.world.jobs[job.id]
    assert (job.state, DEMO_USER in job.reason) == (state, True)
    assert refused(api, "settle", job=job.id, done=word) == "too_late"


def test_pausing_a_machine_and_the_queue(api: DemoApi) -> None:
    """It says by whom and why until it is resumed or its time is over; then what waited goes."""
    world = api.world
    waiting = job_in(api, "queued", "db-2")
    done(api, "resume", agent="db-2")
    world.advance(world.now + 5)
    assert not world.jobs[waiting.id].is_queued
    done(api, "pause", agent="db-2", reason="backup", until=world.now + 60)
    agent = world.agents["db-2"]
    assert (agent.paused_by, agent.pause_reason) == (DEMO_USER, "backup")
    world.advance(world.now + 61)
    assert world.agents["db-2"].paused_by == ""
    done(api, "pause", reason="all stop")
    assert world.queue_paused is not None
    made = done(api, "run", target="web-eu-0001", argv=["/usr/bin/uptime"]).request
    world.advance(world.now + 20)
    assert [job.state for job in world.jobs_of(made.id)] == ["queued"]
    done(api, "resume")
    world.advance(world.now + 20)
    assert world.jobs_of(made.id)[0].state != "queued"


def test_draining(api: DemoApi) -> None:
    """It counts down what still runs there, cancels that after the time given, and takes nothing new till undrained."""
    world, job = api.world, job_in(api, "running", "db-1")
    done(api, "drain", agent="db-1", cancel_after=30)
    agent = world.agents["db-1"]
    assert agent.draining is not None
    assert (agent.draining.left, agent.draining.of) == (agent.running, agent.running)
    world.advance(world.now + 60)
    drain = world.agents["db-1"].draining
    assert drain is not None
    assert (world.jobs[job.id].state, drain.left) == ("cancelled", 0)
    assert drain.of >= 1
    done(api, "undrain", agent="db-1")
    assert world.agents["db-1"].draining is None
    assert refused(api, "undrain", agent="db-1") == "too_late"


def test_waking(api: DemoApi) -> None:
    """A machine that is away comes a while after it was woken; one that is online is not woken."""
    world = api.world
    away = "web-eu-0001"
    world.store_agent(replace(world.agents[away], online=False))
    assert done(api, "wake", agent="db-1").waking is False
    assert answer(api, "waking", agent=away).state == "none"
    assert done(api, "wake", agent=away).waking is True
    world.advance(world.now + 1)
    assert answer(api, "waking", agent=away).state == "waking"
    world.advance(world.now + WAKES_AFTER)
    assert world.agents[away].online
    assert answer(api, "waking", agent=away).text == f"{away} woke after 14 s"
