"""Whether a person may do what they ask for, and whether it is still possible: cancel, take back, settle, edit. Pure.

Who may decide on a plan that waits is in `hub.core.approval`; which role has which verb in `hub.core.authorization`.
Each check returns None where nothing is against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.catalogue import Sentence
from common.lifecycle import JOB_SETTLED, REQUEST_TERMINAL, JobState, RequestState
from common.plan import plan_to_json
from hub.core.approval import DecisionRefused
from hub.core.authorization import VERB_ROLES, may
from hub.core.records import Job, Request, state_words

OPEN_STATES: Final = (RequestState.ASKING, RequestState.WORKING)


def check_verb(person: str, roles: Sequence[str], verb: str) -> DecisionRefused | None:
    """Whether one of the roles has the verb."""
    if may(roles, verb):
        return None
    values = {"person": person, "verb": verb, "role": VERB_ROLES.get(verb, "admin")}
    return DecisionRefused("no_right", Sentence("may_not", values))


def check_cancel(request: Request, person: str, roles: Sequence[str]) -> DecisionRefused | None:
    """People cancel their own requests; those of others with the right `cancel_others`."""
    if not _owns(request.person, person, roles):
        values = {"number": request.number, "owner": request.person}
        return DecisionRefused("no_right", Sentence("not_yours", values))
    if request.state not in OPEN_STATES:
        values = {"number": request.number, "state": state_words(request.state)}
        return DecisionRefused("too_late", Sentence("cancel_too_late", values))
    return None


def check_cancel_job(request: Request, job: Job, person: str, roles: Sequence[str]) -> DecisionRefused | None:
    """As for a request; `request` is the job's."""
    if not _owns(job.person, person, roles):
        values = {"number": request.number, "owner": job.person}
        return DecisionRefused("no_right", Sentence("not_yours", values))
    if job.state in JOB_SETTLED:
        values = {"number": request.number, "state": job.state.value}
        return DecisionRefused("too_late", Sentence("cancel_too_late", values))
    return None


def check_take_back(
    request: Request, jobs: Sequence[Job], person: str, roles: Sequence[str], now: float
) -> DecisionRefused | None:
    """A request can be taken back whole, while it waits for approval or all of its jobs are held. `jobs` are its."""
    values = {"number": request.number, "owner": request.person, "state": request.state.value}
    if not _owns(request.person, person, roles):
        return DecisionRefused("no_right", Sentence("not_yours", values))
    held = all(job.state is JobState.QUEUED and job.not_before > now for job in jobs)
    if request.state is RequestState.ASKING or (request.state is RequestState.WORKING and jobs and held):
        return None
    started = sum(job.state is not JobState.QUEUED for job in jobs)
    sentence = Sentence("take_back_late", {**values, "count": started})
    return DecisionRefused("too_late", sentence, {"handed_out": started})


def check_retry(request: Request) -> DecisionRefused | None:
    """Only what had a plan and has ended is run again."""
    if request.plan is None:
        return DecisionRefused("no_plan", Sentence("retry_no_plan", {"number": request.number}))
    if request.state not in REQUEST_TERMINAL:
        return DecisionRefused("not_ended", Sentence("retry_not_ended", {"what": f"r{request.number}"}))
    return None


def check_resolve_unknown(job: Job) -> DecisionRefused | None:
    """Only an unknown outcome takes a person's word."""
    if job.state is JobState.UNKNOWN:
        return None
    return DecisionRefused("too_late", Sentence("not_unknown", {"job": job.id, "state": job.state.value}))


def check_edit(request: Request, base_hash: str, now: float) -> DecisionRefused | None:
    """A plan is edited while it waits, by somebody who has read this very plan: `base_hash` is its hash."""
    values = {"number": request.number, "state": state_words(request.state), "hash": request.plan_hash[:8]}
    if request.state is not RequestState.ASKING:
        return DecisionRefused("not_asking", Sentence("not_asking", values))
    if request.decide_by is not None and now >= request.decide_by:
        return DecisionRefused("late", Sentence("approve_late", values))
    if base_hash != request.plan_hash:
        plan = plan_to_json(request.plan) if request.plan is not None else None
        data = {"plan": plan, "plan_hash": request.plan_hash}
        return DecisionRefused("plan_changed", Sentence("plan_changed", values), data)
    return None


def choose_request(
    verb: str, open_requests: Sequence[Request], *, inlet: str, conversation: str, person: str
) -> Request | DecisionRefused:
    """The request that a chat command without a number means: the only one of its conversation; for a cancel, of its
    person in it.
    """
    waiting = [
        request
        for request in open_requests
        if (request.inlet, request.conversation) == (inlet, conversation)
        and (verb != "cancel" or request.person == person)
    ]
    if len(waiting) == 1:
        return waiting[0]
    if not waiting:
        return DecisionRefused("unknown", Sentence("none_waiting"))
    choices = ", ".join(f"r{request.number}" for request in waiting[:10])
    values = {"choices": choices, "verb": Sentence(f"verb_{verb}"), "example": f"r{waiting[0].number}"}
    return DecisionRefused("ambiguous", Sentence("which_request", values))


def _owns(owner: str, person: str, roles: Sequence[str]) -> bool:
    return owner == person or may(roles, "cancel_others")
