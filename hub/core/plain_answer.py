"""A plain "yes" or "no" in a conversation: which waiting plan it decides on, or what to write instead. Pure.

A yes counts only where nothing else can be meant: exactly one plan waits in this conversation for this person, who may
approve it, and the approval takes nothing but the yes. Where a second factor is needed, or anything else that a bare
word cannot carry, the answer says what to write. A plain no never decides: it may be the answer to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.catalogue import Sentence
from hub.core.approval import DecisionRefused, check_approve
from hub.core.records import Approval, Request

Waiting = Sequence[tuple[Request, Sequence[Approval]]]


def choose_for_yes(
    waiting: Waiting, *, inlet: str, conversation: str, person: str, roles: Sequence[str], now: float
) -> Request | DecisionRefused:
    """The request that a plain yes approves. `waiting` are requests that ask, with the approvals each has."""
    here = _here(waiting, inlet, conversation)
    refusals: list[DecisionRefused] = []
    mine: list[Request] = []
    for request, approvals in here:
        checked = check_approve(request, approvals, person=person, roles=roles, plan_hash="", now=now)
        if isinstance(checked, DecisionRefused):
            refusals.append(checked)
        else:
            mine.append(request)
    if len(mine) > 1:
        return DecisionRefused("ambiguous", _which("approve", mine))
    if not mine:
        return refusals[0] if len(refusals) == 1 else DecisionRefused("unknown", Sentence("yes_nothing"))
    if mine[0].second_factor:
        return DecisionRefused("code_needed", Sentence("code_needed", {"number": mine[0].number}))
    return mine[0]


def answer_to_no(waiting: Waiting, *, inlet: str, conversation: str) -> Sentence:
    """What to write for a no."""
    here = [request for request, _ in _here(waiting, inlet, conversation)]
    if not here:
        return Sentence("no_nothing")
    if len(here) == 1:
        return Sentence("no_how", {"number": here[0].number})
    return _which("reject", here)


def _here(waiting: Waiting, inlet: str, conversation: str) -> Waiting:
    return [one for one in waiting if (one[0].inlet, one[0].conversation) == (inlet, conversation)]


def _which(verb: str, requests: Sequence[Request]) -> Sentence:
    choices = ", ".join(f"r{request.number}" for request in requests[:10])
    return Sentence(
        "which_request", {"choices": choices, "verb": Sentence(f"verb_{verb}"), "example": f"r{requests[0].number}"}
    )
