"""hub.core.attempts: which jobs are tried again, how often, until when, and what counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from hub.core.attempts import (
    MAX_ATTEMPTS,
    WAITS,
    attempt,
    attempts_of,
    keep_note,
    next_attempt,
    outcomes,
    superfluous,
)
from hub.core.records import Job, Request

REQUEST = Request(
    "01JDZZZZZZZZZZZZZZZZZZZZZY", 7, RequestState.WORKING, "ops", "e", "c", "u", "carol", "x", "en", "", 1.0
)
FIRST = Job(
    "01JDZZZZZZZZZZZZZZZZZZZZZ1",
    REQUEST.id,
    "carol",
    "web-1",
    JobState.UNKNOWN,
    0,
    "ab" * 32,
    not_after=600.0,
    queued_at=1.0,
    leased_at=2.0,
    started_at=3.0,
    ended_at=4.0,
    priority=7,
    epoch=3,
    journal="j",
    life="l",
    reason="the runner was killed",
    command="uptime",
    time_limit=60,
    redeliveries=2,
)


def again(job: Job, jobs: list[Job], now: float = 10.0, **request: Any) -> Job | None:
    return next_attempt(replace(REQUEST, **request), job, jobs, "unapproved", now, f"new{len(jobs)}")


def test_another_attempt_is_the_same_command_with_an_id_of_its_own() -> None:
    """P2: a marker guards each attempt, since each has an id; nothing of the first one's life is in it."""
    found = again(FIRST, [FIRST])
    assert found is not None
    assert found.id != FIRST.id
    same = ("request_id", "person", "agent", "step", "plan_hash", "not_after", "priority", "command", "time_limit")
    assert all(getattr(found, name) == getattr(FIRST, name) for name in same)
    assert (found.state, found.parent, found.queued_at, found.not_before) == (
        JobState.QUEUED, FIRST.id, 10.0, 10.0 + WAITS[0],
    )  # fmt: skip
    assert (found.leased_at, found.started_at, found.life, found.journal, found.redeliveries) == (None, None, "", "", 0)
    assert (attempt(FIRST), attempt(found)) == (1, 2)


def test_three_attempts_in_all() -> None:
    """And each only after the one before is unknown."""
    jobs = [FIRST]
    while (found := again(jobs[-1], jobs)) is not None:
        assert again(jobs[-1], [*jobs, found]) is None  # the first one unknown again changes nothing
        jobs.append(replace(found, state=JobState.UNKNOWN))
    assert [attempt(job) for job in jobs] == list(range(1, MAX_ATTEMPTS + 1))


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.UNKNOWN])
def test_only_what_is_unknown_is_tried_again(state: JobState) -> None:
    """What is proven not to have started comes back by itself (`hub.core.redelivery`)."""
    assert again(replace(FIRST, state=state), [replace(FIRST, state=state)]) is None


@pytest.mark.parametrize(
    ("job", "request_", "now"),
    [
        ({"cancel_asked_at": 5.0}, {}, 10.0),
        ({}, {"state": RequestState.DONE}, 10.0),
        ({}, {"state": RequestState.CANCELLED}, 10.0),
        ({}, {"step": 1}, 10.0),
        ({}, {}, 600.0),
        ({}, {}, 600.0 - WAITS[0]),
    ],
)
def test_what_stays_unknown(job: dict[str, Any], request_: dict[str, Any], now: float) -> None:
    """P5 and people's word: not what was to be cancelled, nothing of a request that has gone on, nothing late."""
    tried = replace(FIRST, **job)
    assert again(tried, [tried], now, **request_) is None


@pytest.mark.parametrize(
    ("rule", "approvers", "tried"),
    [("", 0, False), ("unapproved", 0, True), ("unapproved", 1, False), ("approved", 0, True), ("approved", 2, True)],
)
def test_what_people_have_approved_needs_the_rule_s_word(rule: Any, approvers: int, tried: bool) -> None:
    """Trust: a yes is of one run, unless the rule says that twice is the same."""
    found = next_attempt(replace(REQUEST, approvers=approvers), FIRST, [FIRST], rule, 10.0, "new")
    assert (found is not None) is tried


def other(number: int, state: JobState, **changes: Any) -> Job:
    notes = (f"again {number} 3",) if number > 1 else ()
    return replace(FIRST, id=f"{FIRST.id[:-1]}{number}", state=state, notes=notes, **changes)


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        (["unknown"], 1),
        (["unknown", "succeeded"], 2),
        (["unknown", "failed"], 2),
        (["unknown", "unknown", "unknown"], 3),
        (["unknown", "not_started"], 1),
        (["unknown", "expired"], 1),
        (["succeeded", "cancelled"], 1),
        (["unknown", "unknown", "expired"], 2),
        (["unknown", "queued"], 2),
        (["succeeded", "running"], 2),
    ],
)
def test_the_last_attempt_that_may_have_started_counts(states: list[str], counts: int) -> None:
    """One that provably did not start makes nothing known that was not."""
    jobs = [other(number, JobState(state), started_at=None) for number, state in enumerate(states, 1)]
    beside = replace(other(1, JobState.FAILED), id="z", agent="web-2")
    assert [job.id for job in outcomes([*jobs, beside])] == [jobs[counts - 1].id, "z"]
    assert [job.id for job in attempts_of(jobs[0], [*reversed(jobs), beside])] == [job.id for job in jobs]


def test_an_attempt_that_waits_is_not_needed_once_the_truth_is_known() -> None:
    """One that a machine has already goes on."""
    waiting, running = other(2, JobState.QUEUED), other(2, JobState.RUNNING)
    known = other(1, JobState.SUCCEEDED)
    assert superfluous(known, [known, waiting]) == [waiting]
    assert superfluous(known, [known, running]) == []
    assert superfluous(FIRST, [FIRST, waiting]) == []


def test_no_machine_says_which_attempt_it_is() -> None:
    """Trust: the note is the hub's own; what a machine sends of the kind is left out."""
    first, second = other(1, JobState.RUNNING), other(2, JobState.RUNNING)
    assert keep_note(first, replace(first, notes=("again 3 3", "disk"))).notes == ("disk",)
    assert keep_note(second, replace(second, notes=("disk", "again 9 9"))).notes == ("again 2 3", "disk")
    assert keep_note(second, replace(second, notes=())).notes == ("again 2 3",)
