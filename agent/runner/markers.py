"""The start marker made, with room from the reserve where the disk is full."""

from __future__ import annotations

from agent.reserve import Reserve
from agent.runner.evidence import Evidence
from agent.runner.jobs import RunnerJob


def create_marker(job: RunnerJob, evidence: Evidence, reserve: Reserve) -> int | None:
    """The marker's descriptor; None where no disk takes one and the job runs from memory. Raises AlreadyStarted, or
    OSError where the job may not run without.
    """
    try:
        return reserve.retry(lambda: evidence.create_marker(job.id))
    except OSError:
        if not job.from_memory:
            raise
        return None
