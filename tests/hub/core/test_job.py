"""What a job does when something is heard of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.lifecycle import JOB_TERMINAL, JOB_TRANSITIONS, InvalidTransition, JobEvent, JobState
from common.link.messages import Accepted, Ended, Refused, Started, Unsure
from hub.core.audit import WriteAudit
from hub.core.job import (
    AskCancel,
    ComeBack,
    Expire,
    JobInput,
    MarkUnknown,
    Release,
    ResolveUnknown,
    SendCancel,
    SendForget,
    Settled,
    Withhold,
    decide,
)
from hub.core.records import Job

ID = "01JDZZZZZZZZZZZZZZZZZZZZZZ"


def job(state: JobState = JobState.LEASED, **more: object) -> Job:
    made = Job(ID, "01JDZZZZZZZZZZZZZZZZZZZZZY", "carol", "web-1", state, 0, "ab" * 32, not_after=600.0, queued_at=1.0)
    return replace(made, **more)


def ended(outcome: str = "succeeded", exit_code: int | None = 0, digest: str = "d") -> Ended:
    return Ended(ID, outcome, exit_code, None, "", 1, 3, digest, False, 5.0, 7.5, 0.1, 0.2, 4096)


def kinds(actions: list[object]) -> list[str]:
    return [action.kind for action in actions if isinstance(action, WriteAudit)]


def test_the_plain_way() -> None:
    """Leased, accepted, started, ended: one audit row a step, and the agent may forget at the end."""
    after, actions = decide(job(), Accepted(ID, "ab" * 32), 2.0)
    assert (after.state, after.accepted_at, kinds(actions)) == (JobState.ACCEPTED, 2.0, ["job.accepted"])
    after, actions = decide(after, Started(ID, 99, 2.5), 3.0)
    assert (after.state, after.started_at, kinds(actions)) == (JobState.RUNNING, 2.5, ["job.started"])
    after, actions = decide(after, ended(), 8.0)
    assert (after.state, after.duration, after.ended_at) == (JobState.SUCCEEDED, 2.5, 8.0)
    assert kinds(actions) == ["job.ended"]
    assert actions[1:] == [SendForget(), Settled(late=False)]


@pytest.mark.parametrize("state", [JobState.LEASED, JobState.ACCEPTED, JobState.UNKNOWN])
def test_a_step_that_was_not_told_is_written_down_before_its_end(state: JobState) -> None:
    """The end is heard first, as where the frames before it were lost: the chain in the audit is whole, and once."""
    before = job(state, accepted_at=2.0 if state is JobState.ACCEPTED else None)
    accepted = [] if state is JobState.ACCEPTED else ["job.accepted"]
    after, actions = decide(before, ended(), 8.0)
    assert kinds(actions) == [*accepted, "job.started", "job.ended"]
    assert WriteAudit("job.started", {"at": 5.0, "told": "with its end"}) in actions
    for behind in (Started(ID, 99, 2.5), Accepted(ID, "ab" * 32), ended()):
        after, actions = decide(after, behind, 9.0)
        assert kinds(actions) == []


def test_a_start_that_is_heard_first_writes_the_acceptance() -> None:
    after, actions = decide(job(), Started(ID, 99, 2.5), 3.0)
    assert kinds(actions) == ["job.accepted", "job.started"]
    _, actions = decide(after, ended(), 8.0)
    assert kinds(actions) == ["job.ended"]


def test_a_program_that_could_not_be_started_has_no_start_in_the_audit() -> None:
    """Its end has neither exit code nor signal."""
    _, actions = decide(job(), ended("failed", None), 8.0)
    assert kinds(actions) == ["job.accepted", "job.ended"]


def test_a_clock_that_went_back_gives_no_negative_duration() -> None:
    """The machine's end is before its start where its clock was set in between: that is no time, not less than none."""
    report = replace(ended(), started_at=9.0, ended_at=7.5)
    assert decide(job(JobState.RUNNING), report, 8.0)[0].duration == 0.0


