"""What happens in the demo world."""

from __future__ import annotations

from dataclasses import replace

from common.api.jobs import JobView
from common.api.plans import PlanView
from common.plan import Plan, Step, plan_hash
from tui.demo import cast
from tui.demo.story import create_world
from tui.demo.world import DemoWorld

NOW = 1_790_000_000.0


def jobs_of(world: DemoWorld, number: int) -> list[JobView]:
    return [job for job in world.jobs.values() if job.number == number]


def small() -> DemoWorld:
    world = DemoWorld(1, "small", NOW)
    for agent in create_world(1, "small", NOW).agents.values():
        world.store_agent(replace(agent, online=True, paused_by="", draining=None, queued=0, running=0))
    return world


def plan_of(view: PlanView) -> Plan:
    steps = (Step(step.argv, step.targets, time_limit=step.time_limit) for step in view.steps)
    return Plan(tuple(steps), view.source, view.ttl, view.tainted)


def test_what_is_allowed_runs_and_ends_once() -> None:
    """Queued, handed out, printed, ended; its request is done when its jobs are; every step is in the record."""
    world = small()
    request = world.receive_message(cast.SAMPLE_COMMANDS[1], person="bob", inlet="slack", targets=["db-1"])
    (job,) = jobs_of(world, request.number)
    assert (request.state, job.state) == ("working", "queued")
    world.advance(NOW + 60)
    assert world.jobs[job.id].is_ended
    assert (world.requests[request.id].state, world.ended) == ("done", 1)
    world.end_job(world.jobs[job.id], "failed")
    assert world.ended == 1
    kinds = [event.kind for event in world.events]
    assert kinds[:2] == ["message.accepted", "plan.judged"]
    assert "job.started" in kinds


def test_what_asks_waits_and_lapses() -> None:
    """Nothing runs before an approval; nobody decides in time, and it expires."""
    world = small()
    request = world.receive_message(cast.RISKY, person="bob", inlet="slack", targets=["db-1"])
    assert (request.state, jobs_of(world, request.number)) == ("asking", [])
    assert request.plan is not None
    assert request.plan_hash == plan_hash(plan_of(request.plan))
    world.advance(NOW + 3_600)
    assert (world.requests[request.id].state, jobs_of(world, request.number)) == ("expired", [])


def test_asked_to_cancel_is_not_cancelled() -> None:
    """The stuck one does not heed the first signal; a kill ends it at once; a waiting one never begins."""
    world = small()
    request = world.receive_message(cast.STUCK, person="bob", inlet="slack", targets=["db-1"])
    (job,) = jobs_of(world, request.number)
    world.advance(NOW + 5)
    world.cancel_job(job.id, "alice", kill=False)
    world.advance(NOW + 7)
    job = world.jobs[job.id]
    assert (job.state, job.cancel_asked_by) == ("running", "alice")
    world.cancel_job(job.id, "alice", kill=True)
    world.advance(NOW + 8)
    job = world.jobs[job.id]
    assert (job.state, job.signal) == ("cancelled", 9)


def test_the_clock_never_goes_back() -> None:
    """Only by advance, in order, and listeners are told what was changed."""
    world = small()
    told: list[float] = []
    world.listeners.append(lambda view, identity: told.append(world.now))
    world.receive_message(cast.SAMPLE_COMMANDS[0], person="bob", inlet="slack", targets=["db-1"])
    world.advance(NOW + 30)
    world.advance(NOW + 10)
    assert world.now == NOW + 30
    assert told == sorted(told)
    assert told
