"""Rights: who has which, and that the hub takes its table from here."""

from __future__ import annotations

import itertools

from common.api.rights import PSEUDO_VERBS, RIGHTS, VIEW_RIGHTS, may
from common.roles import ROLES
from hub.core import authorization
from tests.each import each_of


def test_the_table_is_the_hubs() -> None:
    """Every right with its role."""
    assert {name: right.role for name, right in RIGHTS.items()} == authorization.VERB_ROLES


def test_the_rights_of_lists_and_forms_of_verbs() -> None:
    """Those that consoles have known from the beginning."""
    assert {view: right.name for view, right in VIEW_RIGHTS.items()} == {
        "jobs": "jobs",
        "requests": "jobs",
        "agents": "machines",
        "audit": "audit",
        "activity": "watch",
    }
    assert {name: right.name for name, right in PSEUDO_VERBS.items()} == {"kill": "cancel"}


@each_of(("role", "right"), list(itertools.product([*ROLES, "root"], [*RIGHTS, "launch"])))
def test_who_may(role: str, right: str) -> None:
    """As the hub decides; what is not in the table is nobody's."""
    assert may((role,), right) is authorization.may((role,), right)
