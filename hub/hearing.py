"""What a machine says, heard inside one store unit: facts about its jobs, their output, and the report that puts its
journal beside the hub's rows.

Who speaks is who the certificate names: a word about a job that is not that machine's changes nothing, and is written
down as odd, a few times a minute at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from common.lifecycle import JOB_ENDS, JobState
from common.messages import Accepted, Ended, Output, Refused, Report, Resync, Started, Unsure
from common.plan import MAX_OUTPUT_CAP
from hub import job as jobs_of_hub
from hub.change import Change
from hub.limits import Refusals
from hub.records import Chunk, Job

AgentWord = Accepted | Refused | Started | Output | Ended | Unsure | Report

MAX_NAMED: Final = 20  # jobs that nobody knows, named in one audit row
MAX_ID: Final = 40  # characters that are kept of what a machine calls a job, its journal or its boot
ODD_ROWS: Final = 5  # audit rows a minute for one machine's words about jobs that are not its own


@dataclass(slots=True)
class AgentAnswers:
    """What the hub says back to an agent once its facts are committed."""

    resync: Resync | None = None
    open: tuple[str, ...] = ()  # the machine's jobs that are under way, where a report was answered
    credits: dict[str, int] = field(default_factory=dict)
    forgets: list[str] = field(default_factory=list)
    cancels: list[tuple[str, bool]] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)


class Ears:
    """Hears words into changes; remembers only how many odd ones each machine has said of late."""

    def __init__(self) -> None:
        self._odd = Refusals(ODD_ROWS)

    def hear(self, change: Change, agent: str, words: Sequence[AgentWord], answers: AgentAnswers) -> None:
        for word in words:
            if isinstance(word, Report):
                _reconcile(change, agent, word, answers)
            else:
                self._hear(change, agent, word, answers)

    def _hear(
        self,
        change: Change,
        agent: str,
        word: Accepted | Refused | Started | Output | Ended | Unsure,
        answers: AgentAnswers,
    ) -> None:
        job = change.txn.job(word.job)
        if job is None or job.agent != agent:
            for row in self._odd.note(agent, "foreign", word.job[:MAX_ID], change.now):
                data = {"said": type(word).__name__, "count": row.count}
                change.txn.audit("job.foreign", row.remote, row.inlet, data, change.now)
            return
        if isinstance(word, Output):
            _take_output(change, job, word)
            answers.credits[job.id] = max(answers.credits.get(job.id, 0), word.seq)
            return
        if isinstance(word, Started) and job.leased_at is not None:
            change.effects.stages.append(("start", max(0.0, change.now - job.leased_at)))
        change.job(job, word, agent)
        if isinstance(word, Ended):
            answers.credits.pop(job.id, None)


def _take_output(change: Change, job: Job, chunk: Output) -> None:
    """Stores a chunk once. What is more than any machine may keep of a job's output is not the hub's to keep either."""
    if job.state in JOB_ENDS or not chunk.data:
        return
    size = job.output_bytes + len(chunk.data)
    if size > MAX_OUTPUT_CAP:
        if not job.truncated:
            change.txn.save_job(job, replace(job, truncated=True))
            change.txn.audit("job.output_over", job.id, job.agent, {"limit": MAX_OUTPUT_CAP}, change.now)
    elif change.txn.add_chunk(Chunk(job.id, chunk.seq, chunk.stream, chunk.data, chunk.at)):
        change.txn.save_job(job, replace(job, output_bytes=size, chunks=job.chunks + 1))
        change.effects.changed.add(job.id)


def _reconcile(change: Change, agent: str, report: Report, answers: AgentAnswers) -> None:
    """The machine's journal against the hub's rows, after anything that broke the session (delivery S6 to S13)."""
    journal = report.journal[:MAX_ID]
    wanted: dict[str, int] = {}
    under_way: list[str] = []
    open_jobs = change.txn.open_jobs(agent)
    for job in open_jobs:
        if job.id in report.open:
            wanted[job.id] = change.txn.output_seq(job.id) + 1
            if job.state is not JobState.UNKNOWN:
                under_way.append(job.id)
        elif job.journal and job.journal != journal:
            change.job(
                job, jobs_of_hub.Lose("the machine's journal is another one: its memory of this job is gone"), "hub"
            )
        elif job.state is JobState.LEASED:
            change.job(job, jobs_of_hub.Release(), "hub")
            change.effects.wake.add(agent)
        elif job.state is not JobState.UNKNOWN:
            change.job(job, jobs_of_hub.Lose("the machine has no record of this job any more"), "hub")
    forget = _over(change, agent, report, wanted)
    cancel = tuple(job.id for job in open_jobs if job.id in wanted and job.cancel_asked_at is not None)
    before = change.txn.agent(agent)
    if before is not None:
        boot = report.boot[:MAX_ID]
        change.txn.save_agent(before, replace(before, journal=journal, boot=boot, last_seen=change.now))
    answers.resync = Resync(jobs=wanted, forget=tuple(forget), cancel=cancel)
    answers.open = tuple(under_way)
    change.txn.audit("agent.reported", agent, agent, {"open": len(report.open), "wanted": len(wanted)}, change.now)


def _over(change: Change, agent: str, report: Report, wanted: dict[str, int]) -> list[str]:
    """The reported jobs whose end is committed: the machine may forget them. What nobody knows is written down."""
    forget: list[str] = []
    unheard: list[str] = []
    for job_id, stage in report.open.items():
        if job_id in wanted:
            continue
        stored = change.txn.job(job_id)
        if stored is not None and stored.agent == agent and stored.state in JOB_ENDS:
            forget.append(job_id)
        else:
            unheard.append(f"{job_id[:MAX_ID]} {stage}")
    if unheard:
        data = {"count": len(unheard), "jobs": unheard[:MAX_NAMED]}
        change.txn.audit("job.unheard_of", agent, agent, data, change.now)
    return forget
