"""The last check before a job goes to its machine, and the order that it goes with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.identity.signing import SigningKey
from common.lifecycle import JobState, RequestState
from common.link.messages import PROTOCOL
from common.plan import MAX_CHECKS, Order, Step, plan_hash
from common.policy.check import Verdict
from common.policy.machine_checks import DeniedPrograms, MachineChecks, PathCheck, read_checks
from common.policy.rules import Script
from common.policy.types import PathType
from common.script import ScriptWord, script_digest
from hub.core.approval_proofs import ApprovalProver
from hub.core.dispatch import PERSONS_PROTOCOL, decide_dispatch, order_for_protocol
from hub.core.job import Withhold
from hub.core.records import Approval, Request
from tests.hub.core.test_judgement import verdict
from tests.hub.core.test_request import PLAN, job, request

JUDGED = replace(PLAN, steps=(replace(PLAN.steps[0], argv=("/usr/bin/df", "-h")),))
DIGEST = plan_hash(JUDGED)
WORKING = request(RequestState.WORKING, plan=JUDGED, plan_hash=DIGEST)
LEASED = replace(job(JobState.LEASED), plan_hash=DIGEST)
PROVER = ApprovalProver(SigningKey.generate())


def decide(
    of: Request | None, now: Verdict, joined_at: float = 0.0, *given: Approval, protocol: int = PROTOCOL
) -> Order | Withhold:
    def check(step: Step, target: str) -> Verdict:
        assert target == LEASED.agent
        return now

    return decide_dispatch(
        of,
        LEASED,
        given,
        joined_at=joined_at,
        check=check,
        prover=PROVER,
        roles_of=lambda name: ("approver",) if name != "eve" else (),
        now=8.0,
        epoch=3,
        protocol=protocol,
    )


@pytest.mark.parametrize(
    ("of", "now", "joined_at", "reason"),
    [
        (WORKING, verdict(), 0.0, ""),
        (WORKING, verdict(), LEASED.queued_at, ""),
        (None, verdict(), 0.0, "its plan is gone"),
        (replace(WORKING, plan=None), verdict(), 0.0, "its plan is gone"),
        (WORKING, verdict(), LEASED.queued_at + 1, "had this name before"),
        (WORKING, verdict("deny", argv=()), 0.0, "carol"),
        (WORKING, verdict(argv=("/usr/bin/df", "-h", "--sync")), 0.0, "carol"),
        (WORKING, verdict("ask", approvers=1), 0.0, "carol"),
    ],
)
def test_what_is_withheld(of: Request | None, now: Verdict, joined_at: float, reason: str) -> None:
    """Anything that has changed since the job was queued; the reason is for people."""
    decision = decide(of, now, joined_at)
    if reason:
        assert isinstance(decision, Withhold)
        assert reason in decision.reason
    else:
        assert isinstance(decision, Order)


def test_the_order_names_everything_that_the_runner_checks() -> None:
    """Job, command, plan, approvals: a no among the approvals is none."""
    yes, no = (
        PROVER.sign(Approval("R", DIGEST, who, granted, "ops", 7.0), 9.0)
        for who, granted in (("bob", True), ("ann", False))
    )
    order = decide(WORKING, verdict(), 0.0, yes, no)
    assert isinstance(order, Order)
    assert (order.job, order.request, order.agent, order.person) == (LEASED.id, "R", "web-1", "carol")
    assert (order.argv, order.step, order.epoch, order.plan_hash) == (("/usr/bin/df", "-h"), 0, 3, WORKING.plan_hash)
    assert (order.ttl, order.not_after, order.approvals) == (JUDGED.ttl, LEASED.not_after, (("bob", 7.0),))
    assert (order.proofs, order.behalf) == (yes.proofs, ())
    older = order_for_protocol(order, 2)
    assert (older.proofs, older.behalf, older.approvals) == ((), (), order.approvals)
    assert order_for_protocol(order, 3) == order_for_protocol(order, PERSONS_PROTOCOL) == order
    own = replace(yes.proofs[0], by="person:0123456789abcdef", asked_by=("carol",))
    with_own = replace(order, proofs=(*order.proofs, own))  # of which a machine of before would take nothing
    assert order_for_protocol(with_own, PERSONS_PROTOCOL - 1) == order
    assert order_for_protocol(with_own, PERSONS_PROTOCOL) == with_own
    issued = replace(order, issued_at=5.0)
    assert [order_for_protocol(issued, protocol).issued_at for protocol in (3, 4, 5)] == [0.0, 0.0, 5.0]
    by_passkey = replace(own, by="passkey:0123456789abcdef", authenticator_data=b"a" * 37, client_data=b"{}")
    assert order_for_protocol(replace(order, proofs=(*order.proofs, by_passkey)), PERSONS_PROTOCOL - 1) == order


def test_the_approvals_are_counted_again() -> None:
    """Trust: the number that is given now, not the number that was: who left the team takes their yes along."""
    asked = replace(WORKING, approvers=2)
    bob, eve, ann = (PROVER.sign(Approval("R", DIGEST, who, True, "ops", 7.0), 9.0) for who in ("bob", "eve", "ann"))
    assert isinstance(decide(asked, verdict("ask", approvers=2), 0.0, bob, ann), Order)
    assert isinstance(decide(asked, verdict(), 0.0, bob, ann), Order)
    for now in (verdict("ask", approvers=2), verdict()):
        decision = decide(asked, now, 0.0, bob, eve)
        assert isinstance(decision, Withhold)
        assert decision.reason.startswith("1 of 2 approvals count now: eve approved it and may not approve any more")


def test_a_plan_that_is_not_the_approved_one_goes_nowhere() -> None:
    """Trust: what runs is what was hashed, whatever the row says now."""
    changed = replace(WORKING, plan=replace(JUDGED, ttl=JUDGED.ttl + 1))
    for of in (changed, replace(changed, plan_hash=plan_hash(changed.plan or JUDGED))):
        decision = decide(of, verdict())
        assert isinstance(decision, Withhold)
        assert "not the one that was judged" in decision.reason


def test_the_checks_of_the_policy_of_now_go_along() -> None:
    """Trust: what the machine must look at is that of the verdict at the hand-out, and no part of the plan's hash. A
    machine that knows no checks gets none, and nothing that is known by its digest.
    """
    checks = MachineChecks(DeniedPrograms(frozenset({"rm"})), paths=(PathCheck("/x", (PathType(("/x",)),)),))
    order = decide(WORKING, replace(verdict(), checks=checks), protocol=2)
    assert isinstance(order, Order)
    assert read_checks(order.checks) == checks
    assert order.plan_hash == DIGEST
    order.verify()
    older = order_for_protocol(order, 2)
    assert (older.checks, b"checks" in older.to_bytes()) == ("", False)
    assert order_for_protocol(order, 3) == order
    pinned = replace(verdict(), checks=MachineChecks(sha256=frozenset({"0" * 64})))
    assert isinstance(decide(WORKING, pinned), Order)
    refused = decide(WORKING, pinned, protocol=2)
    assert isinstance(refused, Withhold)
    assert "too old to check" in refused.reason
    for checks, sent in ((MachineChecks(run_as="root"), MachineChecks()), (MachineChecks(persons=1), None)):
        newer = decide(WORKING, replace(verdict(), checks=checks))
        assert isinstance(newer, Order)
        assert read_checks(newer.checks) == checks
        before = decide(WORKING, replace(verdict(), checks=checks), protocol=3)
        assert (read_checks(before.checks) if isinstance(before, Order) else None) == sent
    assert isinstance(decide(WORKING, replace(verdict(), checks=MachineChecks(persons=1)), protocol=4), Withhold)
    long = PathCheck("/" + "x" * 4_000, (PathType(("/",)),))
    paths = tuple(replace(long, path=f"{long.path}{index}") for index in range(MAX_CHECKS // 4_000 + 1))
    refused = decide(WORKING, replace(verdict(), checks=MachineChecks(paths=paths)))
    assert isinstance(refused, Withhold)
    assert "more than one order can carry" in refused.reason


def test_a_script_goes_along_with_its_text() -> None:
    """Trust: as it was approved, from the policy in force; not without its text, nor to a machine that is too old."""
    script = Script("x.py", ScriptWord(1, script_digest("text")), "text")
    plan = replace(JUDGED, steps=(replace(JUDGED.steps[0], script=script.use),))
    working = replace(WORKING, plan=plan, plan_hash=plan_hash(plan))
    leased = replace(LEASED, plan_hash=plan_hash(plan))

    def decided(now: Verdict, protocol: int = PROTOCOL) -> Order | Withhold:
        return decide_dispatch(
            working,
            leased,
            (),
            joined_at=0.0,
            check=lambda step, target: now,
            prover=PROVER,
            roles_of=lambda name: (),
            now=8.0,
            epoch=3,
            protocol=protocol,
        )

    order = decided(replace(verdict(), script=script))
    assert isinstance(order, Order)
    order.verify()
    assert (order.script, order.script_text) == (script.use, "text")
    for now, protocol, why in (
        (replace(verdict(), script=replace(script, text="")), PROTOCOL, "has not been read"),
        (replace(verdict(), script=script), 2, "too old"),
        (verdict(), PROTOCOL, "carol"),
    ):
        refused = decided(now, protocol)
        assert isinstance(refused, Withhold)
        assert why in refused.reason
