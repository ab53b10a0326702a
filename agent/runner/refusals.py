"""What is said of a job that could not be started: before its start marker a refusal, after it an end."""

from __future__ import annotations

import time
from typing import Final

from agent.boot import since_boot
from agent.runner.jobs import RunnerJob, clean_reason
from agent.runner.journal import Record
from agent.runner.process import CannotEnter
from agent.runner.programs import CannotRun
from agent.runner.read_only import only_reads
from agent.runner.spool import EMPTY_DIGEST
from agent.runner.verify import OrderRefusal
from common.link.messages import Ended

STOPPED: Final = OrderRefusal("stopping", "not started: the runner was stopped before its turn")


def refuse_record(job: RunnerJob, refusal: OrderRefusal, boot: str) -> Record:
    """What the journal keeps of a refusal."""
    return ("refuse", job.id, job.plan_hash, job.not_after, boot, refusal.code, clean_reason(refusal.reason))


def disk_refusal(what: str, error: OSError) -> OrderRefusal:
    """Says what still can be done on a machine whose disk takes no record of a job."""
    cure = "what only reads can be run (df, du, ls, ps, journalctl), and so can this once the disk can be written again"
    return OrderRefusal("disk", f"{what}: {error.strerror}; {cure}")


def may_run_from_memory(job: RunnerJob) -> bool:
    """Whether the job may be started although no disk takes a record of it."""
    return job.order is not None and only_reads(job.order.argv)


def check_expiry(job: RunnerJob) -> OrderRefusal | None:
    """Refuses a job whose time is over (`order_life`)."""
    over = job.life.over(time.time(), since_boot())
    return OrderRefusal("expired", f"its time ended {over:.1f} s before its turn to start") if over > 0 else None


def preparation_refusal(error: Exception, timeout: float) -> OrderRefusal:
    """Why a job was not started, from what was raised by the look before its start; raises what nobody expects."""
    match error:
        case TimeoutError():
            why = f"a file system that it needs has not answered within {timeout:g} s"
            return OrderRefusal("busy", f"{why}; try again when it does (df, or mount, tell which are there)")
        case CannotRun() | CannotEnter():
            return OrderRefusal("program", str(error))
        case OSError():  # no descriptor left
            return OrderRefusal("busy", f"this machine is short of something: {error.strerror}")
    raise error


def spawn_failure(job: RunnerJob, reason: str, took: float) -> Ended:
    """The end of a job whose program could not be started: its marker exists, so it is reported as failed, not
    refused.
    """
    at = job.started_at
    return Ended(
        job.id, "failed", None, None, clean_reason(reason), 0, 0, EMPTY_DIGEST, False, at, at + took, 0.0, 0.0, 0
    )
