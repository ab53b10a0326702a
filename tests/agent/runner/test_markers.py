"""agent.runner.markers: made once; without one only a job that runs from memory goes on"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.reserve import Reserve
from agent.runner.evidence import AlreadyStarted, Evidence
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.markers import create_marker

JOB = "01J00000000000000000000000"


def test_a_marker_is_made_once_and_missed_only_by_what_runs_from_memory(tmp_path: Path) -> None:
    """Trust: a job starts once. A folder that is gone takes no marker."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    evidence, reserve = Evidence(descriptor), Reserve(descriptor)
    job = RunnerJob(JOB, "", 0.0, RunnerJobState.ACCEPTED)
    made = create_marker(job, evidence, reserve)
    assert made is not None
    os.close(made)
    with pytest.raises(AlreadyStarted):
        create_marker(job, evidence, reserve)
    (folder / f"{JOB}.started").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        create_marker(job, evidence, reserve)
    job.from_memory = True
    assert create_marker(job, evidence, reserve) is None
    os.close(descriptor)
