"""How the demo world begins, and that it goes on."""

from __future__ import annotations

import json

from common.api.agents import AgentView
from common.api.codec import encode
from tests.tui.demo_worlds import ready_world
from tui.demo import cast
from tui.demo.story import create_world
from tui.demo.world import DemoWorld

NOW = 1_790_000_000.0


def told(seed: int) -> str:
    world = create_world(seed, "small", NOW)
    world.advance(NOW + 60)
    kept = (world.jobs.values(), world.requests.values(), world.agents.values(), list(world.events)[-50:])
    return json.dumps([list(map(encode, rows)) for rows in kept], sort_keys=True)


def test_a_seed_always_gives_the_same_world() -> None:
    """To the last digit; another seed another one."""
    assert told(7) == told(7)
    assert told(7) != told(8)


def test_every_scene_of_the_tour_is_there() -> None:
    """Plans that wait, with a code and without; a job past its limit, one of unknown outcome, a paused machine."""
    world = create_world(7, "small", NOW)
    asking = [request for request in world.requests.values() if request.is_asking]
    assert {request.second_factor for request in asking} == {True, False}
    assert all((request.decide_by or 0.0) > NOW for request in asking)
    running = [job for job in world.jobs.values() if job.is_running]
    assert any(NOW - (job.started_at or NOW) > job.time_limit for job in running)
    assert any(job.is_unknown for job in world.jobs.values())
    assert any(agent.is_paused for agent in world.agents.values())
    assert any(job.is_queued for job in world.jobs.values())


def test_it_lives_and_stays_small() -> None:
    """An hour brings new requests and ends others, and what is kept is bounded."""
    world = create_world(7, "small", NOW)
    ended, requests = world.ended, len(world.requests)
    world.advance(NOW + 600)
    assert world.ended > ended
    assert len(world.requests) > requests
    assert len(world.jobs) <= 5_200


def test_a_copy_goes_on_by_itself() -> None:
    """What a test does to its world, the next one does not see; and both go the way of the one that was copied."""
    alone, copied = create_world(7, "small", NOW), ready_world(7, "small", NOW)
    assert _facts(copied) == _facts(alone)
    copied.advance(NOW + 60)
    assert _facts(copied) != _facts(alone)
    assert _facts(ready_world(7, "small", NOW)) == _facts(alone)
    alone.advance(NOW + 60)
    assert _facts(copied) == _facts(alone)


def _facts(world: DemoWorld) -> tuple[object, ...]:
    outputs = {identity: (output.size, output.chunks) for identity, output in world.outputs.items()}
    return world.now, world.agents, world.jobs, world.requests, list(world.events), outputs


def test_output_before_anybody_looks_is_what_it_would_be_line_by_line() -> None:
    """Chunks with their times, counts and digests."""
    at_once, by_line = DemoWorld(7, "small", NOW - 60), DemoWorld(7, "small", NOW - 60)
    at_once.shown_at = NOW
    for world in (at_once, by_line):
        world.agents["web-1"] = AgentView(id="web-1", name="web-1", state="active", online=True)
        for sample in (*cast.SAMPLE_COMMANDS, cast.QUEUED):
            world.receive_message(sample, person="bob", inlet="ops", targets=["web-1"])
        world.advance(NOW + 3_600)
    assert at_once.jobs == by_line.jobs
    assert sum(len(output.chunks) for output in at_once.outputs.values()) > 100
    for identity, output in at_once.outputs.items():
        assert at_once.jobs[identity].output_bytes == output.size == sum(len(chunk.data) for chunk in output.chunks)
    shown = {identity: output for identity, output in by_line.outputs.items() if output.chunks}
    assert at_once.outputs == shown


def test_commands_end_well_or_badly() -> None:
    """But for the one that streams and the one that is stuck."""
    world = create_world(7, "small", NOW)
    endless = {cast.STREAM.argv, cast.STUCK.argv}
    assert {job.argv for job in world.jobs.values() if job.is_running and NOW - job.started_at > 300} <= endless
    assert {"succeeded", "failed"} <= {job.state for job in world.jobs.values()}
