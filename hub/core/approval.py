"""Who may decide on a plan that waits. Pure.

An approval is of one plan hash, by one person, once. Where the rule asks for it the requester is nobody's approver (of
an edited plan: neither the editor nor anybody it is made on behalf of), and a second factor is checked before the
approval is written (`hub.identity.totp`), in the same transaction that consumes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.core.authorization import may
from hub.core.records import Approval, Request, state_words

_LETTERS: Final = "bcdfghjkmnpqrstvwxyz"  # no vowels, so that no word comes about, and no l


def approval_code(request: Request) -> str:
    """Four characters that belong to this request and its plan, such as `k7f2`: printed where a yes is asked for, so
    that what is typed there says what it means. A number alone may be another request's after a restored backup.
    """
    number = int.from_bytes(hashlib.sha256(f"{request.id}\n{request.plan_hash}".encode()).digest()[:8])
    number, first = divmod(number, len(_LETTERS))
    number, second = divmod(number, len(_LETTERS))
    return f"{_LETTERS[first]}{number % 10}{_LETTERS[second]}{number // 10 % 10}"


@dataclass(frozen=True, slots=True)
class DecisionRefused:
    """What was asked for is not done; `code` and `data` are for programs."""

    code: str  # not_asking | no_right | own_request | already | plan_changed | late | too_late | unknown | ambiguous
    sentence: Sentence
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionAccepted:
    """The approval counts; `enough` where it was the last one needed."""

    enough: bool
    given: int
    needed: int


def check_approve(
    request: Request,
    approvals: Sequence[Approval],
    *,
    person: str,
    roles: Sequence[str],
    plan_hash: str,
    now: float,
    plan_code: str = "",
    counted: int | None = None,
) -> DecisionAccepted | DecisionRefused:
    """Whether `person` may add a yes. `plan_hash` or `plan_code` is what they saw, "" where they named only the
    request. `counted` is how many of the approvals count now, all of them where that is not given.
    """
    if plan_code and request.state is RequestState.ASKING and plan_code != approval_code(request):
        values = {"number": request.number, "code": plan_code, "right": approval_code(request)}
        return DecisionRefused("plan_changed", Sentence("plan_code_other", values))
    if denied := _check(request, person=person, roles=roles, plan_hash=plan_hash, now=now):
        return denied
    if person in (request.person, *request.behalf.split()) and not request.own_approval:
        return DecisionRefused("own_request", Sentence("approve_own", {"number": request.number}))
    if any(approval.person == person for approval in approvals):
        return DecisionRefused("already", Sentence("approve_twice", {"number": request.number}))
    given = (sum(1 for approval in approvals if approval.granted) if counted is None else counted) + 1
    return DecisionAccepted(enough=given >= request.approvers, given=given, needed=request.approvers)


def check_reject(
    request: Request, *, person: str, roles: Sequence[str], plan_hash: str, now: float
) -> DecisionAccepted | DecisionRefused:
    """Whether `person` may say no. The requester may always take back their own."""
    if denied := _check(
        request, person=person, roles=roles, plan_hash=plan_hash, now=now, right=person != request.person
    ):
        return denied
    return DecisionAccepted(enough=True, given=0, needed=request.approvers)


def _check(
    request: Request, *, person: str, roles: Sequence[str], plan_hash: str, now: float, right: bool = True
) -> DecisionRefused | None:
    if request.state is not RequestState.ASKING:
        return DecisionRefused(
            "not_asking", Sentence("not_asking", {"number": request.number, "state": state_words(request.state)})
        )
    if right and not may(roles, "approve"):
        return DecisionRefused("no_right", Sentence("approve_no_right", {"person": person}))
    if plan_hash and plan_hash != request.plan_hash:
        return DecisionRefused(
            "plan_changed", Sentence("plan_changed", {"number": request.number, "hash": request.plan_hash[:8]})
        )
    if request.decide_by is not None and now >= request.decide_by:
        return DecisionRefused("late", Sentence("approve_late", {"number": request.number}))
    return None
