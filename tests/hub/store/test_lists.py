"""Windows of filtered, sorted lists, and how long they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.filter.fields import ViewName
from common.filter.parser import parse
from common.lifecycle import JobState
from hub.core.records import Job
from hub.store.lists import MAPPERS, QUIET_KINDS, ListQuery, UnknownSort
from hub.store.store import Store
from hub.store.transaction import Txn

COUNT = 30


@pytest.fixture
def jobs(store: Store, make: Any) -> list[Job]:
    """Thirty jobs of one request, oldest first; ten have ended."""

    def unit(txn: Txn) -> list[Job]:
        request = txn.add_request(make.request())
        made = [
            make.job(
                request,
                id=f"01J{number:04}ZZZZZZZZZZZZZZZZZZZ",
                agent=f"web-{number % 3}",
                queued_at=make.now + number,
                priority=number % 4,
                **(
                    {"state": JobState.SUCCEEDED, "ended_at": make.now + number, "duration": float(-number % 7)}
                    if number < 10
                    else {}
                ),
            )
            for number in range(COUNT)
        ]
        txn.add_jobs(made)
        return made

    return store.write_now(unit)


def ids(store: Store, listing: ListQuery, lo: int = 0, n: int = 100, now: float = 0.0) -> list[str]:
    return [MAPPERS["jobs"].from_row(row).id for row in store.read_now(lambda txn: txn.list_rows(listing, lo, n, now))]


def test_newest_first_unless_told(store: Store, jobs: list[Job]) -> None:
    """Age goes up from the newest; with a minus it is the oldest first."""
    listing = ListQuery(parse("jobs", ""))
    assert ids(store, listing) == [job.id for job in reversed(jobs)] == ids(store, ListQuery(parse("jobs", ""), "age"))
    assert ids(store, ListQuery(parse("jobs", ""), "-age")) == [job.id for job in jobs]


def test_any_window(store: Store, jobs: list[Job]) -> None:
    """By position, over the end and beyond it."""
    listing = ListQuery(parse("jobs", ""), "-age")
    assert ids(store, listing, 7, 5) == [job.id for job in jobs[7:12]]
    assert ids(store, listing, 28, 5) == [job.id for job in jobs[28:]]
    assert ids(store, listing, 30, 5) == []


@pytest.mark.parametrize("sort", ["agent", "-agent", "pri", "-priority", "state", "took", "-duration", "ended", "user"])
def test_any_column(store: Store, jobs: list[Job], sort: str) -> None:
    """Sorted by a field or a column, either way; jobs that have no value come last both ways; ties by age."""
    key = {"pri": "priority", "took": "duration", "ended": "ended_at", "user": "person"}.get(
        sort.removeprefix("-"), sort.removeprefix("-")
    )
    found = ids(store, ListQuery(parse("jobs", ""), sort))
    by_id = {job.id: job for job in jobs}
    values = [getattr(by_id[identity], key) for identity in found]
    present = [value for value in values if value is not None]
    turned = sort.startswith("-") is not (key == "ended_at")
    assert present == sorted(present, reverse=turned)
    assert values[len(present) :] == [None] * (len(values) - len(present))
    assert len(found) == COUNT


def test_a_filter_narrows_window_and_count(store: Store, jobs: list[Job], make: Any) -> None:
    """How many fit, and how many there are, are two numbers."""
    listing = ListQuery(parse("jobs", "state:succeeded agent:web-1"))
    wanted = [job.id for job in jobs if job.state is JobState.SUCCEEDED and job.agent == "web-1"]
    assert ids(store, listing) == wanted[::-1]
    assert store.read_now(lambda txn: txn.list_length(listing, make.now)) == len(wanted) == 3
    assert store.read_now(lambda txn: txn.table_length(listing)) == COUNT
    assert listing.filtered
    assert not ListQuery(parse("jobs", "")).filtered


def test_time_passes_for_a_listing_that_is_kept(store: Store, jobs: list[Job], make: Any) -> None:
    """The clock is told with each look."""
    listing = ListQuery(parse("jobs", "age>10s"))
    assert store.read_now(lambda txn: txn.list_length(listing, make.now + 10)) == 0
    assert store.read_now(lambda txn: txn.list_length(listing, make.now + 15)) == 5


@pytest.mark.parametrize(
    ("view", "sort"),
    [("jobs", "colour"), ("jobs", "label"), ("requests", "plan"), ("audit", "exit"), ("jobs", "--age")],
)
def test_what_cannot_be_sorted_by(view: ViewName, sort: str) -> None:
    """A column that is none is said so, before anything is read."""
    with pytest.raises(UnknownSort):
        ListQuery(parse(view, ""), sort)


def test_activity_leaves_out_the_steps_on_the_way(store: Store, make: Any) -> None:
    """The audit has every event, the activity those that tell something of requests, jobs and machines.

    Trust (A2, one right for what is recorded): what people, invitations and administrators did is in the audit alone.
    """
    private = ["token.made", "person.role", "act.refused", "link.refused", "file.refused", "confirm.link_given"]
    kinds = ["message.accepted", *QUIET_KINDS, *private, "job.ended"]

    def unit(txn: Txn) -> None:
        for kind in kinds:
            txn.audit(kind, "x", "hub", {}, make.now)

    store.write_now(unit)
    audit, activity = ListQuery(parse("audit", "")), ListQuery(parse("activity", ""))
    assert store.read_now(lambda txn: txn.list_length(audit, make.now)) == len(kinds)
    rows = store.read_now(lambda txn: txn.list_rows(activity, 0, 10, make.now))
    assert [row[2] for row in rows] == ["job.ended", "message.accepted"]
    assert activity.filtered


def test_a_change_is_seen_by_the_next_look(store: Store, jobs: list[Job], make: Any) -> None:
    """The same statement, another row."""
    listing = ListQuery(parse("jobs", ""))
    before = store.read_now(lambda txn: txn.list_rows(listing, 0, 1, make.now))
    store.write_now(lambda txn: txn.save_job(jobs[-1], replace(jobs[-1], priority=9)))
    after = store.read_now(lambda txn: txn.list_rows(listing, 0, 1, make.now))
    assert before != after
    assert before[0][0] == after[0][0]
