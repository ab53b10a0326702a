"""What happens in the demo world."""

from __future__ import annotations

from common.plan import plan_from_json, plan_hash
from tui.demo import cast
from tui.demo.story import begin
from tui.demo.world import ENDED, World

NOW = 1_790_000_000.0


def jobs_of(world: World, number: int) -> list[dict[str, object]]:
    return [job for job in world.jobs.values() if job["number"] == number]


def small() -> World:
    world = World(1, "small", NOW)
    world.agents.update(begin(1, "small", NOW).agents)
    for agent in world.agents.values():
        agent |= {"online": True, "paused_by": "", "draining": None}
    return world


def test_what_is_allowed_runs_and_ends_once() -> None:
    """Queued, handed out, printed, ended; its request is done when its jobs are; every step is in the record."""
    world = small()
    request = world.ask(cast.PLAYS[1], person="bob", inlet="slack", targets=["db-1"])
    (job,) = jobs_of(world, request["number"])
    assert (request["state"], job["state"]) == ("working", "queued")
    world.advance(NOW + 60)
    assert job["state"] in ENDED
    assert (request["state"], world.ended) == ("done", 1)
    world.end(job, "failed")
    assert world.ended == 1
    kinds = [event["kind"] for event in world.events]
    assert kinds[:2] == ["message.accepted", "plan.made"]
    assert "job.started" in kinds


def test_what_asks_waits_and_lapses() -> None:
    """Nothing runs before a yes; nobody decides in time, and it expires."""
    world = small()
    request = world.ask(cast.RISKY, person="bob", inlet="slack", targets=["db-1"])
    assert (request["state"], jobs_of(world, request["number"])) == ("asking", [])
    assert request["plan_hash"] == plan_hash(plan_from_json(request["plan"]))
    world.advance(NOW + 3_600)
    assert (request["state"], jobs_of(world, request["number"])) == ("expired", [])


def test_asked_to_cancel_is_not_cancelled() -> None:
    """The stuck one does not heed the first signal; a kill ends it at once; a waiting one never begins."""
    world = small()
    request = world.ask(cast.STUCK, person="bob", inlet="slack", targets=["db-1"])
    (job,) = jobs_of(world, request["number"])
    world.advance(NOW + 5)
    world.cancel(job, "alice", kill=False)
    world.advance(NOW + 7)
    assert (job["state"], job["cancel_asked_by"]) == ("running", "alice")
    world.cancel(job, "alice", kill=True)
    world.advance(NOW + 8)
    assert (job["state"], job["signal"]) == ("cancelled", 9)


def test_the_clock_never_goes_back() -> None:
    """Only by advance, in order, and listeners hear what was touched."""
    world = small()
    heard: list[float] = []
    world.listeners.append(lambda view, identity: heard.append(world.now))
    world.ask(cast.PLAYS[0], person="bob", inlet="slack", targets=["db-1"])
    world.advance(NOW + 30)
    world.advance(NOW + 10)
    assert world.now == NOW + 30
    assert heard == sorted(heard)
    assert heard
