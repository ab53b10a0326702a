"""What people do to requests and jobs: approve, reject, cancel, settle. What they do to plans, machines and the queue
is in `edit_plan`, `pause_drain` and `queue_actions`; what only chat asks for in `chat_actions`.

Chat and the operators' API come through the same methods. Each runs inside one unit of work: it reads the rows, asks
`hub.core` whether the action may be done, saves what follows, and returns what to tell the person. A refusal is a
sentence too; where it is for want of a right it is an audit row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ulid import ULID

from common.approval_proof import ApprovalProof
from common.catalogue import Language, Sentence
from common.identity.sealing import Sealer
from common.lifecycle import JOB_SETTLED, RequestState
from common.plan import Plan
from hub.config import ApprovalsTable
from hub.core import job as jobs_of_hub
from hub.core import request as requests_of_hub
from hub.core.action_checks import check_cancel, check_cancel_job, check_resolve_unknown
from hub.core.approval import DecisionAccepted, DecisionRefused, check_approve, check_reject
from hub.core.approval_proofs import GivenApprovals, OwnSignature, PasskeySignature, approval_expiry, count_given
from hub.core.authorization import VERB_ROLES
from hub.core.chat_text import time_text
from hub.core.lost_contact import lost_since, waits_until
from hub.core.rate_limits import TokenBucket
from hub.core.records import Approval, Job, Person, Request
from hub.core.who_may import with_names
from hub.engine.actor import ActionResult, Actor
from hub.engine.standing_approvals import StandingApprovals, line_of
from hub.engine.unit_of_work import UnitOfWork
from hub.identity import recovery_codes, totp

MAX_REASON: Final = 500
WRONG_CODES: Final = 30
"""Wrong codes that chat may give in WRONG_CODES_WITHIN seconds, of all people together: a guesser has no more tries for
having many accounts.
"""
WRONG_CODES_WITHIN: Final = 600.0


class RequestActions:
    def __init__(self, sealer: Sealer, standing: StandingApprovals | None = None) -> None:
        self._sealer = sealer
        self._wrong_codes = TokenBucket(WRONG_CODES / WRONG_CODES_WITHIN, WRONG_CODES)
        self.standing = standing or StandingApprovals(ApprovalsTable())

    # ---- decisions

    def approve(
        self,
        uow: UnitOfWork,
        actor: Actor,
        request: Request,
        *,
        code: str = "",
        plan_hash: str = "",
        plan_code: str = "",
        reason: str = "",
        nonce: str = "",
        allow_for: float | None = None,
        signed: OwnSignature | PasskeySignature | None = None,
    ) -> ActionResult:
        """One yes to exactly the plan of `request`; the second factor is used up in the same transaction. The same
        `nonce` from the same person again is the same yes, sent twice. `signed` is wanted where a rule is critical.
        `allow_for`: it holds for so many seconds more, for the requester (`hub.core.standing`).
        """
        if uow.world.recovering and request.state is RequestState.ASKING:
            result = ActionResult(Sentence("recovery_no_approval", {"number": request.number}), "recovery")
            return refuse(uow, actor, "approve", result, request.id)
        given = uow.txn.approvals(request.id)
        if nonce and any((one.person, one.nonce, one.granted) == (actor.person, nonce, True) for one in given):
            again = Sentence("approved_before", {"number": request.number})
            return ActionResult(again, "", {"again": True}, request.id)
        if (forged := self._forged(uow, request, given)) is not None:
            return refuse(uow, actor, "approve", forged, request.id)
        answer = check_approve(
            request,
            given,
            person=actor.person,
            roles=uow.world.people.roles(actor.person),
            plan_hash=plan_hash,
            now=uow.now,
            plan_code=plan_code,
            counted=len(self._given_now(uow, request, given).counted),
        )
        if isinstance(answer, DecisionRefused):
            return refuse(uow, actor, "approve", ActionResult.refused(answer), request.id)
        proof = signed.proof(request, actor.person) if signed is not None else None
        if (refusal := _signature_refusal(uow, request, signed, proof, allow_for)) is not None:
            return refuse(uow, actor, "approve", refusal, request.id)
        if allow_for is not None and (objection := self.standing.objection(request, allow_for)) is not None:
            return refuse(uow, actor, "approve", objection, request.id)
        if request.second_factor and (refusal := self._check_second_factor(uow, actor, request, code)) is not None:
            return refuse(uow, actor, "approve", refusal, request.id)
        self._save_approval(uow, actor, request, answer, reason, nonce, proof)
        values = {"number": request.number, "person": actor.person, "hash": request.plan_hash[:8]}
        more = {"given": answer.given, "needed": answer.needed}
        said = Sentence("approved_now", values) if answer.enough else Sentence("approved_partly", {**values, **more})
        if not answer.enough:
            uow.show_on_card(request, said)
        if allow_for is not None:
            made = self.standing.grant(uow, actor, request, allow_for)
            said = Sentence("allowed_now", {"said": said, "line": line_of(made, uow.now), "number": made.number})
        return ActionResult(said, "", more, request.id)

    def _forged(self, uow: UnitOfWork, request: Request, given: Sequence[Approval]) -> ActionResult | None:
        """Nobody approves what this hub has not judged and asked, nor beside a yes that nobody gave."""
        if request.state is not RequestState.ASKING:
            return None  # which is another reason
        what = "" if uow.is_authentic(request) else f"r{request.number}"
        for forged in self._given_now(uow, request, given).forged:
            what = what or f"an approval of r{request.number} by {forged.person}"
            uow.report_forged(request.id, f"the approval of r{request.number} by {forged.person}")
        return ActionResult(Sentence("row_forged", {"what": what}), "forged") if what else None

    def _given_now(self, uow: UnitOfWork, request: Request, approvals: Sequence[Approval]) -> GivenApprovals:
        """The approvals of a request that waits, as they count in this transaction."""
        return count_given(
            request,
            approvals,
            uow.prover,
            roles_of=uow.roles_now,
            now=uow.now,
            second_factor=request.second_factor,
            own_approval=request.own_approval,
            withdrawn=lambda approval: self.standing.withdrawn(uow, approval),
        )

    def _save_approval(
        self,
        uow: UnitOfWork,
        actor: Actor,
        request: Request,
        answer: DecisionAccepted,
        reason: str,
        nonce: str,
        proof: ApprovalProof | None,
    ) -> None:
        digest, factor = request.plan_hash, request.second_factor
        assert request.plan is not None  # noqa: S101 - it is asking, so it was judged
        approval = Approval(request.id, digest, actor.person, True, actor.via, uow.now, reason, factor, nonce)
        approval = replace(approval, proofs=() if proof is None else (proof,))
        uow.txn.add_approval(uow.prover.sign(approval, approval_expiry(request, request.plan, uow.now)))
        data = {"plan_hash": digest, "via": actor.via, "second_factor": factor, "reason": reason}
        data |= {"given": answer.given, "needed": answer.needed, **({"own_key": proof.key} if proof else {})}
        uow.audit("request.approved", request.id, actor.person, data)
        move = requests_of_hub.approved(request, enough=answer.enough, now=uow.now)
        uow.apply_transition(request, move, actor.person)

    def _check_second_factor(self, uow: UnitOfWork, actor: Actor, request: Request, code: str) -> ActionResult | None:
        """None where the code was right; either way what the person has left of their tries is saved."""
        row, place = uow.txn.person(actor.person), actor.code_place
        person = row or Person(actor.person, (), uow.now)
        if place == "chat" and (wait := self._wrong_codes.wait_time(uow.now)) > 0:
            return ActionResult(Sentence("second_factor_flood", {"minutes": math.ceil(wait / 60)}), "bad_code")
        if recovery_codes.is_one(code) and person.totp_secret:
            verdict = self._check_recovery_code(uow, actor, person, code)
        else:
            verdict = totp.check_code(person, self._sealer, code, uow.wall, place)
        match verdict.code:
            case "not_enrolled":
                return ActionResult(Sentence("code_not_enrolled", {"person": actor.person}), verdict.code)
            case "code_needed":
                return ActionResult(Sentence("code_needed", {"number": request.number}), verdict.code)
        if row is not None:
            uow.txn.save_person(row, verdict.person)
            if verdict.confirmed:
                uow.audit("person.second_factor_confirmed", actor.person, actor.person, {"via": actor.via})
        if verdict.ok:
            return None
        if place == "chat":
            self._wrong_codes.try_acquire(uow.now)
        locked = uow.wall < totp.locked_until(verdict.person, place)
        left = 0 if locked else totp.MAX_FAILURES - totp.failures(verdict.person, place)
        return ActionResult(verdict.reason, verdict.code, {"left": left})

    def _check_recovery_code(self, uow: UnitOfWork, actor: Actor, person: Person, code: str) -> totp.CodeCheck:
        """A recovery code counts where nobody else reads along; a wrong one is a wrong code."""
        if actor.code_place != "console":
            return totp.CodeCheck(False, person, Sentence("recovery_code_elsewhere"), "bad_code")
        if uow.wall < totp.locked_until(person, actor.code_place):
            return totp.check_code(person, self._sealer, code, uow.wall, actor.code_place)  # says for how long
        if not uow.txn.use_recovery_code(person.name, recovery_codes.digest(person.name, code), uow.now):
            return totp.failed(person, uow.wall, actor.code_place)
        left = uow.txn.count_recovery_codes(person.name)
        uow.audit("person.recovery_code_used", person.name, person.name, {"via": actor.via, "left": left})
        free = totp.forgiven(person, actor.code_place)
        return totp.CodeCheck(True, free, Sentence("second_factor_taken", {"person": person.name}))

    def reject(
        self, uow: UnitOfWork, actor: Actor, request: Request, *, why: str = "", plan_hash: str = ""
    ) -> ActionResult:
        roles, why = uow.world.people.roles(actor.person), why[:MAX_REASON]
        answer = check_reject(request, person=actor.person, roles=roles, plan_hash=plan_hash, now=uow.now)
        if isinstance(answer, DecisionRefused):
            return refuse(uow, actor, "reject", ActionResult.refused(answer), request.id)
        if not any(approval.person == actor.person for approval in uow.txn.approvals(request.id)):
            uow.txn.add_approval(Approval(request.id, request.plan_hash, actor.person, False, actor.via, uow.now, why))
        uow.apply_transition(request, requests_of_hub.rejected(request, actor.person, why, uow.now), actor.person)
        return ActionResult(Sentence("rejected_now", {"number": request.number}))

    # ---- stopping

    def cancel(self, uow: UnitOfWork, actor: Actor, request: Request, *, kill: bool = False) -> ActionResult:
        """Takes a request back. "Cancel asked" and "cancelled" are two facts; this promises only the first."""
        refused = check_cancel(request, actor.person, uow.world.people.roles(actor.person))
        if refused is not None:
            return self._not_cancelled(uow, actor, refused, request)
        working = request.state is RequestState.WORKING
        open_jobs = [job for job in uow.txn.jobs_of(request.id) if job.state not in JOB_SETTLED] if working else []
        uow.apply_transition(request, requests_of_hub.cancelled(request, actor.person, uow.now, kill), actor.person)
        if not working:
            return ActionResult(Sentence("cancelled_now", {"number": request.number}))
        return ActionResult(_cancel_asked(uow, request, open_jobs))

    def cancel_job(self, uow: UnitOfWork, actor: Actor, job: Job, *, kill: bool = False) -> ActionResult:
        request = uow.txn.request(job.request_id)
        if request is None:
            return ActionResult(Sentence("no_job", {"what": job.id}), "unknown")
        refused = check_cancel_job(request, job, actor.person, uow.world.people.roles(actor.person))
        if refused is not None:
            return self._not_cancelled(uow, actor, refused, request)
        uow.apply_job_event(job, jobs_of_hub.AskCancel(actor.person, kill), actor.person)
        return ActionResult(_cancel_asked(uow, request, [job]))

    def _not_cancelled(self, uow: UnitOfWork, actor: Actor, refused: DecisionRefused, request: Request) -> ActionResult:
        """That it is too late is no matter for the audit; that somebody had no right is."""
        result = ActionResult.refused(refused)
        return refuse(uow, actor, "cancel", result, request.id) if refused.code == "no_right" else result

    def resolve_unknown(self, uow: UnitOfWork, actor: Actor, job: Job, *, done: bool) -> ActionResult:
        """A person's word on an unknown outcome."""
        if (refused := check_resolve_unknown(job)) is not None:
            return ActionResult.refused(refused)
        uow.apply_job_event(job, jobs_of_hub.ResolveUnknown(actor.person, done), actor.person)
        return ActionResult(Sentence("settled_now", {"job": job.id}))


