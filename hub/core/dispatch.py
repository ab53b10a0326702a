"""The last check before a job goes to its machine: the order to sign, or why the job is withheld. Pure.

Person, rights, policy, the machine behind the name and whoever approved may all have changed since the job was queued,
so each is checked again when it is dispatched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from common.approval_proof import MAX_PROOFS
from common.catalogue import Sentence
from common.link.messages import PROTOCOL
from common.plan import MAX_CHECKS, Order, Plan, Step, combine_hashes, step_hashes, targets_hash
from common.policy.check import Verdict
from common.policy.machine_checks import MachineChecks, write_checks
from hub.core.approval_proofs import ApprovalProver, count_given, lacking
from hub.core.job import Withhold
from hub.core.judgement import objection
from hub.core.records import Approval, Job, Request

CHECKS_PROTOCOL: Final = 3
"""From which on a machine knows the proofs and the checks in an order."""
ROOT_PROTOCOL: Final = 4
"""From which it knows the check `run_as`."""
PERSONS_PROTOCOL: Final = 5
"""From which it counts what people signed: the check `persons`, and who asked in their proofs."""
ISSUED_PROTOCOL: Final = 5
"""From which it knows when an order was made, and signed confirmations."""


def decide_dispatch(
    request: Request | None,
    job: Job,
    approvals: Sequence[Approval],
    *,
    joined_at: float,
    check: Callable[[Step, str], Verdict],
    prover: ApprovalProver,
    roles_of: Callable[[str], Sequence[str]],
    now: float,
    epoch: int,
    protocol: int = PROTOCOL,
    withdrawn: Callable[[Approval], bool] = lambda approval: False,
) -> Order | Withhold:
    """`joined_at` is when the machine of this name joined; `check` is policy bound to the job's person;
    `approvals` are those of the request, where its rule asked for any; `roles_of` are those that somebody has now;
    `protocol` is the one whose orders the machine takes; `withdrawn` says whether an approval was taken back.
    """
    if request is None or request.plan is None:
        return Withhold("its plan is gone")
    if job.queued_at < joined_at:
        return Withhold("it was meant for the machine that had this name before")
    if not 0 <= job.step < len(request.plan.steps) or job.agent not in request.plan.steps[job.step].targets:
        return Withhold(str(Sentence("plan_not_approved", {"number": request.number})))
    step = request.plan.steps[job.step]
    verdict = check(step, job.agent)
    reason = objection(request, step, verdict)
    if reason is not None:
        return Withhold(str(Sentence("policy_changed", {"person": job.person, "reason": reason})))
    given = count_given(
        request,
        approvals,
        prover,
        roles_of=roles_of,
        withdrawn=withdrawn,
        now=now,
        second_factor=request.second_factor or verdict.second_factor,
        own_approval=request.own_approval and (verdict.kind != "ask" or verdict.own_approval),
    )
    short = lacking(request, given, max(request.approvers, verdict.approvers if verdict.kind == "ask" else 0))
    if short is not None:
        return Withhold(str(short))
    checks = write_checks(_known_checks(verdict, protocol))
    if (problem := _checks_problem(verdict, checks, job.agent, protocol)) is not None:
        return Withhold(str(problem))
    order = build_order(request, request.plan, job, given.counted, epoch)
    order = replace(order, checks=checks, script_text=verdict.script.text if verdict.script else "")
    if verdict.until is not None:
        order = replace(order, not_after=min(order.not_after, verdict.until))
    if combine_hashes(order.steps, order.ttl) != order.plan_hash or job.plan_hash != order.plan_hash:
        return Withhold(str(Sentence("plan_not_approved", {"number": request.number})))
    return order


def _checks_problem(verdict: Verdict, checks: str, agent: str, protocol: int) -> Sentence | None:
    """Why the machine cannot be asked to look at what the rule wants looked at. An agent that knows no checks runs a
    command as it always did, but not one whose program must be known by its content.
    """
    if len(checks) > MAX_CHECKS:
        return Sentence("checks_too_long", {"rule": verdict.rule})
    if verdict.script is not None and not verdict.script.text:
        return Sentence("script_missing", {"name": verdict.script.name})
    if (verdict.checks.sha256 or verdict.script) and protocol < CHECKS_PROTOCOL:
        return Sentence("checks_unknown", {"rule": verdict.rule, "agent": agent})
    if verdict.checks.persons and protocol < PERSONS_PROTOCOL:
        return Sentence("checks_persons_unknown", {"rule": verdict.rule, "agent": agent})
    return None


def _known_checks(verdict: Verdict, protocol: int) -> MachineChecks:
    """Without what an older machine would refuse: one that does not know `run_as` runs commands as it always did."""
    return verdict.checks if protocol >= ROOT_PROTOCOL else replace(verdict.checks, run_as="", persons=0)


def build_order(request: Request, plan: Plan, job: Job, approvals: Sequence[Approval], epoch: int) -> Order:
    """Everything that the machine's runner checks for itself; the hub signs its bytes. `approvals` are those that
    count.
    """
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
        approvals=tuple((approval.person, approval.at) for approval in approvals),
        filters=step.filters,
        script=step.script,
        proofs=tuple(proof for approval in approvals for proof in approval.proofs)[:MAX_PROOFS],
        behalf=tuple(request.behalf.split()),
        confirm=bool(job.life),
    )


def order_for_protocol(order: Order, protocol: int) -> Order:
    """The order without what a runner of that protocol would refuse."""
    if protocol < ISSUED_PROTOCOL:
        order = replace(order, issued_at=0.0)
    if protocol < CHECKS_PROTOCOL:
        return replace(order, proofs=(), behalf=(), checks="")
    if protocol < PERSONS_PROTOCOL:
        return replace(order, proofs=tuple(proof for proof in order.proofs if not proof.asked_by))
    return order
