"""A job's row: what several readers ask of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.api.codec import encode
from common.api.jobs import JobView
from common.filter.match import FLAG_PREDICATES, is_stuck
from common.lifecycle import JobState
from tests.each import each_of

JOB = JobView(id="j", request="r", agent="a", person="p", state="queued", queued_at=100.0)
TIMES = st.none() | st.floats(0, 300)
JOBS = st.builds(
    JobView,
    **{name: st.just("x") for name in ("id", "request", "agent", "person")},
    state=st.sampled_from([*JobState, "asleep"]).map(str),
    queued_at=st.just(0.0),
    started_at=TIMES,
    leased_at=TIMES,
    cancel_asked_at=TIMES,
    not_before=st.floats(0, 300),
    time_limit=st.integers(0, 60),
)


@given(job=JOBS, now=st.floats(0, 400))
def test_conditions_are_those_of_the_filter_language(job: JobView, now: float) -> None:
    """What `is:` names there."""
    row: dict[str, Any] = encode(job)
    flags = {name: flag(row, now) for name, flag in FLAG_PREDICATES["jobs"].items()}
    assert flags == {
        "open": job.is_open,
        "ended": job.is_ended,
        "bad": job.is_bad,
        "stuck": job.is_stuck(now),
        "held": job.is_held(now),
        "cancelling": job.is_cancelling,
    }


@each_of("state", JobState)
def test_a_state_by_its_names(state: JobState) -> None:
    """One of queued, handed out, unknown and ended."""
    job = dataclasses.replace(JOB, state=state.value)
    assert [job.is_queued, job.is_handed_out, job.is_unknown, job.is_ended].count(True) == 1
    assert job.is_settled is (job.is_ended or job.is_unknown)
    assert job.is_running is (state is JobState.RUNNING)


def test_the_hubs_word_for_stuck_counts() -> None:
    """Its clock and its machines' are what it is about."""
    running = dataclasses.replace(JOB, state="running", started_at=0.0, time_limit=1)
    assert is_stuck(encode(running), 1e6)
    assert running.is_stuck(1e6)
    assert not dataclasses.replace(running, stuck=False).is_stuck(1e6)


def test_what_else_is_derived() -> None:
    """The runbook behind it, and whether its machine is known to be away."""
    assert (JOB.runbook, dataclasses.replace(JOB, source="runbook:disk").runbook) == ("", "disk")
    assert [dataclasses.replace(JOB, agent_online=on).is_machine_away for on in (None, True, False)] == [
        False,
        False,
        True,
    ]


def test_a_row_with_what_only_the_job_in_full_says() -> None:
    """What the list alone says of its machine stays; a later row keeps the whole command."""
    row = dataclasses.replace(JOB, agent_online=False, argv=("df",), argv_cut=True)
    full = dataclasses.replace(JOB, state="running", argv=("df", "-h"))
    shown = row.with_details(full)
    assert (shown.state, shown.argv, shown.argv_cut, shown.agent_online) == ("running", ("df", "-h"), False, False)
    later = dataclasses.replace(row, state="failed").with_command_of(shown)
    assert (later.state, later.argv, later.argv_cut) == ("failed", ("df", "-h"), False)
    assert later.with_command_of(row) is later
