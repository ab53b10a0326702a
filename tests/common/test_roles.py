"""Roles and their order."""

from __future__ import annotations

import itertools
from typing import get_args

from common.roles import ROLES, Role, may, rank
from tests.each import each_of


@each_of(("held", "needed"), list(itertools.product(ROLES, ROLES)))
def test_each_role_may_what_the_ones_before_it_may(held: Role, needed: Role) -> None:
    """The whole square."""
    assert may((held,), needed) is (ROLES.index(held) >= ROLES.index(needed))


def test_what_is_no_role_holds_nothing() -> None:
    """Neither alone nor beside one; the highest of several counts."""
    assert not may((), "viewer")
    assert not may(("root", "Admin", ""), "viewer")
    assert may(("root", "viewer", "admin"), "approver")
    assert (rank("root"), rank("viewer"), rank("admin")) == (-1, 0, 3)
    assert get_args(Role) == ROLES
