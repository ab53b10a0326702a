"""What an approval is worth: signed when given, counted at every hand-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from common.approval_proof import proofs_from_json, proofs_to_json
from common.identity.signing import ORDER_PURPOSE, SigningKey
from common.lifecycle import RequestState
from common.plan import plan_hash
from hub.core.approval_proofs import (
    STEP_SLACK,
    ApprovalProver,
    GivenApprovals,
    PasskeySignature,
    approval_expiry,
    count_given,
    lacking,
    passkey_challenge,
)
from hub.core.records import Approval
from tests.hub.core.test_request import PLAN, request
from tests.software_authenticator import UP, SoftwareAuthenticator

KEY = SigningKey.generate()
PROVER = ApprovalProver(KEY)
STRANGER = ApprovalProver(SigningKey.generate())
DIGEST = plan_hash(PLAN)
WORKING = request(RequestState.WORKING, plan_hash=DIGEST, approvers=1, decide_by=100.0)
NOW = 50.0
YES = Approval("R", DIGEST, "bob", True, "ops", 7.0)
ROLES = {"bob": ("approver",), "ann": ("admin",), "carol": ("operator", "approver"), "dave": ("approver",)}


def given(
    *approvals: Approval,
    roles: dict[str, tuple[str, ...]] = ROLES,
    second_factor: bool = False,
    own_approval: bool = False,
    now: float = NOW,
    **of: Any,
) -> GivenApprovals:
    def roles_of(name: str) -> Sequence[str]:
        return roles.get(name, ())

    rule = {"second_factor": second_factor, "own_approval": own_approval}
    return count_given(replace(WORKING, **of), approvals, PROVER, roles_of=roles_of, now=now, **rule)


def signed(expires: float = 60.0, prover: ApprovalProver = PROVER, **changes: Any) -> Approval:
    return prover.sign(replace(YES, **changes), expires)


def test_what_counts_now() -> None:
    """Trust: of this plan, by people who still hold the role, not the requester, with the factor the rule asks for,
    not expired, signed by this hub. Lesson A3 B8.
    """
    bob = signed()
    assert given(bob, signed(person="ann")).counted == (bob, signed(person="ann"))
    table: list[tuple[Approval, dict[str, Any], str]] = [
        (bob, {"roles": {}}, "approval_no_right"),
        (bob, {"roles": {"bob": ("operator",)}}, "approval_no_right"),
        (bob, {"plan_hash": "0" * 64}, "approval_of_other_plan"),
        (bob, {"id": "Q"}, "approval_of_other_plan"),
        (bob, {"second_factor": True}, "approval_no_factor"),
        (bob, {"now": 60.5}, "approval_expired"),
        (signed(person="carol"), {}, "approval_own"),
        (signed(person="dave"), {"behalf": "dave eve"}, "approval_own"),
        (YES, {}, "approval_unproven"),
        (signed(prover=STRANGER), {}, "approval_unproven"),
        (replace(bob, person="ann"), {}, "approval_unproven"),
        (replace(bob, request_id="Q"), {"id": "Q"}, "approval_unproven"),
        (replace(bob, plan_hash="0" * 64), {"plan_hash": "0" * 64}, "approval_unproven"),
        (replace(bob, second_factor=True), {"second_factor": True}, "approval_unproven"),
        (replace(bob, proofs=tuple(replace(one, expires=9e9) for one in bob.proofs)), {}, "approval_unproven"),
    ]
    for approval, now, why in table:
        found = given(approval, **now)
        assert (found.counted, [sentence.key for _, sentence in found.excluded]) == ((), [why]), (now, why)
        assert found.forged == ((approval,) if why == "approval_unproven" else ()), why
    assert given(signed(person="carol"), own_approval=True).counted
    assert given(signed(second_factor=True), second_factor=True).counted
    assert given(signed(granted=False)) == GivenApprovals((), ())


def test_a_signature_for_anything_else_proves_nothing() -> None:
    """Trust: an order and an approval are signed with one key and for two purposes."""
    (proof,) = signed().proofs
    forged = replace(proof, signature=KEY.sign(ORDER_PURPOSE, proof.statement("R", DIGEST)))
    assert PROVER.proof_of(replace(YES, proofs=(forged,))) is None
    assert ApprovalProver(SigningKey.generate(), {KEY.id: KEY.public}).proof_of(signed()) == proof


def test_a_person_s_own_signature_stays() -> None:
    """Signed by the hub, an approval keeps what the person's own key has signed."""
    own = replace(signed().proofs[0], by="person:0123456789abcdef")
    both = PROVER.sign(replace(YES, proofs=(own,)), 60.0)
    assert [proof.by_hub for proof in both.proofs] == [True, False]
    assert len(PROVER.sign(both, 70.0).proofs) == 2


def test_why_too_few_count() -> None:
    """Who, and what to do; nothing where there are enough."""
    assert lacking(WORKING, given(signed()), 1) is None
    assert lacking(WORKING, given(), 0) is None
    short = lacking(WORKING, given(signed(), roles={}), 1)
    assert str(short) == (
        "0 of 1 approvals count now: bob approved it and may not approve any more; `retry r42` asks again"
    )
    assert "1 of 2 approvals are there" in str(lacking(WORKING, given(signed()), 2))


def test_an_approval_outlives_what_it_allows() -> None:
    """Its last step may start as late as the request can be decided, its steps can wait and run; no later."""
    (step,) = PLAN.steps
    length = PLAN.ttl + step.time_limit + STEP_SLACK
    assert approval_expiry(WORKING, PLAN, 7.0) == 100.0 + length
    assert approval_expiry(replace(WORKING, decide_by=None, hold=5.0), PLAN, 7.0) == 7.0 + 5.0 + length
    assert approval_expiry(WORKING, replace(PLAN, steps=(step, step)), 7.0) == 100.0 + 2 * length


def test_what_a_passkey_signed_is_this_yes() -> None:
    """Trust: of this request, plan, person, time, requester and second factor; it travels as a proof of the person."""
    device = SoftwareAuthenticator()

    def signed_for(of: Any = WORKING, person: str = "bob", at: float = 7.0, **says: Any) -> PasskeySignature:
        made = device.get(passkey_challenge(of, person, at, 60.0), **says)
        return PasskeySignature(device.passkey, 7.0, 60.0, made.client_data, made.authenticator_data, made.signature)

    good = signed_for()
    assert good.objection(WORKING, "bob") == ""
    proof = good.proof(WORKING, "bob")
    assert proof is not None
    assert (proof.by, proof.via, proof.by_passkey) == (f"passkey:{device.passkey.id}", "page", True)
    assert (proof.person, proof.at, proof.expires, proof.asked_by) == ("bob", 7.0, 60.0, (WORKING.person,))
    assert proofs_from_json(proofs_to_json([proof])) == (proof,)
    others = (
        signed_for(replace(WORKING, id="Q")),
        signed_for(replace(WORKING, plan_hash="0" * 64)),
        signed_for(replace(WORKING, person="eve")),
        signed_for(replace(WORKING, behalf="eve")),
        signed_for(replace(WORKING, second_factor=True)),
        signed_for(person="ann"),
        signed_for(at=8.0),
    )
    for other in others:
        assert other.objection(WORKING, "bob") == "challenge"
        assert other.proof(WORKING, "bob") is None
    assert signed_for(flags=UP).objection(WORKING, "bob") == "verification"
    assert replace(good, passkey=SoftwareAuthenticator().passkey).objection(WORKING, "bob") == "signature"
