"""Which accepted job starts next."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.order_life import OrderLife
from agent.runner.verify import OrderRefusal
from agent.runner.waiting import ExpirySweep, WaitingJobs


def job(name: str, confirmed: bool = True) -> RunnerJob:
    return RunnerJob(name, "hash", 1.0, RunnerJobState.ACCEPTED, confirmed=confirmed)


def test_those_with_the_hubs_word_start_in_their_order() -> None:
    """Trust: one holder of a name. One without it holds nobody up; it comes behind those who had it before."""
    waiting = WaitingJobs()
    first, second, third = job("1", confirmed=False), job("2"), job("3")
    assert (len(waiting), waiting.has_ready) == (0, False)
    for one in (first, second, third):
        waiting.add(one)
    assert waiting.pop_ready() is second
    waiting.confirm(first)
    waiting.confirm(first)
    assert [waiting.pop_ready() for _ in range(2)] == [third, first]
    assert (len(waiting), waiting.has_ready) == (0, False)


def test_a_word_before_it_waits_counts_and_one_after_it_is_gone_does_not() -> None:
    """The hub may be faster than the journal's thread tells; a job that was refused is not started any more."""
    waiting = WaitingJobs()
    early, gone = job("1", confirmed=False), job("2", confirmed=False)
    waiting.confirm(early)
    assert not waiting.has_ready
    waiting.add(early)
    waiting.add(gone)
    for one in waiting:
        waiting.remove(one)
    waiting.remove(gone)
    waiting.confirm(gone)
    assert (len(waiting), waiting.has_ready) == (0, False)


async def test_jobs_whose_time_is_over_are_refused(monkeypatch: Any) -> None:
    """Those that still have time are looked at again; nothing is looked at while none waits."""
    monkeypatch.setattr("agent.runner.waiting.SWEEP_INTERVAL", 0.01)
    waiting, refused, done = WaitingJobs(), list[str](), asyncio.Event()

    def refuse(one: RunnerJob, refusal: OrderRefusal) -> None:
        assert refusal.code == "expired"
        waiting.remove(one)
        refused.append(one.id)
        if not waiting:
            done.set()

    sweep = ExpirySweep(asyncio.get_running_loop(), waiting, refuse)
    sweep.schedule()
    over, soon = job("over"), job("soon", confirmed=False)
    for one in (over, soon):
        waiting.add(one)
    over.life = OrderLife(0.0, until_boot=0.0)
    sweep.schedule()
    while not refused:
        await asyncio.sleep(0.01)
    soon.life = OrderLife(0.0, until_boot=0.0)
    await done.wait()
    assert refused == ["over", "soon"]
    sweep.close()
