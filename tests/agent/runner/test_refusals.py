"""agent.runner.refusals"""

from __future__ import annotations

import time

import pytest

from agent.boot import since_boot
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.order_life import OrderLife
from agent.runner.process import CannotEnter
from agent.runner.programs import CannotRun
from agent.runner.real_paths import PathRefused
from agent.runner.refusals import check_expiry, disk_refusal, preparation_refusal, spawn_failure


def job(ahead: float, ahead_boot: float) -> RunnerJob:
    until = time.time() + ahead
    life = OrderLife(until, until_boot=since_boot() + ahead_boot, until_wall=until)
    return RunnerJob("J", "hash", until, RunnerJobState.ACCEPTED, life=life)


def test_a_job_has_expired_by_either_clock() -> None:
    """A wall clock that was set back does not make its time longer."""
    assert check_expiry(job(60, 60)) is None
    for late in (job(-2, 60), job(60, -2)):
        refusal = check_expiry(late)
        assert refusal is not None
        assert refusal.code == "expired"


def test_what_was_found_before_the_start_is_said_in_one_sentence() -> None:
    """The program's own reason, a shortage, a file system that does not answer; what nobody expects is raised."""
    for error in (CannotRun("why"), PathRefused("why"), CannotEnter("why")):
        refusal = preparation_refusal(error, 5.0)
        assert (refusal.code, refusal.reason) == ("program", "why")
    short = preparation_refusal(OSError(24, "Too many open files"), 5.0)
    assert (short.code, short.reason) == ("busy", "this machine is short of something: Too many open files")
    assert "has not answered within 5 s" in preparation_refusal(TimeoutError(), 5.0).reason
    with pytest.raises(ZeroDivisionError):
        preparation_refusal(ZeroDivisionError(), 5.0)


def test_a_start_that_failed_is_an_end_and_a_full_disk_tells_what_still_goes() -> None:
    """Behind its marker a job has failed; before it, it is refused with the cure."""
    started = job(60, 60)
    started.started_at = 100.0
    end = spawn_failure(started, "no\nsuch file", 0.5)
    assert (end.outcome, end.exit_code, end.started_at, end.ended_at) == ("failed", None, 100.0, 100.5)
    assert "df" in disk_refusal("the journal", OSError(28, "No space left on device")).reason
