"""authorize(): roles and verbs."""

from __future__ import annotations

import itertools

import pytest

from common.errors import Denied
from common.roles import ROLES
from hub.core.authorization import VERB_ROLES, authorize, may
from tests.each import each_of


@each_of(("role", "verb"), list(itertools.product(ROLES, VERB_ROLES)))
def test_each_role_holds_what_the_ones_before_it_hold(role: str, verb: str) -> None:
    """The whole matrix of roles and verbs, against the table."""
    expected = ROLES.index(role) >= ROLES.index(VERB_ROLES[verb])
    assert may((role,), verb) is expected


def test_what_is_not_in_the_table_is_nobodys() -> None:
    """Unknown verbs, unknown roles and no role at all hold nothing."""
    assert not may(("admin",), "launch")
    assert not may(("root", "Admin", ""), "help")
    assert not may((), "help")


def test_the_refusal_names_who_may() -> None:
    """The error names the person, the verb and the role that has it."""
    authorize("bob", ("approver",), "approve")
    with pytest.raises(Denied, match="carol may not approve: needs the role approver"):
        authorize("carol", ("operator",), "approve")
    with pytest.raises(Denied, match="an unknown person may not run"):
        authorize("", (), "run")
