"""Whom to ask, in words."""

from __future__ import annotations

import pytest

from common.catalogue import Sentence
from hub.core.who_may import names_of, needed_role, with_names


@pytest.mark.parametrize(
    ("names", "en"),
    [
        (["bob"], "bob"),
        (["bob", "dora", "eve"], "bob, dora, eve"),
        (["bob", "dora", "eve", "fay", "gus"], "bob, dora, eve and 2 more"),
    ],
)
def test_up_to_three_names_and_then_a_count(names: list[str], en: str) -> None:
    """In both languages; of nobody it says so, and what an admin can do."""
    assert str(names_of(names)) == en
    assert names[0] in names_of(names).render("zh")
    assert "operator role" in str(names_of([]))


def test_a_refusal_with_names() -> None:
    """The reason comes first, as it was."""
    told = with_names(Sentence("not_yours", {"number": 5, "owner": "carol"}), ["bob"])
    assert str(told).startswith("r5 is carol's")
    assert str(told).endswith("Who may: bob")


def test_the_role_that_a_policy_wants() -> None:
    """Also within the sentence that tells the nearest rule; other reasons want none."""
    role = Sentence("policy_role", {"rule": "x", "role": "approver"})
    assert needed_role(role) == "approver"
    assert needed_role(Sentence("policy_nearest", {"why": role, "rule": "x", "usage": "x"})) == "approver"
    assert needed_role(Sentence("policy_program_unknown", {"program": "x"})) == ""
