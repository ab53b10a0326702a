"""Which accepted job starts next."""

from __future__ import annotations

from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.waiting import WaitingJobs


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
