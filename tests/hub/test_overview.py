"""The overview: lanes, needs, fleet and hub as consoles see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from common.lifecycle import JobState
from hub import overview as module
from hub.change import Change, Effects
from hub.consoles import Subscription
from hub.overview import Overview
from tests.hub.house import House, ended

RESTART = "@web-1 systemctl restart nginx.service"


class Link:
    def __init__(self) -> None:
        self.poked = asyncio.Event()

    def poke(self, subscription: Subscription) -> None:
        self.poked.set()


def made(inside: House, planning: Callable[[], int] = lambda: 0) -> Overview:
    overview = Overview(store=inside.store, fleet=inside.fleet, hub={"id": "h1"}, planning=planning, clock=inside.clock)

    def after(effects: Effects) -> None:
        inside.effects.append(effects)
        overview.after(effects)

    inside.engine.after = after
    return overview


async def view(overview: Overview, language: Any = "en") -> dict[str, Any]:
    await overview.refresh()
    found = overview.view(language)
    assert found is not None
    return found


def lane(found: dict[str, Any], stage: str) -> dict[str, Any]:
    return next(entry for entry in found["lanes"] if entry["stage"] == stage)


async def test_a_quiet_hub(inside: House) -> None:
    """Everything is there and says nothing that is not so."""
    overview = made(inside)
    assert overview.view("en") is None
    found = await view(overview)
    assert [entry["count"] for entry in found["lanes"]] == [0] * 6
    assert [entry["state"] for entry in found["lanes"]] == ["ok"] * 6
    assert found["needs_you"] == []
    assert found["hub"] == {"id": "h1", "queue_paused": None, "outbox": 0, "now": inside.clock.now}
    fleet = found["fleet"]
    assert (fleet["online"], fleet["offline"], fleet["busy"], fleet["paused"], fleet["draining"]) == (1, 0, 0, 0, 0)
    assert fleet["rtt"] == {"p50": None, "p95": None, "p99": None}


async def test_lanes_follow_the_work(inside: House) -> None:
    """Depths from the store, durations from what was committed."""
    overview = made(inside)
    job = await inside.working()
    inside.clock.pass_(4)
    found = await view(overview)
    assert (lane(found, "queued")["count"], lane(found, "queued")["oldest"]) == (1, 4.0)
    assert found["counts"]["queued"] == 1
    await inside.claim()
    found = await view(overview)
    assert lane(found, "queued")["count"] == 0
    assert lane(found, "queued")["p50"] == pytest.approx(4.0, rel=0.04)
    assert (lane(found, "running")["count"], found["fleet"]["busy"]) == (1, 1)
    inside.clock.pass_(2)
    await inside.heard("web-1", ended(job.id, "failed", 1))
    found = await view(overview)
    assert lane(found, "running")["p50"] == pytest.approx(1.5, rel=0.04)
    assert lane(found, "done")["count"] == 1
    assert "1 did not end well" in lane(found, "done")["note"]


async def test_received_and_planning(inside: House) -> None:
    """What waits for a planner, and what one works on, are two lanes."""
    overview = made(inside, planning=lambda: 1)
    for _ in range(3):
        await inside.accept("@web-1 uptime")
    found = await view(overview)
    assert (lane(found, "received")["count"], lane(found, "planning")["count"]) == (2, 1)


async def test_approvals_and_pauses(inside: House) -> None:
    """A lane that waits for a person says until when; a paused queue says by whom."""
    overview = made(inside)
    await inside.ask(RESTART)
    inside.write(lambda txn: txn.pause_queue("bob", inside.clock.now, "deploy", inside.clock.now + 60))
    found = await view(overview)
    assert lane(found, "approval")["state"] == "waiting"
    assert lane(found, "queued")["state"] == "paused"
    assert found["needs"]["approve"] == 1
    assert found["hub"]["queue_paused"] == {
        "by": "bob",
        "at": inside.clock.now,
        "reason": "deploy",
        "until": inside.clock.now + 60,
    }
    assert "bob" in lane(await view(overview, "zh"), "queued")["note"]


async def test_jobs_that_nobody_takes(inside: House) -> None:
    """For a machine that is away, paused or drained: the lane waits, and names it."""
    overview = made(inside)
    await inside.machine("db-1", online=False)
    await inside.working("@db-1 uptime")
    found = await view(overview)
    assert lane(found, "queued")["state"] == "waiting"
    assert "db-1 1" in lane(found, "queued")["note"]
    inside.fleet.came("db-1")
    assert lane(await view(overview), "queued")["state"] == "ok"
    await inside.change_machine("db-1", drain_at=inside.clock.now, drain_by="bob")
    found = await view(overview)
    assert (lane(found, "queued")["state"], found["fleet"]["draining"]) == ("waiting", 1)


async def test_the_fleet_in_numbers(inside: House) -> None:
    """Round trips as shares and the worst by name; versions counted; the revoked are no fleet."""
    overview = made(inside)
    for number in range(20):
        await inside.machine(f"m-{number:02}", version="1.0" if number else "0.9")
        inside.fleet.vitals[f"m-{number:02}"] = {"rtt": number / 100, "at": inside.clock.now}
    await inside.machine("old", online=False, state="revoked", version="0.1")
    fleet = (await view(overview))["fleet"]
    assert fleet["rtt"] == {"p50": 0.09, "p95": 0.18, "p99": 0.19}
    assert fleet["worst"][0] == {"agent": "m-19", "rtt": 0.19}
    assert len(fleet["worst"]) == 5
    assert fleet["versions"] == {"1.0": 19, "?": 1, "0.9": 1}
    assert (fleet["online"], fleet["offline"]) == (21, 0)


async def test_stuck_jobs_stop_the_lane(inside: House) -> None:
    """What was handed out and never taken up."""
    overview = made(inside)
    job = await inside.leased()
    inside.clock.pass_(31)
    found = await view(overview)
    assert lane(found, "running")["state"] == "stuck"
    assert (found["needs"]["stuck"], found["needs_you"][0]["job"]) == (1, job.id)


@pytest.fixture
async def live(inside: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Overview]:
    monkeypatch.setattr(module, "EVERY", 0.01)
    overview = made(inside)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(overview.run())
        yield overview
        task.cancel()


async def until(link: Link, subscription: Subscription, holds: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            link.poked.clear()
            found = await subscription.look()
            if found is not None and holds(found):
                return
            await link.poked.wait()


async def test_consoles_are_told_of_changes(inside: House, live: Overview) -> None:
    """In their own language, from one look for all; who leaves is not told any more."""
    english, chinese = Link(), Link()
    one = live.watch(english, 1, "en")  # type: ignore[arg-type]
    two = live.watch(chinese, 2, "zh")  # type: ignore[arg-type]
    await until(english, one, lambda found: lane(found, "queued")["count"] == 0)
    await inside.working()
    await until(english, one, lambda found: lane(found, "queued")["count"] == 1)
    await until(chinese, two, lambda found: lane(found, "queued")["count"] == 1)
    one.dropped()
    one.dropped()
    two.dropped()
    assert live._watchers == {}


async def test_it_goes_on_after_a_failure(inside: House, live: Overview, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that fails is a line in the log, and the next one is right."""
    broken = iter([True])
    whole = live.refresh

    async def refresh() -> None:
        if next(broken, False):
            raise OSError("disk")
        await whole()

    monkeypatch.setattr(live, "refresh", refresh)
    link = Link()
    subscription = live.watch(link, 1, "en")  # type: ignore[arg-type]
    await until(link, subscription, lambda found: bool(found["lanes"]))


async def test_durations_are_kept_while_nobody_looks(inside: House) -> None:
    """The first who does sees the last five minutes."""
    overview = made(inside)
    job = await inside.leased()
    await inside.heard("web-1", ended(job.id))

    def settled(change: Change) -> None:
        assert change.txn.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]

    await inside.change(settled)
    assert lane(await view(overview), "running")["p50"] is not None
