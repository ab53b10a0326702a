"""Asking for work in the demo world: run, retry, take back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from common.api.actions import TakeBackResult
from common.api.arguments import RequestArgs
from common.api.outcome import OK
from common.api.requests import RequestDetails
from common.api.work import RetryArgs, RunArgs, RunResult
from common.command.line import quote_command
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Plan, Step
from tui.client.errors import InvalidCall
from tui.demo.cast import DEMO_USER
from tui.demo.queries import Finder, with_jobs
from tui.demo.world import DemoWorld

REFUSED_PROGRAMS: Final = frozenset({"rm", "shutdown", "reboot", "mkfs", "dd"})


class Work:
    """One method a verb."""

    def __init__(self, world: DemoWorld, find: Finder) -> None:
        self._world = world
        self._find = find

    def run(self, args: RunArgs) -> RunResult:
        found = self._find.agents(args.target)
        if args.expect is not None and args.expect != len(found):
            text = f"that is {len(found)} machines now, not {args.expect}"
            return RunResult(code="selection_changed", text=text, count=len(found))
        names = tuple(sorted(agent.name for agent in found))
        limit = DEFAULT_TIME_LIMIT if args.timeout is None else args.timeout
        try:
            plan = Plan((Step(args.argv, names, time_limit=limit, filters=args.filters),), "operator")
        except BadPlan as error:
            raise InvalidCall(str(error)) from None
        text = f"@{args.target} {quote_command(args.argv, args.filters)}"
        request = self._world.create_request(plan, text, DEMO_USER, "console", None)
        if args.argv[0].rpartition("/")[2] in REFUSED_PROGRAMS:
            self._refuse(request)
        elif args.hold:
            self._hold(request, args.hold)
        return self._made(request.id, text)

    def _refuse(self, request: RequestDetails) -> None:
        """As policy does where no rule allows the program; no job is left."""
        self._world.discard_jobs(request.id)
        program = request.steps[0].argv[0].rpartition("/")[2]
        reason = f"{program} is not in the policy's list of commands; nearest rule: allow-reading"
        self._world.end_request(request, "refused", reason)

    def _hold(self, request: RequestDetails, seconds: float) -> None:
        """Holds the request's jobs back, so that it can be taken back meanwhile."""
        world = self._world
        for job in world.jobs_of(request.id):
            world.store_job(replace(job, not_before=world.now + seconds))
        world.store_request(replace(request, hold=seconds))

    def _made(self, identity: str, text: str) -> RunResult:
        return RunResult(code=OK, text=text, request=with_jobs(self._world, self._world.requests[identity]))

    def retry(self, args: RetryArgs) -> RunResult:
        """The whole request, or one job, of today or of long ago."""
        if args.number is not None:
            request = self._find.request(args)
            steps = [
                Step(step.argv, step.targets, time_limit=step.time_limit, filters=step.filters)
                for step in request.steps
            ]
            parent, number = request.id, request.number
        else:
            job = self._find.job(args.job)
            steps = [Step(job.argv or (), (job.agent,), time_limit=DEFAULT_TIME_LIMIT, filters=job.filters)]
            parent, number = job.id, job.number
        plan, text = Plan(tuple(steps), "operator"), f"retry of r{number}"
        made = self._world.create_request(plan, text, DEMO_USER, "console", None, parent=parent)
        return self._made(made.id, text)

    def take_back(self, args: RequestArgs) -> TakeBackResult:
        world = self._world
        request = self._find.request(args)
        if not (request.is_working and world.now < request.received_at + request.hold):
            text = f"it is too late to take r{request.number} back: cancel it"
            return TakeBackResult(code="too_late", text=text)
        world.end_request(request, "cancelled", f"taken back by {DEMO_USER}", DEMO_USER)
        jobs = world.jobs_of(request.id)
        for job in jobs:
            world.end_job(job, "cancelled", reason=f"taken back by {DEMO_USER}")
        return TakeBackResult(code=OK, text=f"r{request.number} is taken back; nothing has run", count=len(jobs))
