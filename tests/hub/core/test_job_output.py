"""Which output of a job the hub stores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.lifecycle import JobState
from common.plan import MAX_OUTPUT_CAP
from hub.core.job_output import MarkTruncated, StoreChunk, decide_output
from tests.hub.core.test_request import job

RUNNING = job(JobState.RUNNING)


@pytest.mark.parametrize(
    ("state", "stored", "truncated", "size", "kind"),
    [
        (JobState.RUNNING, 0, False, 5, StoreChunk),
        (JobState.UNKNOWN, 0, False, 5, StoreChunk),
        (JobState.RUNNING, MAX_OUTPUT_CAP - 5, False, 5, StoreChunk),
        (JobState.RUNNING, MAX_OUTPUT_CAP - 5, False, 6, MarkTruncated),
        (JobState.RUNNING, MAX_OUTPUT_CAP - 5, True, 6, None),
        (JobState.RUNNING, 0, True, 5, StoreChunk),  # the agent has cut it; what came is stored
        (JobState.RUNNING, 0, False, 0, None),
        (JobState.SUCCEEDED, 0, False, 5, None),
    ],
)
def test_what_is_stored(state: JobState, stored: int, truncated: bool, size: int, kind: type | None) -> None:
    """Up to the bound, while the job has not ended; that it is too much is said once."""
    before = replace(RUNNING, state=state, output_bytes=stored, truncated=truncated)
    decision = decide_output(before, size)
    assert type(decision) is (kind or type(None))
    match decision:
        case StoreChunk(after):
            assert (after.output_bytes, after.chunks) == (stored + size, before.chunks + 1)
        case MarkTruncated(after, audit):
            assert after == replace(before, truncated=True)
            assert (audit.kind, audit.data) == ("job.output_over", {"limit": MAX_OUTPUT_CAP})
