"""What an approval is worth: signed when it is given, counted again at every hand-out. Pure.

A row of the table `approvals` counts by its proof alone: the hub's signature over request, plan hash, person, time,
second factor and expiry (`common.approval_proof`), with a key that is not in the database. What is counted is the
number given *now*: of this plan, not expired, by people who may still approve, not the requester's own unless the rule
lets them, with the second factor where the rule asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from common.approval_proof import CONSOLE, HUB, PAGE, PASSKEY, PERSON, ApprovalProof, askers
from common.catalogue import Sentence
from common.identity.passkey import Objection, Passkey, approval_challenge, check_assertion
from common.identity.signing import APPROVAL_PURPOSE, PERSON_APPROVAL_PURPOSE, SigningKey, key_id, verify
from common.plan import Plan
from hub.core.authorization import may
from hub.core.records import Approval, Request

STEP_SLACK: Final = 300.0
"""Seconds that a step may take beyond its limits before the next one is queued: grace of the kill, the way back."""


def approval_expiry(request: Request, plan: Plan, at: float) -> float:
    """When a yes given at `at` is worth nothing any more: after the last moment in which what it allows could start."""
    steps = sum(plan.ttl + step.time_limit + STEP_SLACK for step in plan.steps)
    return max(at, request.decide_by or at) + request.hold + steps


class ApprovalProver:
    """Signs with the hub's key and knows what it has signed. `keys` are older ones of this hub, id to public key."""

    def __init__(self, key: SigningKey, keys: Mapping[str, bytes] | None = None) -> None:
        self._key = key
        self._keys = {**(keys or {}), key.id: key.public}

    def sign(self, approval: Approval, expires: float) -> Approval:
        """The approval with the hub's proof, beside those that it has of the person."""
        proof = ApprovalProof(
            person=approval.person,
            at=approval.at,
            second_factor=approval.second_factor,
            expires=expires,
            via=approval.via,
            by=HUB + self._key.id,
        )
        data = proof.statement(approval.request_id, approval.plan_hash)
        signed = replace(proof, signature=self._key.sign(APPROVAL_PURPOSE, data))
        return replace(approval, proofs=(signed, *(one for one in approval.proofs if not one.by_hub)))

    def proof_of(self, approval: Approval) -> ApprovalProof | None:
        """The hub's proof of exactly this row; None where there is none: nobody gave this yes to this hub."""
        for proof in approval.proofs:
            key = self._keys.get(proof.key) if proof.by_hub else None
            said = (proof.person, proof.at, proof.second_factor, proof.via)
            if key is None or said != (approval.person, approval.at, approval.second_factor, approval.via):
                continue
            if _is_signed(key, proof.statement(approval.request_id, approval.plan_hash), proof.signature):
                return proof
        return None


@lru_cache(maxsize=4096)
def _is_signed(key: bytes, data: bytes, signature: bytes) -> bool:
    """Cached: one approval is counted for each machine of a plan."""
    return verify(key, data, signature, APPROVAL_PURPOSE)


@dataclass(frozen=True, slots=True)
class OwnSignature:
    """What somebody's console sends beside their yes: signed with a key of theirs that machines know and the hub need
    not.
    """

    at: float
    expires: float
    second_factor: bool
    public: bytes  # raw Ed25519
    signature: bytes

    def proof(self, request: Request, person: str) -> ApprovalProof | None:
        """As the machines will count it; None where it is of another plan, person or requester, or by another key."""
        by, asked_by = PERSON + key_id(self.public), askers(request.person, request.behalf.split())
        proof = ApprovalProof(person, self.at, self.second_factor, self.expires, CONSOLE, by, self.signature, asked_by)
        data = proof.statement(request.id, request.plan_hash)
        return proof if verify(self.public, data, self.signature, PERSON_APPROVAL_PURPOSE) else None


