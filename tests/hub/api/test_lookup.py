"""What arguments name: requests, jobs, filters."""

from __future__ import annotations

import pytest

from common.api.arguments import RequestArgs
from hub.api.lookup import InvalidFilterArgument, find_job, find_request, parse_filter
from hub.links.console import InvalidArguments
from tests.hub.hub_harness import HubHarness


def test_a_filter_that_does_not_read_says_where() -> None:
    """The reason begins with the position, the code is for programs; `me` is who calls."""
    (mine,) = parse_filter("jobs", "user:me", "carol", "en").terms
    (hers,) = parse_filter("jobs", "user:carol", "bob", "en").terms
    assert mine.predicate == hers.predicate
    with pytest.raises(InvalidFilterArgument, match=r"^8: ") as caught:
        parse_filter("jobs", "user:me nothing:1", "carol", "en")
    assert caught.value.code == "filter"


async def test_records_are_found_by_number_id_and_part(harness: HubHarness) -> None:
    """A part of a job's id has at least four letters and means one job only."""
    first, second = await harness.queued_job(), await harness.queued_job()
    request = harness.request(first.request_id)
    assert harness.read(lambda txn: find_request(txn, RequestArgs(number=request.number))).id == request.id
    assert harness.read(lambda txn: find_request(txn, RequestArgs(id=request.id))).number == request.number
    assert harness.read(lambda txn: find_job(txn, second.id)).id == second.id
    for args, named in (
        (RequestArgs(number=999), "r999"),
        (RequestArgs(id="nobody"), "nobody"),
        (RequestArgs(), r"\?"),
    ):
        with pytest.raises(InvalidArguments, match=named):
            harness.read(lambda txn, args=args: find_request(txn, args))  # type: ignore[misc]
    same = next(size for size in range(26, 0, -1) if first.id[:size] == second.id[:size])
    assert same >= 4
    with pytest.raises(InvalidArguments, match="fits several jobs"):
        harness.read(lambda txn: find_job(txn, first.id[:same]))
    with pytest.raises(InvalidArguments, match="no job"):
        harness.read(lambda txn: find_job(txn, first.id[:3]))
