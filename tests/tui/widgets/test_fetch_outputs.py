"""Fetching what the machines of a request printed."""

from __future__ import annotations

from tests.tui.fake_source import FakeSource
from tests.tui.rows import job
from tui.view.output_groups import group_jobs
from tui.widgets.fetch_outputs import fetch_outputs


async def test_only_what_is_shown_is_asked_for() -> None:
    """One output a group, none of what has not ended; what does not come is left out."""
    source = FakeSource()
    jobs = [job(1, "succeeded", output_digest="a"), job(2, "succeeded", output_digest="a"), job(3)]
    source.answers["job"] = {"output": [{"seq": 1, "stream": 1, "data": b"hi\n"}]}
    outputs = await fetch_outputs(source, group_jobs(jobs))
    assert [args["id"] for args in source.calls_of("job")] == [jobs[0].id]
    assert [line.text for line in outputs[jobs[0].id].to_list()] == ["hi"]
