"""What of a row its MAC covers."""

from __future__ import annotations

import timeit
from dataclasses import fields, replace
from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.plan import plan_hash
from hub.core.records import Job, Request, StandingApproval
from hub.core.row_mac import MAX_MADE, AnyRow, RowAuthenticator
from tests.hub.core.test_request import PLAN, job, request

ROWS = RowAuthenticator(b"k" * 32)
ASKING = request(RequestState.ASKING, plan_hash=plan_hash(PLAN), approvers=2, decide_by=9.0)
STANDING = StandingApproval(1, "R", plan_hash(PLAN), "carol", "bob", "ops", 1.0, 2.0, 5)
OTHER: dict[str, Any] = {
    "state": {Request: RequestState.WORKING, Job: JobState.RUNNING},
    "decide_by": 10.0,
    "plan": replace(PLAN, tainted=True),
    "revoked_at": 1.0,
}
FIGURES: dict[type, set[str]] = {  # what decides over no start
    Request: {"language", "reply_url", "received_at", "reason", "planned_at", "decided_at", "ended_at", "outcome"}
    | {"thread", "button"},
    Job: {"priority", "epoch", "journal", "leased_at", "accepted_at", "started_at", "ended_at", "exit_code", "signal"}
    | {"reason", "duration", "output_bytes", "output_digest", "truncated", "chunks", "cpu_user", "cpu_system"}
    | {"max_rss", "notes", "cancel_asked_at", "cancel_asked_by", "number", "inlet", "source", "command"}
    | {"time_limit", "replied_at", "redeliveries", "redelivery_code"},
    StandingApproval: {"number", "command", "targets"},
}


def signed(row: Any) -> Any:
    return replace(row, mac=ROWS.mac(row))


def changed(row: AnyRow, name: str) -> Any:
    """The row with another value in one field."""
    value = getattr(row, name)
    if name in OTHER:
        other = OTHER[name][type(row)] if isinstance(OTHER[name], dict) else OTHER[name]
    elif isinstance(value, bool):
        other = not value
    elif isinstance(value, (int, float)):
        other = value + 1
    else:
        other = f"{value}x" if isinstance(value, str) else ("x",) if isinstance(value, tuple) else 1.0
    return replace(row, **{name: other})


def test_everything_that_decides_over_a_start_is_covered() -> None:
    """Trust: a change to any of these fields, and the row starts nothing; what is left out is written down above."""
    for row in (signed(ASKING), signed(job(JobState.QUEUED)), signed(STANDING)):
        assert ROWS.is_authentic(row)
        covered = set()
        for one in fields(row):
            if one.name != "mac" and not ROWS.is_authentic(changed(row, one.name)):
                covered.add(one.name)
        assert covered == {one.name for one in fields(row)} - {"mac"} - FIGURES[type(row)]


def test_a_plan_is_covered_by_its_hash() -> None:
    """Trust: another argument vector beside the same plan hash is found, though the MAC is of the hash alone."""
    other = replace(PLAN, steps=(replace(PLAN.steps[0], argv=("df", "-a")),))
    assert not ROWS.is_authentic(replace(signed(ASKING), plan=other))
    assert ROWS.mac(replace(ASKING, plan=other)) == ROWS.mac(ASKING)
    for origin in ({"tainted": True}, {"proposed": True}, {"source": "x"}, {"explanation": "x"}):
        assert not ROWS.is_authentic(replace(signed(ASKING), plan=replace(PLAN, **origin)))


def test_no_mac_and_none_of_another_key_or_kind() -> None:
    """Nor one of another row."""
    assert not ROWS.is_authentic(ASKING)
    for mac in ("0" * 64, "\u0661", "", "x" * 10_000):
        assert not ROWS.is_authentic(replace(ASKING, mac=mac))
    assert not RowAuthenticator(b"x" * 32).is_authentic(signed(ASKING))
    assert not ROWS.is_authentic(replace(ASKING, id="Q", mac=ROWS.mac(ASKING)))
    with pytest.raises(ValueError, match="32"):
        RowAuthenticator(b"short")


def test_a_number_counts_once_there_is_one() -> None:
    """A received request's is the database's to give; what people approve by number is covered by it."""
    received = signed(request(RequestState.RECEIVED, plan=None))
    assert ROWS.is_authentic(replace(received, number=43))
    assert not ROWS.is_authentic(replace(signed(ASKING), number=43))


def test_what_was_made_lately_is_bounded() -> None:
    """And known without being made again, as long as every field is as it was."""
    rows = RowAuthenticator(b"k" * 32)
    first = replace(ASKING, mac=rows.mac(ASKING))
    assert rows.is_authentic(first)
    assert not rows.is_authentic(replace(first, approvers=0))
    for number in range(MAX_MADE + 10):
        rows.mac(replace(ASKING, number=number))
    assert len(rows._made) <= MAX_MADE
    assert rows.is_authentic(first)


def test_a_job_from_before_stamps_keeps_its_mac() -> None:
    """An upgrade of the hub makes no row of its own a stranger's; a stamp put in or taken out does."""
    before = signed(replace(job(JobState.LEASED), life="L"))
    assert ROWS.is_authentic(before)
    assert not ROWS.is_authentic(replace(before, stamp="s"))
    told = signed(replace(before, stamp="s"))
    assert not ROWS.is_authentic(replace(told, stamp=""))
    assert not ROWS.is_authentic(replace(told, stamp="", life="Ls"))


def test_text_is_text() -> None:
    """No two rows have the same bytes because of quotes, separators or characters outside ASCII; integers read back as
    floats are the same times.
    """
    tricky = [("a'", "b"), ("a", "'b"), ("a', 'b", ""), ("\u0661", ""), ("1", ""), ("\ud800", ""), ("\\ud800", "")]
    macs = {ROWS.mac(replace(ASKING, person=person, text=text)) for person, text in tricky}
    assert len(macs) == len(tricky)
    queued = job(JobState.QUEUED)
    assert ROWS.mac(replace(queued, not_after=600)) == ROWS.mac(replace(queued, not_after=600.0))


def test_it_costs_microseconds() -> None:
    """Measured against the plan hash of the same request, which the hub makes for each message anyway: the MAC of a
    row takes a fraction of it.
    """
    mac = min(timeit.repeat(lambda: ROWS.mac(ASKING), number=200, repeat=5))
    digest = min(timeit.repeat(lambda: plan_hash(PLAN), number=200, repeat=5))
    assert mac < digest, (mac, digest)
