"""Approving, rejecting and editing in the demo world answer as a hub would."""

from __future__ import annotations

from typing import Any

import pytest

from common.api import verbs
from common.api.codec import encode
from common.api.constraints import BadValue
from common.api.requests import RequestDetails
from tests.tui.demo.answers import answer, approve, asking, create_api, done, kinds, refused
from tui.client.errors import InvalidCall
from tui.demo import cast
from tui.demo.api import DemoApi
from tui.demo.cast import CODE, DEMO_USER
from tui.demo.decisions import MAX_CODE_TRIES


@pytest.fixture
def api() -> DemoApi:
    return create_api()


def test_approving_runs_exactly_the_plan(api: DemoApi) -> None:
    """With the code it works at once, on the machines of the plan and on no other; it is in the record."""
    request = asking(api)
    assert request.plan_hash[:8] in approve(api, request).text
    jobs = api.world.jobs_of(request.id)
    assert tuple(job.agent for job in jobs) == request.steps[0].targets
    assert {job.argv for job in jobs} == {request.steps[0].argv}
    after = api.world.requests[request.id]
    assert after.approvals is not None
    assert (after.state, after.given, after.approvals[0].person) == ("working", 1, DEMO_USER)
    assert "request.approved" in kinds(api.world, request.id)


def test_the_same_approval_again_is_one_approval(api: DemoApi) -> None:
    """An answer lost on the way: the same nonce is told yes again and nothing runs twice; another one is too late."""
    request = asking(api)
    approve(api, request)
    count = len(api.world.jobs_of(request.id))
    assert "approved" in approve(api, request).text
    assert len(api.world.jobs_of(request.id)) == count
    assert refused(api, "approve", number=request.number, code=CODE, nonce="other") == "already_decided"


def test_wrong_codes(api: DemoApi) -> None:
    """Each is counted down, the last locks; a right one begins the count anew; nothing runs without one."""
    request = asking(api)
    args = {"number": request.number, "plan_hash": request.plan_hash}
    codes = [refused(api, "approve", **args, code="000000") for _ in range(MAX_CODE_TRIES)]
    assert codes == ["bad_code"] * (MAX_CODE_TRIES - 1) + ["locked"]
    assert refused(api, "approve", **args) == "bad_code"
    assert api.world.requests[request.id].is_asking
    approve(api, request)
    assert api.decisions.tries_left == MAX_CODE_TRIES


def test_what_stops_an_approval(api: DemoApi) -> None:
    """Another plan, one's own request, a decision that was made, a time that is over: each has its code."""
    request = asking(api)
    number = request.number
    assert refused(api, "approve", number=number, plan_hash="ab" * 32, code=CODE) == "plan_changed"
    own = api.world.receive_message(cast.RISKY, person=DEMO_USER, targets=["db-1"])
    assert refused(api, "approve", number=own.number, code=CODE) == "needs_second_person"
    done(api, "reject", number=number, why="too broad")
    assert refused(api, "approve", number=number, code=CODE) == "already_decided"
    assert refused(api, "reject", number=number) == "already_decided"
    late = asking(api, "han.meimei")
    assert late.decide_by is not None
    api.world.advance(late.decide_by + 1)
    assert refused(api, "approve", number=late.number, code=CODE) == "expired"


def test_rejecting(api: DemoApi) -> None:
    """The asker is told why, nothing runs."""
    request = asking(api)
    assert request.person in done(api, "reject", number=request.number, why="not now").text
    after = api.world.requests[request.id]
    assert (after.state, after.reason, api.world.jobs_of(request.id)) == ("rejected", "not now", [])


def steps_of(request: RequestDetails) -> list[dict[str, Any]]:
    return [encode(step) for step in request.steps]


def test_editing_makes_another_request_that_waits(api: DemoApi) -> None:
    """Tried first, then done: the old one ends, the new one has the new plan, runs nothing, and expires in its turn."""
    request, world = asking(api), api.world
    steps = steps_of(request)
    steps[0] |= {"argv": ["/usr/bin/ls", "/var/cache"], "targets": steps[0]["targets"][:1]}
    args = {"number": request.number, "base_hash": request.plan_hash, "steps": steps, "why": "look first"}
    before = len(world.jobs)
    verdict = done(api, "edit", **args, dry_run=True)
    assert (verdict.verdict, world.requests[request.id].state) == ("ask", "asking")
    new = world.requests[done(api, "edit", **args).id]
    assert (new.state, new.parent, new.steps[0].argv) == ("asking", request.id, ("/usr/bin/ls", "/var/cache"))
    assert (world.requests[request.id].state, len(world.jobs)) == ("rejected", before)
    assert new.plan_hash == verdict.plan_hash
    assert all(min(agent.queued, agent.running) >= 0 for agent in world.agents.values())
    assert new.decide_by is not None
    world.advance(new.decide_by + 1)
    assert world.requests[new.id].state == "expired"


def test_what_an_edit_leaves_out_is_as_it_was(api: DemoApi) -> None:
    """As at a hub: machines, folder and limits of the step at its place."""
    request = asking(api)
    verdict = done(api, "edit", number=request.number, steps=[{"argv": ["/usr/bin/ls"]}], dry_run=True)
    assert verdict.old == request.plan
    (step,) = verdict.new.steps
    assert (step.argv, step.targets) == (("/usr/bin/ls",), request.steps[0].targets)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [{}, {"argv": ["/bin/ls"]}],
        [{"argv": [], "targets": ["db-1"], "time_limit": 5}],
        [{"argv": ["/bin/ls"], "targets": ["nowhere-9"], "time_limit": 5}],
    ],
    ids=["no steps", "a new step without machines", "no command", "no such machine"],
)
def test_an_edit_that_is_no_plan(api: DemoApi, steps: Any) -> None:
    """It is said, and the request waits on as it was."""
    request = asking(api)
    with pytest.raises(InvalidCall):
        answer(api, "edit", number=request.number, base_hash=request.plan_hash, steps=steps)
    assert api.world.requests[request.id] == request


@pytest.mark.parametrize(
    "broken",
    [
        {"steps": "ls"},
        {},
        {"steps": [{"argv": ["/bin/ls"], "targets": ["db-1"], "time_limit": 5, "env": ["A=1"]}]},
    ],
    ids=["text for steps", "no steps", "a list for the environment"],
)
def test_an_edit_of_another_form(api: DemoApi, broken: Any) -> None:
    """What no console can send is refused with its arguments."""
    with pytest.raises(BadValue):
        verbs.EDIT.decode_args({"number": asking(api).number, **broken})


def test_an_edit_against_policy_or_an_older_plan(api: DemoApi) -> None:
    """What policy never allows is told when tried and refused when sent; an edit of another plan is not taken."""
    request = asking(api)
    args: dict[str, Any] = {"number": request.number, "steps": [{"argv": ["/usr/sbin/reboot"]}]}
    assert done(api, "edit", **args, dry_run=True).verdict == "deny"
    assert refused(api, "edit", **args) == "policy"
    assert refused(api, "edit", **args, base_hash="00" * 32) == "plan_changed"
    assert api.world.requests[request.id] == request
