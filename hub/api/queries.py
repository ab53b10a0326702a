"""Queries: lists and single records, once. What is followed as it changes is in `hub.api.subscriptions`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from common.api.agents import AgentView, VitalsView
from common.api.arguments import NoArgs, RequestArgs
from common.api.events import EventView
from common.api.jobs import JobDetails, JobView, OutputMatches
from common.api.overview import QueuePause, QueueView
from common.api.queries import (
    MAX_LIMIT,
    AgentsArgs,
    AuditArgs,
    Filtered,
    JobArgs,
    JobsArgs,
    RequestsArgs,
    SearchOutputArgs,
    VitalsArgs,
)
from common.api.requests import ApprovalView, RequestDetails, RequestView
from common.catalogue import Language, Sentence
from common.filter.fields import ViewName
from common.lifecycle import RequestState
from hub.api.agent_list import AgentList, AgentRowCache
from hub.api.context import ApiContext
from hub.api.following import MAX_CHUNKS
from hub.api.lookup import find_job, find_request, parse_filter, unknown_sort
from hub.api.output_search import search
from hub.api.views import (
    agent_view,
    chunk_views,
    event_view,
    extend,
    fit_items,
    job_of_request,
    request_details,
    request_view,
)
from hub.core.audit_chain import AuditRow, to_event
from hub.core.records import Agent, Approval, AuditEvent, Job, Request
from hub.core.vitals_history import SLOT
from hub.engine.snapshot import WorldSnapshot
from hub.engine.standing_approvals import StandingApprovals
from hub.links.console import Caller, InvalidArguments
from hub.storage import StorageState
from hub.store.jobs import JOB
from hub.store.lists import ListQuery, UnknownSort
from hub.store.overview import count_jobs_by_agent
from hub.store.requests import REQUEST
from hub.store.transaction import Txn

_BY_NUMBER: Final = re.compile(r"(?:^|\s)seq:(\d{1,15})(?:\s|$)", re.ASCII)
"""The filter that asks for one event."""


class QueryHandlers:
    def __init__(self, context: ApiContext, storage: StorageState | None = None) -> None:
        self._context = context
        self._storage = storage

    # ---- requests

    async def requests(self, caller: Caller, args: RequestsArgs) -> tuple[RequestView, ...]:
        if args.filter is not None:
            listing, now = _listing("requests", args, args.filter, caller), self._context.clock()
            rows = await self._context.store.read(lambda txn: txn.list_rows(listing, args.lo, args.limit, now))
            return fit_items(map(request_view, REQUEST.from_rows(rows)))
        found = await self._context.store.read(
            lambda txn: txn.requests(states=args.states, limit=args.limit, before_number=args.before)
        )
        return fit_items(map(request_view, found))

    async def request(self, caller: Caller, args: RequestArgs) -> RequestDetails:
        world, standing, away = self._context.engine.units.world(), self._context.actions.standing, self._away

        def read(txn: Txn) -> RequestDetails:
            found = find_request(txn, args)
            return _with_terms(_request_details(txn, found, away), found, world, standing)

        return await self._context.store.read(read)

    # ---- jobs

    @property
    def _away(self) -> Mapping[str, float]:
        return self._context.fleet.snapshot.away

    async def jobs(self, caller: Caller, args: JobsArgs) -> tuple[JobView, ...]:
        if args.filter is not None:
            listing, now = _listing("jobs", args, args.filter, caller), self._context.clock()
            return await self._context.store.read(
                lambda txn: _job_views(txn, JOB.from_rows(txn.list_rows(listing, args.lo, args.limit, now)), self._away)
            )
        return await self._context.store.read(
            lambda txn: _job_views(
                txn,
                txn.jobs(
                    states=args.states,
                    agent=args.agent or None,
                    person=args.person or None,
                    limit=args.limit,
                    before_id=args.before or None,
                ),
                self._away,
            )
        )

    async def job(self, caller: Caller, args: JobArgs) -> JobDetails:
        return await self._context.store.read(lambda txn: _job_details(txn, args, self._away))

    async def search_output(self, caller: Caller, args: SearchOutputArgs) -> OutputMatches:
        """Lines of a job's output that have a text in them; upper and lower case are alike."""
        return await self._context.store.read(lambda txn: _search_output(txn, args))

    # ---- machines and the queue

    async def agents(self, caller: Caller, args: AgentsArgs) -> tuple[AgentView, ...]:
        fleet = self._context.fleet
        if args.filter is not None:
            return await self._filtered_agents(caller, args, args.filter)
        found = [agent for agent in fleet.agents() if agent.name > args.after][:MAX_LIMIT]
        queued, running = await self._context.store.read(count_jobs_by_agent)
        ends = await self._context.store.read(lambda txn: txn.certificate_ends("agent"))

        def view(agent: Agent) -> AgentView:
            made = agent_view(
                agent,
                online=fleet.online(agent.name),
                vitals=fleet.vitals.get(agent.name),
                queued=queued.get(agent.name, 0),
                running=running.get(agent.name, 0),
            )
            return replace(made, certificate_until=ends.get(agent.name))

        return fit_items(map(view, found))

    async def _filtered_agents(self, caller: Caller, args: AgentsArgs, text: str) -> tuple[AgentView, ...]:
        """The rows of the followed list, from the position `lo` on."""
        fleet = self._context.fleet
        rows = AgentRowCache(fleet)
        wanted = parse_filter("agents", text, caller.person, args.language)
        try:
            listed = AgentList(rows, fleet, wanted, args.sort)
        except UnknownSort as error:
            raise unknown_sort(error) from None
        rows.queued, rows.running = await self._context.store.read(count_jobs_by_agent)
        return fit_items(listed.views(args.lo, args.limit, self._context.clock()))

    async def vitals(self, caller: Caller, args: VitalsArgs) -> VitalsView:
        fleet, now = self._context.fleet, self._context.clock()
        if fleet.agent(args.agent) is None:
            raise InvalidArguments(Sentence("no_machine_named", {"agent": args.agent}).render(args.language))
        found = fleet.history.samples(args.agent, now)
        return VitalsView(
            agent=args.agent, slot=SLOT, until=now, load=found["load1"], memory=found["memory"], rtt=found["rtt"]
        )

    async def queue(self, caller: Caller, args: NoArgs) -> QueueView:
        now = self._context.clock()
        view = await self._context.store.read(lambda txn: _queue_view(txn, now))
        told = "" if self._storage is None else self._storage.sentence(args.language)
        return replace(view, storage=told or None)

    # ---- the audit

    async def audit(self, caller: Caller, args: AuditArgs) -> tuple[EventView, ...]:
        if args.filter is not None:
            listing, now = _listing("audit", args, args.filter, caller), self._context.clock()
            return await self._context.store.read(lambda txn: _listed_events(txn, listing, args, now))
        return await self._context.store.read(lambda txn: _events(txn, args))


