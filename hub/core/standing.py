"""A yes that holds for a while: "allow this exact command on these machines for me for an hour". Pure.

Off unless hub.toml says for how long at most. It is of one plan hash (argument vector, environment, directory,
machines, limits), for one person, until a time and for a number of uses; given together with an approval, on the terms
of that request's rule, and used as that yes would be. It ends with its time, its uses, its revocation, the role of
whoever gave it, or a rule that asks for more. What a model wrote, or text of nobody's contributed to, is asked about
each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from common.catalogue import Sentence
from common.plan import Plan
from hub.core.authorization import may
from hub.core.records import Approval, Request, StandingApproval

VIA: Final = "allowed:a"
"""What the approvals that it gives say of how they were given, with its number behind."""


def grant_objection(plan: Plan, seconds: float, *, longest: float) -> Sentence | None:
    """Why such a yes is not to be had; `longest` is hub.toml's, in seconds, 0 where there is none."""
    if not longest:
        return Sentence("allow_off")
    if plan.tainted or plan.proposed:
        return Sentence("allow_not_of_model")
    if not 0 < seconds <= longest:
        return Sentence("allow_too_long", {"minutes": int(longest // 60)})
    return None


def is_over(standing: StandingApproval, now: float) -> bool:
    return standing.revoked_at is not None or standing.uses >= standing.max_uses or now >= standing.expires_at


def usable(
    found: Sequence[StandingApproval],
    request: Request,
    *,
    roles_of: Callable[[str], Sequence[str]],
    now: float,
) -> list[StandingApproval]:
    """Those of `found` that count as a yes to `request`, which asks: one of each person who gave one."""
    plan = request.plan
    if plan is None or plan.tainted or plan.proposed or request.behalf:
        return []
    fits: dict[str, StandingApproval] = {}
    for one in found:
        if (one.plan_hash, one.person) != (request.plan_hash, request.person) or is_over(one, now):
            continue
        if request.second_factor and not one.second_factor:
            continue
        if not may(roles_of(one.granted_by), "approve"):
            continue
        if one.granted_by == request.person and not request.own_approval:
            continue
        fits.setdefault(one.granted_by, one)
    return list(fits.values())[: request.approvers]


def approval_of(standing: StandingApproval, request: Request, now: float) -> Approval:
    """The yes that it gives to `request`, not signed yet."""
    via = f"{VIA}{standing.number}"
    return Approval(
        request.id,
        request.plan_hash,
        standing.granted_by,
        True,
        via,
        now,
        second_factor=standing.second_factor,
    )


def number_of(approval: Approval) -> int | None:
    """Which standing approval gave it; None where a person gave it there and then."""
    number = approval.via.removeprefix(VIA)
    return int(number) if number != approval.via and number.isascii() and number.isdecimal() else None
