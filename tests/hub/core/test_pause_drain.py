"""Pausing and draining one machine: the row after."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import JobState
from hub.core.approval import DecisionRefused
from hub.core.pause_drain import MAX_REASON, drain_time_over, drained, jobs_to_cancel, paused, resumed, undrained
from hub.core.records import Agent
from tests.each import each_of
from tests.hub.core.test_request import job

AGENT = Agent("web-1", {}, "active", 1.0)


@each_of("until", [None, 60.0])
def test_a_pause_and_its_end(until: float | None) -> None:
    """The row says who, why and until when; afterwards nothing of it is left."""
    after, audit = paused(AGENT, "bob", "x" * 1_000, until, 5.0)
    assert (after.paused_at, after.paused_by, after.paused_until, after.takes_jobs) == (5.0, "bob", until, False)
    assert (audit.kind, audit.data) == ("queue.paused", {"reason": "x" * MAX_REASON, "until": until})
    again, audit = resumed(after)
    assert (again, audit.kind) == (AGENT, "queue.resumed")


@each_of(("cancel_after", "cancel_at"), [(None, None), (0.0, 5.0), (30.0, 35.0)])
def test_a_drain_and_its_end(cancel_after: float | None, cancel_at: float | None) -> None:
    """It counts the jobs of its beginning; afterwards nothing of it is left."""
    after, audit = drained(AGENT, "bob", 3, cancel_after, 5.0)
    assert (after.drain_at, after.drain_by, after.drain_jobs, after.drain_cancel_at) == (5.0, "bob", 3, cancel_at)
    assert (audit.kind, audit.data) == ("agent.drained", {"jobs": 3, "cancel_at": cancel_at})
    ended = undrained(after)
    assert not isinstance(ended, DecisionRefused)
    assert (ended[0], ended[1].kind) == (AGENT, "agent.undrained")


def test_drained_again_only_the_time_is_another() -> None:
    """Who drained it first, and what it had then, stays."""
    first, _ = drained(AGENT, "bob", 3, None, 5.0)
    again, audit = drained(first, "ann", 1, 10.0, 7.0)
    assert again == replace(first, drain_cancel_at=17.0)
    assert audit.data == {"jobs": 1, "cancel_at": 17.0}


def test_what_is_not_drained_cannot_be_ended() -> None:
    """A refusal that names the machine."""
    refused = undrained(AGENT)
    assert isinstance(refused, DecisionRefused)
    assert (refused.code, refused.sentence.key) == ("too_late", "drain_none")


@each_of(("at", "over"), [(None, False), (4.0, True), (5.0, True), (6.0, False)])
def test_when_the_time_is_over(at: float | None, over: bool) -> None:
    """At the moment itself, and never for a drain that waits for all."""
    assert drain_time_over(replace(AGENT, drain_cancel_at=at), 5.0) is over


@each_of(
    ("state", "asked", "cancelled"),
    [
        (JobState.LEASED, False, True),
        (JobState.RUNNING, False, True),
        (JobState.RUNNING, True, False),
        (JobState.UNKNOWN, False, False),
    ],
)
def test_which_jobs_are_cancelled(state: JobState, asked: bool, cancelled: bool) -> None:
    """Those that the machine has, once."""
    one = replace(job(state), cancel_asked_at=1.0 if asked else None)
    assert jobs_to_cancel([one]) == ([one] if cancelled else [])
