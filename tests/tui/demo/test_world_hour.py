"""The demo world over an hour: bounded, and true to itself; and what keeps a job waiting in it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.agents import AgentView, DrainView
from common.api.codec import encode
from common.api.jobs import JobView
from common.api.overview import QueuePause
from common.api.requests import RequestDetails
from common.command.output_filters import DEFAULT_OUTPUT_CAP
from common.lifecycle import JobState, RequestState
from tui.demo import cast, records
from tui.demo.story import create_world
from tui.demo.world import DemoWorld

NOW = 1_790_000_000.0
HOUR = 3_600.0


def told(world: DemoWorld) -> str:
    """All of a world that can be seen."""
    rows = [list(map(encode, kept)) for kept in (world.agents.values(), world.jobs.values(), world.requests.values())]
    events = list(map(encode, world.events))
    output = {job: [chunk.data.decode() for chunk in found.chunks] for job, found in world.outputs.items()}
    return json.dumps([world.now, rows, events, world.ended, world.failed, output], sort_keys=True)


def quiet() -> DemoWorld:
    """A world of one machine in which nothing happens by itself."""
    made = DemoWorld(1, "small", NOW)
    made.store_agent(AgentView(name="web-1", state="active", online=True))
    return made


def change(made: DemoWorld, **values: Any) -> None:
    """Other values of the one machine."""
    made.store_agent(replace(made.agents["web-1"], **values))


def asked(made: DemoWorld, play: cast.SampleCommand = cast.SAMPLE_COMMANDS[1]) -> tuple[RequestDetails, JobView]:
    """A request and its job."""
    request = made.receive_message(play, person="bob", inlet="slack", targets=["web-1"])
    return request, made.jobs_of(request.id)[0]


def test_in_one_stride_or_in_many_it_is_the_same_world() -> None:
    """How often one looks changes nothing, to the last byte that was printed."""
    whole, steps = create_world(7, "small", NOW), create_world(7, "small", NOW)
    whole.advance(NOW + 120)
    at = NOW
    while at < NOW + 120:
        at = min(NOW + 120, at + 0.7)
        steps.advance(at)
    assert told(whole) == told(steps)


def test_an_hour_is_bounded_and_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour nothing has grown beyond its bound, what is open is still known, and all counts add up."""
    monkeypatch.setattr(records, "MAX_JOBS", 400)
    monkeypatch.setattr(records, "MAX_REQUESTS", 300)
    made = create_world(7, "small", NOW)
    made.advance(NOW + HOUR)
    assert made.ended > 2_500
    assert len(made.jobs) <= 400 + 200 + 50
    assert len(made.requests) <= 300 + 200 + 50
    assert made.job_ids.keys() <= made.requests.keys()
    assert made.outputs.keys() <= made.jobs.keys()
    assert len(made._heap) < 1_000
    assert made.events.maxlen is not None
    assert {job.state for job in made.jobs.values()} <= {state.value for state in JobState}
    assert {request.state for request in made.requests.values()} <= {state.value for state in RequestState}
    for name, agent in made.agents.items():
        states = [job.state for job in made.jobs.values() if job.agent == name]
        assert (agent.queued, agent.running) == (states.count("queued"), states.count("running")), name
    for request in made.requests.values():
        if request.state == "done":
            assert all(job.is_ended for job in made.jobs_of(request.id))
        if request.is_asking:
            assert request.decide_by is not None
            assert request.decide_by > made.now
    assert any(job.is_stuck(made.now) for job in made.jobs.values())


def test_events_are_one_chain() -> None:
    """Numbered without a gap, never back in time, each with its own hash."""
    events = list(create_world(3, "small", NOW).events)
    assert [event.seq for event in events] == list(range(events[0].seq, events[-1].seq + 1))
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert len({event.hash for event in events}) == len(events)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ({"online": False}, {"online": True}),
        ({"paused_by": "dave"}, {"paused_by": ""}),
        ({"draining": DrainView(by="alice", at=NOW, left=0, of=0)}, {"draining": None}),
        ({"running": 4}, {"running": 0}),
        ({}, {}),
    ],
    ids=["offline", "paused", "draining", "busy", "the whole queue paused"],
)
def test_what_keeps_a_job_waiting(on: dict[str, Any], off: dict[str, Any]) -> None:
    """While it lasts the job waits; when it is over the job runs."""
    made = quiet()
    change(made, **on)
    made.queue_paused = None if on else QueuePause(by="dave", at=NOW)
    _, job = asked(made)
    made.advance(NOW + 60)
    assert made.jobs[job.id].is_queued
    change(made, **off)
    made.queue_paused = None
    made.advance(NOW + 120)
    assert made.jobs[job.id].is_ended
    assert made.jobs[job.id].state != "expired"


def test_a_job_whose_machine_does_not_come_expires() -> None:
    """Not before its time, then soon, with the reason; the machine's queue is empty again."""
    made = quiet()
    change(made, online=False)
    request, job = asked(made)
    assert job.not_after is not None
    made.advance(job.not_after - 1)
    assert made.jobs[job.id].is_queued
    made.advance(job.not_after + 2)
    job, request = made.jobs[job.id], made.requests[request.id]
    assert (job.state, request.state, made.agents["web-1"].queued) == ("expired", "done", 0)
    assert job.reason


def test_output_is_capped() -> None:
    """Beyond the cap nothing is kept, and the job says so; after the end nothing is printed."""
    made = quiet()
    _, job = asked(made, cast.STREAM)
    made.advance(NOW + 1)
    for _ in range(20):
        made.append_output(job.id, "x" * 100_000)
    assert made.outputs[job.id].size <= DEFAULT_OUTPUT_CAP
    assert made.jobs[job.id].truncated
    made.end_job(made.jobs[job.id], "failed")
    size = made.jobs[job.id].output_bytes
    made.advance(NOW + 60)
    assert made.jobs[job.id].output_bytes == size


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 50), max_size=20), st.lists(st.floats(0, 60), min_size=1, max_size=5))
def test_what_is_to_come_comes_in_order(due: list[float], strides: list[float]) -> None:
    """Everything due happens once, at its own time, in order; the clock never goes back."""
    made = DemoWorld(1, "small", 0.0)
    happened: list[tuple[float, float]] = []

    def plan(when: float) -> None:
        made.schedule_at(when, lambda: happened.append((when, made.now)))

    for when in due:
        plan(when)
    for to in strides:
        made.advance(to)
    assert happened == [(when, when) for when in sorted(when for when in due if when <= max(strides))]
    assert made.now == max(strides)