@pytest.mark.parametrize(("said", "kept"), [(50.0, 50.0), (50.0 - 7200, 40.0), (50.0 + 7200, 60.0)])
def test_a_machine_whose_clock_is_off_started_within_what_we_have_seen(said: float, kept: float) -> None:
    """Two hours ahead or behind: it runs since it was handed out at the earliest and since now at the latest, so it is
    neither told as running for hours nor as past its time limit. The end does not move the start again.
    """
    after, _ = decide(job(leased_at=40.0), Started(ID, 99, said), 60.0)
    assert after.started_at == kept
    first_heard, _ = decide(job(leased_at=40.0), replace(ended(), started_at=said, ended_at=said + 4), 60.0)
    assert (first_heard.started_at, first_heard.duration) == (kept, 4.0)
    at_the_end, _ = decide(after, replace(ended(), started_at=said, ended_at=said + 4), 64.0)
    assert (at_the_end.started_at, at_the_end.duration) == (kept, 4.0)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("succeeded", JobState.SUCCEEDED),
        ("failed", JobState.FAILED),
        ("timed_out", JobState.TIMED_OUT),
        ("cancelled", JobState.CANCELLED),
    ],
)
def test_the_end_may_be_the_first_thing_heard(outcome: str, state: JobState) -> None:
    """After a lost link the end alone is enough, from every state in which the machine had the job."""
    for before in (JobState.LEASED, JobState.ACCEPTED, JobState.RUNNING, JobState.UNKNOWN):
        after, actions = decide(job(before), ended(outcome), 8.0)
        assert after.state is state
        assert Settled(late=before is JobState.UNKNOWN) in actions


def test_the_same_end_again_changes_nothing() -> None:
    """A repeated end is answered with another forget, and nothing else."""
    once, _ = decide(job(JobState.RUNNING), ended(), 8.0)
    again, actions = decide(once, ended(), 9.0)
    assert again is once
    assert actions == [SendForget()]


def test_a_contradicting_end_is_an_anomaly_and_never_an_overwrite() -> None:
    """The first end stands; the other is kept as an anomaly."""
    once, _ = decide(job(JobState.RUNNING), ended(), 8.0)
    again, actions = decide(once, ended("failed", 1, "other"), 9.0)
    assert again is once
    assert kinds(actions) == ["job.anomaly"]
    assert SendForget() in actions


def test_steps_that_are_behind_change_nothing() -> None:
    """Accepted after started, started after the end: repeats of a reconnect."""
    for state, event in (
        (JobState.RUNNING, Accepted(ID, "")),
        (JobState.RUNNING, Started(ID, 1, 1.0)),
        (JobState.SUCCEEDED, Accepted(ID, "")),
        (JobState.SUCCEEDED, Started(ID, 1, 1.0)),
    ):
        before = job(state)
        assert decide(before, event, 9.0) == (before, [])


def test_unknown_waits_for_truth_or_a_word() -> None:
    """A loss makes the outcome unknown; the agent's late end makes it true, told as late; so does a person's word."""
    lost, actions = decide(job(JobState.RUNNING), Unsure(ID, "the runner is gone"), 8.0)
    assert lost.state is JobState.UNKNOWN
    assert kinds(actions) == ["job.unknown"]
    assert decide(lost, MarkUnknown("again"), 9.0) == (lost, [])
    assert decide(lost, ended(), 9.0)[1][-1] == Settled(late=True)
    assert decide(lost, ResolveUnknown("bob", done=True), 9.0)[0].state is JobState.SUCCEEDED
    assert decide(lost, ResolveUnknown("bob", done=False), 9.0)[0].state is JobState.FAILED


