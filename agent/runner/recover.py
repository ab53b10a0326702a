"""After a restart: gives every job the one state that journal, marker, result and boot id prove.

    boot     marker   result   the job is
    same     no       -        refused: no program was started, and none is started unless the hub hands it out again
    same     yes      yes      ended, as the result says
    same     yes      no       unsure: the runner died while it ran; the program may still run
    other    any      yes      ended: a whole result is proof, synced or not
    other    any      no       unsure: the marker was not synced, so its absence proves nothing

The outcome is journalled before it is reported, so that it stays the same after the next restart.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

from agent import log
from agent.runner.evidence import OUTPUT_SUFFIX, RESULT_SUFFIX, STARTED_SUFFIX, Evidence, Marker
from agent.runner.jobs import RunnerJob, RunnerJobState, without_chunks
from agent.runner.journal import JournalEntry, JournalState, Record
from agent.runner.limits import RunnerLimits
from agent.runner.spool import Spool, count_chunks
from common.link.messages import Ended

STOPPING: Final = "stopping"
"""What the journal has of both: an older runner that reads it knows this code and not the other."""
RESTARTED: Final = "restarted"


@dataclass(frozen=True, slots=True)
class JobEvidence:
    """What exists of a job besides its journal entry."""

    started: bool  # the marker exists
    marker: Marker | None  # its contents, where they are whole
    result: Ended | None
    alive: bool  # a process with the marker's pid and start time runs


def recover_state(entry: JournalEntry, evidence: JobEvidence, boot: str) -> tuple[RunnerJobState, str, str]:
    """The state, the code of a refusal ("" for others), and the reason for people."""
    if entry.end == "refused":
        return RunnerJobState.REFUSED, _now(entry.code), entry.reason
    if evidence.result is not None:
        return RunnerJobState.ENDED, "", ""
    if entry.end == "unsure":
        return RunnerJobState.UNSURE, "", entry.reason
    if entry.boot != boot:
        return (
            RunnerJobState.UNSURE,
            "",
            "the machine was restarted, and nothing on its disk says what became of the job",
        )
    if not evidence.started:
        return RunnerJobState.REFUSED, RESTARTED, "not started: the runner was restarted before its turn"
    if evidence.alive and evidence.marker is not None:
        return (
            RunnerJobState.UNSURE,
            "",
            f"the runner was killed while it ran; process {evidence.marker.pid} is still there, unwatched",
        )
    return RunnerJobState.UNSURE, "", "the runner was killed while it ran, and took the exit status with it"


def _now(code: str) -> str:
    """A refusal by a runner that was being stopped is, once another one runs, one by a runner that was restarted."""
    return RESTARTED if code == STOPPING else code


def recover(
    memory: JournalState,
    evidence: Evidence,
    spool: Spool,
    *,
    boot: str,
    is_alive: Callable[[int, float], bool],
    handed: Container[str] = (),
) -> tuple[list[RunnerJob], list[Record]]:
    """The jobs of the journal but those that are `handed` over, and the records to append for what was decided now."""
    files = evidence.jobs()
    jobs: list[RunnerJob] = []
    records: list[Record] = []
    for job_id, entry in memory.entries.items():
        suffixes = files.pop(job_id, set())
        if job_id in handed:
            continue
        marker = evidence.read_marker(job_id) if STARTED_SUFFIX in suffixes else None
        result = evidence.read_result(job_id) if RESULT_SUFFIX in suffixes else None
        alive = marker is not None and marker.boot == boot and is_alive(marker.pid, marker.since_boot)
        found = JobEvidence(STARTED_SUFFIX in suffixes, marker, result, alive)
        state, code, reason = recover_state(entry, found, boot)
        if not entry.end and state is RunnerJobState.REFUSED:
            records.append(("refuse", job_id, entry.plan_hash, entry.not_after, entry.boot, STOPPING, reason))
        elif not entry.end and state is RunnerJobState.UNSURE:
            records.append(("unsure", job_id, reason))
        job = RunnerJob(job_id, entry.plan_hash, entry.not_after, state, code=code, reason=reason, on_disk=True)
        if marker is not None:
            job.pid, job.started_at = marker.pid, marker.at
        if state is RunnerJobState.ENDED and result is not None:
            job.ended = result if entry.boot == boot else _surviving_result(result, evidence)
        if OUTPUT_SUFFIX in suffixes:
            spool.adopt(job_id, evidence.size(job_id, OUTPUT_SUFFIX))
        jobs.append(job)
        log.info("job.found", job=job_id, state=state, reason=reason)
    return jobs, records


def _surviving_result(ended: Ended, evidence: Evidence) -> Ended:
    """The result with only as many chunks as the machine's crash left whole."""
    chunks = count_chunks(evidence, ended.job, ended.chunks)
    return ended if chunks == ended.chunks else without_chunks(ended, chunks)


def remove_orphans(memory: JournalState, evidence: Evidence, limits: RunnerLimits, now: float) -> None:
    """Removes the files of forgotten jobs. A marker without a journal entry stays, as a fence, for as long as an order
    can be valid.
    """
    for job_id, suffixes in evidence.jobs().items():
        if job_id in memory.entries:
            continue
        over = evidence.modified_at(job_id, STARTED_SUFFIX) + limits.max_expiry_ahead + limits.tombstone_ttl < now
        if over or job_id in memory.tombstones or STARTED_SUFFIX not in suffixes:
            try:
                evidence.remove(job_id)
            except OSError as error:  # a disk that became read-only: they are removed after a later start
                log.warning("job.files_left", job=job_id, error=error)
