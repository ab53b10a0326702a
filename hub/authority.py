"""authorize(): the one question every entrance asks. Chat, console and command line build a verb and a person, nothing
else.

Roles, each with what the ones before it may: viewer, operator, approver, admin. A verb that is not in the table is
nobody's. What a person may run on which machine is policy's to say (`common.policy`); this is about Answerback's own
verbs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from common.errors import Refused

ROLES: Final = ("viewer", "operator", "approver", "admin")

VERBS: Final[Mapping[str, str]] = {
    # looking
    "help": "viewer",
    "whoami": "viewer",
    "machines": "viewer",
    "status": "viewer",
    "jobs": "viewer",
    "watch": "viewer",
    "audit": "approver",
    # asking for work; policy decides on each command
    "run": "operator",
    "retry": "operator",
    "cancel": "operator",
    "take_back": "operator",
    "propose": "operator",  # a runbook, of a plan of one's own; of others' plans: approvers
    "drafts": "operator",
    # stepping in
    "cancel_others": "approver",
    "approve": "approver",
    "reject": "approver",
    "pause": "approver",
    "resume": "approver",
    "settle": "approver",
    "priority": "approver",
    "edit": "approver",
    "drain": "approver",
    "undrain": "approver",
    # keeping the house
    "token": "admin",
    "revoke": "admin",
    "people": "admin",
    "review": "admin",  # drafts of runbooks
}


def may(roles: Iterable[str], verb: str) -> bool:
    """Whether one of `roles` holds `verb`; unknown roles and unknown verbs hold nothing."""
    needed = VERBS.get(verb)
    if needed is None:
        return False
    rank = ROLES.index(needed)
    return any(role in ROLES and ROLES.index(role) >= rank for role in roles)


def authorize(person: str, roles: Iterable[str], verb: str) -> None:
    """Raises Refused where `person` may not do `verb`, naming the role that may."""
    if not may(roles, verb):
        needed = VERBS.get(verb)
        who = f"needs the role {needed} or higher" if needed else "is no verb of Answerback's"
        raise Refused(f"{person or 'an unknown person'} may not {verb}", who)
