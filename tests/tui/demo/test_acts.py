"""Every verb of the demo world answers as a hub would: done with words, or refused with a code."""

from __future__ import annotations

from typing import Any

import pytest

from common.plan import Plan, Step, plan_hash
from tui.client import BadCall, CallRefused
from tui.demo.acts import SAMPLE, TRIES, Acts
from tui.demo.cast import CODE, ME
from tui.demo.past import make_past
from tui.demo.story import begin
from tui.demo.world import Row, World

NOW = 1_790_000_000.0


@pytest.fixture
def acts() -> Acts:
    world = begin(7, "small", NOW)
    return Acts(world, make_past(7, 20, list(world.agents), NOW - 900))


def asking(acts: Acts, person: str = "bob") -> Row:
    """The request of a person that waits for a yes."""
    return next(row for row in acts.world.requests.values() if row["state"] == "asking" and row["person"] == person)


def job_in(acts: Acts, state: str, agent: str = "") -> Row:
    return next(
        job for job in acts.world.jobs.values() if job["state"] == state and (not agent or job["agent"] == agent)
    )


def refused(acts: Acts, verb: str, **args: Any) -> str:
    """The code of a refusal; its words are there too."""
    with pytest.raises(CallRefused) as caught:
        acts.verbs[verb](args)
    assert str(caught.value)
    return caught.value.code


def approve(acts: Acts, row: Row, **more: Any) -> Any:
    return acts.approve({"number": row["number"], "plan_hash": row["plan_hash"], "code": CODE, "nonce": "n"} | more)


def kinds(world: World, subject: str) -> list[str]:
    return [event["kind"] for event in world.events if event["subject"] == subject]


def test_approving_runs_exactly_the_plan(acts: Acts) -> None:
    """With the code it works at once, on the machines of the plan and on no other; it is in the record."""
    row = asking(acts)
    assert row["plan_hash"][:8] in approve(acts, row)["text"]
    jobs = acts.world.jobs_of[row["id"]]
    assert [job["agent"] for job in jobs] == row["plan"]["steps"][0]["targets"]
    assert {tuple(job["argv"]) for job in jobs} == {tuple(row["plan"]["steps"][0]["argv"])}
    assert (row["state"], row["given"], row["approvals"][0]["person"]) == ("working", 1, ME)
    assert "request.approved" in kinds(acts.world, row["id"])


def test_the_same_approval_again_is_one_approval(acts: Acts) -> None:
    """An answer lost on the way: the same nonce is told yes again and nothing runs twice; another one is too late."""
    row = asking(acts)
    approve(acts, row)
    count = len(acts.world.jobs_of[row["id"]])
    assert "approved" in approve(acts, row)["text"]
    assert len(acts.world.jobs_of[row["id"]]) == count
    assert refused(acts, "approve", number=row["number"], code=CODE, nonce="other") == "already_decided"


def test_wrong_codes(acts: Acts) -> None:
    """Each is counted down, the last locks; a right one begins the count anew; nothing runs without one."""
    row = asking(acts)
    args = {"number": row["number"], "plan_hash": row["plan_hash"]}
    codes = [refused(acts, "approve", **args, code="000000") for _ in range(TRIES)]
    assert codes == ["bad_code"] * (TRIES - 1) + ["locked"]
    assert refused(acts, "approve", **args) == "bad_code"
    assert row["state"] == "asking"
    approve(acts, row)
    assert acts._tries == TRIES


def test_what_stops_an_approval(acts: Acts) -> None:
    """Another plan, one's own request, a decision that was made, a time that is over: each has its code."""
    row = asking(acts)
    number = row["number"]
    assert refused(acts, "approve", number=number, plan_hash="ab" * 32, code=CODE) == "plan_changed"
    row["person"] = ME
    assert refused(acts, "approve", number=number, code=CODE) == "needs_second_person"
    row["person"] = "bob"
    acts.reject({"number": number, "why": "too broad"})
    assert refused(acts, "approve", number=number, code=CODE) == "already_decided"
    assert refused(acts, "reject", number=number) == "already_decided"
    late = asking(acts, "han.meimei")
    acts.world.advance(late["decide_by"] + 1)
    assert refused(acts, "approve", number=late["number"], code=CODE) == "expired"