def test_cancel_of_a_queued_job_is_the_end_and_of_a_leased_one_a_question() -> None:
    """Cancel asked and cancelled are two facts: only a job that was never handed out is cancelled by the asking."""
    after, actions = decide(job(JobState.QUEUED), AskCancel("bob"), 3.0)
    assert after.state is JobState.CANCELLED
    assert Settled(late=False) in actions
    for state in (JobState.LEASED, JobState.ACCEPTED, JobState.RUNNING):
        after, actions = decide(job(state), AskCancel("bob", kill=True), 3.0)
        assert (after.state, after.cancel_asked_at, after.cancel_asked_by) == (state, 3.0, "bob")
        assert SendCancel(True) in actions
        assert not any(isinstance(action, Settled) for action in actions)


def test_a_second_cancel_keeps_who_asked_first() -> None:
    """The record of who asked stands; the machine is told again, perhaps to kill."""
    once, _ = decide(job(JobState.RUNNING), AskCancel("bob"), 3.0)
    twice, actions = decide(once, AskCancel("eve", kill=True), 4.0)
    assert (twice.cancel_asked_by, twice.cancel_asked_at) == ("bob", 3.0)
    assert SendCancel(True) in actions


def test_a_refusal_after_a_cancel_is_a_cancel() -> None:
    """A machine that never started because of the cancel: cancelled. For any other reason: not started."""
    asked = job(JobState.ACCEPTED, cancel_asked_at=2.0, cancel_asked_by="bob")
    assert decide(asked, Refused(ID, "cancelled", ""), 3.0)[0].state is JobState.CANCELLED
    assert decide(asked, Refused(ID, "policy", "no"), 3.0)[0].state is JobState.NOT_STARTED
    assert decide(job(), Refused(ID, "cancelled", ""), 3.0)[0].state is JobState.NOT_STARTED


def test_a_refusal_of_what_was_started_is_an_anomaly() -> None:
    """A machine cannot take a start back."""
    before = job(JobState.RUNNING)
    after, actions = decide(before, Refused(ID, "policy", "no"), 3.0)
    assert after is before
    assert kinds(actions) == ["job.anomaly"]


def test_only_a_lease_can_be_released() -> None:
    """What the agent has journalled never goes back to the queue."""
    assert decide(job(), Release(), 3.0)[0].state is JobState.QUEUED
    for state in JobState:
        if state is not JobState.LEASED:
            with pytest.raises(InvalidTransition):
                decide(job(state), Release(), 3.0)


def test_a_job_that_comes_back_waits_for_its_machine_again() -> None:
    """It says how often and why; nothing tells the machine to forget that it refused it, until the job ends."""
    had = job(JobState.ACCEPTED, journal="j", life="l", leased_at=2.0, accepted_at=2.5)
    after, actions = decide(had, ComeBack("restarted", "not started"), 3.0)
    assert (after.state, after.redeliveries, after.redelivery_code) == (JobState.QUEUED, 1, "restarted")
    assert (after.journal, after.life, after.leased_at, after.accepted_at, after.not_before) == ("j", "", None, None, 0)
    assert actions == [
        WriteAudit("job.released", {"epoch": 0, "code": "restarted", "count": 1, "reason": "not started"})
    ]
    again, _ = decide(replace(after, state=JobState.LEASED), ComeBack("busy", "full"), 4.0)
    assert (again.redeliveries, again.redelivery_code, again.not_before) == (2, "busy", 6.0)
    lapsed, actions = decide(again, Expire(), 700.0)
    assert "came back 2 times" in lapsed.reason
    assert SendForget() in actions
    cancelled, actions = decide(again, AskCancel("bob"), 5.0)
    assert cancelled.state is JobState.CANCELLED
    assert SendForget() in actions


def test_a_job_that_comes_back_after_a_cancel_is_cancelled() -> None:
    """It was started nowhere, and nobody waits for it any more."""
    asked = job(JobState.ACCEPTED, cancel_asked_at=2.0, cancel_asked_by="bob")
    after, actions = decide(asked, ComeBack("restarted", ""), 3.0)
    assert after.state is JobState.CANCELLED
    assert SendForget() in actions


