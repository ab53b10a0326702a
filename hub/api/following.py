"""Subscriptions to one job's output, to a request, and to the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.api import rights
from common.api.codec import encode
from common.api.events import in_activity
from common.api.subscriptions import OutputPush
from common.api.versions import VIEW_VERSIONS
from common.api.work import FollowPush, JobChunk
from common.catalogue import Sentence
from common.lifecycle import JOB_TERMINAL, REQUEST_TERMINAL
from hub.api.notifications import Notifications
from hub.api.subscription import Access, PersonSubscription
from hub.api.views import chunk_views, event_view, fit_items, request_details
from hub.core.records import Job, Request, StoredChunk
from hub.links.console import Caller, InvalidArguments
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_CHUNKS: Final = 12
"""Chunks of output in one answer or push."""
MAX_EVENTS: Final = 200
OUTPUT_INTERVAL: Final = 0.1
WATCH_INTERVAL: Final = 0.1
"""The audit has several rows a message: those who watch get them ten times a second, and not one by one."""
FOLLOW_INTERVAL: Final = 0.03
"""Seconds between two pushes on a request that goes on. A command of a few milliseconds passes five states, and to push
each delays the next. The end does not wait.
"""


class _Followed(PersonSubscription):
    """A subscription that `Notifications` knows while it lasts."""

    def __init__(
        self, caller: Caller, access: Access, store: Store, notifications: Notifications, min_interval: float = 0.0
    ) -> None:
        super().__init__(caller, access, min_interval)
        self._store = store
        self._notifications = notifications

    def close(self) -> None:
        self._notifications.remove(self)


class OutputSubscription(_Followed):
    """The chunks of a job behind the seq `after`, until the job has ended and all are sent."""

    def __init__(
        self, caller: Caller, access: Access, store: Store, notifications: Notifications, job_id: str, after: int
    ) -> None:
        super().__init__(caller, access, store, notifications, OUTPUT_INTERVAL)
        self._job_id = job_id
        self._sent_seq = after
        self._sent_state: tuple[bool, int, bool] | None = None
        notifications.add(self, [job_id])

    async def read(self) -> Any | None:
        job, chunks = await self._store.read(self._read_next)
        if job is None:
            self.ended = True
            return None
        if chunks:
            self._sent_seq = chunks[-1].seq
        if len(chunks) == MAX_CHUNKS:
            self.poll_now()
        self.ended = len(chunks) < MAX_CHUNKS and job.state in JOB_TERMINAL
        state = (self.ended, job.output_bytes, job.truncated)
        if not chunks and state == self._sent_state:
            return None
        self._sent_state = state
        push = OutputPush(
            chunks=chunk_views(chunks),
            ended=self.ended,
            state=job.state.value,
            total_bytes=job.output_bytes,
            truncated=job.truncated,
            version=VIEW_VERSIONS["output"],
        )
        return encode(push)

    def _read_next(self, txn: Txn) -> tuple[Job | None, list[StoredChunk]]:
        return txn.job(self._job_id), txn.chunks(self._job_id, after_seq=self._sent_seq, limit=MAX_CHUNKS)


class FollowSubscription(_Followed):
    """A request, its jobs, and the next of their output. Where the jobs are too many for one push, it has those that
    have changed since they were last sent.
    """

    def __init__(
        self, caller: Caller, access: Access, store: Store, notifications: Notifications, request_id: str
    ) -> None:
        super().__init__(caller, access, store, notifications, FOLLOW_INTERVAL)
        self._request_id = request_id
        self._sent_jobs: dict[str, Job] = {}
        self._sent_seqs: dict[str, int] = {}  # job -> the last chunk that was sent
        notifications.add(self, [request_id])

    async def read(self) -> Any | None:
        request, jobs, chunks = await self._store.read(
            lambda txn: read_followed(txn, self._request_id, self._sent_seqs)
        )
        details, changed = request_details(request, jobs), jobs
        if len(details.jobs) < len(jobs):
            changed = [job for job in jobs if self._sent_jobs.get(job.id) != job]
            details = request_details(request, changed)
        sent = changed[: len(details.jobs)]
        self._sent_jobs.update((job.id, job) for job in sent)
        self._sent_seqs.update((chunk.job, chunk.seq) for chunk in chunks)
        self._notifications.add(self, [job.id for job in sent])
        more = len(chunks) == MAX_CHUNKS or len(changed) > len(sent)
        self.dirty = self.dirty or more
        self.ended = not more and request.state in REQUEST_TERMINAL
        push = FollowPush(request=details, output=tuple(chunks), ended=self.ended, version=VIEW_VERSIONS["follow"])
        return encode(push)


def read_followed(txn: Txn, request_id: str, sent_seqs: Mapping[str, int]) -> tuple[Request, list[Job], list[JobChunk]]:
    """A request, its jobs, and the next chunks of their output behind those that were sent."""
    request = txn.request(request_id)
    if request is None:
        raise InvalidArguments(str(Sentence("no_request", {"what": request_id})))
    jobs = txn.jobs_of(request_id)
    chunks: list[JobChunk] = []
    for job in jobs:
        sent = sent_seqs.get(job.id, 0)
        if job.chunks > sent:
            chunks += [
                JobChunk(job=job.id, agent=job.agent, seq=chunk.seq, stream=chunk.stream, data=chunk.data)
                for chunk in txn.chunks(job.id, after_seq=sent, limit=MAX_CHUNKS - len(chunks))
            ]
        if len(chunks) == MAX_CHUNKS:
            break
    return request, jobs, chunks


class WatchSubscription(_Followed):
    """The events of the audit behind the seq `after`: all of it for those who may read the audit, else the activity."""

    def __init__(self, caller: Caller, access: Access, store: Store, notifications: Notifications, after: int) -> None:
        super().__init__(caller, access, store, notifications, WATCH_INTERVAL)
        self._sent_seq = after
        notifications.add_every_commit(self)

    async def read(self) -> Any | None:
        events = await self._store.read(lambda txn: txn.events(after_seq=self._sent_seq, limit=MAX_EVENTS))
        views = fit_items(map(event_view, events))
        if not views:
            return None
        self._sent_seq = views[-1].seq
        if len(views) < len(events) or len(events) == MAX_EVENTS:
            self.poll_now()
        if not rights.AUDIT.held_by(self._access.roles(self._caller.person)):
            views = tuple(view.without_audit() for view in views if in_activity(view.kind))
        return encode(views) if views else None