def test_rejecting(acts: Acts) -> None:
    """The asker is told why, nothing runs."""
    row = asking(acts)
    assert row["person"] in acts.reject({"number": row["number"], "why": "not now"})["text"]
    assert (row["state"], row["reason"], acts.world.jobs_of.get(row["id"])) == ("rejected", "not now", None)


def steps_of(row: Row) -> list[dict[str, Any]]:
    return [dict(step) for step in row["plan"]["steps"]]


def test_editing_makes_another_request_that_waits(acts: Acts) -> None:
    """Tried first, then done: the old one ends, the new one has the new plan, runs nothing, and expires in its turn."""
    row, world = asking(acts), acts.world
    steps = steps_of(row)
    steps[0] = steps[0] | {"argv": ["/usr/bin/ls", "/var/cache"], "targets": steps[0]["targets"][:1]}
    args = {"number": row["number"], "base_hash": row["plan_hash"], "steps": steps, "why": "look first"}
    before = len(world.jobs)
    verdict = acts.edit(args | {"dry_run": True})
    assert (verdict["verdict"], row["state"]) == ("ask", "asking")
    told = acts.edit(args)
    new = world.requests[told["id"]]
    assert (new["state"], new["parent"], new["plan"]["steps"][0]["argv"]) == ("asking", row["id"], steps[0]["argv"])
    assert (row["state"], len(world.jobs)) == ("rejected", before)
    assert new["plan_hash"] == verdict["plan_hash"]
    assert all(agent[key] >= 0 for agent in world.agents.values() for key in ("queued", "running"))
    world.advance(new["decide_by"] + 1)
    assert new["state"] == "expired"


@pytest.mark.parametrize(
    "broken",
    [
        {"steps": []},
        {"steps": [{"argv": ["/bin/ls"]}]},
        {"steps": "ls"},
        {},
        {"steps": [{"argv": [], "targets": ["db-1"], "time_limit": 5}]},
        {"steps": [{"argv": ["/bin/ls"], "targets": ["nowhere-9"], "time_limit": 5}]},
        {"steps": [{"argv": ["/bin/ls"], "targets": ["db-1"], "time_limit": 5, "env": ["A=1"]}]},
    ],
)
def test_an_edit_that_is_no_plan(acts: Acts, broken: Any) -> None:
    """It is said, and the request waits on as it was."""
    row = asking(acts)
    with pytest.raises(BadCall):
        acts.edit({"number": row["number"], "base_hash": row["plan_hash"], **broken})
    assert row["state"] == "asking"


def test_an_edit_against_policy_or_an_older_plan(acts: Acts) -> None:
    """What policy never allows is told when tried and refused when sent; an edit of another plan is not taken."""
    row = asking(acts)
    steps = [steps_of(row)[0] | {"argv": ["/usr/sbin/reboot"]}]
    args = {"number": row["number"], "steps": steps}
    assert acts.edit(args | {"dry_run": True})["verdict"] == "deny"
    assert refused(acts, "edit", **args) == "policy"
    assert refused(acts, "edit", **args, base_hash="00" * 32) == "plan_changed"
    assert row["state"] == "asking"


def test_cancelling_jobs_and_requests(acts: Acts) -> None:
    """Asked for, and promised no more than that; too late where it has ended; one that waits is taken back at once."""
    job = job_in(acts, "running")
    assert "asked" in acts.cancel({"job": job["id"]})["text"]
    assert (job["state"], job["cancel_asked_by"]) == ("running", ME)
    assert refused(acts, "cancel", job=job_in(acts, "succeeded")["id"]) == "too_late"
    assert refused(acts, "cancel", job=job_in(acts, "unknown")["id"]) == "too_late"
    row = asking(acts)
    acts.cancel({"number": row["number"]})
    assert row["state"] == "cancelled"
    assert refused(acts, "cancel", number=row["number"]) == "too_late"
    working = asking(acts, "han.meimei")
    approve(acts, working, nonce="w")
    assert str(len(acts.world.jobs_of[working["id"]])) in acts.cancel({"number": working["number"]})["text"]
    acts.world.advance(acts.world.now + 5)
    assert {job["state"] for job in acts.world.jobs_of[working["id"]]} == {"cancelled"}


