"""Approvals that hold for a while, in units of work: given with a yes, used when the same is asked, taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from common.catalogue import Sentence
from common.times import format_moment, utc
from hub.config import ApprovalsTable
from hub.core import request as requests_of_hub
from hub.core.approval_proofs import approval_expiry
from hub.core.authorization import may
from hub.core.records import Approval, Request, StandingApproval
from hub.core.request import SendReply, Transition
from hub.core.standing import approval_of, grant_objection, is_over, number_of, usable
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork, command_of

MAX_LISTED: Final = 20


class StandingApprovals:
    """`settings` are hub.toml's `[approvals]`, which may be read again."""

    def __init__(self, settings: ApprovalsTable) -> None:
        self.settings = settings

    def objection(self, request: Request, seconds: float) -> ActionResult | None:
        """Why the plan of a request may not be allowed for so long, before anything is done."""
        if request.plan is None:
            return None  # which is another reason
        why = grant_objection(request.plan, seconds, longest=self.settings.allow_for)
        return None if why is None else ActionResult(why, "not_allowed")

    def longest(self, request: Request) -> float:
        """For how many seconds at most the plan of a request may be allowed; 0 where it may not."""
        longest = self.settings.allow_for
        plan = request.plan
        return longest if plan is not None and grant_objection(plan, longest, longest=longest) is None else 0.0

    def grant(self, uow: UnitOfWork, actor: Actor, request: Request, seconds: float) -> StandingApproval:
        """Beside a yes that was given in this unit of work, on the same terms."""
        assert request.plan is not None  # noqa: S101 - it was approved
        made = uow.txn.add_standing(
            StandingApproval(
                number=0,
                request_id=request.id,
                plan_hash=request.plan_hash,
                person=request.person,
                granted_by=actor.person,
                via=actor.via,
                granted_at=uow.now,
                expires_at=uow.now + seconds,
                max_uses=self.settings.allow_uses,
                second_factor=request.second_factor,
                command=command_of(request.plan.steps[0]),
                targets=request.plan.targets,
            )
        )
        data = {"number": made.number, "plan_hash": made.plan_hash, "person": made.person, "until": made.expires_at}
        uow.audit("approval.allowed", request.id, actor.person, {**data, "uses": made.max_uses, "via": actor.via})
        return made

    def revoke(self, uow: UnitOfWork, actor: Actor, number: int) -> ActionResult:
        """By whoever gave it, whom it is for, or may approve; what waits in the queue by it is not handed out then."""
        found = uow.txn.standing(number)
        if found is None or is_over(found, uow.now):
            return ActionResult(Sentence("allow_unknown", {"number": number}), "unknown")
        if actor.person not in (found.granted_by, found.person) and not may(uow.roles_now(actor.person), "approve"):
            uow.audit("act.refused", found.request_id, actor.person, actor.audit_data("disallow", "no_right"))
            return ActionResult(Sentence("approve_no_right", {"person": actor.person}), "no_right")
        uow.txn.save_standing(found, replace(found, revoked_at=uow.now, revoked_by=actor.person))
        data = {"number": number, "granted_by": found.granted_by, "person": found.person, "via": actor.via}
        uow.audit("approval.disallowed", found.request_id, actor.person, data)
        uow.effects.changed.add(found.request_id)
        return ActionResult(Sentence("allow_revoked", {"number": number}), "", {"number": number})

    def apply(self, uow: UnitOfWork, asked: Transition) -> Transition:
        """The move of a request that asks, with the yeses that stand for it: approved at once where they are enough."""
        request, actions = asked
        if not self.settings.allow_for or uow.world.recovering:
            return asked
        found = uow.txn.standing_for(request.plan_hash, request.person, uow.now)
        uses = usable(found, request, roles_of=uow.roles_now, now=uow.now)
        assert request.plan is not None  # noqa: S101 - it was judged
        for one in uses:
            expires = approval_expiry(request, request.plan, uow.now)
            uow.txn.add_approval(uow.prover.sign(approval_of(one, request, uow.now), expires))
            uow.txn.save_standing(one, replace(one, uses=one.uses + 1))
            data = {"plan_hash": request.plan_hash, "via": f"a{one.number}", "second_factor": one.second_factor}
            uow.audit("request.approved", request.id, one.granted_by, {**data, "use": one.uses + 1})
        if not uses or len(uses) < request.approvers:
            return asked
        working, queue = requests_of_hub.approved(request, enough=True, now=uow.now)
        return working, [*(one for one in actions if not isinstance(one, SendReply)), *queue]

    def withdrawn(self, uow: UnitOfWork, approval: Approval) -> bool:
        """Whether what gave the approval was taken back since; not of one that a person gave there and then."""
        number = number_of(approval)
        if number is None:
            return False
        found = uow.txn.standing(number)
        return found is None or found.revoked_at is not None or not self.settings.allow_for


def view_of(standing: StandingApproval) -> dict[str, Any]:
    """As the operators' API shows it."""
    return {
        "number": standing.number,
        "person": standing.person,
        "granted_by": standing.granted_by,
        "command": standing.command,
        "targets": list(standing.targets[:MAX_LISTED]),
        "target_count": len(standing.targets),
        "granted_at": standing.granted_at,
        "expires_at": standing.expires_at,
        "uses": standing.uses,
        "max_uses": standing.max_uses,
        "plan_hash": standing.plan_hash,
    }


def line_of(standing: StandingApproval, now: float) -> Sentence:
    """One of them in a line for people."""
    values = {
        "number": standing.number,
        "by": standing.granted_by,
        "person": standing.person,
        "command": standing.command or standing.plan_hash[:8],
        "targets": ", ".join(standing.targets[:3]) + (" …" if len(standing.targets) > 3 else ""),
        "uses": standing.uses,
        "most": standing.max_uses,
        "until": format_moment(standing.expires_at, now, utc, seconds=False),
    }
    return Sentence("allow_line", values)
