"""The room for asking for work: a command, or one more time what was run. Policy decides on each."""

from __future__ import annotations

import shlex
from typing import Any, Final

from common.catalogue import Language, Sentence
from common.errors import Refused
from common.lifecycle import JOB_SETTLED, REQUEST_ENDS, RequestState
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Plan, Step
from hub.acts import new_request
from hub.change import Change
from hub.consoles import BadCall, Caller
from hub.desk_args import Args, Office, integer, job_of, language_of, number, request_of, text, words
from hub.machines import MAX_TARGETS, NoTarget, resolve
from hub.plan.outcome import Planned
from hub.records import Job, Request
from hub.store.verbs import Txn
from hub.views import request_view

MAX_HOLD: Final = 60.0
MAX_BROADCAST: Final = 10_000
"""Machines that one command goes to, where the number was typed."""


class AskRoom:
    def __init__(self, office: Office) -> None:
        self._office = office

    async def run(self, caller: Caller, args: Args) -> Any:
        """A new request with exactly this command. `expect` is the number of machines that a person saw and typed:
        where the selection means another number now, nothing is asked. `hold` keeps the jobs back for so many seconds,
        in which `take_back` undoes it.
        """
        language = language_of(args)
        if (no := self._no_right(caller, "run")) is not None:
            return no
        argv, target = words(args, "argv"), text(args, "target", 8_192)
        expect, hold = integer(args, "expect", 1, MAX_BROADCAST), number(args, "hold", 0.0, MAX_HOLD) or 0.0
        try:
            most = MAX_TARGETS if expect is None else MAX_BROADCAST
            targets = resolve(target, self._office.fleet.inventory, most)
            if expect is not None and expect != len(targets):
                values = {"count": len(targets), "expected": expect}
                changed = Sentence("selection_changed", values).say(language)
                return {"code": "selection_changed", "text": changed, "count": len(targets)}
            limit = integer(args, "timeout")
            time_limit = DEFAULT_TIME_LIMIT if limit is None else limit
            plan = Plan((Step(tuple(argv), targets, cwd=text(args, "cwd"), time_limit=time_limit),), source="operator")
        except NoTarget as error:
            raise BadCall(error.sentence.say(language)) from None
        except BadPlan as error:
            raise BadCall(str(error)) from None
        return await self._ask(caller, plan, f"@{target} {shlex.join(argv)}", language, "", hold)

    async def retry(self, caller: Caller, args: Args) -> Any:
        """The same again, as a new request with a parent."""
        if (no := self._no_right(caller, "retry")) is not None:
            return no
        request, job = await self._office.store.read(lambda txn: _what(txn, args))
        if request.plan is None:
            return self._no("retry_no_plan", "no_plan", args, {"number": request.number})
        if job is None:
            if request.state not in REQUEST_ENDS:
                return self._no("retry_not_ended", "not_ended", args, {"what": f"r{request.number}"})
            plan = Plan(request.plan.steps, "operator", request.plan.ttl, request.plan.tainted)
        else:
            if job.state not in JOB_SETTLED:
                return self._no("retry_not_ended", "not_ended", args, {"what": job.id})
            step = request.plan.steps[job.step]
            again = Step(step.argv, (job.agent,), step.cwd, step.env, step.time_limit, step.output_cap)
            plan = Plan((again,), "operator", request.plan.ttl, request.plan.tainted)
        parent = job.id if job is not None else request.id
        return await self._ask(caller, plan, f"retry of r{request.number}", language_of(args), parent, 0.0)

    def _no(self, key: str, code: str, args: Args, values: dict[str, Any]) -> dict[str, Any]:
        return {"code": code, "text": Sentence(key, values).say(language_of(args))}

    def _no_right(self, caller: Caller, verb: str) -> dict[str, Any] | None:
        try:
            self._office.allow(caller, verb)
        except Refused as error:
            return {"code": "no_right", "text": str(error)}
        return None

    async def _ask(
        self, caller: Caller, plan: Plan, said: str, language: Language, parent: str, hold: float
    ) -> dict[str, Any]:
        office, now = self._office, self._office.clock()
        request = new_request(
            person=caller.person, text=said[:8000], language=language, now=now, parent=parent, hold=hold
        )

        def unit(change: Change) -> None:
            added = change.txn.add_request(request)
            if added is not None:
                data = {"inlet": "console", "text": added.text, "number": added.number, "parent": parent}
                change.txn.audit("message.accepted", added.id, caller.person, {**data, "from": caller.link.remote}, now)
                office.engine.settle(change, added, Planned(plan))

        await office.engine.write(unit)
        return await office.store.read(lambda txn: _asked(txn, request.id, language))


def _what(txn: Txn, args: Args) -> tuple[Request, Job | None]:
    if not text(args, "job"):
        return request_of(txn, args), None
    job = job_of(txn, text(args, "job"))
    request = txn.request(job.request_id)
    if request is None:
        raise BadCall(str(Sentence("no_job", {"what": job.id})))
    return request, job


def _asked(txn: Txn, identity: str, language: Language) -> dict[str, Any]:
    """The request as it stands, and in words what became of it."""
    request = request_of(txn, {"id": identity})
    jobs = txn.jobs_of(request.id)
    values = {"number": request.number, "reason": request.reason, "count": len(jobs), "seconds": round(request.hold)}
    if request.state is RequestState.REFUSED:
        code = "queue_full" if request.rule == "queue_full" else "denied"
        sentence = Sentence("run_refused", values)
    elif request.state is RequestState.ASKING:
        code, sentence = "ok", Sentence("run_waits", {**values, "count": request.approvers})
    else:
        code, sentence = "ok", Sentence("run_held" if request.hold else "run_queued", values)
    return {**request_view(request, jobs), "code": code, "text": sentence.say(language)}
