"""The queries of the console on the demo world, and how what a call names is found."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final

from common.api.agents import AgentView, VitalsView
from common.api.arguments import NoArgs, RequestArgs
from common.api.events import EventView
from common.api.inlets import InletView
from common.api.jobs import JobDetails, JobView, OutputChunk
from common.api.models import ModelsView
from common.api.queries import AuditArgs, JobArgs, JobsArgs, Targets, TargetsArgs, VitalsArgs
from common.api.requests import RequestDetails
from tui.client.errors import InvalidCall
from tui.demo.inlets import demo_inlets
from tui.demo.nodes import demo_nodes
from tui.demo.past import HistoricJob
from tui.demo.vitals import demo_vitals
from tui.demo.world import DemoWorld

SAMPLE_SIZE: Final = 8
CHUNKS: Final = 12


class Finder:
    """What calls name, by number, id, the end of an id, or a selection; raises InvalidCall where it is not there."""

    def __init__(self, world: DemoWorld, past: Sequence[HistoricJob]) -> None:
        self._world = world
        self._past = past

    def request(self, args: RequestArgs) -> RequestDetails:
        if args.number is None:
            found = self._world.requests.get(args.id)
        else:
            numbered = (one for one in self._world.requests.values() if one.number == args.number)
            found = next(numbered, None)
        if found is None:
            raise InvalidCall(f"there is no request r{args.number or args.id or None}")
        return found

    def job(self, part: str) -> JobView:
        wanted = part.upper()
        jobs = self._world.jobs
        found = jobs.get(wanted)
        if found is None:
            found = next((job for identity, job in jobs.items() if wanted and identity.endswith(wanted)), None)
        if found is None:
            found = next((job.view() for job in self._past if job.id == wanted), None)
        if found is None:
            raise InvalidCall(f"there is no job {wanted[:40]}")
        return found

    def agents(self, selector: str) -> list[AgentView]:
        """Machines by names, patterns or label=value, separated by commas."""
        found: dict[str, AgentView] = {}
        for part in filter(None, (part.strip() for part in selector.split(","))):
            key, equals, value = part.partition("=")
            found |= {
                name: agent
                for name, agent in self._world.agents.items()
                if (agent.labels.get(key) == value if equals else fnmatch.fnmatchcase(name, part))
            }
        if not found:
            raise InvalidCall(f"no machine is called {selector[:60]}", "write web-1, web-* or role=web")
        return list(found.values())


class Queries:
    """One method a verb."""

    def __init__(self, world: DemoWorld, find: Finder, seed: int) -> None:
        self._world = world
        self._find = find
        self._seed, self._begun = seed, world.now

    def request(self, args: RequestArgs) -> RequestDetails:
        return with_jobs(self._world, self._find.request(args))

    def job(self, args: JobArgs) -> JobDetails:
        job = self._find.job(args.id)
        output, after = self._world.outputs.get(job.id), args.after or 0
        return job_details(job, output.chunks[after : after + CHUNKS] if output else ())

    def jobs(self, args: JobsArgs) -> tuple[JobView, ...]:
        newest = reversed(self._world.jobs.values())
        return tuple(job for job in newest if not args.agent or job.agent == args.agent)[: args.limit]

    def audit(self, args: AuditArgs) -> tuple[EventView, ...]:
        """The events about a request and its jobs, or about anything else by its id; with `after` all later ones."""
        if args.after is not None:
            after = args.after
            return tuple(event for event in self._world.events if event.seq > after)[: args.limit]
        about = {args.subject, *self._world.job_ids.get(args.subject, ())}
        return tuple(event for event in self._world.events if event.subject in about)[-args.limit :]

    def targets(self, args: TargetsArgs) -> Targets:
        found = self._find.agents(args.selector)
        online = sum(1 for agent in found if agent.online)
        return Targets(
            count=len(found),
            online=online,
            offline=len(found) - online,
            paused=sum(1 for agent in found if agent.is_paused),
            sample=tuple(sorted(agent.name for agent in found)[:SAMPLE_SIZE]),
        )

    def vitals(self, args: VitalsArgs) -> VitalsView:
        agent = self._world.agents.get(args.agent)
        if agent is None:
            raise InvalidCall(f"there is no machine {args.agent[:60]}")
        return demo_vitals(agent, self._seed, self._world.now)

    def models(self, args: NoArgs) -> ModelsView:
        return demo_nodes(self._seed, self._world.now - self._begun)

    def inlets(self, args: NoArgs) -> tuple[InletView, ...]:
        return demo_inlets(self._seed, self._begun, self._world.now)


def with_jobs(world: DemoWorld, request: RequestDetails) -> RequestDetails:
    jobs = tuple(world.jobs_of(request.id))
    return replace(request, jobs=jobs, job_count=len(jobs))


def job_details(job: JobView, chunks: Sequence[OutputChunk]) -> JobDetails:
    known = {field.name: getattr(job, field.name) for field in fields(job)}
    return JobDetails(**known, output=tuple(chunks))
