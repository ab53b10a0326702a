"""Whose approvals count on this machine. Pure.

An order's `approvals` are the hub's word; what counts are its `proofs`: each a signature over the request, the plan
hash, the person, the time, the second factor and the expiry. One counts where a key that this machine trusts has signed
it for this very order, it has not expired, it was given with a second factor where the machine's rule asks for one, and
its person is not whom the order is for, unless the rule lets requesters approve their own. Each person counts once.

Where a rule is `critical`, of either policy, only proofs count that the people signed with keys of their own, which are
pinned on this machine (`agent.approvers`), their console's or a passkey: no key of the hub makes one. Each of them says
who asked, as the approver was shown it: the order has to name the same people, and the approver is none of them. So a
hub that names somebody else to the machine than to the approver gets nothing started. One that tells both the same
untruth is seen by the approver alone, who signs it: that two people are needed for what one asks is then that person's
word, not this machine's.

A hub of version 0.1.0 sends no proofs, so a rule of the machine that asks wants a newer hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.approvers import Approvers
from common.approval_proof import ApprovalProof, askers
from common.identity.passkey import (
    OBJECTIONS,
    ApproverKey,
    Passkey,
    approval_challenge,
    approver_key_id,
    check_assertion,
)
from common.identity.signing import APPROVAL_PURPOSE, PERSON_APPROVAL_PURPOSE, verify
from common.plan import Order


@dataclass(frozen=True, slots=True)
class ApprovalCount:
    people: frozenset[str]  # whose yes counts
    excluded: tuple[str, ...]  # why others do not: for people


def count_approvals(
    order: Order, keys: Mapping[str, bytes], *, own_approval: bool, second_factor: bool, now: float
) -> ApprovalCount:
    """`keys` are the hub's by their ids, raw Ed25519; `order` has been authenticated and its hashes hold."""
    people: set[str] = set()
    excluded: dict[str, str] = {}
    for proof in order.proofs:
        why = _objection(order, proof, keys, own_approval=own_approval, second_factor=second_factor, now=now)
        if why:
            excluded.setdefault(proof.person, why)
        else:
            people.add(proof.person)
    for person, _ in order.approvals:
        if person not in people:
            excluded.setdefault(person, "without a proof")
    return ApprovalCount(
        frozenset(people), tuple(f"{name[:40]!r}: {why}" for name, why in excluded.items() if name not in people)
    )


def count_own_approvals(
    order: Order, approvers: Approvers, *, own_approval: bool, second_factor: bool, now: float
) -> ApprovalCount:
    """Those that people signed themselves. `approvers` are pinned here; each person's keys are good for that person."""
    people: set[str] = set()
    excluded: dict[str, str] = {}
    for proof in order.proofs:
        if proof.by_hub:
            excluded.setdefault(proof.person, "not signed with their own key")
            continue
        key = next((one for one in approvers.get(proof.person, ()) if approver_key_id(one) == proof.key), None)
        why = (
            _own_signature_objection(order, proof, key)
            or _asker_objection(order, proof)
            or _terms_objection(order, proof, own_approval=own_approval, second_factor=second_factor, now=now)
        )
        if why:
            excluded[proof.person] = why
        else:
            people.add(proof.person)
    return ApprovalCount(
        frozenset(people), tuple(f"{name[:40]!r}: {why}" for name, why in excluded.items() if name not in people)
    )


def _objection(
    order: Order,
    proof: ApprovalProof,
    keys: Mapping[str, bytes],
    *,
    own_approval: bool,
    second_factor: bool,
    now: float,
) -> str:
    """Why the proof does not count, "" where it does."""
    key = keys.get(proof.key) if proof.by_hub else None
    return _signature_objection(order, proof, key, APPROVAL_PURPOSE) or _terms_objection(
        order, proof, own_approval=own_approval, second_factor=second_factor, now=now
    )


def _signature_objection(order: Order, proof: ApprovalProof, key: bytes | None, purpose: bytes) -> str:
    if key is None:
        return "signed with a key that this machine does not know"
    if not verify(key, proof.statement(order.request, order.plan_hash), proof.signature, purpose):
        return "its signature is not of this plan"
    return ""


def _own_signature_objection(order: Order, proof: ApprovalProof, key: ApproverKey | None) -> str:
    """As its key's kind has it: what says that it is a passkey's is one's, and what does not is none."""
    if key is None or proof.by_passkey != isinstance(key, Passkey):
        return "signed with a key that this machine does not know"
    if not isinstance(key, Passkey):
        return _signature_objection(order, proof, key, PERSON_APPROVAL_PURPOSE)
    challenge = approval_challenge(proof, order.request, order.plan_hash)
    why = check_assertion(key, challenge, proof.client_data, proof.authenticator_data, proof.signature)
    return OBJECTIONS[why] if why else ""


def _asker_objection(order: Order, proof: ApprovalProof) -> str:
    """Why what the approver was told of who asked is not what the order says; "" where it is."""
    if not proof.asked_by:
        return "signed without saying who asked: with a newer answerback it is"
    if proof.asked_by != askers(order.person, order.behalf):
        said = _names(askers(order.person, order.behalf))
        return f"they were shown that {_names(proof.asked_by)} asked, and the order says {said}"
    return ""


def _names(names: tuple[str, ...]) -> str:
    return " and ".join(f"{name[:40]!r}" for name in names[:3]) + (" and others" if len(names) > 3 else "")


def _terms_objection(order: Order, proof: ApprovalProof, *, own_approval: bool, second_factor: bool, now: float) -> str:
    if proof.expires < now:
        return "it has expired"
    if second_factor and not proof.second_factor:
        return "without a second factor"
    if not own_approval and proof.person in (order.person, *order.behalf):
        return "their own request"
    return ""
