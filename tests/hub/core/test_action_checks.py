"""Whether a person may do what they ask for, and whether it is still possible."""

from __future__ import annotations

from dataclasses import replace

from common.lifecycle import JobState, RequestState
from hub.core.action_checks import (
    check_cancel,
    check_cancel_job,
    check_edit,
    check_resolve_unknown,
    check_take_back,
    check_verb,
    choose_request,
)
from hub.core.approval import DecisionRefused
from hub.core.records import Request
from tests.each import each_of
from tests.hub.core.test_request import job, request

WORKING = request(RequestState.WORKING)
OPERATOR, APPROVER = ("operator",), ("approver",)


def code(refused: DecisionRefused | None) -> str:
    return "" if refused is None else refused.code


@each_of(
    ("roles", "verb", "expected"),
    [(OPERATOR, "run", ""), (("viewer",), "run", "no_right"), ((), "help", "no_right"), (("admin",), "?", "no_right")],
)
def test_verbs_are_the_roles(roles: tuple[str, ...], verb: str, expected: str) -> None:
    """A verb that nobody knows is nobody's."""
    assert code(check_verb("carol", roles, verb)) == expected


@each_of(
    ("person", "roles", "state", "expected"),
    [
        ("carol", OPERATOR, RequestState.ASKING, ""),
        ("carol", OPERATOR, RequestState.WORKING, ""),
        ("carol", OPERATOR, RequestState.DONE, "too_late"),
        ("dave", OPERATOR, RequestState.WORKING, "no_right"),
        ("dave", OPERATOR, RequestState.DONE, "no_right"),
        ("bob", APPROVER, RequestState.WORKING, ""),
    ],
)
def test_whose_request_is_cancelled(person: str, roles: tuple[str, ...], state: RequestState, expected: str) -> None:
    """One's own, or others' with the right; never what has ended."""
    assert code(check_cancel(request(state), person, roles)) == expected


@each_of(
    ("person", "roles", "state", "expected"),
    [
        ("carol", OPERATOR, JobState.RUNNING, ""),
        ("carol", OPERATOR, JobState.UNKNOWN, "too_late"),
        ("carol", OPERATOR, JobState.SUCCEEDED, "too_late"),
        ("dave", OPERATOR, JobState.RUNNING, "no_right"),
        ("bob", APPROVER, JobState.RUNNING, ""),
    ],
)
def test_whose_job_is_cancelled(person: str, roles: tuple[str, ...], state: JobState, expected: str) -> None:
    """As for requests; a job whose outcome is unknown has nobody to be told."""
    assert code(check_cancel_job(WORKING, job(state), person, roles)) == expected


@each_of(
    ("person", "state", "job_state", "not_before", "expected"),
    [
        ("carol", RequestState.ASKING, None, 0.0, ""),
        ("carol", RequestState.WORKING, JobState.QUEUED, 9.0, ""),
        ("carol", RequestState.WORKING, JobState.QUEUED, 5.0, "too_late"),
        ("carol", RequestState.WORKING, JobState.LEASED, 9.0, "too_late"),
        ("carol", RequestState.WORKING, None, 0.0, "too_late"),
        ("carol", RequestState.DONE, None, 0.0, "too_late"),
        ("dave", RequestState.ASKING, None, 0.0, "no_right"),
    ],
)
def test_what_may_be_taken_back(
    person: str, state: RequestState, job_state: JobState | None, not_before: float, expected: str
) -> None:
    """What waits for approval, and what is held; once a job has been dispatched it is too late."""
    jobs = [] if job_state is None else [replace(job(job_state), not_before=not_before)]
    refused = check_take_back(request(state), jobs, person, OPERATOR, 5.0)
    assert code(refused) == expected
    if expected == "too_late":
        assert refused is not None
        assert refused.data == {"handed_out": sum(one.state is not JobState.QUEUED for one in jobs)}


@each_of("state", list(JobState))
def test_only_an_unknown_outcome_takes_a_word(state: JobState) -> None:
    """Any other job has, or will have, its own."""
    assert code(check_resolve_unknown(job(state))) == ("" if state is JobState.UNKNOWN else "too_late")


@each_of(
    ("state", "base_hash", "now", "expected"),
    [
        (RequestState.ASKING, "h", 5.0, ""),
        (RequestState.WORKING, "h", 5.0, "not_asking"),
        (RequestState.ASKING, "h", 60.0, "late"),
        (RequestState.ASKING, "other", 5.0, "plan_changed"),
    ],
)
def test_what_may_be_edited(state: RequestState, base_hash: str, now: float, expected: str) -> None:
    """A plan that waits, in time, by somebody who has read this very plan; a plan that changed is sent along."""
    refused = check_edit(request(state, plan_hash="h", decide_by=60.0), base_hash, now)
    assert code(refused) == expected
    assert (refused is not None and "plan_hash" in refused.data) is (expected == "plan_changed")


def asking(number: int, person: str = "carol", conversation: str = "room") -> Request:
    return request(RequestState.ASKING, number=number, person=person, conversation=conversation)


@each_of(
    ("verb", "waiting", "chosen"),
    [
        ("approve", [asking(1)], 1),
        ("approve", [asking(1), asking(2, conversation="other")], 1),
        ("approve", [], "unknown"),
        ("approve", [asking(1, conversation="other")], "unknown"),
        ("approve", [asking(1), asking(2)], "ambiguous"),
        ("cancel", [asking(1), asking(2, person="dave")], 1),
        ("cancel", [asking(2, person="dave")], "unknown"),
    ],
)
def test_which_request_is_meant_without_a_number(verb: str, waiting: list[Request], chosen: int | str) -> None:
    """The only one of the conversation; of a cancel the only one of one's own there."""
    found = choose_request(verb, waiting, inlet="ops", conversation="room", person="carol")
    assert (found.code if isinstance(found, DecisionRefused) else found.number) == chosen
