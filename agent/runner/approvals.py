"""Whose approvals count on this machine. Pure.

An order's `approvals` are the hub's word; what counts are its `proofs`: each a signature over the request, the plan
hash, the person, the time, the second factor and the expiry. One counts where a key that this machine trusts has signed
it for this very order, it has not expired, it was given with a second factor where the machine's rule asks for one, and
its person is not whom the order is for, unless the rule lets requesters approve their own. Each person counts once.

A hub of version 0.1.0 sends no proofs, so a rule of the machine that asks wants a newer hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.approval_proof import ApprovalProof
from common.identity.signing import APPROVAL_PURPOSE, verify
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
    if key is None:
        return "signed with a key that this machine does not know"
    if not verify(key, proof.statement(order.request, order.plan_hash), proof.signature, APPROVAL_PURPOSE):
        return "its signature is not of this plan"
    if proof.expires < now:
        return "it has expired"
    if second_factor and not proof.second_factor:
        return "without a second factor"
    if not own_approval and proof.person in (order.person, *order.behalf):
        return "their own request"
    return ""
