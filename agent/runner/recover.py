"""After a restart: journal, markers, results and the boot id are put together, and every job gets the one state they
prove.

    boot     marker   result   it is
    same     no       -        refused: no program was ever started, and none is started late by surprise
    same     yes      yes      ended, as the result says
    same     yes      no       unsure: the runner died with it; the program may even live on
    other    any      yes      ended: a whole result is proof however it got to the disk
    other    any      no       unsure: the marker was not synced, so its absence proves nothing

What is decided here is journalled before anyone is told, so that it stays the same after the next restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from agent import log
from agent.runner.evidence import OUTPUT, RESULT, STARTED, Evidence, Marker
from agent.runner.jobs import Job, State
from agent.runner.journal import Entry, Memory, Record
from agent.runner.limits import Limits
from agent.runner.spool import Spool, count_chunks
from common.messages import Ended


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a job besides its journal entry."""

    started: bool  # the marker exists
    marker: Marker | None  # and says this
    result: Ended | None
    lives: bool  # a process with the marker's pid and start time is there


def settle(entry: Entry, found: Found, boot: str) -> tuple[State, str, str]:
    """The state, and for a refusal its code, and the reason."""
    if entry.end == "refused":
        return State.REFUSED, entry.code, entry.reason
    if found.result is not None:
        return State.ENDED, "", ""
    if entry.end == "unsure":
        return State.UNSURE, "", entry.reason
    if entry.boot != boot:
        return State.UNSURE, "", "the machine was restarted, and nothing on its disk says what became of the job"
    if not found.started:
        return State.REFUSED, "stopping", "not started: the runner was restarted before its turn"
    if found.lives and found.marker is not None:
        return (
            State.UNSURE,
            "",
            f"the runner was killed while it ran; process {found.marker.pid} is still there, unwatched",
        )
    return State.UNSURE, "", "the runner was killed while it ran, and took the exit status with it"


def recover(
    memory: Memory,
    evidence: Evidence,
    spool: Spool,
    *,
    boot: str,
    lives: Callable[[int, float], bool],
) -> tuple[list[Job], list[Record]]:
    """The jobs, and what is to be journalled about them."""
    files = evidence.jobs()
    jobs: list[Job] = []
    records: list[Record] = []
    for job_id, entry in memory.entries.items():
        suffixes = files.pop(job_id, set())
        marker = evidence.marker(job_id) if STARTED in suffixes else None
        result = evidence.result(job_id) if RESULT in suffixes else None
        alive = marker is not None and marker.boot == boot and lives(marker.pid, marker.since_boot)
        found = Found(STARTED in suffixes, marker, result, alive)
        state, code, reason = settle(entry, found, boot)
        if not entry.end and state is State.REFUSED:
            records.append(("refuse", job_id, entry.plan_hash, entry.not_after, entry.boot, code, reason))
        elif not entry.end and state is State.UNSURE:
            records.append(("unsure", job_id, reason))
        job = Job(job_id, entry.plan_hash, entry.not_after, state, code=code, reason=reason)
        if marker is not None:
            job.pid, job.started_at = marker.pid, marker.at
        if state is State.ENDED and result is not None:
            job.ended = result if entry.boot == boot else _what_is_left(result, evidence)
        if OUTPUT in suffixes:
            spool.adopt(job_id, evidence.size(job_id, OUTPUT))
        jobs.append(job)
        log.info("job.found", job=job_id, state=state, reason=reason)
    return jobs, records


def _what_is_left(ended: Ended, evidence: Evidence) -> Ended:
    """The end with as many chunks as the crash of the machine has left whole."""
    chunks = count_chunks(evidence, ended.job, ended.chunks)
    return ended if chunks == ended.chunks else replace(ended, chunks=chunks, truncated=True)


def sweep(memory: Memory, evidence: Evidence, limits: Limits, now: float) -> None:
    """Removes files whose job is forgotten. A marker without a record stays a fence while an order can be that old."""
    for job_id, suffixes in evidence.jobs().items():
        if job_id in memory.entries:
            continue
        over = evidence.changed_at(job_id, STARTED) + limits.max_ahead + limits.tombstone < now
        if over or job_id in memory.tombstones or STARTED not in suffixes:
            evidence.remove(job_id)