def test_retry(acts: Acts) -> None:
    """A new request with a new number does the same again, on the same machine, whether the job is of today or long
    past."""
    for job in (job_in(acts, "succeeded"), acts._past[3].row()):
        made = acts.retry({"job": job["id"]})
        steps = made["plan"]["steps"]
        assert (steps[0]["argv"], steps[0]["targets"]) == (job["argv"], [job["agent"]])
        assert made["parent"] == job["id"]
    row = asking(acts)
    assert acts.retry({"number": row["number"]})["plan_hash"] == row["plan_hash"]


def test_priority_is_for_what_waits(acts: Acts) -> None:
    """Queued ones get it, others do not; where none waits any more it is too late."""
    waiting, running = job_in(acts, "queued"), job_in(acts, "running")
    assert "1 jobs" in acts.priority({"jobs": [waiting["id"], running["id"]], "priority": 9})["text"]
    assert (waiting["priority"], running["priority"]) == (9, 5)
    assert refused(acts, "priority", jobs=[running["id"]], priority=9) == "too_late"


@pytest.mark.parametrize(("done", "state"), [(True, "succeeded"), (False, "failed")])
def test_settling(acts: Acts, done: bool, state: str) -> None:
    """A person's word ends an unknown outcome, once."""
    job = job_in(acts, "unknown")
    acts.settle({"job": job["id"], "done": done})
    assert (job["state"], ME in job["reason"]) == (state, True)
    assert refused(acts, "settle", job=job["id"], done=done) == "too_late"


def test_pausing_a_machine_and_the_queue(acts: Acts) -> None:
    """It says by whom and why until it is resumed or its time is over; then what waited goes."""
    world, agent = acts.world, acts.world.agents["db-2"]
    waiting = job_in(acts, "queued", "db-2")
    acts.resume({"agent": "db-2"})
    world.advance(world.now + 5)
    assert waiting["state"] != "queued"
    acts.pause({"agent": "db-2", "reason": "backup", "until": world.now + 60})
    assert (agent["paused_by"], agent["pause_reason"]) == (ME, "backup")
    world.advance(world.now + 61)
    assert agent["paused_by"] == ""
    acts.pause({"reason": "all stop"})
    assert world.queue_paused is not None
    made = acts.run({"target": "web-eu-0001", "argv": ["/usr/bin/uptime"]})
    world.advance(world.now + 20)
    assert [job["state"] for job in world.jobs_of[made["id"]]] == ["queued"]
    acts.resume({})
    world.advance(world.now + 20)
    assert world.jobs_of[made["id"]][0]["state"] != "queued"


def test_draining(acts: Acts) -> None:
    """It counts down what still runs there, cancels that after the time given, and takes nothing new till undrained."""
    world, job = acts.world, job_in(acts, "running", "db-1")
    acts.drain({"agent": "db-1", "cancel_after": 30})
    agent = world.agents["db-1"]
    assert (agent["draining"]["left"], agent["draining"]["of"]) == (agent["running"], agent["running"])
    world.advance(world.now + 60)
    assert (job["state"], agent["draining"]["left"]) == ("cancelled", 0)
    assert agent["draining"]["of"] >= 1
    acts.undrain({"agent": "db-1"})
    assert agent["draining"] is None
    assert refused(acts, "undrain", agent="db-1") == "too_late"


def test_running(acts: Acts) -> None:
    """A pattern, a label, names: exactly those machines; where they are others than was shown it is not done."""
    world = acts.world
    webs = [name for name in world.agents if name.startswith("web-")]
    told = acts.targets({"selector": "web-*"})
    assert (told["count"], len(told["sample"])) == (len(webs), SAMPLE)
    assert acts.targets({"selector": "role=database"})["count"] == 2
    assert acts.targets({"selector": "db-1, db-2, db-1"})["count"] == 2
    made = acts.run({"target": "web-*", "argv": ["/usr/bin/uptime"], "expect": len(webs)})
    assert sorted(job["agent"] for job in world.jobs_of[made["id"]]) == sorted(webs)
    assert refused(acts, "run", target="web-*", argv=["/usr/bin/uptime"], expect=3) == "selection_changed"
    for wrong in ({"target": "nowhere"}, {"target": ""}, {"target": "role=none"}):
        with pytest.raises(BadCall):
            acts.run({**wrong, "argv": ["/usr/bin/uptime"]})
    for argv in ([], ["a\0b"], ["x"] * 300):
        with pytest.raises(BadCall):
            acts.run({"target": "db-1", "argv": argv})