def _listing(view: ViewName, args: Filtered, text: str, caller: Caller) -> ListQuery:
    wanted = parse_filter(view, text, caller.person, args.language)
    try:
        return ListQuery(wanted, args.sort)
    except UnknownSort as error:
        raise unknown_sort(error) from None


def _request_details(txn: Txn, found: Request, away: Mapping[str, float]) -> RequestDetails:
    approvals = tuple(map(_approval_view, txn.approvals(found.id)))
    return replace(request_details(found, txn.jobs_of(found.id), away), approvals=approvals)


def _with_terms(
    details: RequestDetails, found: Request, world: WorldSnapshot, standing: StandingApprovals
) -> RequestDetails:
    """With what an approval of it takes, and for how long one may be given."""
    if found.state is not RequestState.ASKING:
        return details
    critical = world.is_critical(found)
    longest = 0.0 if critical else standing.longest(found)
    uses = standing.settings.allow_uses if longest else 0
    return replace(details, critical=critical, allow_for=longest, allow_uses=uses)


def _approval_view(given: Approval) -> ApprovalView:
    return ApprovalView(
        person=given.person,
        granted=given.granted,
        via=given.via,
        at=given.at,
        reason=given.reason,
        second_factor=given.second_factor,
    )


def _job_views(txn: Txn, jobs: Iterable[Job], away: Mapping[str, float]) -> tuple[JobView, ...]:
    found = list(jobs)
    requests = {request_id: txn.request(request_id) for request_id in {job.request_id for job in found}}
    return fit_items(job_of_request(job, requests[job.request_id], away) for job in found)


def _job_details(txn: Txn, args: JobArgs, away: Mapping[str, float]) -> JobDetails:
    found = find_job(txn, args.id)
    view = job_of_request(found, txn.request(found.request_id), away)
    chunks = txn.chunks(found.id, after_seq=args.after or 0, limit=MAX_CHUNKS)
    return extend(JobDetails, view, output=chunk_views(chunks))


def _search_output(txn: Txn, args: SearchOutputArgs) -> OutputMatches:
    found = find_job(txn, args.job)
    matches, more = search(txn.chunks(found.id, limit=100_000), args.text)
    return OutputMatches(job=found.id, matches=matches, more=more)


def _queue_view(txn: Txn, now: float) -> QueueView:
    depth, oldest = txn.queue_stats()
    pause = txn.queue_paused()
    paused = None
    if pause is not None:
        paused = QueuePause(by=pause[0], at=pause[1], reason=pause[2], until=txn.queue_paused_until())
    states = {state.value: count for state, count in txn.job_counts().items()}
    return QueueView(depth=depth, oldest=oldest, states=states, paused=paused, now=now)


def _events(txn: Txn, args: AuditArgs) -> tuple[EventView, ...]:
    if args.after is not None:
        _refuse_archived(txn, max(0, args.after) + 1, args.language)
    subject, kind = args.subject or None, args.kind or None
    events = txn.events(after_seq=args.after or 0, limit=args.limit, subject=subject, kind_prefix=kind)
    return fit_items(map(event_view, events))


def _refuse_archived(txn: Txn, seq: int, language: Language) -> None:
    """Events that were asked for by number and are in the archive: said, not left out."""
    first = txn.first_event()
    if seq < first:
        values = {"seq": seq, "last": first - 1, "file": txn.archived().file}
        raise InvalidArguments(Sentence("audit_archived", values).render(language))


def _listed_events(txn: Txn, listing: ListQuery, args: AuditArgs, now: float) -> tuple[EventView, ...]:
    rows = txn.list_rows(listing, args.lo, args.limit, now)
    if not rows and (asked := _BY_NUMBER.search(args.filter or "")) is not None:
        _refuse_archived(txn, int(asked[1]), args.language)
    return fit_items(_with_request_number(txn, to_event(AuditRow(*row))) for row in rows)


def _with_request_number(txn: Txn, event: AuditEvent) -> EventView:
    """An event with the number of the request that it is about, where it is about one or a job of one."""
    about = txn.job(event.subject) if event.kind.startswith("job.") else txn.request(event.subject)
    return event_view(event, about.number if about is not None else None)