def test_what_may_have_started_never_comes_back() -> None:
    """Trust: a job starts once."""
    for state in set(JobState) - {JobState.LEASED, JobState.ACCEPTED}:
        with pytest.raises(InvalidTransition):
            decide(job(state), ComeBack("restarted", ""), 3.0)


def test_withheld_and_lapsed_jobs_settle() -> None:
    """A job whose rights are gone at delivery, or whose time is over, ends without a machine."""
    assert decide(job(), Withhold("policy changed"), 3.0)[0].state is JobState.NOT_STARTED
    assert decide(job(JobState.QUEUED), Expire(), 3.0)[0].state is JobState.EXPIRED


def test_an_unknown_outcome_name_is_an_anomaly() -> None:
    """A machine's word for the end is from outside: what is not in the set changes nothing."""
    before = job(JobState.RUNNING)
    after, actions = decide(before, ended("exploded\x1b[31m"), 3.0)
    assert after is before
    assert kinds(actions) == ["job.anomaly"]


EVENTS: st.SearchStrategy[JobInput] = st.sampled_from(
    [
        Accepted(ID, ""),
        Started(ID, 1, 2.0),
        Refused(ID, "policy", "no"),
        Refused(ID, "cancelled", ""),
        ended(),
        ended("failed", 1, "e"),
        ended("timed_out", None, "t"),
        ended("cancelled", None, "c"),
        Unsure(ID, "?"),
        MarkUnknown("?"),
        AskCancel("bob"),
    ]
)


@given(st.sampled_from(list(JobState)), st.lists(EVENTS, max_size=12))
def test_whatever_is_heard_a_job_ends_once(state: JobState, heard: list[JobInput]) -> None:
    """Any order of an agent's words: every move is in the table, an end never changes, and is told exactly once."""
    current, settles = job(state), 0
    for now, event in enumerate(heard):
        after, actions = decide(current, event, float(now))
        if current.state in JOB_TERMINAL:
            assert after.state is current.state
            assert not any(isinstance(action, Settled) for action in actions)
        if after.state is not current.state:
            assert any(
                source is current.state and target is after.state for (source, _), target in JOB_TRANSITIONS.items()
            )
        if after.state in JOB_TERMINAL:
            settles += sum(isinstance(action, Settled) for action in actions)
        current = after
    assert settles == (current.state in JOB_TERMINAL and state not in JOB_TERMINAL)


def test_every_event_of_the_table_is_used() -> None:
    """The table has no row that nothing can cause."""
    assert {event for _, event in JOB_TRANSITIONS} == set(JobEvent)


def test_a_released_job_that_was_to_be_cancelled_is() -> None:
    """It provably never ran, so the word is kept at once; in the queue it would only wait for its time to run out."""
    after, actions = decide(job(cancel_asked_at=5.0, cancel_asked_by="bob"), Release(), 9.0)
    assert (after.state, after.ended_at) == (JobState.CANCELLED, 9.0)
    assert after.reason == "cancelled by bob before it was handed out"
    assert kinds(actions) == ["job.released", "job.cancelled"]
    assert actions[-1] == Settled(late=False)
    after, actions = decide(job(leased_at=3.0), Release(), 9.0)
    assert (after.state, after.leased_at, kinds(actions)) == (JobState.QUEUED, None, ["job.released"])


def test_a_cancel_may_have_a_reason_of_its_own() -> None:
    """Where it is not simply a person's wish: the machine was revoked."""
    after, actions = decide(job(JobState.QUEUED), AskCancel("hub", why="the machine was revoked"), 9.0)
    assert (after.state, after.reason) == (JobState.CANCELLED, "the machine was revoked")
    assert WriteAudit("job.cancelled", {"by": "hub", "reason": "the machine was revoked"}) in actions


def test_output_that_the_hub_has_cut_stays_marked_as_cut() -> None:
    """Whatever the machine says at the end."""
    after, _ = decide(job(JobState.RUNNING, truncated=True), ended(), 9.0)
    assert after.truncated
