"""A yes that holds for a while: who may give it for what, and what it counts for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.lifecycle import RequestState
from common.plan import plan_hash
from hub.core.records import Approval, StandingApproval
from hub.core.standing import approval_of, grant_objection, is_over, number_of, usable
from tests.hub.core.test_request import PLAN, request

DIGEST = plan_hash(PLAN)
ASKING = request(RequestState.ASKING, plan_hash=DIGEST, approvers=2)
STANDING = StandingApproval(3, "R0", DIGEST, "carol", "bob", "ops", 1.0, 100.0, 5)
ROLES = {"bob": ("approver",), "ann": ("admin",), "carol": ("approver",)}


def found(*standing: StandingApproval, now: float = 50.0, **of: Any) -> list[str]:
    roles = of.pop("roles", ROLES)
    uses = usable(standing, replace(ASKING, **of), roles_of=lambda name: roles.get(name, ()), now=now)
    return [one.granted_by for one in uses]


def test_for_what_and_how_long_it_may_be_given() -> None:
    """Trust: off by default; never of what a model wrote or of text of nobody's; within hub.toml's bound."""
    assert grant_objection(PLAN, 60.0, longest=60.0) is None
    table = [
        (PLAN, 60.0, 0.0, "allow_off"),
        (replace(PLAN, tainted=True), 60.0, 60.0, "allow_not_of_model"),
        (replace(PLAN, proposed=True), 60.0, 60.0, "allow_not_of_model"),
        (PLAN, 60.5, 60.0, "allow_too_long"),
        (PLAN, 0.0, 60.0, "allow_too_long"),
        (PLAN, -1.0, 60.0, "allow_too_long"),
        (PLAN, float("nan"), 60.0, "allow_too_long"),
    ]
    for plan, seconds, longest, key in table:
        objection = grant_objection(plan, seconds, longest=longest)
        assert objection is not None, key
        assert objection.key == key


def test_when_it_counts() -> None:
    """Trust: of this plan, for this person, in time, not used up, by somebody who may approve still and is another
    person where the rule says so, with the factor that it asks for.
    """
    assert found(STANDING) == ["bob"]
    ann = replace(STANDING, granted_by="ann")
    assert found(STANDING, ann, STANDING) == ["bob", "ann"]
    assert found(STANDING, ann, approvers=1) == ["bob"]
    lost: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"plan_hash": "0" * 64}, {}),
        ({"person": "dave"}, {}),
        ({"revoked_at": 40.0}, {}),
        ({"uses": 5}, {}),
        ({"expires_at": 50.0}, {}),
        ({"granted_by": "carol"}, {}),
        ({}, {"second_factor": True}),
        ({}, {"roles": {"bob": ("operator",)}}),
        ({}, {"behalf": "dave"}),
        ({}, {"plan": replace(PLAN, tainted=True)}),
        ({}, {"plan": replace(PLAN, proposed=True)}),
        ({}, {"plan": None}),
    ]
    for standing, of in lost:
        assert found(replace(STANDING, **standing), **of) == [], (standing, of)
    assert found(replace(STANDING, granted_by="carol"), own_approval=True) == ["carol"]
    assert found(replace(STANDING, second_factor=True), second_factor=True) == ["bob"]
    assert not is_over(STANDING, 99.0)
    assert is_over(STANDING, 100.0)


def test_the_yes_says_what_gave_it() -> None:
    """And one that a person gave there and then says nothing of the kind."""
    yes = approval_of(replace(STANDING, second_factor=True), ASKING, 50.0)
    assert yes == Approval("R", DIGEST, "bob", True, "allowed:a3", 50.0, second_factor=True)
    assert number_of(yes) == 3
    for via in ("ops", "console", "allowed:a", "allowed:ax", "allowed:a\u0663", "a3"):
        assert number_of(replace(yes, via=via)) is None
