"""How the demo world begins, and that it goes on."""

from __future__ import annotations

import json

from tui.demo.story import begin

NOW = 1_790_000_000.0


def told(seed: int) -> str:
    world = begin(seed, "small", NOW)
    world.advance(NOW + 60)
    return json.dumps([world.jobs, world.requests, world.agents, list(world.events)[-50:]], sort_keys=True)


def test_a_seed_always_gives_the_same_world() -> None:
    """To the last digit; another seed another one."""
    assert told(7) == told(7)
    assert told(7) != told(8)


def test_every_scene_of_the_tour_is_there() -> None:
    """Plans that wait, with a code and without; a job past its limit, one of unknown outcome, a paused machine."""
    world = begin(7, "small", NOW)
    asking = [row for row in world.requests.values() if row["state"] == "asking"]
    assert {row["second_factor"] for row in asking} == {True, False}
    assert all(row["decide_by"] > NOW for row in asking)
    running = [job for job in world.jobs.values() if job["state"] == "running"]
    assert any(NOW - job["started_at"] > job["time_limit"] for job in running)
    assert any(job["state"] == "unknown" for job in world.jobs.values())
    assert any(agent["paused_by"] for agent in world.agents.values())
    assert any(job["state"] == "queued" for job in world.jobs.values())


def test_it_lives_and_stays_small() -> None:
    """An hour brings new requests and ends others, and what is kept is bounded."""
    world = begin(7, "small", NOW)
    ended, requests = world.ended, len(world.requests)
    world.advance(NOW + 600)
    assert world.ended > ended
    assert len(world.requests) > requests
    assert len(world.jobs) <= 5_200
