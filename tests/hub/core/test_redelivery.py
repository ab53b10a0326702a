"""Which jobs come back, to whom they go, and how long they wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.lifecycle import JobState
from common.link.messages import REFUSAL_CODES, RETRY_CODES, RETRY_PROTOCOL
from hub.core.records import Job
from hub.core.redelivery import AT_ONCE, LOST, MAX_WAIT, comes_back, may_take, wait_before

JOB = Job(
    "01JDZZZZZZZZZZZZZZZZZZZZZZ",
    "01JDZZZZZZZZZZZZZZZZZZZZZY",
    "carol",
    "web-1",
    JobState.ACCEPTED,
    0,
    "ab" * 32,
    not_after=600.0,
    queued_at=1.0,
    journal="j",
    life="l",
)
PROOF: dict[str, Any] = {"journal": "j", "protocol": RETRY_PROTOCOL, "now": 10.0}


@pytest.mark.parametrize("state", [JobState.LEASED, JobState.ACCEPTED])
@pytest.mark.parametrize("code", sorted(REFUSAL_CODES))
def test_what_comes_back(code: str, state: JobState) -> None:
    """A refusal that says nothing against the job, before its start; any other is for good."""
    assert comes_back(replace(JOB, state=state), code, **PROOF) is (code in RETRY_CODES)


@pytest.mark.parametrize(
    ("changes", "proof"),
    [
        *(({"state": state}, {}) for state in JobState if state not in (JobState.LEASED, JobState.ACCEPTED)),
        ({}, {"journal": "another"}),
        ({"journal": ""}, {"journal": ""}),
        ({"life": ""}, {}),
        ({}, {"protocol": RETRY_PROTOCOL - 1}),
        ({}, {"now": 600.0}),
    ],
)
def test_what_does_not_come_back(changes: dict[str, Any], proof: dict[str, Any]) -> None:
    """Trust: a job starts once. Not from a state in which it may have run, not by the word of another journal, not
    without our confirmation before a start, not by a runner that would refuse it again, not past its time.
    """
    assert not comes_back(replace(JOB, **changes), "restarted", **{**PROOF, **proof})


def test_a_restarted_runner_takes_it_at_once_and_a_full_one_later() -> None:
    """The wait doubles to its bound; a runner that dies again and again is waited for too."""
    assert [wait_before("busy", count) for count in (1, 2, 3, 100)] == [1.0, 2.0, 4.0, MAX_WAIT]
    assert [wait_before(LOST, count) for count in range(1, AT_ONCE + 1)] == [0.0] * AT_ONCE
    assert [wait_before("restarted", AT_ONCE + count) for count in (0, 1, 2, 10_000)] == [0.0, 1.0, 2.0, MAX_WAIT]


def test_it_goes_to_the_journal_that_had_it() -> None:
    """A journal that was begun anew has no memory of a marker."""
    assert may_take(JOB, "j")
    assert not may_take(JOB, "another")
