"""agent.runner.recover"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runner.evidence import OUTPUT_SUFFIX, RESULT_SUFFIX, STARTED_SUFFIX, Evidence, Marker, write_marker
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.journal import JournalEntry, JournalState, Record
from agent.runner.limits import RunnerLimits
from agent.runner.recover import JobEvidence, recover, recover_state, remove_orphans
from agent.runner.spool import OutputWriter, Spool
from common.link.messages import REFUSAL_CODES, Ended

JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
MARKER = Marker("now", 42, 1_000.5, 7.25)
ENDED = Ended(JOB, "succeeded", 0, None, "", 2, 10, "ab" * 32, False, 1.0, 2.0, 0.1, 0.2, 0)
NOTHING = JobEvidence(started=False, marker=None, result=None, alive=False)


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[Evidence]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield Evidence(folder)
    os.close(folder)


def found(evidence: Evidence, memory: JournalState, *, alive: bool = False) -> tuple[list[RunnerJob], list[Record]]:
    return recover(memory, evidence, Spool(evidence, 1 << 30), boot="now", is_alive=lambda pid, at: alive)


def accepted(boot: str = "now") -> JournalState:
    return JournalState("j1", entries={JOB: JournalEntry("hash", 100.0, boot)})


@pytest.mark.parametrize("boot", ["now", "before"])
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("alive", [False, True])
def test_every_combination_has_its_one_state(boot: str, started: bool, ended: bool, alive: bool) -> None:
    """The table of the module, cell by cell; nothing is ever left to be started."""
    marker = MARKER if started else None
    state, code, reason = recover_state(
        JournalEntry("hash", 100.0, boot),
        JobEvidence(started, marker, ENDED if ended else None, alive and started),
        "now",
    )
    if ended:
        assert state is RunnerJobState.ENDED
    elif boot == "now" and not started:
        assert state is RunnerJobState.REFUSED
        assert code in REFUSAL_CODES
        assert reason
    else:
        assert state is RunnerJobState.UNSURE
        assert reason
        assert ("42" in reason) == (boot == "now" and alive)


def test_what_was_told_before_stays_as_it_was() -> None:
    """A refusal and an unknown do not change with the next restart, not even under another boot."""
    refused = JournalEntry("hash", 100.0, "before", "refused", "policy", "no")
    assert recover_state(refused, NOTHING, "now") == (RunnerJobState.REFUSED, "policy", "no")
    unsure = JournalEntry("hash", 100.0, "before", "unsure", "", "who knows")
    assert recover_state(unsure, NOTHING, "now") == (RunnerJobState.UNSURE, "", "who knows")


def test_a_result_is_believed_even_after_an_unknown() -> None:
    """Evidence is better than the word that there is none."""
    entry = JournalEntry("hash", 100.0, "before", "unsure", "", "who knows")
    assert recover_state(entry, JobEvidence(True, None, ENDED, False), "now")[0] is RunnerJobState.ENDED


def test_what_is_decided_is_to_be_journalled(evidence: Evidence) -> None:
    """Accepted and never started: refused, in memory and in the record; what was decided earlier is not repeated."""
    memory = accepted()
    jobs, records = found(evidence, memory)
    assert [(job.state, job.code) for job in jobs] == [(RunnerJobState.REFUSED, "restarted")]
    assert len(records) == 1
    for record in records:
        memory.apply(record)
    assert memory.entries[JOB].code == "stopping"  # which an older runner that reads it knows too
    jobs, records = found(evidence, memory)
    assert (jobs[0].code, jobs[0].may_come_again, jobs[0].on_disk, records) == ("restarted", True, True, [])


def test_a_job_that_ended_comes_back_with_its_story(evidence: Evidence) -> None:
    """Pid and start from the marker, the end from the result, the output under the quota."""
    file = evidence.create_marker(JOB)
    write_marker(file, MARKER)
    os.close(file)
    evidence.save_result(ENDED)
    spool = Spool(evidence, 1 << 30)
    output = OutputWriter(Spool(evidence, 1 << 30), JOB, 100)
    output.write(1, b"x", 0.0)
    output.flush(0.0, 0.0)
    output.close()
    jobs, records = recover(accepted(), evidence, spool, boot="now", is_alive=lambda pid, at: False)
    assert records == []
    assert (jobs[0].state, jobs[0].pid, jobs[0].started_at, jobs[0].ended) == (RunnerJobState.ENDED, 42, 1_000.5, ENDED)
    assert spool.used == output.size


def test_a_started_job_without_a_result_is_unsure(evidence: Evidence) -> None:
    """An empty marker is enough to make it so."""
    os.close(evidence.create_marker(JOB))
    jobs, records = found(evidence, accepted(), alive=True)
    assert jobs[0].state is RunnerJobState.UNSURE
    assert records == [("unsure", JOB, jobs[0].reason)]


def test_after_a_crash_of_the_machine_lost_chunks_are_owned_up_to(evidence: Evidence) -> None:
    """The result says two chunks, the disk has kept one: the end stands, its output is marked as cut."""
    os.close(evidence.create_marker(JOB))
    evidence.save_result(ENDED)
    output = OutputWriter(Spool(evidence, 1 << 30), JOB, 100)
    output.write(1, b"x", 0.0)
    output.flush(0.0, 0.0)
    output.close()
    jobs, _ = found(evidence, accepted("before"))
    assert jobs[0].ended is not None
    assert (jobs[0].ended.chunks, jobs[0].ended.truncated, jobs[0].ended.outcome) == (1, True, "succeeded")


def test_files_of_forgotten_jobs_are_swept(evidence: Evidence) -> None:
    """A crash between tombstone and removal leaves files that the next start takes away."""
    os.close(evidence.create_marker(JOB))
    evidence.save_result(ENDED)
    os.close(evidence.create_marker(OTHER))
    memory = JournalState("j1", entries={OTHER: JournalEntry("hash", 100.0, "now")}, tombstones={JOB: 100.0})
    remove_orphans(memory, evidence, RunnerLimits(), now=0.0)
    assert evidence.jobs() == {OTHER: {STARTED_SUFFIX}}


def test_a_marker_that_nothing_explains_stays_a_fence(evidence: Evidence, tmp_path: Path) -> None:
    """With the journal lost, a marker still keeps its job from running again, until no order can be that old."""
    os.close(evidence.create_marker(JOB))
    os.close(evidence.create(OTHER, OUTPUT_SUFFIX))
    limits = RunnerLimits()
    made = (tmp_path / f"{JOB}{STARTED_SUFFIX}").stat().st_mtime
    remove_orphans(JournalState("j2"), evidence, limits, now=made + limits.max_expiry_ahead)
    assert evidence.jobs() == {JOB: {STARTED_SUFFIX}}
    remove_orphans(JournalState("j2"), evidence, limits, now=made + limits.max_expiry_ahead + limits.tombstone_ttl + 1)
    assert evidence.jobs() == {}


def test_an_unreadable_result_is_no_result(evidence: Evidence, tmp_path: Path) -> None:
    """Half a file after a crash leaves the job unsure."""
    os.close(evidence.create_marker(JOB))
    (tmp_path / f"{JOB}{RESULT_SUFFIX}").write_bytes(b"\0" * 100)
    jobs, _ = found(evidence, accepted())
    assert jobs[0].state is RunnerJobState.UNSURE


def test_a_job_that_was_handed_over_is_left_alone(evidence: Evidence) -> None:
    """It waits, or runs, in this very process: nothing is decided about it from what the disk says."""
    jobs, records = recover(
        accepted(), evidence, Spool(evidence, 1), boot="now", is_alive=lambda pid, at: True, handed={JOB}
    )
    assert (jobs, records) == ([], [])
