"""Who may decide on a plan that waits. Pure.

An approval is of one plan hash, by one person, once. Where the rule asks for it the requester is nobody's approver (of
an edited plan: neither the editor nor anybody it is made on behalf of), and a second factor is checked before the
approval is written (`hub.secondfactor`), in the same transaction that consumes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.authority import may
from hub.records import Approval, Request


@dataclass(frozen=True, slots=True)
class No:
    """The decision is not taken; `code` is for programs."""

    code: str  # not_asking | no_right | own_request | already | plan_changed | late | code_needed
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Yes:
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
) -> Yes | No:
    """Whether `person` may add a yes. `plan_hash` is what they saw, "" where they named only the request."""
    if denied := _check(request, person=person, roles=roles, plan_hash=plan_hash, now=now):
        return denied
    if person in (request.person, *request.behalf.split()) and not request.own_approval:
        return No("own_request", Sentence("approve_own", {"number": request.number}))
    if any(approval.person == person for approval in approvals):
        return No("already", Sentence("approve_twice", {"number": request.number}))
    given = sum(1 for approval in approvals if approval.granted) + 1
    return Yes(enough=given >= request.approvers, given=given, needed=request.approvers)


def check_reject(request: Request, *, person: str, roles: Sequence[str], plan_hash: str, now: float) -> Yes | No:
    """Whether `person` may say no. The requester may always take back their own."""
    if denied := _check(
        request, person=person, roles=roles, plan_hash=plan_hash, now=now, right=person != request.person
    ):
        return denied
    return Yes(enough=True, given=0, needed=request.approvers)


def _check(
    request: Request, *, person: str, roles: Sequence[str], plan_hash: str, now: float, right: bool = True
) -> No | None:
    if request.state is not RequestState.ASKING:
        return No("not_asking", Sentence("not_asking", {"number": request.number, "state": request.state.value}))
    if right and not may(roles, "approve"):
        return No("no_right", Sentence("approve_no_right", {"person": person}))
    if plan_hash and plan_hash != request.plan_hash:
        return No("plan_changed", Sentence("plan_changed", {"number": request.number, "hash": request.plan_hash[:8]}))
    if request.decide_by is not None and now >= request.decide_by:
        return No("late", Sentence("approve_late", {"number": request.number}))
    return None
