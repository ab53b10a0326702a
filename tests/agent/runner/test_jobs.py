"""agent.runner.jobs"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runner.jobs import MAX_REASON, TERMINAL_STATES, ReportCursor, RunnerJob, RunnerJobState, clean_reason
from common.link.messages import Ended

ENDED = Ended("j", "succeeded", 0, None, "", 7, 9, "ab" * 32, False, 1.0, 2.0, 0.0, 0.0, 0)


@pytest.mark.parametrize("state", RunnerJobState)
def test_a_report_knows_five_words(state: RunnerJobState) -> None:
    """What is still on its way to the journal is told as accepted; the rest by its own name."""
    word = RunnerJob("j", "hash", 1.0, state).reported_state
    assert word in {"accepted", "started", "ended", "refused", "unsure"}
    assert (word == state) == (state is not RunnerJobState.WRITING)


def test_three_states_are_the_last() -> None:
    """Only what is over can be forgotten."""
    assert set(RunnerJobState) - TERMINAL_STATES == {
        RunnerJobState.WRITING,
        RunnerJobState.ACCEPTED,
        RunnerJobState.STARTED,
    }


def test_a_job_that_has_not_run_has_no_chunks() -> None:
    """After the end the result says how many there were."""
    job = RunnerJob("j", "hash", 1.0, RunnerJobState.ACCEPTED)
    assert job.chunks == 0
    job.ended = ENDED
    assert job.chunks == 7


@given(st.lists(st.integers(1, 32_768), max_size=30), st.lists(st.integers(-2, 40), max_size=10))
def test_what_is_under_way_is_what_was_sent_and_not_credited(sizes: list[int], told: list[int]) -> None:
    """Credits may repeat, go back or be for chunks that were never sent: the count stays true."""
    tale = ReportCursor()
    for size in sizes:
        tale.record_sent(size, size + 17)
    assert tale.next_chunk == len(sizes) + 1
    assert tale.offset == sum(sizes) + 17 * len(sizes)
    for seq in told:
        tale.credit(seq)
    credited = max([0, *told])
    assert tale.in_flight == sum(sizes[credited:])


@given(st.text(max_size=2_000))
def test_a_reason_can_always_travel(text: str) -> None:
    """Bounded, and text that every codec takes, whatever a file was called."""
    reason = clean_reason(text + "\udcff")
    assert len(reason) <= MAX_REASON
    reason.encode()
