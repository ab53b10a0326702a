"""The room for following: subscriptions, whose pushes say what is true now.

view       view, filter?, sort?, lo?, n?, replace?   a window of a list, see `hub.live`
overview   replace?                                  lanes, what needs a person, fleet, hub
output     job, after?, replace?                     a job's output as it comes
follow     number | id                               a request, which of its jobs changed, their output, until it ends
watch      after?                                    the audit as it grows
unsubscribe  id                                      ends one
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from common.catalogue import Sentence
from common.errors import Refused
from common.lifecycle import JOB_ENDS, REQUEST_ENDS
from hub.change import Effects
from hub.consoles import BadCall, Caller, Subscription
from hub.desk_args import Args, Office, filter_of, integer, job_of, language_of, request_of, text
from hub.desk_look import CHUNKS
from hub.desk_pick import RIGHT_TO_LOOK, view_of
from hub.live import MAX_ROWS
from hub.overview import Overview
from hub.records import Job, Request
from hub.rows import short
from hub.store.verbs import Txn
from hub.store.windows import NoSort
from hub.views import event_view, fitting, request_view
from hub.watching import Query, Watching

MAX_LO: Final = 10_000_000
OUTPUT_EVERY: Final = 0.1
WATCHED: Final = 200


class LiveRoom:
    def __init__(self, office: Office, watching: Watching, overview: Overview) -> None:
        self._office = office
        self._watching = watching
        self._overview = overview

    def _begin(self, caller: Caller, args: Args, subscription: Subscription) -> None:
        """Starts a subscription in the place of the one that `replace` names."""
        replaced = integer(args, "replace")
        if replaced is not None:
            caller.link.unsubscribe(replaced)
        try:
            caller.link.subscribe(subscription)
        except BadCall:
            subscription.dropped()
            raise

    async def unsubscribe(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "whoami")
        identity = integer(args, "id")
        if identity is None:
            raise BadCall("id: a subscription's is expected")
        caller.link.unsubscribe(identity)
        return {"id": identity}

    async def view(self, caller: Caller, args: Args) -> Any:
        view = view_of(args)
        self._office.allow(caller, RIGHT_TO_LOOK[view])
        n = integer(args, "n", 1, MAX_ROWS)
        query = Query(
            filter_of(args, view, caller.person),
            text(args, "sort", 40),
            integer(args, "lo", 0, MAX_LO) or 0,
            100 if n is None else n,
        )
        try:
            subscription = self._watching.watch(caller.link, caller.call, query)
        except NoSort as error:
            raise BadCall(f"sort: there is no {short(str(error))!r} to sort by here") from None
        self._while_may(caller, RIGHT_TO_LOOK[view], subscription)
        self._begin(caller, args, subscription)
        return {"id": subscription.id}

    async def overview(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "jobs")
        subscription = self._overview.watch(caller.link, caller.call, language_of(args))
        self._while_may(caller, "jobs", subscription)
        self._begin(caller, args, subscription)
        return {"id": subscription.id}

    def _while_may(self, caller: Caller, verb: str, subscription: Subscription) -> None:
        """A right that is taken away ends what was begun with it."""
        look = subscription.look

        async def allowed() -> Any:
            try:
                self._office.allow(caller, verb)
            except Refused as error:
                subscription.ended = True
                return {"error": str(error)}
            return await look()

        subscription.look = allowed

    async def output(self, caller: Caller, args: Args) -> Any:
        """Chunks behind `after`, as they come: {"chunks", "ended", "total_bytes", "truncated"}. Any number of consoles
        may follow one job, each from its own place; older pages are asked for by `job`.
        """
        self._office.allow(caller, "jobs")
        job = await self._office.store.read(lambda txn: job_of(txn, text(args, "job")))
        heard = [integer(args, "after", 0) or 0]
        told: list[Any] = []

        async def look() -> Any:
            current, chunks = await self._office.store.read(
                lambda txn: (txn.job(job.id), txn.chunks(job.id, after_seq=heard[0], limit=CHUNKS))
            )
            if current is None:
                subscription.ended = True
                return None
            if chunks:
                heard[0] = chunks[-1].seq
            if len(chunks) == CHUNKS:
                subscription.at_once()
            subscription.ended = len(chunks) < CHUNKS and current.state in JOB_ENDS
            state = [subscription.ended, current.output_bytes, current.truncated]
            if not chunks and state == told:
                return None
            told[:] = state
            return {
                "chunks": [{"seq": one.seq, "stream": one.stream, "data": one.data, "at": one.at} for one in chunks],
                "ended": subscription.ended,
                "state": current.state.value,
                "total_bytes": current.output_bytes,
                "truncated": current.truncated,
            }

        subscription = Subscription(
            caller.call, look, wants=lambda effects: job.id in effects.changed, every=OUTPUT_EVERY
        )
        self._while_may(caller, "jobs", subscription)
        self._begin(caller, args, subscription)
        return {"id": subscription.id, "job": job.id}

    async def follow(self, caller: Caller, args: Args) -> Any:
        """Each push has the request, its jobs, and the next of their output. Where the jobs are too many for one push,
        it has those that are other than when they were last told.
        """
        office = self._office
        office.allow(caller, "jobs")
        request = await office.store.read(lambda txn: request_of(txn, args))
        told: dict[str, Job] = {}
        heard: dict[str, int] = {}  # job -> the last chunk that was sent

        async def look() -> Any:
            current, jobs, chunks = await office.store.read(lambda txn: _news(txn, request.id, heard))
            view, news = request_view(current, jobs), jobs
            if len(view["jobs"]) < len(jobs):
                news = [job for job in jobs if told.get(job.id) != job]
                view = request_view(current, news)
            told.update((job.id, job) for job in news[: len(view["jobs"])])
            heard.update((chunk["job"], chunk["seq"]) for chunk in chunks)
            more = len(chunks) == CHUNKS or len(news) > len(view["jobs"])
            subscription.dirty = subscription.dirty or more
            subscription.ended = not more and current.state in REQUEST_ENDS
            return {"request": view, "output": chunks, "ended": subscription.ended}

        def wants(effects: Effects) -> bool:
            return request.id in effects.changed or not told.keys().isdisjoint(effects.changed)

        subscription = Subscription(caller.call, look, wants)
        self._while_may(caller, "jobs", subscription)
        caller.link.subscribe(subscription)
        return {"id": request.id, "number": request.number}

    async def watch(self, caller: Caller, args: Args) -> Any:
        office = self._office
        office.allow(caller, "watch")
        start = integer(args, "after")
        if start is not None:
            office.allow(caller, "audit")  # what was before now is the audit's to tell
        head = (await office.store.read(lambda txn: txn.audit_head()))[0]
        mark = [head if start is None else start]

        async def look() -> Any:
            events = await office.store.read(lambda txn: txn.events(after_seq=mark[0], limit=WATCHED))
            views = fitting(map(event_view, events))
            if not views:
                return None
            mark[0] = views[-1]["seq"]
            subscription.dirty = subscription.dirty or len(views) < len(events) or len(events) == WATCHED
            return views

        subscription = Subscription(caller.call, look=look, wants=lambda effects: True)
        self._while_may(caller, "watch", subscription)
        caller.link.subscribe(subscription)
        return {"after": mark[0]}


def _news(txn: Txn, request_id: str, heard: Mapping[str, int]) -> tuple[Request, list[Job], list[dict[str, Any]]]:
    """A request, its jobs, and the next chunks of their output behind those that were heard."""
    request = txn.request(request_id)
    if request is None:
        raise BadCall(str(Sentence("no_request", {"what": request_id})))
    jobs = txn.jobs_of(request_id)
    chunks: list[dict[str, Any]] = []
    for job in jobs:
        if job.chunks > heard.get(job.id, 0):
            for chunk in txn.chunks(job.id, after_seq=heard.get(job.id, 0), limit=CHUNKS - len(chunks)):
                told = {"job": job.id, "agent": job.agent, "seq": chunk.seq, "stream": chunk.stream}
                chunks.append({**told, "data": chunk.data})
        if len(chunks) == CHUNKS:
            break
    return request, jobs, chunks
