"""One slow machine does not hold back the others: what chat hears, when, and that nothing is told twice."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from common.lifecycle import JobState
from common.link.messages import Output
from hub.core.records import Job, Request
from hub.engine.partial_results import FIRST_DELAY, PartialResults
from tests.hub.hub_harness import NOW, HubHarness, ended_message


def partial_results(harness: HubHarness) -> PartialResults:
    made = PartialResults(harness.store, harness.units, harness.composer, harness.clock)
    harness.fan_out.subscribe(made.on_commit)
    return made


async def spread(harness: HubHarness, text: str = "@web-1,web-2,db-1 uptime") -> tuple[Request, dict[str, Job]]:
    """A request on three machines, each of which has its job."""
    for name in ("web-2", "db-1"):
        await harness.add_machine(name)
    request = await harness.submit(text)
    for name in ("web-1", "web-2", "db-1"):
        await harness.claim(name)
    return request, {job.agent: job for job in harness.jobs(request)}


async def end(harness: HubHarness, job: Job, said: bytes = b"up 3 days\n", **more: Any) -> None:
    size = {"output_bytes": len(said), "chunks": 1, "output_digest": hashlib.sha256(said).hexdigest()}
    await harness.handle_agent_events(job.agent, Output(job.id, 1, 1, said, NOW), ended_message(job.id, **size, **more))


def told(harness: HubHarness, request: Request) -> list[tuple[str, str]]:
    return [(reply.kind, json.loads(reply.body)["text"]) for reply in harness.replies(request)]


async def test_what_is_there_is_told_after_two_seconds_and_the_rest_at_the_end(harness: HubHarness) -> None:
    partial = partial_results(harness)
    request, jobs = await spread(harness)
    await end(harness, jobs["web-1"])
    await partial.run_due()
    assert told(harness, request) == []
    harness.clock.advance(FIRST_DELAY / 2)
    await end(harness, jobs["web-2"])
    harness.clock.advance(FIRST_DELAY / 2)
    await partial.run_due()
    ((kind, text),) = told(harness, request)
    assert kind == "progress"
    assert "2 of 3 so far" in text
    assert "web-1, web-2" in text
    assert "up 3 days" in text
    assert "waiting for db-1" in text
    await partial.run_due()
    await end(harness, jobs["db-1"], b"up 9 days\n")
    (_, (kind, text)) = told(harness, request)
    assert kind == "final"
    assert "the rest (2 told above)" in text
    assert "up 9 days" in text
    assert "up 3 days" not in text
    final = json.loads(harness.replies(request)[-1].body)
    assert sorted(job["agent"] for job in final["jobs"]) == ["db-1", "web-1", "web-2"]


async def test_what_comes_together_is_told_once(harness: HubHarness) -> None:
    """Where all answer within two seconds there is the final reply alone."""
    partial = partial_results(harness)
    request, jobs = await spread(harness)
    for job in jobs.values():
        await end(harness, job)
    harness.clock.advance(60)
    await partial.run_due()
    assert [kind for kind, _ in told(harness, request)] == ["final"]


async def test_later_results_come_at_growing_intervals(harness: HubHarness) -> None:
    partial = partial_results(harness)
    request, jobs = await spread(harness)
    await end(harness, jobs["web-1"])
    harness.clock.advance(FIRST_DELAY)
    await partial.run_due()
    await end(harness, jobs["web-2"])
    harness.clock.advance(FIRST_DELAY)
    await partial.run_due()
    assert len(told(harness, request)) == 1
    harness.clock.advance(FIRST_DELAY)
    await partial.run_due()
    assert "2 of 3 so far" in told(harness, request)[-1][1]


async def test_a_restart_repeats_nothing_and_loses_nothing(harness: HubHarness) -> None:
    partial = partial_results(harness)
    request, jobs = await spread(harness)
    await end(harness, jobs["web-1"])
    harness.clock.advance(FIRST_DELAY)
    await partial.run_due()
    await end(harness, jobs["web-2"])
    await harness.restart()
    again = partial_results(harness)
    await again.run_due()
    harness.clock.advance(FIRST_DELAY)
    await again.run_due()
    assert again._told.keys() == {request.id}
    texts = [text for _, text in told(harness, request)]
    assert ["web-1" in text.partition("waiting")[0] for text in texts] == [True, False]
    assert ["web-2" in text.partition("waiting")[0] for text in texts] == [False, True]


async def test_an_inlet_that_takes_one_reply_hears_all_at_the_end(harness: HubHarness) -> None:
    partial = partial_results(harness)
    await harness.add_machine("web-2")
    request = await harness.submit("@web-1,web-2 uptime", "kim", inlet="quiet")
    await harness.claim("web-1")
    await harness.claim("web-2")
    first, second = harness.jobs(request)
    await end(harness, first)
    harness.clock.advance(60)
    await partial.run_due()
    assert told(harness, request) == []
    await end(harness, second)
    ((_, text),) = told(harness, request)
    assert "web-1, web-2" in text


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        (("succeeded", "succeeded", "succeeded"), "succeeded"),
        (("succeeded", "failed", "succeeded"), "partly"),
        (("failed", "timed_out", "failed"), "failed"),
        (("cancelled", "cancelled", "cancelled"), "cancelled"),
    ],
)
async def test_what_did_not_go_well_is_not_just_done(harness: HubHarness, ends: tuple[str, ...], outcome: str) -> None:
    """In the store, and in the words of `status`."""
    request, jobs = await spread(harness)
    for job, how in zip(jobs.values(), ends, strict=True):
        await end(harness, job, outcome=how, exit_code=0 if how == "succeeded" else 1)
    assert harness.request(request.id).outcome == outcome
    assert all(job.state is JobState(how) for job, how in zip(harness.jobs(request), ends, strict=False))
    said = await harness.reply_text(f"status r{request.number}")
    assert (f"r{request.number} by carol is done:" in said) is (outcome == "succeeded")


async def test_a_request_that_only_went_on_working_is_not_told_later_for_it(harness: HubHarness) -> None:
    """After a restart its first result still comes after two seconds, not at the next interval."""
    request, jobs = await spread(harness)
    again = partial_results(harness)
    await again.run_due()
    harness.clock.advance(FIRST_DELAY)
    await again.run_due()
    await end(harness, jobs["web-1"])
    harness.clock.advance(FIRST_DELAY)
    await again.run_due()
    assert [kind for kind, _ in told(harness, request)] == ["progress"]
