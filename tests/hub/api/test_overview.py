"""The overview: lanes, needs, fleet and hub as consoles see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest

from common.api.overview import HubView
from common.catalogue import Language
from common.lifecycle import JobState
from hub.api import overview as module
from hub.api.overview import OverviewReader
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller, ConsoleLink
from hub.links.subscription import Subscription
from tests.hub.api_harness import ANYBODY
from tests.hub.hub_harness import HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"


class Link:
    def __init__(self) -> None:
        self.notified = asyncio.Event()

    def notify(self, subscription: Subscription) -> None:
        self.notified.set()


def made(harness: HubHarness, planning: Callable[[], int] = lambda: 0) -> OverviewReader:
    overview = OverviewReader(
        store=harness.store, fleet=harness.fleet, hub=HubView(id="h1"), count_planning=planning, clock=harness.clock
    )
    harness.fan_out.subscribe(overview.on_commit)
    return overview


async def view(overview: OverviewReader, language: Any = "en") -> Mapping[str, Any]:
    await overview.refresh()
    found = overview.view(language)
    assert found is not None
    return found


def lane(found: Mapping[str, Any], stage: str) -> dict[str, Any]:
    return next(entry for entry in found["lanes"] if entry["stage"] == stage)


async def test_a_quiet_hub(harness: HubHarness) -> None:
    """Everything is there and says nothing that is not so."""
    overview = made(harness)
    assert overview.view("en") is None
    found = await view(overview)
    assert [entry["count"] for entry in found["lanes"]] == [0] * 6
    assert [entry["state"] for entry in found["lanes"]] == ["ok"] * 6
    assert found["needs_you"] == []
    assert found["hub"] == {"id": "h1", "queue_paused": None, "outbox": 0, "now": harness.clock.now}
    fleet = found["fleet"]
    assert (fleet["online"], fleet["offline"], fleet["busy"], fleet["paused"], fleet["draining"]) == (1, 0, 0, 0, 0)
    assert fleet["rtt"] == {"p50": None, "p95": None, "p99": None}


async def test_lanes_follow_the_work(harness: HubHarness) -> None:
    """Depths from the store, durations from what was committed."""
    overview = made(harness)
    job = await harness.queued_job()
    harness.clock.advance(4)
    found = await view(overview)
    assert (lane(found, "queued")["count"], lane(found, "queued")["oldest"]) == (1, 4.0)
    assert found["counts"]["queued"] == 1
    await harness.claim()
    found = await view(overview)
    assert lane(found, "queued")["count"] == 0
    assert lane(found, "queued")["p50"] == pytest.approx(4.0, rel=0.04)
    assert (lane(found, "running")["count"], found["fleet"]["busy"]) == (1, 1)
    harness.clock.advance(2)
    await harness.handle_agent_events("web-1", ended_message(job.id, "failed", 1))
    found = await view(overview)
    assert lane(found, "running")["p50"] == pytest.approx(1.5, rel=0.04)
    assert lane(found, "done")["count"] == 1
    assert "1 did not end well" in lane(found, "done")["note"]


async def test_received_and_planning(harness: HubHarness) -> None:
    """What waits for a planner, and what one works on, are two lanes."""
    overview = made(harness, planning=lambda: 1)
    for _ in range(3):
        harness.leave_unplanned("@web-1 uptime")
    found = await view(overview)
    assert (lane(found, "received")["count"], lane(found, "planning")["count"]) == (2, 1)


async def test_approvals_and_pauses(harness: HubHarness) -> None:
    """A lane that waits for a person says until when; a paused queue says by whom."""
    overview = made(harness)
    await harness.submit(RESTART)
    harness.write(lambda txn: txn.pause_queue("bob", harness.clock.now, "deploy", harness.clock.now + 60))
    found = await view(overview)
    assert lane(found, "approval")["state"] == "waiting"
    assert lane(found, "queued")["state"] == "paused"
    assert found["needs"]["approve"] == 1
    assert found["hub"]["queue_paused"] == {
        "by": "bob",
        "at": harness.clock.now,
        "reason": "deploy",
        "until": harness.clock.now + 60,
    }
    assert "bob" in lane(await view(overview, "zh"), "queued")["note"]


async def test_jobs_that_nobody_takes(harness: HubHarness) -> None:
    """For a machine that is away, paused or drained: the lane waits, and names it."""
    overview = made(harness)
    await harness.add_machine("db-1", online=False)
    await harness.queued_job("@db-1 uptime")
    found = await view(overview)
    assert lane(found, "queued")["state"] == "waiting"
    assert "db-1 1" in lane(found, "queued")["note"]
    harness.fleet.set_online("db-1")
    assert lane(await view(overview), "queued")["state"] == "ok"
    await harness.change_machine("db-1", drain_at=harness.clock.now, drain_by="bob")
    found = await view(overview)
    assert (lane(found, "queued")["state"], found["fleet"]["draining"]) == ("waiting", 1)


async def test_the_fleet_in_numbers(harness: HubHarness) -> None:
    """Round trips as shares and the worst by name; versions counted; the revoked are no fleet."""
    overview = made(harness)
    for number in range(20):
        await harness.add_machine(f"m-{number:02}", version="1.0" if number else "0.9")
        harness.fleet.vitals[f"m-{number:02}"] = {"rtt": number / 100, "at": harness.clock.now}
    await harness.add_machine("old", online=False, state="revoked", version="0.1")
    fleet = (await view(overview))["fleet"]
    assert fleet["rtt"] == {"p50": 0.09, "p95": 0.18, "p99": 0.19}
    assert fleet["worst"][0] == {"agent": "m-19", "rtt": 0.19}
    assert len(fleet["worst"]) == 5
    assert fleet["versions"] == {"1.0": 19, "?": 1, "0.9": 1}
    assert (fleet["online"], fleet["offline"]) == (21, 0)


async def test_stuck_jobs_stop_the_lane(harness: HubHarness) -> None:
    """What was handed out and never taken up."""
    overview = made(harness)
    job = await harness.leased_job()
    harness.clock.advance(31)
    found = await view(overview)
    assert lane(found, "running")["state"] == "stuck"
    assert (found["needs"]["stuck"], found["needs_you"][0]["job"]) == (1, job.id)


@pytest.fixture
async def live(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OverviewReader]:
    monkeypatch.setattr(module, "MIN_INTERVAL", 0.01)
    overview = made(harness)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(overview.run())
        yield overview
        task.cancel()


def subscribe(live: OverviewReader, link: Link, call: int, language: Language) -> Subscription:
    return live.subscribe(Caller("vera", cast(ConsoleLink, link), call), ANYBODY, language)


async def until(link: Link, subscription: Subscription, holds: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(45):
        while True:
            link.notified.clear()
            found = await subscription.poll()
            if found is not None and holds(found):
                return
            await link.notified.wait()


async def test_consoles_are_told_of_changes(harness: HubHarness, live: OverviewReader) -> None:
    """In their own language, from one look for all; who leaves is not told any more."""
    english, chinese = Link(), Link()
    one, two = subscribe(live, english, 1, "en"), subscribe(live, chinese, 2, "zh")
    await until(english, one, lambda found: lane(found, "queued")["count"] == 0)
    await harness.queued_job()
    await until(english, one, lambda found: lane(found, "queued")["count"] == 1)
    await until(chinese, two, lambda found: lane(found, "queued")["count"] == 1)
    one.close()
    one.close()
    two.close()
    assert live._subscribers == {}


async def test_one_that_nobody_takes_is_not_built(harness: HubHarness, live: OverviewReader) -> None:
    """A console that is not read costs nothing; what is true then is built when it takes what there is."""
    link = Link()
    one = subscribe(live, link, 1, "en")
    await until(link, one, lambda found: lane(found, "queued")["count"] == 0)
    await harness.queued_job()
    async with asyncio.timeout(45):
        while live._is_wanted():
            link.notified.clear()
            await link.notified.wait()
    before = live._facts
    await harness.queued_job()
    for _ in range(50):
        await asyncio.sleep(0)
    assert live._facts is before
    await until(link, one, lambda found: lane(found, "queued")["count"] == 2)


async def test_it_goes_on_after_a_failure(
    harness: HubHarness, live: OverviewReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that fails is a line in the log, and the next one is right."""
    broken = iter([True])
    whole = live.refresh

    async def refresh() -> None:
        if next(broken, False):
            raise OSError("disk")
        await whole()

    monkeypatch.setattr(live, "refresh", refresh)
    link = Link()
    subscription = subscribe(live, link, 1, "en")
    await until(link, subscription, lambda found: bool(found["lanes"]))


async def test_durations_are_kept_while_nobody_looks(harness: HubHarness) -> None:
    """The first who does sees the last five minutes."""
    overview = made(harness)
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))

    def settled(change: UnitOfWork) -> None:
        assert change.txn.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]

    await harness.change(settled)
    assert lane(await view(overview), "running")["p50"] is not None
