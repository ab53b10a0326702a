"""Records as JSON, and lists that fit into a frame."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from common.api.codec import encode as encode_view
from common.lifecycle import JobState, RequestState
from common.link.codec import LINK_LIMITS, encode
from common.link.messages import Answer
from common.plan import Plan, Step
from hub.api.views import (
    MAX_BYTES,
    MAX_NODES,
    agent_view,
    event_view,
    fit_items,
    job_of_request,
    job_view,
    request_details,
    request_view,
)
from hub.core.records import Agent, AuditEvent, Job, Request

PLAN = Plan((Step(("/usr/bin/df", "-h"), ("web-1",)), Step(("/usr/bin/uptime",), ("web-1",))))
REQUEST = Request(
    "R", 42, RequestState.WORKING, "ops", "e", "room", "U1", "carol", "df", "en", "https://x", 1.0, plan=PLAN
)
JOB = Job("J", "R", "carol", "web-1", JobState.RUNNING, 1, "ab" * 32, 600.0, 1.0)


def test_views_are_json() -> None:
    """Scripts read them; nothing in them needs Python."""
    event = AuditEvent(1, 2.0, "job.ended", "J", "web-1", {"exit_code": 0}, "0" * 64, "1" * 64)
    agent = Agent("web-1", {"role": "web"}, "active", 1.0, facts={"os": "linux"})
    for view in (
        request_details(REQUEST, [JOB]),
        request_view(replace(REQUEST, plan=None)),
        job_of_request(JOB, REQUEST),
        job_view(JOB),
        agent_view(agent, online=True, vitals={"load1": 0.5}, queued=3),
        event_view(event),
    ):
        plain = encode_view(view)
        assert json.loads(json.dumps(plain)) == plain


def test_a_job_shows_the_command_of_its_own_step() -> None:
    """The second step's, not the plan's first; none where the plan has no such step."""
    assert job_of_request(JOB, REQUEST).argv == ("/usr/bin/uptime",)
    assert "argv" not in encode_view(job_of_request(replace(JOB, step=2), REQUEST))
    assert job_of_request(JOB, REQUEST).number == 42


def test_secrets_of_a_request_are_not_shown() -> None:
    """Where the reply goes may hold a secret of the chat's."""
    assert "https://x" not in json.dumps(encode_view(request_details(REQUEST, [JOB])))


def test_a_request_with_more_jobs_than_fit_says_how_many_there_are() -> None:
    """The jobs that go into the frame, and their number in all."""
    jobs = [replace(JOB, id=f"J{number}") for number in range(2_000)]
    view = request_details(REQUEST, jobs)
    assert view.job_count == 2_000
    assert 50 < len(view.jobs) < 2_000
    assert [job.id for job in view.jobs] == [job.id for job in jobs[: len(view.jobs)]]
    encode(Answer(1, encode_view(view)))


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(st.lists(PLAIN, max_size=8), st.integers(1, 30))
def test_what_fits_can_be_sent(items: list[object], times: int) -> None:
    """However the list is made: what is kept is the list's beginning and fits one frame."""
    many = items * (100 * times)
    kept = fit_items(many)
    assert list(kept) == many[: len(kept)]
    assert len(encode(Answer(1, list(kept)))) < LINK_LIMITS.size


def test_a_list_that_is_too_long_is_cut_by_values_and_by_bytes() -> None:
    """Both bounds of a frame are kept, and one item that is too large alone is left out."""
    assert len(fit_items([{"a": 1}] * 10_000)) == MAX_NODES // 3
    assert len(fit_items([b"x" * 10_000] * 1_000)) == MAX_BYTES // 10_005
    assert len(fit_items(["错" * 10_000] * 1_000)) == MAX_BYTES // 30_005
    assert fit_items([b"x" * MAX_BYTES, b"y"]) == ()
    assert fit_items(list[bytes]()) == ()
