"""Asking for work: a command, or again what was run before. The policy decides on each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.api.arguments import MAX_SELECTION, RequestArgs
from common.api.work import RetryArgs, RunArgs, RunResult
from common.catalogue import Language, Sentence
from common.command.line import quote_command
from common.command.output_filters import BadFilter, parse_filters
from common.lifecycle import JOB_SETTLED, RequestState
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Plan, Step
from hub.api.context import ApiContext
from hub.api.lookup import find_job, find_request
from hub.api.views import request_details
from hub.core.action_checks import check_retry
from hub.core.chat_text import time_text
from hub.core.inventory import MAX_TARGETS, NoTarget, resolve
from hub.core.lost_contact import lost_since, waits_until
from hub.core.outcome import Planned
from hub.core.records import Job, Request
from hub.engine.request_actions import new_request
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller, InvalidArguments
from hub.store.transaction import Txn


class RunHandlers:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def run(self, caller: Caller, args: RunArgs) -> RunResult:
        """A new request with exactly this command. `expect` is the number of machines that a person saw and typed:
        where the selection means another number now, nothing is asked. `hold` keeps the jobs back for so many seconds,
        in which `take_back` undoes it.
        """
        try:
            most = MAX_TARGETS if args.expect is None else MAX_SELECTION
            targets = resolve(args.target, self._context.fleet.inventory, most)
            if args.expect is not None and args.expect != len(targets):
                changed = Sentence("selection_changed", {"count": len(targets), "expected": args.expect})
                return RunResult(code="selection_changed", text=changed.render(args.language), count=len(targets))
            time_limit = DEFAULT_TIME_LIMIT if args.timeout is None else args.timeout
            filters = parse_filters(args.filters)
            step = Step(args.argv, targets, cwd=args.cwd, time_limit=time_limit, filters=filters)
            plan = Plan((step,), source="operator")
        except NoTarget as error:
            raise InvalidArguments(error.sentence.render(args.language)) from None
        except BadFilter as error:
            raise InvalidArguments(error.sentence.render(args.language)) from None
        except BadPlan as error:
            raise InvalidArguments(str(error)) from None
        text = f"@{args.target} {quote_command(args.argv, filters)}"
        return await self._submit(caller, plan, text, args.language, hold=args.hold or 0.0)

    async def retry(self, caller: Caller, args: RetryArgs) -> RunResult:
        """The same again, as a new request with a parent."""
        request, job, authentic = await self._context.store.read(lambda txn: _retried(txn, args))
        if request.plan is None:
            return _refusal("retry_no_plan", "no_plan", args.language, {"number": request.number})
        if not authentic:
            return _refusal("row_forged", "forged", args.language, {"what": f"r{request.number}"})
        if job is None:
            if (refused := check_retry(request)) is not None:
                return RunResult(code=refused.code, text=refused.sentence.render(args.language))
            plan = request.plan
        else:
            if job.state not in JOB_SETTLED:
                context = self._context
                away = context.fleet.snapshot.away
                if lost_since(job, away) is None:
                    return _refusal("retry_not_ended", "not_ended", args.language, {"what": job.id})
                until = time_text(waits_until(job), context.clock(), args.language)
                return _refusal("retry_lost", "not_ended", args.language, {"machine": job.agent, "until": until})
            step = request.plan.steps[job.step]
            plan = replace(request.plan, steps=(replace(step, targets=(job.agent,)),))
        parent = job.id if job is not None else request.id
        return await self._submit(caller, plan, f"retry of r{request.number}", args.language, parent=parent)

    async def _submit(
        self, caller: Caller, plan: Plan, text: str, language: Language, *, parent: str = "", hold: float = 0.0
    ) -> RunResult:
        context, now = self._context, self._context.clock()
        context.store.refuse_when_full()
        request = new_request(
            person=caller.person, text=text[:8000], language=language, now=now, parent=parent, hold=hold
        )

        def submit(uow: UnitOfWork) -> None:
            added = uow.txn.add_request(request)
            if added is not None:
                data = {"inlet": "console", "text": added.text, "number": added.number, "parent": parent}
                uow.txn.audit("message.accepted", added.id, caller.person, {**data, "from": caller.link.remote}, now)
                context.engine.apply_outcome(uow, added, Planned(plan))

        await context.engine.write(submit)
        return await context.store.read(lambda txn: _submitted(txn, request.id, language))


def _refusal(key: str, code: str, language: Language, values: dict[str, Any]) -> RunResult:
    return RunResult(code=code, text=Sentence(key, values).render(language))


def _retried(txn: Txn, args: RetryArgs) -> tuple[Request, Job | None, bool]:
    """What is to be done again, and whether its plan, and the job's place in it, are as this hub wrote them."""
    if not args.job:
        whole = find_request(txn, args)
        return whole, None, txn.rows.is_authentic(whole)
    job = find_job(txn, args.job)
    request = txn.request(job.request_id)
    if request is None:
        raise InvalidArguments(str(Sentence("no_job", {"what": job.id})))
    steps = request.plan.steps if request.plan is not None else ()
    named = 0 <= job.step < len(steps) and job.agent in steps[job.step].targets
    return request, job, named and txn.rows.is_authentic(request)


def _submitted(txn: Txn, request_id: str, language: Language) -> RunResult:
    """The request as it stands, and in words what became of it."""
    request = find_request(txn, RequestArgs(id=request_id))
    jobs = txn.jobs_of(request.id)
    values = {"number": request.number, "reason": request.reason, "count": len(jobs), "seconds": round(request.hold)}
    if request.state is RequestState.REFUSED:
        code = "queue_full" if request.rule == "queue_full" else "denied"
        sentence = Sentence("run_refused", values)
    elif request.state is RequestState.ASKING:
        code, sentence = "ok", Sentence("run_waits", {**values, "count": request.approvers})
    else:
        code, sentence = "ok", Sentence("run_held" if request.hold else "run_queued", values)
    return RunResult(code=code, text=sentence.render(language), request=request_details(request, jobs))
