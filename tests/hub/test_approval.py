"""Who may decide on a plan that waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.lifecycle import RequestState
from hub.approval import No, Yes, check_approve, check_reject
from hub.records import Approval, Request

HASH = "ab" * 32


def asking(**more: object) -> Request:
    made = Request(
        "R",
        42,
        RequestState.ASKING,
        "ops",
        "e",
        "ops",
        "carol",
        "carol",
        "t",
        "en",
        "",
        1.0,
        plan_hash=HASH,
        approvers=1,
    )
    return replace(made, **{"decide_by": 100.0, **more})


def approve(request: Request, given: list[Approval] | None = None, **more: object) -> Yes | No:
    facts = {"person": "bob", "roles": ("approver",), "plan_hash": "", "now": 50.0, **more}
    return check_approve(request, given or [], **facts)  # type: ignore[arg-type]


def test_one_yes_is_enough_where_one_is_asked() -> None:
    """The count is the policy's."""
    assert approve(asking()) == Yes(enough=True, given=1, needed=1)
    assert approve(asking(approvers=2)) == Yes(enough=False, given=1, needed=2)
    first = Approval("R", HASH, "dora", True, "ops", 1.0)
    assert approve(asking(approvers=2), [first]) == Yes(enough=True, given=2, needed=2)


@pytest.mark.parametrize(
    ("request_facts", "facts", "code"),
    [
        ({"state": RequestState.WORKING}, {}, "not_asking"),
        ({}, {"roles": ("operator",)}, "no_right"),
        ({}, {"roles": ()}, "no_right"),
        ({}, {"plan_hash": "cd" * 32}, "plan_changed"),
        ({}, {"now": 100.0}, "late"),
        ({"person": "bob"}, {}, "own_request"),
    ],
)
def test_no_with_its_reason(request_facts: dict[str, object], facts: dict[str, object], code: str) -> None:
    """Each no has its own word for programs and a sentence for people in both languages."""
    answer = approve(asking(**request_facts), **facts)
    assert isinstance(answer, No)
    assert answer.code == code
    assert answer.sentence.say("en") != answer.sentence.say("zh")


def test_own_approval_only_where_the_rule_lets_it() -> None:
    """Requester is not approver, unless the rule says so."""
    assert isinstance(approve(asking(person="bob", own_approval=True)), Yes)


def test_nobody_counts_twice() -> None:
    """A second yes of the same person is not a second person's."""
    first = Approval("R", HASH, "bob", True, "ops", 1.0)
    answer = approve(asking(approvers=2), [first])
    assert isinstance(answer, No)
    assert answer.code == "already"


def test_a_no_is_the_approvers_or_the_requesters() -> None:
    """The requester takes back their own without a right; others need one."""
    assert isinstance(check_reject(asking(), person="carol", roles=("operator",), plan_hash="", now=1.0), Yes)
    assert isinstance(check_reject(asking(), person="bob", roles=("approver",), plan_hash="", now=1.0), Yes)
    answer = check_reject(asking(), person="eve", roles=("operator",), plan_hash="", now=1.0)
    assert isinstance(answer, No)
    assert answer.code == "no_right"
