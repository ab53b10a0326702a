"""Machines that have a job and are not heard of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.lifecycle import JOB_DISPATCHED, JobState
from hub.core.job import MarkUnknown, Release
from hub.core.lost_contact import GRACE, give_up, lost_since, waits_until
from hub.core.records import Job

RUNNING = Job(
    "01JDZZZZZZZZZZZZZZZZZZZZZZ",
    "01JDZZZZZZZZZZZZZZZZZZZZZY",
    "carol",
    "web-1",
    JobState.RUNNING,
    0,
    "ab" * 32,
    not_after=600.0,
    queued_at=1.0,
    started_at=100.0,
    time_limit=60,
    life="l",
)


@pytest.mark.parametrize("state", list(JobState))
def test_contact_is_lost_of_what_a_machine_has(state: JobState) -> None:
    """What waits in the queue or has ended has no contact to lose; nor has what runs on a machine that is linked."""
    assert lost_since(replace(RUNNING, state=state), {"web-1": 50.0}) == (50.0 if state in JOB_DISPATCHED else None)
    assert lost_since(replace(RUNNING, state=state), {"web-2": 50.0}) is None


@pytest.mark.parametrize(
    ("job", "until", "move"),
    [
        (RUNNING, 100.0 + 60 + GRACE, MarkUnknown),
        (replace(RUNNING, state=JobState.ACCEPTED, started_at=None), 600.0 + 60 + GRACE, MarkUnknown),
        (replace(RUNNING, state=JobState.LEASED, started_at=None), 600.0, Release),
        (replace(RUNNING, state=JobState.LEASED, started_at=None, life=""), 600.0 + 60 + GRACE, MarkUnknown),
        (replace(RUNNING, state=JobState.LEASED, started_at=None, stamp="s"), 600.0 + 60 + GRACE, MarkUnknown),
    ],
)
def test_when_the_hub_stops_waiting(job: Job, until: float, move: type) -> None:
    """When its time limit and the grace are over; one that never had our word was started nowhere."""
    assert waits_until(job) == until
    assert give_up(job, 90.0, 0.0, until - 0.1) is None
    assert isinstance(give_up(job, 90.0, 0.0, until), move)


def test_a_hub_that_was_away_itself_gives_the_machines_time() -> None:
    """It waits as long for the machine's return as if it had been lost when the hub began to hear; so does one whose
    link has only just gone.
    """
    assert give_up(RUNNING, 90.0, 1_000.0, 1_000.0 + GRACE - 1) is None
    assert give_up(RUNNING, 1_000.0, 0.0, 1_000.0 + GRACE - 1) is None
    assert give_up(RUNNING, 90.0, 1_000.0, 1_000.0 + GRACE) is not None


@pytest.mark.parametrize("state", sorted(set(JobState) - JOB_DISPATCHED))
def test_nothing_else_is_given_up(state: JobState) -> None:
    """What is known stays known."""
    assert give_up(replace(RUNNING, state=state), 0.0, 0.0, 1e9) is None
