"""agent.runner.job_table: paused, told, taken over. Whole hand-overs are in test_upgrade.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agent.runner import job_table
from agent.runner.evidence import Evidence
from agent.runner.hand_over import HandOver
from agent.runner.job_table import LOST_ON_THE_WAY, JobTable
from agent.runner.jobs import RunnerJobState
from agent.runner.journal import Journal
from agent.runner.limits import RunnerLimits
from agent.runner.spool import Spool
from tests.agent.runner.test_hand_over import a_table


class Loop:
    """What of the event loop these calls need."""

    def call_later(self, delay: float, call: Any, *args: Any) -> None:
        """No timer comes here."""

    def time(self) -> float:
        return 5.0


def a_job_table(folder: Path, limits: RunnerLimits | None = None) -> tuple[JobTable, Journal, list[str]]:
    changes: list[str] = []
    limits = limits or RunnerLimits()
    journal = Journal(folder / "journal", limits, 0.0, lambda call: call())
    evidence = Evidence(os.open(folder, os.O_RDONLY))
    table = JobTable(
        loop=Loop(),  # type: ignore[arg-type]
        limits=limits,
        boot="boot",
        local_policy=None,  # type: ignore[arg-type]
        journal=journal,
        evidence=evidence,
        spool=Spool(evidence, 1 << 20),
        reserve=None,  # type: ignore[arg-type]
        orphans=None,
        spawner=None,  # type: ignore[arg-type]
        empty=-1,
        on_change=lambda: changes.append("change"),
    )
    return table, journal, changes


def test_a_program_that_is_no_child_of_ours_is_unsure(home: Any, tmp_path: Path) -> None:
    """P4: the table names a process, and the kernel does not know it as ours: nothing is made up about its end."""
    table, journal, _ = a_job_table(tmp_path)
    handed = a_table(home)
    pipes = {}
    runs = []
    for run in handed.runs:
        out, end = os.pipe()
        os.close(end)
        pipes[run.job] = out
        runs.append(job_table.HandedRun(**{name: getattr(run, name) for name in run.__slots__} | {"pipes": {out: 1}}))
    alone = [run for run in runs if run.exit is None]
    jobs = tuple(job for job in handed.jobs if job.state is not RunnerJobState.STARTED or job.id == alone[0].job)
    table.take_over(
        HandOver("1.0", "boot", "", 3, 4, 17.5, (), (), jobs, tuple(run for run in runs if run.exit is None))
    )
    journal.close()
    job = table.jobs[alone[0].job]
    assert (job.state, job.reason) == (RunnerJobState.UNSURE, LOST_ON_THE_WAY)
    assert journal.state.id
    states = {job.state for job in table.jobs.values()}
    assert states == {RunnerJobState.UNSURE, RunnerJobState.ACCEPTED, RunnerJobState.ENDED, RunnerJobState.REFUSED}


def test_a_look_that_cannot_be_left_behind_keeps_the_program(tmp_path: Path) -> None:
    """A thread that waits for a file system would keep execve waiting as well, with every job unwatched."""
    table, journal, _ = a_job_table(tmp_path)
    assert table.why_not() == ""
    table._looks._threads = 1  # one was given up, and has not ended
    assert "a file system does not answer" in table.why_not()
    journal.close()


def test_what_the_program_before_had_received_is_known_to_the_next(tmp_path: Path) -> None:
    """Trust: one holder of a name. Its stamps end with it, and the next one reports that: the hub hands out again what
    was on its way between the two.
    """
    table, journal, _ = a_job_table(tmp_path)
    stamp = table.stamp().id
    handed = table.hand_over("1.0", 3, 4)
    assert handed.ended == (stamp,)
    (tmp_path / "next").mkdir()
    again, other, _ = a_job_table(tmp_path / "next")
    again.take_over(handed)
    assert again.stamp().ended == (stamp,)
    for each in (journal, other):
        each.close()


def test_paused_is_until_it_goes_on(tmp_path: Path) -> None:
    """It is settled where nothing is on its way to the disk."""
    table, journal, changes = a_job_table(tmp_path)
    table.pause()
    assert table.is_settled
    journal.append(on_done=lambda error: None, now=0.0)
    journal.close()
    assert table.is_settled
    table.go_on()
    assert changes == ["change"]
