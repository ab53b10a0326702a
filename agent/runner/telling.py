"""What to tell the hub next. Nothing is queued: a message is made from its job's state when the socket has room.

So a slow or stuck uplink costs no memory, and after a reconnect the story goes on from the point that the hub names.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from agent.runner.evidence import Evidence
from agent.runner.jobs import Job, State, Tale
from agent.runner.limits import Limits
from agent.runner.spool import find_chunk, read_chunk
from common.messages import CHUNK_BYTES, Accepted, Ended, Message, Output, Refused, Started, Unsure


class Teller:
    """Which jobs have news, taken in turn; and notices, the few words that belong to no job."""

    def __init__(self, evidence: Evidence, limits: Limits) -> None:
        self._evidence = evidence
        self._limits = limits
        self._news: dict[str, Job] = {}
        self._notices: deque[Message] = deque()
        self.listening = False  # an uplink is there and the hub has said what it knows

    def reset(self) -> None:
        """The uplink is gone, or another has come: silence until the hub has answered the report."""
        self.listening = False
        self._news.clear()
        self._notices.clear()

    def news(self, job: Job) -> None:
        """Something about the job may be worth a message."""
        if self.listening and not job.tale.muted:
            self._news[job.id] = job

    def notice(self, message: Message) -> None:
        """Something to say once; without an uplink, or with too many waiting, it is not said."""
        if self.listening and len(self._notices) < self._limits.max_notices:
            self._notices.append(message)

    def begin(self, job: Job, chunk: int) -> None:
        """The hub knows the job and wants its output from `chunk` on: tell everything from there."""
        job.tale = tale = Tale()
        tale.next = max(1, min(chunk, job.chunks + 1))
        tale.offset, _ = find_chunk(self._evidence, job.id, tale.next) if tale.next > 1 else (0, 1)
        self.news(job)

    def again(self, job: Job) -> None:
        """The hub asks again: repeat the facts. Output that is under way is not repeated."""
        if job.tale.muted:
            self.begin(job, 1)
        job.tale.accepted = job.tale.started = job.tale.over = False
        self.news(job)

    def mute(self, job: Job) -> None:
        """The hub does not know the job: no word about it."""
        job.tale = Tale(muted=True)
        self._news.pop(job.id, None)

    def forget(self, job: Job) -> None:
        self._news.pop(job.id, None)

    @property
    def has_news(self) -> bool:
        return bool(self._news or self._notices)

    def next(self) -> Message | None:
        """The next message to send; None where there is nothing to say or credit is missing."""
        if not self.listening:
            return None
        if self._notices:
            return self._notices.popleft()
        while self._news:
            job_id, job = next(iter(self._news.items()))
            del self._news[job_id]
            if (message := self._of(job)) is not None:
                self._news[job_id] = job  # at the end: the jobs take turns
                return message
        return None

    def _of(self, job: Job) -> Message | None:
        tale = job.tale
        if tale.over or job.state is State.WRITING:
            return None
        if job.state is State.REFUSED:
            tale.over = True
            return Refused(job.id, job.code, job.reason)
        if job.state is State.UNSURE:
            tale.over = True
            return Unsure(job.id, job.reason)
        if not tale.accepted:
            tale.accepted = True
            return Accepted(job.id, job.plan_hash)
        if not tale.started and job.pid:
            tale.started = True
            return Started(job.id, job.pid, job.started_at)
        return self._output_or_end(job)

    def _output_or_end(self, job: Job) -> Message | None:
        tale, cut = job.tale, False
        if tale.next <= job.chunks:
            if tale.in_flight and tale.in_flight + CHUNK_BYTES > self._limits.window:
                return None
            chunk = read_chunk(self._evidence, job.id, tale.offset)
            if chunk is not None:
                seq = tale.next
                tale.sent(len(chunk.data), chunk.size)
                return Output(job.id, seq, chunk.stream, chunk.data, chunk.at)
            cut = True  # dropped to make room, or lost with a disk
        if job.ended is None:
            return None
        tale.over = True
        return _shortened(job.ended, tale.next - 1) if cut else job.ended


def _shortened(ended: Ended, chunks: int) -> Ended:
    return replace(ended, chunks=chunks, truncated=True)
