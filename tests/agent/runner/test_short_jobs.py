"""agent.runner.short_jobs, and what a short job and a long one look like from the hub"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.short_jobs import ShortJobs
from common.link.messages import Cancel, Ended, Started


def job(name: str) -> RunnerJob:
    return RunnerJob(name, "hash", 1.0, RunnerJobState.STARTED)


async def test_a_report_waits_a_moment_and_no_more() -> None:
    """Told when the moment is over, at once where there is something to say, and once."""
    told: list[str] = []
    over = asyncio.Event()

    def tell(one: RunnerJob) -> None:
        told.append(one.id)
        if one.id == "long":
            over.set()

    short = ShortJobs(asyncio.get_running_loop(), tell)
    ends, runs, closed = job("ends"), job("long"), job("closed")
    for one in (ends, runs):
        short.hold(one)
        assert short.is_held(one)
    short.release(ends)
    short.release(ends)
    assert told == ["ends"]
    await over.wait()
    assert told == ["ends", "long"]
    assert not short.is_held(runs)
    short.hold(closed)
    short.close()
    assert not short.is_held(closed)
    assert told == ["ends", "long"]


async def test_what_is_told_of_a_short_job_leaves_in_one_piece(home: Any, kit: Any, monkeypatch: Any) -> None:
    """One write of the runner: the uplink reads all of it at once, and so does the hub."""
    monkeypatch.setattr("agent.runner.short_jobs.HOLD", 60.0)  # however slow this machine is
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        order = home.order("/bin/echo", "x")
        uplink.send(home.dispatch(order))
        kinds = [type(message).__name__ for message in await uplink.read_piece()]
        assert kinds == ["Accepted", "Started", "Output", "Ended"]


async def test_a_long_job_is_told_as_it_runs_and_a_cancel_waits_for_nothing(
    home: Any, kit: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """Its start is told while it runs. One that is to be stopped is told although the moment is not over."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        runs = uplink.order("/bin/sleep", "60")
        await uplink.next(Started, runs)
        monkeypatch.setattr("agent.runner.short_jobs.HOLD", 3_600.0)
        held = uplink.order("/bin/sh", "-c", f"trap '' TERM; touch {tmp_path / 'up'}; sleep 60")
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.005)
        uplink.send(Cancel(held))
        await uplink.next(Started, held)
        for one in (held, runs):
            uplink.send(Cancel(one, kill=True))
            await uplink.next(Ended, one)
