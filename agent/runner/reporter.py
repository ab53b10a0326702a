"""The next message to the hub. Messages are not queued but derived from the jobs' states when the socket has room.

So a slow or stuck uplink costs no memory, and after a reconnect reporting resumes at the point that the hub names.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Mapping

from agent.runner.jobs import ReportCursor, RunnerJob, RunnerJobState, without_chunks
from agent.runner.limits import RunnerLimits
from agent.runner.spool import Spool, find_chunk
from common.link.messages import CHUNK_BYTES, Accepted, Message, Output, Refused, Started, Unsure


class Reporter:
    """The jobs with something to report, taken in turn; and notices, messages that belong to no job."""

    def __init__(self, spool: Spool, limits: RunnerLimits) -> None:
        self._spool = spool
        self._limits = limits
        self._pending: dict[str, RunnerJob] = {}
        self._notices: deque[Message] = deque()
        self.ready = False  # an uplink is attached and the hub has answered the report

    def reset(self) -> None:
        """The uplink has gone or changed: nothing is sent until the hub has answered the next report."""
        self.ready = False
        self._pending.clear()
        self._notices.clear()

    def resync(self, jobs: Iterable[RunnerJob], wanted: Mapping[str, int], reported: Container[str]) -> list[RunnerJob]:
        """The hub has answered the report: of each job it wants the output from a chunk on. Returns those that were in
        the report and that it does not know; one that came after the report is told whole.
        """
        self.ready = True
        unknown = []
        for job in jobs:
            if job.id in wanted:
                self.start_from(job, wanted[job.id])
            elif job.id in reported:
                self.mute(job)
                unknown.append(job)
            else:
                self.start_from(job, 1)
        return unknown

    def enqueue(self, job: RunnerJob) -> None:
        """The job may have something to report."""
        if self.ready and not job.cursor.muted:
            self._pending[job.id] = job

    def enqueue_notice(self, message: Message) -> None:
        """Sends a message once; it is dropped without an uplink or past `max_notices`."""
        if self.ready and len(self._notices) < self._limits.max_notices:
            self._notices.append(message)

    def start_from(self, job: RunnerJob, chunk: int) -> None:
        """The hub knows the job and wants its output from `chunk` (from 1) on: report everything from there."""
        job.cursor = cursor = ReportCursor()
        cursor.next_chunk = max(1, min(chunk, job.chunks + 1))
        if cursor.next_chunk > 1:
            cursor.offset, _ = find_chunk(self._spool.evidence, job.id, cursor.next_chunk)
        self.enqueue(job)

    def resend(self, job: RunnerJob) -> None:
        """The hub dispatched the job again: repeat its state. Output that was sent is not repeated."""
        if job.cursor.muted:
            self.start_from(job, 1)
        job.cursor.accepted = job.cursor.started = job.cursor.ended = False
        self.enqueue(job)

    def mute(self, job: RunnerJob) -> None:
        """The hub does not know the job: report nothing of it."""
        job.cursor = ReportCursor(muted=True)
        self._pending.pop(job.id, None)

    def discard(self, job: RunnerJob) -> None:
        self._pending.pop(job.id, None)

    @property
    def has_pending(self) -> bool:
        return bool(self._pending or self._notices)

    def next_message(self) -> Message | None:
        """The next message to send; None where nothing is pending or the output window is full."""
        if not self.ready:
            return None
        if self._notices:
            return self._notices.popleft()
        while self._pending:
            job_id, job = next(iter(self._pending.items()))
            del self._pending[job_id]
            if (message := self._message_for(job)) is not None:
                self._pending[job_id] = job  # moves to the end: the jobs take turns
                return message
        return None

    def _message_for(self, job: RunnerJob) -> Message | None:
        cursor = job.cursor
        if cursor.ended or job.state is RunnerJobState.WRITING:
            return None
        if job.state is RunnerJobState.REFUSED:
            cursor.ended = True
            return Refused(job.id, job.code, job.reason)
        if job.state is RunnerJobState.UNSURE:
            cursor.ended = True
            return Unsure(job.id, job.reason)
        if not cursor.accepted:
            cursor.accepted = True
            return Accepted(job.id, job.plan_hash)
        if not cursor.started and job.pid:
            cursor.started = True
            return Started(job.id, job.pid, job.started_at)
        return self._output_or_end(job)

    def _output_or_end(self, job: RunnerJob) -> Message | None:
        cursor, cut = job.cursor, False
        if cursor.next_chunk <= job.chunks:
            if cursor.in_flight and cursor.in_flight + CHUNK_BYTES > self._limits.output_window:
                return None
            chunk = self._spool.read(job.id, cursor.next_chunk, cursor.offset)
            if chunk is not None:
                seq = cursor.next_chunk
                cursor.record_sent(len(chunk.data), chunk.size)
                return Output(job.id, seq, chunk.stream, chunk.data, chunk.at)
            cut = True  # dropped to make room, or lost with a disk
        if job.ended is None:
            return None
        cursor.ended = True
        return without_chunks(job.ended, cursor.next_chunk - 1) if cut else job.ended
