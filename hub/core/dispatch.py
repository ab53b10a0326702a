"""The last check before a job goes to its machine: the order to sign, or why the job is withheld. Pure.

Person, rights, policy and the machine behind the name may all have changed since the job was queued, so each is
checked again when it is dispatched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.catalogue import Sentence
from common.plan import Order, Plan, Step, step_hashes, targets_hash
from common.policy.check import Verdict
from hub.core.job import Withhold
from hub.core.judgement import objection
from hub.core.records import Approval, Job, Request


def decide_dispatch(
    request: Request | None,
    job: Job,
    approvals: Sequence[Approval],
    *,
    joined_at: float,
    check: Callable[[Step, str], Verdict],
    epoch: int,
) -> Order | Withhold:
    """`joined_at` is when the machine of this name joined; `check` is policy bound to the job's person;
    `approvals` are those of the request, where its rule asked for any.
    """
    if request is None or request.plan is None:
        return Withhold("its plan is gone")
    if job.queued_at < joined_at:
        return Withhold("it was meant for the machine that had this name before")
    step = request.plan.steps[job.step]
    reason = objection(request, step, check(step, job.agent))
    if reason is not None:
        return Withhold(str(Sentence("policy_changed", {"person": job.person, "reason": reason})))
    return build_order(request, request.plan, job, approvals, epoch)


def build_order(request: Request, plan: Plan, job: Job, approvals: Sequence[Approval], epoch: int) -> Order:
    """Everything that the machine's runner checks for itself; the hub signs its bytes."""
    step = plan.steps[job.step]
    return Order(
        job=job.id,
        request=request.id,
        agent=job.agent,
        argv=step.argv,
        cwd=step.cwd,
        env=step.env,
        time_limit=step.time_limit,
        output_cap=step.output_cap,
        targets=targets_hash(step.targets),
        steps=step_hashes(plan),
        step=job.step,
        ttl=plan.ttl,
        plan_hash=request.plan_hash,
        not_after=job.not_after,
        epoch=epoch,
        person=request.person,
        approvals=tuple((approval.person, approval.at) for approval in approvals if approval.granted),
        filters=step.filters,
    )
