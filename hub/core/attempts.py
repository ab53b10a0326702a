"""Idempotent commands are tried again by themselves where what became of them is not known. Pure.

A rule that says `idempotent = true` says that running its command twice does no harm. Then a job of it that is unknown
is followed by another one: the same step on the same machine, with an id of its own, so that every promise about a job
holds for each attempt, the machine's start marker too. The unknown one stays unknown until its late truth comes, which
is recorded as ever.

    how often   MAX_ATTEMPTS in all, with a wait before each
    until when  not after the time of the first one: the later ones have what is left of it
    not         where somebody asked for a cancel, where people approved the plan (unless the rule says "approved"), and
                never for what is critical: those signatures are good for one start, and a policy cannot say both

Of several attempts the last that may have started counts as the outcome; where a later one provably did not start, the
one before it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from common.lifecycle import JobState, RequestState
from common.machine.end_notes import make_note
from common.policy.rules import Idempotence
from hub.core.records import Job, Request

MAX_ATTEMPTS: Final = 3
WAITS: Final = (1.0, 10.0)
"""Seconds before the second attempt and the third."""
_NEVER_RAN: Final = frozenset({JobState.NOT_STARTED, JobState.EXPIRED})


def attempt(job: Job) -> int:
    """The how manieth it is, from 1 on."""
    said = next((note.split() for note in job.notes if _is_of_attempts(note)), ["again", "1"])
    return int(said[1])


def attempts_of(job: Job, jobs: Sequence[Job]) -> list[Job]:
    """Those of `jobs`, all of one request, that are attempts at what `job` is one of, the first one first."""
    return sorted((one for one in jobs if (one.step, one.agent) == (job.step, job.agent)), key=attempt)


def next_attempt(
    request: Request, job: Job, jobs: Sequence[Job], rule: Idempotence, now: float, new_id: str
) -> Job | None:
    """The job that is tried next, once `job` is unknown; None where it stays at that. `jobs` are all of the request's;
    `rule` is what the policy says now.
    """
    if job.state is not JobState.UNKNOWN or job.cancel_asked_at is not None:
        return None
    if request.state is not RequestState.WORKING or request.step != job.step:
        return None
    if not rule or (request.approvers and rule != "approved"):
        return None
    earlier = attempts_of(job, jobs)
    if earlier[-1].id != job.id or len(earlier) >= MAX_ATTEMPTS:
        return None
    not_before = now + WAITS[len(earlier) - 1]
    if not_before >= job.not_after:
        return None
    return Job(
        id=new_id,
        request_id=job.request_id,
        person=job.person,
        agent=job.agent,
        state=JobState.QUEUED,
        step=job.step,
        plan_hash=job.plan_hash,
        not_after=job.not_after,
        queued_at=now,
        priority=job.priority,
        parent=job.id,
        number=job.number,
        inlet=job.inlet,
        source=job.source,
        command=job.command,
        time_limit=job.time_limit,
        not_before=not_before,
        notes=(make_note("again", f"{len(earlier) + 1} {MAX_ATTEMPTS}"),),
    )


def superfluous(job: Job, jobs: Sequence[Job]) -> list[Job]:
    """Later attempts that wait in the queue, where the outcome of `job` is known after all."""
    if job.state is JobState.UNKNOWN:
        return []
    later = (one for one in attempts_of(job, jobs) if attempt(one) > attempt(job))
    return [one for one in later if one.state is JobState.QUEUED]


def outcomes(jobs: Sequence[Job]) -> list[Job]:
    """Of the jobs of a request one for each step and machine, in their order: the attempt whose outcome counts."""
    last: dict[tuple[int, str], Job] = {}
    for job in sorted(jobs, key=attempt):
        before = last.get((job.step, job.agent))
        if before is None or not _never_ran(job):
            last[job.step, job.agent] = job
    return [job for job in jobs if last[job.step, job.agent] is job]


def _never_ran(job: Job) -> bool:
    return job.state in _NEVER_RAN or (job.state is JobState.CANCELLED and job.started_at is None)


def keep_note(job: Job, ended: Job) -> Job:
    """An end whose notes begin with the hub's own word that this is another attempt; no machine may say that."""
    said = tuple(note for note in ended.notes if not _is_of_attempts(note))
    own = tuple(note for note in job.notes if _is_of_attempts(note))
    return ended if (*own, *said) == ended.notes else replace(ended, notes=(*own, *said))


def _is_of_attempts(note: str) -> bool:
    return note.partition(" ")[0] == "again"
