"""A machine that has a job and is not heard of: since when, and when the hub stops waiting for it. Pure.

Lost contact is a flag beside the job's state, for the job may well go on there. It ends with the machine's return.
Where it does not return, the job counts as unknown once its time limit would have stopped it, whenever it began, and a
grace for the way back is over: then its request goes on, and a person may settle it or ask for it again. A job that was
handed out and never had our word was started nowhere and goes back into the queue, where its time is over too.

What the machine says when it does come back still counts (`hub.core.job`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.lifecycle import JOB_DISPATCHED
from hub.core.job import MarkUnknown, Release
from hub.core.records import Job

GRACE: Final = 60.0
"""Seconds after the time limit in which a machine that ended the job in time may still come back and say so."""
TOLD_AFTER: Final = 10.0
"""Seconds for which a link may be away before chat is told: most come back at once."""


def lost_since(job: Job, away: Mapping[str, float]) -> float | None:
    """Since when nothing was heard of the machine that has the job; `away` is when those not linked were seen last."""
    return away.get(job.agent) if job.state in JOB_DISPATCHED else None


def waits_until(job: Job) -> float:
    """Until when a job counts as under way although nothing is heard of it."""
    if job.is_held:
        return job.not_after
    began = job.not_after if job.started_at is None else job.started_at
    return began + job.time_limit + GRACE


def give_up(job: Job, since: float, heard_from: float, now: float) -> MarkUnknown | Release | None:
    """What becomes of the job, whose machine was seen last at `since`; `heard_from` is when the hub began to hear."""
    if job.state not in JOB_DISPATCHED or now < waits_until(job) or now < max(since, heard_from) + GRACE:
        return None
    if job.is_held:
        return Release()
    return MarkUnknown("nothing was heard of its machine until its time limit was over, nor since")