def _cancel_asked(uow: UnitOfWork, request: Request, jobs: Sequence[Job]) -> Sentence:
    """What a cancel promises: where nothing is heard of a machine that has one of the jobs, until when it waits."""
    values: dict[str, Any] = {"number": request.number, "count": len(jobs)}
    lost = [job for job in jobs if lost_since(job, uow.world.machines.away) is not None]
    if not lost:
        return Sentence("cancel_asked", values)
    until = time_text(max(map(waits_until, lost)), uow.now, request.language)
    return Sentence("cancel_asked_lost", {**values, "machine": lost[0].agent, "until": until})


def refuse(uow: UnitOfWork, actor: Actor, verb: str, result: ActionResult, subject: str = "") -> ActionResult:
    """Writes a refusal into the audit; without `subject` it is the person's. Where it is for want of a role it says who
    may.
    """
    uow.audit("act.refused", subject or actor.person, actor.person, actor.audit_data(verb, result.code))
    if result.code not in ("no_right", "own_request"):
        return result
    right = "cancel_others" if result.sentence.key == "not_yours" else verb
    role = result.sentence.values.get("role") or VERB_ROLES.get(right, "admin")
    names = [name for name in uow.world.people.holders(role) if name != actor.person]
    return replace(result, sentence=with_names(result.sentence, names))


