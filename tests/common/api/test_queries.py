"""What is looked up: arguments and their bounds."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.codec import decode, encode
from common.api.queries import MAX_LIMIT, AgentsArgs, JobsArgs, RequestsArgs
from common.lifecycle import JobState


@pytest.mark.parametrize(("said", "limit"), [(None, 100), (-5, 1), (0, 1), (7, 7), (10**9, MAX_LIMIT)])
def test_a_limit_is_brought_within_its_bounds(said: Any, limit: int) -> None:
    """A limit that is too large is no mistake: less is told."""
    assert decode(JobsArgs, {"limit": said}).limit == decode(AgentsArgs, {"limit": said}).limit == limit


def test_states_are_those_of_the_kind() -> None:
    """In the order in which they were said."""
    args = decode(JobsArgs, {"states": ["running", "queued"]})
    assert args.states == (JobState.RUNNING, JobState.QUEUED)
    assert encode(args) == {"states": ["running", "queued"]}
    assert decode(JobsArgs, {"states": None}).states is None


def test_an_empty_filter_is_one() -> None:
    """It asks for the list of the filter language, which none does not."""
    assert decode(RequestsArgs, {"filter": ""}).filter == ""
    assert decode(RequestsArgs, {}).filter is None
    assert encode(RequestsArgs(filter="", lo=5)) == {"filter": "", "lo": 5}
