"""Which output of a job the hub stores. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.lifecycle import JOB_TERMINAL
from common.plan import MAX_OUTPUT_CAP
from hub.core.audit import WriteAudit
from hub.core.records import Job


@dataclass(frozen=True, slots=True)
class StoreChunk:
    """The chunk is stored, and with it `job`, unless the chunk is there already."""

    job: Job


@dataclass(frozen=True, slots=True)
class MarkTruncated:
    """The output is more than any machine may store; said once a job."""

    job: Job
    audit: WriteAudit


def decide_output(job: Job, size: int) -> StoreChunk | MarkTruncated | None:
    """What to do with the next `size` bytes of a job's output; None where they are dropped: the job has ended, they are
    none, or it is known already that there is too much.
    """
    if job.state in JOB_TERMINAL or not size:
        return None
    total = job.output_bytes + size
    if total <= MAX_OUTPUT_CAP:
        return StoreChunk(replace(job, output_bytes=total, chunks=job.chunks + 1))
    if job.truncated:
        return None
    return MarkTruncated(replace(job, truncated=True), WriteAudit("job.output_over", {"limit": MAX_OUTPUT_CAP}))