def new_request(
    *,
    person: str,
    text: str,
    language: Language,
    now: float,
    plan: Plan | None = None,
    parent: str = "",
    hold: float = 0.0,
) -> Request:
    """A request that an operator made at the console or command line; its conversation is nobody's chat."""
    identity = str(ULID())
    return Request(
        id=identity,
        number=0,
        state=RequestState.RECEIVED,
        inlet="console",
        event_id=identity,
        conversation="",
        chat_user=person,
        person=person,
        text=text,
        language=language,
        reply_url="",
        received_at=now,
        plan=plan,
        parent=parent,
        hold=hold,
    )


def _signature_refusal(
    uow: UnitOfWork,
    request: Request,
    signed: OwnSignature | PasskeySignature | None,
    proof: ApprovalProof | None,
    allow_for: float | None,
) -> ActionResult | None:
    """Why a yes does not count for want of the person's own signature; None where none is wanted, or it is right. What
    is signed is one request: it allows no other for a while.
    """
    values = {"number": request.number}
    if allow_for is not None and uow.world.is_critical(request):
        return ActionResult(Sentence("allow_not_critical", values), "not_allowed")
    if signed is not None and proof is None:
        return ActionResult(Sentence("signature_wrong", values), "bad_signature")
    if signed is None and uow.world.is_critical(request):
        return ActionResult(Sentence("signature_needed", values), "signature_needed")
    return None
