"""The jobs as a table that one program hands to the next within one process: paused, told, and taken over.

Paused, nothing is started; what runs goes on, with its time limit, and its output is read. Nothing is told before all
that is on its way to the disk is there, so what the next one reads there and what it is handed are of one moment.
"""

from __future__ import annotations

import os
from typing import Final

from agent import log
from agent.runner.hand_over import HandedRun, HandOver, why_not
from agent.runner.job_manager import JobManager
from agent.runner.jobs import RunnerJob, RunnerJobState
from agent.runner.output_pipeline import OutputPipeline
from agent.runner.spool import OutputWriter

LOST_ON_THE_WAY: Final = "the runner was upgraded while it ran, and the new program could not go on with it"


class JobTable(JobManager):
    """`pause`, wait until `is_settled`, then `hand_over`, and either this process becomes another or `go_on`."""

    def pause(self) -> None:
        """Starts nothing more for now."""
        self._paused = True

    def go_on(self) -> None:
        self._paused = False
        self._start_next()
        self._on_change()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way to the disk, and no start is being looked at."""
        return not self._journal.pending_count and not len(self._looks)

    def why_not(self) -> str:
        """Why another program must not take over now; "" where it may."""
        if self._looks.threads > len(self._looks):
            return "a file system does not answer, and what waits for it cannot be left behind: unmount it first"
        return why_not(
            journal_sound=self._journal.is_sound or not self.jobs,
            memory_bytes=self._spool.memory_used,
            jobs=[job for job in self.jobs.values() if job.state is not RunnerJobState.WRITING],
        )

    def hand_over(self, version: str, lock: int, listener: int) -> HandOver:
        """The document, for a table that is paused and settled."""
        lineage = self._journal.lineage
        told, drains = self.supervisor.orphans.hand_over()
        runs = self.supervisor.hand_over()
        self._confirmations.stamps.end_all()
        return HandOver(
            version=version,
            boot=self._boot,
            life="" if lineage is None else lineage.id,
            lock=lock,
            listener=listener,
            hub_ahead=self._confirmations.hub_ahead,
            told=told,
            drains=drains,
            jobs=tuple(job for job in self.jobs.values() if job.state is not RunnerJobState.WRITING),
            runs=tuple(runs),
            ended=self._confirmations.stamps.ended,
        )

    def take_over(self, handed: HandOver) -> None:
        """Goes on with the table of the program before this one."""
        self._confirmations.hub_ahead = handed.hub_ahead
        self._confirmations.stamps.take_over(handed.ended)
        self.supervisor.orphans.resume(handed.told, handed.drains)
        runs = {run.job: run for run in handed.runs}
        for job in handed.jobs:
            self.adopt(job)
            if job.state is RunnerJobState.STARTED:
                self._resume(job, runs[job.id])
            elif job.state is RunnerJobState.ACCEPTED:
                self._wait_for_turn(job)
            elif size := self._evidence.output_size(job.id):
                self._spool.adopt(job.id, size)
        self._start_next()

    def _resume(self, job: RunnerJob, run: HandedRun) -> None:
        filters = OutputPipeline(job.order.filters) if job.order is not None and job.order.filters else None
        try:
            if filters is not None:
                filters.restore(run.filters or ())
            job.output = OutputWriter.resume(self._spool, job.id, run.output)
            self.supervisor.resume(job, run, job.output, filters)
        except (OSError, ValueError, TypeError) as error:
            log.error("job.not_resumed", job=job.id, error=error)
            job.output = None
            for pipe in run.pipes:
                self.supervisor.orphans.drain(pipe)  # closed by us alone it would kill the program at its next output
                os.close(pipe)
            self._set_unsure(job, LOST_ON_THE_WAY)
            return
        log.info("job.resumed", job=job.id, pid=run.pid)
