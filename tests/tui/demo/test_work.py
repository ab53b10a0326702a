"""Asking for work in the demo world: run, retry, take back."""

from __future__ import annotations

import pytest

from common.api.constraints import BadValue
from tests.tui.demo.answers import answer, asking, create_api, done, job_in, refused
from tui.client.errors import InvalidCall
from tui.demo.api import DemoApi


@pytest.fixture
def api() -> DemoApi:
    return create_api()


def test_running(api: DemoApi) -> None:
    """A pattern: exactly those machines; where they are others than was shown it is not done."""
    world = api.world
    webs = [name for name in world.agents if name.startswith("web-")]
    made = done(api, "run", target="web-*", argv=["/usr/bin/uptime"], expect=len(webs)).request
    assert sorted(job.agent for job in world.jobs_of(made.id)) == sorted(webs)
    assert refused(api, "run", target="web-*", argv=["/usr/bin/uptime"], expect=3) == "selection_changed"
    for target in ("nowhere", "", "role=none"):
        with pytest.raises(InvalidCall):
            answer(api, "run", target=target, argv=["/usr/bin/uptime"])
    for argv in ([], ["a\0b"], ["x"] * 300):
        with pytest.raises((InvalidCall, BadValue)):
            answer(api, "run", target="db-1", argv=argv)


def test_what_policy_refuses_leaves_nothing(api: DemoApi) -> None:
    """It is refused with the reason; no job is left and no machine counts one."""
    before = {name: (agent.queued, agent.running) for name, agent in api.world.agents.items()}
    jobs = set(api.world.jobs)
    made = answer(api, "run", target="web-*", argv=["/bin/rm", "-rf", "/"]).request
    assert made.state == "refused"
    assert "policy" in made.reason
    assert set(api.world.jobs) == jobs
    assert {name: (agent.queued, agent.running) for name, agent in api.world.agents.items()} == before


def test_retry(api: DemoApi) -> None:
    """A new request with a new number does the same again, on the same machine, whether the job is of today or long
    past."""
    past = answer(api, "job", id=api.past[3].id)
    for job in (job_in(api, "succeeded"), past):
        made = done(api, "retry", job=job.id).request
        assert (made.steps[0].argv, made.steps[0].targets) == (job.argv, (job.agent,))
        assert made.parent == job.id
    request = asking(api)
    assert done(api, "retry", number=request.number).request.plan_hash == request.plan_hash


def test_taking_back(api: DemoApi) -> None:
    """While it is held all of it can be taken back, and nothing has run; after that it is too late."""
    world = api.world
    made = done(api, "run", target="web-eu-*", argv=["/usr/bin/uptime"], hold=5).request
    world.advance(world.now + 4)
    assert {job.state for job in world.jobs_of(made.id)} == {"queued"}
    assert "nothing has run" in done(api, "take_back", number=made.number).text
    assert world.requests[made.id].state == "cancelled"
    world.advance(world.now + 10)
    assert {job.state for job in world.jobs_of(made.id)} == {"cancelled"}
    assert {job.started_at for job in world.jobs_of(made.id)} == {None}
    assert refused(api, "take_back", number=made.number) == "too_late"
    again = done(api, "run", target="web-eu-*", argv=["/usr/bin/uptime"], hold=5).request
    world.advance(world.now + 6)
    assert refused(api, "take_back", number=again.number) == "too_late"