@dataclass(frozen=True, slots=True)
class PasskeySignature:
    """What a page of ours got from somebody's passkey: its answer to `challenge`, which asks for this yes.

    `at` and `expires` are those of the question; a second factor is given with it where the request wants one.
    """

    passkey: Passkey
    at: float
    expires: float
    client_data: bytes
    authenticator_data: bytes
    signature: bytes

    def objection(self, request: Request, person: str) -> Objection:
        """Why it is not that passkey's answer; "" where it is."""
        challenge = passkey_challenge(request, person, self.at, self.expires)
        return check_assertion(self.passkey, challenge, self.client_data, self.authenticator_data, self.signature)

    def proof(self, request: Request, person: str) -> ApprovalProof | None:
        """As the machines will count it; None where it is not that passkey's answer."""
        if self.objection(request, person):
            return None
        asked = _asked_of_passkey(request, person, self.at, self.expires)
        return replace(
            asked,
            by=PASSKEY + self.passkey.id,
            signature=self.signature,
            authenticator_data=self.authenticator_data,
            client_data=self.client_data,
        )


def passkey_challenge(request: Request, person: str, at: float, expires: float) -> bytes:
    """What a passkey is asked to sign for this person's yes: the same bytes, whichever of theirs it is."""
    return approval_challenge(_asked_of_passkey(request, person, at, expires), request.id, request.plan_hash)


def _asked_of_passkey(request: Request, person: str, at: float, expires: float) -> ApprovalProof:
    asked_by = askers(request.person, request.behalf.split())
    return ApprovalProof(person, at, request.second_factor, expires, PAGE, PASSKEY, asked_by=asked_by)


@dataclass(frozen=True, slots=True)
class GivenApprovals:
    counted: tuple[Approval, ...]
    excluded: tuple[tuple[str, Sentence], ...]  # (person, why theirs does not count)
    forged: tuple[Approval, ...] = ()  # rows that this hub never wrote


def count_given(
    request: Request,
    approvals: Sequence[Approval],
    prover: ApprovalProver,
    *,
    roles_of: Callable[[str], Sequence[str]],
    now: float,
    second_factor: bool,
    own_approval: bool,
    withdrawn: Callable[[Approval], bool] = lambda approval: False,
) -> GivenApprovals:
    """The approvals of `request` that count now. `roles_of` gives the roles that somebody has now, none where they were
    revoked; `second_factor` and `own_approval` are what the rule says; `withdrawn` says of an approval whether it was
    taken back.
    """
    counted: list[Approval] = []
    excluded: list[tuple[str, Sentence]] = []
    forged: list[Approval] = []
    for approval in approvals:
        if not approval.granted:
            continue
        proof = prover.proof_of(approval)
        if proof is None:
            forged.append(approval)
            why: Sentence | None = Sentence("approval_unproven", {"person": approval.person})
        elif withdrawn(approval):
            why = Sentence("approval_withdrawn", {"person": approval.person})
        else:
            why = _objection(request, approval, proof, roles_of, now, second_factor, own_approval)
        if why is None:
            counted.append(approval)
        else:
            excluded.append((approval.person, why))
    return GivenApprovals(tuple(counted), tuple(excluded), tuple(forged))


def _objection(
    request: Request,
    approval: Approval,
    proof: ApprovalProof,
    roles_of: Callable[[str], Sequence[str]],
    now: float,
    second_factor: bool,
    own_approval: bool,
) -> Sentence | None:
    who = {"person": approval.person}
    if (approval.request_id, approval.plan_hash) != (request.id, request.plan_hash):
        return Sentence("approval_of_other_plan", who)
    if not may(roles_of(approval.person), "approve"):
        return Sentence("approval_no_right", who)
    if not own_approval and approval.person in (request.person, *request.behalf.split()):
        return Sentence("approval_own", who)
    if second_factor and not approval.second_factor:
        return Sentence("approval_no_factor", who)
    return Sentence("approval_expired", who) if proof.expires < now else None


def lacking(request: Request, given: GivenApprovals, needed: int) -> Sentence | None:
    """Why a job of an approved plan must not start now, with who and what to do; None where enough count."""
    if len(given.counted) >= needed:
        return None
    values = {"given": len(given.counted), "needed": needed, "number": request.number}
    if not given.excluded:
        return Sentence("approvals_lacking", values)
    return Sentence("approvals_lost", {**values, "why": given.excluded[0][1]})
