"""A plain yes and no: what they decide on, and when they only tell what to write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.lifecycle import RequestState
from hub.core.approval import DecisionRefused
from hub.core.plain_answer import answer_to_no, choose_for_yes
from hub.core.records import Approval, Request

ASKING = Request(
    id="x", number=7, state=RequestState.ASKING, inlet="ops", event_id="e", conversation="room", chat_user="carol",
    person="carol", text="t", language="en", reply_url="", received_at=0.0, plan_hash="h", approvers=1, decide_by=100.0,
)  # fmt: skip


def yes(*requests: Request, person: str = "bob", role: str = "approver", given: str = "") -> Request | DecisionRefused:
    approvals = [Approval("x", "h", given, True, "ops", 1.0)] if given else []
    waiting = [(request, approvals) for request in requests]
    return choose_for_yes(waiting, inlet="ops", conversation="room", person=person, roles=(role,), now=50.0)


def test_a_yes_counts_where_one_plan_waits_for_this_person() -> None:
    """Those of other rooms and inlets, and what this person has decided, are not meant."""
    assert yes(ASKING) == ASKING
    assert yes(ASKING, replace(ASKING, conversation="other"), replace(ASKING, inlet="else")) == ASKING
    assert yes(replace(ASKING, own_approval=True), person="carol", role="approver") != ASKING


@pytest.mark.parametrize(
    ("requests", "more", "code"),
    [
        ((), {}, "unknown"),
        ((ASKING, replace(ASKING, number=8)), {}, "ambiguous"),
        ((replace(ASKING, second_factor=True),), {}, "code_needed"),
        ((ASKING,), {"person": "carol"}, "own_request"),
        ((ASKING,), {"role": "viewer"}, "no_right"),
        ((ASKING,), {"given": "bob"}, "already"),
        ((replace(ASKING, decide_by=10.0),), {}, "late"),
        ((replace(ASKING, conversation="other"),), {}, "unknown"),
    ],
)
def test_a_yes_that_does_not_count_says_why(requests: tuple[Request, ...], more: dict[str, str], code: str) -> None:
    """Each with a sentence in both languages."""
    answer = yes(*requests, **more)
    assert isinstance(answer, DecisionRefused)
    assert answer.code == code
    assert answer.sentence.render("en")
    assert answer.sentence.render("zh")


def test_a_no_never_decides() -> None:
    """It tells what to write."""
    said = [
        answer_to_no([(one, []) for one in waiting], inlet="ops", conversation="room").render("en")
        for waiting in ((), (ASKING,), (ASKING, replace(ASKING, number=8)))
    ]
    assert "nothing waits" in said[0]
    assert "reject r7" in said[1]
    assert "r7, r8" in said[2]