def test_what_policy_refuses_leaves_nothing(acts: Acts) -> None:
    """It is refused with the reason; no job is left and no machine counts one."""
    before = {name: (agent["queued"], agent["running"]) for name, agent in acts.world.agents.items()}
    jobs = set(acts.world.jobs)
    made = acts.run({"target": "web-*", "argv": ["/bin/rm", "-rf", "/"]})
    assert made["state"] == "refused"
    assert "policy" in made["reason"]
    assert set(acts.world.jobs) == jobs
    assert {name: (agent["queued"], agent["running"]) for name, agent in acts.world.agents.items()} == before


def test_taking_back(acts: Acts) -> None:
    """While it is held all of it can be taken back, and nothing has run; after that it is too late."""
    world = acts.world
    made = acts.run({"target": "web-eu-*", "argv": ["/usr/bin/uptime"], "hold": 5})
    world.advance(world.now + 4)
    assert {job["state"] for job in world.jobs_of[made["id"]]} == {"queued"}
    assert "nothing has run" in acts.take_back({"number": made["number"]})["text"]
    assert world.requests[made["id"]]["state"] == "cancelled"
    world.advance(world.now + 10)
    assert {job["state"] for job in world.jobs_of[made["id"]]} == {"cancelled"}
    assert {job["started_at"] for job in world.jobs_of[made["id"]]} == {None}
    assert refused(acts, "take_back", number=made["number"]) == "too_late"
    again = acts.run({"target": "web-eu-*", "argv": ["/usr/bin/uptime"], "hold": 5})
    world.advance(world.now + 6)
    assert refused(acts, "take_back", number=again["number"]) == "too_late"


def test_looking(acts: Acts) -> None:
    """A request with its jobs, a job by its last characters, the jobs of a machine newest first, an audit in order."""
    row = asking(acts)
    approve(acts, row)
    told = acts.request({"number": row["number"]})
    assert told["id"] == acts.request({"id": row["id"]})["id"]
    assert len(told["jobs"]) == told["online"] == len(row["plan"]["steps"][0]["targets"])
    job = told["jobs"][0]
    assert acts.job({"job": job["id"][-6:].lower()})["id"] == job["id"]
    found = acts.jobs({"agent": job["agent"], "limit": 3})
    assert found[0]["id"] == job["id"]
    assert {one["agent"] for one in found} == {job["agent"]}
    acts.world.advance(acts.world.now + 60)
    audit = acts.audit({"subject": row["id"]})
    assert [event["seq"] for event in audit] == sorted(event["seq"] for event in audit)
    assert {"message.accepted", "request.approved", "job.started"} <= {event["kind"] for event in audit}
    assert len(acts.audit({"subject": row["id"], "limit": 2})) == 2


def test_answers_are_copies(acts: Acts) -> None:
    """What a caller does with an answer does not change the world."""
    row = asking(acts)
    acts.request({"number": row["number"]})["state"] = "done"
    acts.job({"job": job_in(acts, "running")["id"]})["state"] = "done"
    assert asking(acts) is row
    assert job_in(acts, "running")


@pytest.mark.parametrize("args", [{}, {"number": 999_999}, {"job": "NONE", "agent": "none*", "target": "none"}])
def test_nonsense_is_refused_in_words(acts: Acts, args: dict[str, Any]) -> None:
    """No verb fails at its arguments: it does what can be done without them, or says what is wrong."""
    for verb, act in acts.verbs.items():
        said = ""
        try:
            said = str(act(args))
        except (CallRefused, BadCall) as error:
            said = str(error)
        assert said, verb


def test_a_plan_here_is_a_plan_at_the_hub(acts: Acts) -> None:
    """The hash that is approved is that of the plan that is shown."""
    for row in acts.world.requests.values():
        plan = row["plan"]
        steps = tuple(
            Step(tuple(step["argv"]), tuple(step["targets"]), time_limit=step["time_limit"]) for step in plan["steps"]
        )
        assert plan_hash(Plan(steps, plan["source"])) == row["plan_hash"]
