"""The queries of the demo world: what there is, found by every way to name it."""

from __future__ import annotations

import pytest

from tests.tui.demo.answers import answer, approve, asking, create_api
from tui.client.errors import InvalidCall
from tui.demo.api import DemoApi
from tui.demo.queries import SAMPLE_SIZE


@pytest.fixture
def api() -> DemoApi:
    return create_api()


def test_looking(api: DemoApi) -> None:
    """A request with its jobs, a job by its last characters, the jobs of a machine newest first, an audit in order."""
    request = asking(api)
    approve(api, request)
    told = answer(api, "request", number=request.number)
    assert told == answer(api, "request", id=request.id)
    assert len(told.jobs) == told.job_count == len(request.steps[0].targets)
    job = told.jobs[0]
    assert answer(api, "job", id=job.id[-6:].lower()).id == job.id
    found = answer(api, "jobs", agent=job.agent, limit=3)
    assert found[0].id == job.id
    assert {one.agent for one in found} == {job.agent}
    api.world.advance(api.world.now + 60)
    audit = answer(api, "audit", subject=request.id)
    assert [event.seq for event in audit] == sorted(event.seq for event in audit)
    assert {"message.accepted", "request.approved", "job.started"} <= {event.kind for event in audit}
    assert len(answer(api, "audit", subject=request.id, limit=2)) == 2
    assert answer(api, "audit", after=audit[0].seq - 1, limit=1) == (audit[0],)


def test_the_output_of_a_job_comes_in_parts(api: DemoApi) -> None:
    """Some chunks at a time, the next behind those that are known; none of a job that printed nothing."""
    identity = next(job for job, output in api.world.outputs.items() if len(output.chunks) > 20)
    chunks = api.world.outputs[identity].chunks
    first = answer(api, "job", id=identity).output
    assert list(first) == chunks[: len(first)]
    assert list(answer(api, "job", id=identity, after=first[-1].seq).output) == chunks[len(first) : 2 * len(first)]
    assert answer(api, "job", id=api.past[0].id).output == ()


def test_which_machines_a_selection_means(api: DemoApi) -> None:
    """A pattern, a label, names, each machine once; none is said with what would be right."""
    webs = [name for name in api.world.agents if name.startswith("web-")]
    told = answer(api, "targets", selector="web-*")
    assert (told.count, len(told.sample), told.online + told.offline) == (len(webs), SAMPLE_SIZE, len(webs))
    assert answer(api, "targets", selector="role=database").count == 2
    assert answer(api, "targets", selector="db-1, db-2, db-1").count == 2
    with pytest.raises(InvalidCall, match="role=web"):
        answer(api, "targets", selector="nowhere")
