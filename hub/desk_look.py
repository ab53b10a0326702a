"""The room for looking: lists and single things, once. What is followed as it changes is in `desk_live`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from common.filter_fields import View
from common.lifecycle import JobState, RequestState
from common.version import VERSION
from hub.audit import Link, to_event
from hub.authority import VERBS, may
from hub.consoles import BadCall, Caller
from hub.desk_args import (
    MAX_LIMIT,
    Args,
    Office,
    filter_of,
    integer,
    job_of,
    limit_of,
    request_of,
    states,
    text,
)
from hub.find_output import find
from hub.records import Event
from hub.roster import AgentList, Roster
from hub.rows import short
from hub.store.boards import jobs_by_agent
from hub.store.jobs import JOB
from hub.store.requests import REQUEST
from hub.store.verbs import Txn
from hub.store.windows import Listing, NoSort
from hub.views import agent_view, event_view, fitting, job_view, request_view

CHUNKS: Final = 12
"""Chunks of output in one answer or push."""
MAX_NEEDLE: Final = 200
RIGHTS: Final = {
    "kill": "cancel",
    "approve": "approve",
    "reject": "run",
    "targets": "machines",
    "broadcast": "run",
    "take_back": "cancel",
    "jobs": "jobs",
    "requests": "jobs",
    "agents": "machines",
    "models": "machines",
}
"""Verbs whose right has another name."""


class LookRoom:
    def __init__(self, office: Office, known: Callable[[], Iterable[str]]) -> None:
        """`known` gives the names of all verbs, for whoami."""
        self._office = office
        self._known = known

    async def whoami(self, caller: Caller, args: Args) -> Any:
        """Who I am and what I may; `verbs` has every verb of this hub, so a console knows what an older one lacks."""
        office = self._office
        office.allow(caller, "whoami")
        roles = office.people.roles(caller.person)
        rights = {verb: RIGHTS.get(verb, verb) for verb in [*sorted(self._known()), "kill"]}
        return {
            "person": caller.person,
            "roles": list(roles),
            "hub": office.hub_id,
            "version": VERSION,
            "now": office.clock(),
            "verbs": {
                verb: {"may": right not in VERBS or may(roles, right), "role": VERBS.get(right, "")}
                for verb, right in rights.items()
            },
        }

    async def requests(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "jobs")
        wanted, limit, before = states(args, RequestState), limit_of(args), integer(args, "before")
        if "filter" in args:
            return await self._listed(caller, args, "requests", limit)
        found = await self._office.store.read(
            lambda txn: txn.requests(states=wanted, limit=limit, before_number=before)
        )
        return fitting(request_view(request) for request in found)

    async def request(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "jobs")

        def unit(txn: Txn) -> Any:
            found = request_of(txn, args)
            view = request_view(found, txn.jobs_of(found.id))
            view["approvals"] = [
                {
                    "person": given.person,
                    "granted": given.granted,
                    "via": given.via,
                    "at": given.at,
                    "reason": given.reason,
                    "second_factor": given.second_factor,
                }
                for given in txn.approvals(found.id)
            ]
            return view

        return await self._office.store.read(unit)

    async def jobs(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "jobs")
        wanted, limit = states(args, JobState), limit_of(args)
        agent, person, before = text(args, "agent"), text(args, "person"), text(args, "before")
        if "filter" in args:
            return await self._listed(caller, args, "jobs", limit)

        def unit(txn: Txn) -> Any:
            found = txn.jobs(
                states=wanted, agent=agent or None, person=person or None, limit=limit, before_id=before or None
            )
            requests = {job.request_id: txn.request(job.request_id) for job in found}
            return fitting(job_view(job, requests[job.request_id]) for job in found)

        return await self._office.store.read(unit)

    async def _listed(self, caller: Caller, args: Args, view: View, limit: int) -> Any:
        """Jobs, requests or events that fit a filter, from the position `lo` on."""
        try:
            listing = Listing(filter_of(args, view, caller.person), text(args, "sort"))
        except NoSort as error:
            raise BadCall(f"sort: there is no {short(str(error))!r} to sort by here") from None
        lo, now = integer(args, "lo", 0) or 0, self._office.clock()

        def unit(txn: Txn) -> Any:
            rows = txn.window(listing, lo, limit, now)
            if view == "requests":
                return fitting(map(request_view, REQUEST.records(rows)))
            if view == "audit":
                return fitting(_numbered(txn, to_event(Link(*row))) for row in rows)
            jobs = JOB.records(rows)
            requests = {job.request_id: txn.request(job.request_id) for job in jobs}
            return fitting(job_view(job, requests[job.request_id]) for job in jobs)

        return await self._office.store.read(unit)

    async def job(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "jobs")
        after = integer(args, "after") or 0

        def unit(txn: Txn) -> Any:
            found = job_of(txn, text(args, "id"))
            view = job_view(found, txn.request(found.request_id))
            view["output"] = [
                {"seq": chunk.seq, "stream": chunk.stream, "data": chunk.data, "at": chunk.at}
                for chunk in txn.chunks(found.id, after_seq=after, limit=CHUNKS)
            ]
            return view

        return await self._office.store.read(unit)

    async def search_output(self, caller: Caller, args: Args) -> Any:
        """Lines of a job's output that have a text in them; upper and lower case alike."""
        self._office.allow(caller, "jobs")
        needle = text(args, "text", MAX_NEEDLE)
        if not needle:
            raise BadCall("text: what to search for is expected")

        def unit(txn: Txn) -> Any:
            found = job_of(txn, text(args, "job"))
            matches, more = find(txn.chunks(found.id, limit=100_000), needle)
            return {"job": found.id, "matches": matches, "more": more}

        return await self._office.store.read(unit)

    async def agents(self, caller: Caller, args: Args) -> Any:
        office = self._office
        office.allow(caller, "machines")
        if "filter" in args:
            return await self._filtered_agents(caller, args)
        after = text(args, "after")
        found = [agent for agent in office.fleet.agents() if agent.name > after][:MAX_LIMIT]

        queued, running = await office.store.read(jobs_by_agent)
        return fitting(
            agent_view(
                agent,
                online=office.fleet.online(agent.name),
                vitals=office.fleet.vitals.get(agent.name),
                queued=queued.get(agent.name, 0),
                running=running.get(agent.name, 0),
            )
            for agent in found
        )

    async def _filtered_agents(self, caller: Caller, args: Args) -> Any:
        """Machines that fit a filter, from the position `lo` on."""
        office = self._office
        roster = Roster(office.fleet)
        try:
            listed = AgentList(roster, office.fleet, filter_of(args, "agents", caller.person), text(args, "sort"))
        except NoSort as error:
            raise BadCall(f"sort: there is no {short(str(error))!r} to sort by here") from None
        roster.queued, roster.running = await office.store.read(jobs_by_agent)
        rows, _, _ = listed.window(integer(args, "lo", 0) or 0, limit_of(args), office.clock())
        return fitting(row.told for row in rows)

    async def queue(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "jobs")

        def unit(txn: Txn) -> Any:
            depth, oldest = txn.queue_stats()
            paused = txn.queue_paused()
            until = txn.queue_paused_until()
            told = {"by": paused[0], "at": paused[1], "reason": paused[2], "until": until} if paused else None
            counts = txn.job_counts()
            return {"depth": depth, "oldest": oldest, "states": counts, "paused": told, "now": self._office.clock()}

        return await self._office.store.read(unit)

    async def audit(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "audit")
        after, limit = integer(args, "after") or 0, limit_of(args)
        if "filter" in args:
            return await self._listed(caller, args, "audit", limit)
        subject, kind = text(args, "subject") or None, text(args, "kind") or None
        events = await self._office.store.read(
            lambda txn: txn.events(after_seq=after, limit=limit, subject=subject, kind_prefix=kind)
        )
        return fitting(map(event_view, events))


def _numbered(txn: Txn, event: Event) -> dict[str, Any]:
    """An event with the number of the request that it is about, where it is about one or a job of one."""
    about = txn.job(event.subject) if event.kind.startswith("job.") else txn.request(event.subject)
    return event_view(event) | ({"number": about.number} if about is not None else {})
