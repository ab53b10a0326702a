"""Who may decide on a plan that waits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from common.lifecycle import RequestState
from hub.core.approval import DecisionAccepted, DecisionRefused, approval_code, check_approve, check_reject
from hub.core.records import Approval, Request

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


def approve(
    request: Request, given: list[Approval] | None = None, **more: object
) -> DecisionAccepted | DecisionRefused:
    facts = {"person": "bob", "roles": ("approver",), "plan_hash": "", "now": 50.0, **more}
    return check_approve(request, given or [], **facts)  # type: ignore[arg-type]


def test_one_yes_is_enough_where_one_is_asked() -> None:
    """The count is the policy's."""
    assert approve(asking()) == DecisionAccepted(enough=True, given=1, needed=1)
    assert approve(asking(approvers=2)) == DecisionAccepted(enough=False, given=1, needed=2)
    first = Approval("R", HASH, "dora", True, "ops", 1.0)
    assert approve(asking(approvers=2), [first]) == DecisionAccepted(enough=True, given=2, needed=2)


def test_nobody_whose_words_are_in_the_plan_approves_it() -> None:
    """Neither who asked nor who has edited it since, where one's own approval does not count."""
    edited = asking(behalf="bob dora")
    assert approve(edited).code == "own_request"  # type: ignore[union-attr]
    assert approve(edited, person="dora").code == "own_request"  # type: ignore[union-attr]
    assert approve(edited, person="eve") == DecisionAccepted(enough=True, given=1, needed=1)


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
    assert isinstance(answer, DecisionRefused)
    assert answer.code == code
    assert answer.sentence.render("en") != answer.sentence.render("zh")


def test_own_approval_only_where_the_rule_lets_it() -> None:
    """Requester is not approver, unless the rule says so."""
    assert isinstance(approve(asking(person="bob", own_approval=True)), DecisionAccepted)


def test_nobody_counts_twice() -> None:
    """A second yes of the same person is not a second person's."""
    first = Approval("R", HASH, "bob", True, "ops", 1.0)
    answer = approve(asking(approvers=2), [first])
    assert isinstance(answer, DecisionRefused)
    assert answer.code == "already"


def test_a_no_is_the_approvers_or_the_requesters() -> None:
    """The requester takes back their own without a right; others need one."""
    assert isinstance(
        check_reject(asking(), person="carol", roles=("operator",), plan_hash="", now=1.0), DecisionAccepted
    )
    assert isinstance(
        check_reject(asking(), person="bob", roles=("approver",), plan_hash="", now=1.0), DecisionAccepted
    )
    answer = check_reject(asking(), person="eve", roles=("operator",), plan_hash="", now=1.0)
    assert isinstance(answer, DecisionRefused)
    assert answer.code == "no_right"


def test_the_code_of_a_plan() -> None:
    """Two letters that make no word, each with a digit; another for another plan, and for the same plan asked again."""
    codes = {approval_code(asking(id=f"R{number}")) for number in range(300)}
    assert len(codes) > 290
    assert all(re.fullmatch("[b-df-hj-np-tv-z][0-9][b-df-hj-np-tv-z][0-9]", code) for code in codes)
    assert approval_code(asking()) == approval_code(asking())
    assert approval_code(asking()) != approval_code(asking(plan_hash="cd" * 32))


def test_a_code_of_another_plan_approves_nothing() -> None:
    """An old answer in an old chat, whatever its number; the sentence has the code of what waits now."""
    right, other = approval_code(asking()), approval_code(asking(id="Q"))
    assert isinstance(approve(asking(), plan_code=right), DecisionAccepted)
    refused = approve(asking(), plan_code=other)
    assert isinstance(refused, DecisionRefused)
    assert refused.code == "plan_changed"
    assert f"approve r42 {right}" in str(refused.sentence)
