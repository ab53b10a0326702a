"""A machine's report of its journal beside the hub's own rows, after anything that broke the session. Pure.

the hub's open job is in the report         the agent goes on reporting it, from the output that is stored
it is not, and it waited for our word       released: it was started nowhere without that
it is not, and it had our word              released where the report tells its stamp among those that have ended: this
                                            runner, and no other, had the word, and starts nothing by it any more
                                            released where it left over the connection over which the report of a
                                            later runner of that journal has come: one uplink is at its end, and the
                                            runner that had the word is dead, for the later one holds its lock and has
                                            read its journal
                                            otherwise unknown: a runner that was started since, here or on a copy of the
                                            journal, cannot know what was begun by the word
it is not, and the journal is another one   unknown: the machine's memory of the job is gone
it is not, and the job was only leased      released: back into the queue (machines that do not wait for our word)
it is not, and it had been accepted         unknown: the machine has no record of it any more
the report names a job whose end is stored  the machine may forget it, also where the row was deleted since
it names as refused one that came back      nothing: it is in the queue, and will be handed out again
the report names any other job              written down in the audit
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.lifecycle import JOB_TERMINAL, JobState
from common.link.lineage import parse_lineage
from common.link.messages import Report
from hub.core.job import MarkUnknown, Release
from hub.core.records import Job

MAX_ID: Final = 40
"""Characters that are stored of what a machine calls a job, its journal or its boot."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What follows from a report; all but `moves` are job ids."""

    wanted: tuple[str, ...]  # the agent goes on reporting them
    under_way: tuple[str, ...]  # the wanted ones that take up the machine's room
    cancel: tuple[str, ...]  # the wanted ones that were asked to stop, maybe unheard
    moves: tuple[tuple[Job, MarkUnknown | Release], ...]
    forget: tuple[str, ...]  # their end is committed
    unknown: tuple[str, ...]  # no rows of this machine: id, cut, and the stage that the machine gives


def reconcile(
    agent: str,
    report: Report,
    open_jobs: Sequence[Job],
    others: Mapping[str, Job],
    deleted: Collection[str] = (),
    sent: Collection[str] = (),
) -> Reconciliation:
    """`open_jobs` are the machine's jobs that have not ended, `others` the rows of those reported jobs that are not
    among them, where there is a row; `deleted` the machine's jobs whose rows were kept long enough after their end;
    `sent` the jobs whose orders left over the connection over which the report came, and over no other.
    """
    journal = report.journal[:MAX_ID]
    wanted = [job for job in open_jobs if job.id in report.open]
    moves = [(job, move) for job in open_jobs if (move := _move_of_missing(job, report, journal, sent)) is not None]
    known = {job.id for job in wanted}
    forget: list[str] = []
    unknown: list[str] = []
    for job_id, stage in report.open.items():
        if job_id in known:
            continue
        row = others.get(job_id)
        if job_id in deleted or (row is not None and row.agent == agent and row.state in JOB_TERMINAL):
            forget.append(job_id)
        elif row is not None and row.agent == agent and row.state is JobState.QUEUED and stage == "refused":
            continue  # it came back: the machine keeps that until it has the job again, or the job has ended
        else:
            unknown.append(f"{job_id[:MAX_ID]} {stage}")
    return Reconciliation(
        wanted=tuple(job.id for job in wanted),
        under_way=tuple(job.id for job in wanted if job.state is not JobState.UNKNOWN),
        cancel=tuple(job.id for job in wanted if job.cancel_asked_at is not None),
        moves=tuple(moves),
        forget=tuple(forget),
        unknown=tuple(unknown),
    )


def _move_of_missing(job: Job, report: Report, journal: str, sent: Collection[str]) -> MarkUnknown | Release | None:
    """What becomes of an open job that the report does not name; None where it names it, or nothing changes."""
    if job.id in report.open:
        return None
    if job.is_held or (job.state is JobState.LEASED and job.stamp and job.stamp in report.ended):
        return Release()
    if job.state is JobState.LEASED and job.stamp:
        if job.id in sent and job.journal == journal and _is_after(report, job.life):
            return Release()
        return MarkUnknown("the order was on its way to a runner that has ended since: nobody knows whether it began")
    if job.journal and job.journal != journal:
        return MarkUnknown("the machine's journal is another one: its memory of this job is gone")
    if job.state is JobState.LEASED:
        return Release()
    if job.state is not JobState.UNKNOWN:
        return MarkUnknown("the machine has no record of this job any more")
    return None


def _is_after(report: Report, life: str) -> bool:
    """Whether the runner that reports was started on the journal of the runner of this life, after it."""
    told = parse_lineage(report.life)
    return told is not None and told.came_after(life)
