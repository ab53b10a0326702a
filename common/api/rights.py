"""The rights of Answerback and the role that each takes. A right that is not here is nobody's.

Each verb of the API names one of them (`common.api.verbs`); chat's own words and what the hub does for admins stand
beside. What a person may run on which machine is policy's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from common import roles as order
from common.filter.fields import ViewName
from common.roles import Role


@dataclass(frozen=True, slots=True)
class Right:
    name: str
    role: Role

    def held_by(self, roles: Iterable[str]) -> bool:
        return order.may(roles, self.role)


# looking
HELP: Final = Right("help", "viewer")
WHOAMI: Final = Right("whoami", "viewer")
MACHINES: Final = Right("machines", "viewer")
STATUS: Final = Right("status", "viewer")
JOBS: Final = Right("jobs", "viewer")
WATCH: Final = Right("watch", "viewer")
AUDIT: Final = Right("audit", "approver")
# asking for work; policy decides on each command
RUN: Final = Right("run", "operator")
RETRY: Final = Right("retry", "operator")
CANCEL: Final = Right("cancel", "operator")
TAKE_BACK: Final = Right("take_back", "operator")
PROPOSE: Final = Right("propose", "operator")  # a runbook, of a plan of one's own; of others' plans: approvers
DRAFTS: Final = Right("drafts", "operator")
WAKE: Final = Right("wake", "operator")
# stepping in
CANCEL_OTHERS: Final = Right("cancel_others", "approver")
APPROVE: Final = Right("approve", "approver")
REJECT: Final = Right("reject", "approver")
PAUSE: Final = Right("pause", "approver")
RESUME: Final = Right("resume", "approver")
SETTLE: Final = Right("settle", "approver")
PRIORITY: Final = Right("priority", "approver")
EDIT: Final = Right("edit", "approver")
DRAIN: Final = Right("drain", "approver")
UNDRAIN: Final = Right("undrain", "approver")
# administration
TOKEN: Final = Right("token", "admin")
REVOKE: Final = Right("revoke", "admin")
PEOPLE: Final = Right("people", "admin")
REVIEW: Final = Right("review", "admin")  # drafts of runbooks

_ALL: Final = (
    *(HELP, WHOAMI, MACHINES, STATUS, JOBS, WATCH, AUDIT),
    *(RUN, RETRY, CANCEL, TAKE_BACK, PROPOSE, DRAFTS, WAKE),
    *(CANCEL_OTHERS, APPROVE, REJECT, PAUSE, RESUME, SETTLE, PRIORITY, EDIT, DRAIN, UNDRAIN),
    *(TOKEN, REVOKE, PEOPLE, REVIEW),
)
RIGHTS: Final[Mapping[str, Right]] = {right.name: right for right in _ALL}

VIEW_RIGHTS: Final[Mapping[ViewName, Right]] = {
    "jobs": JOBS,
    "requests": JOBS,
    "agents": MACHINES,
    "audit": AUDIT,
    "activity": WATCH,
}
"""What it takes to look at a list."""

PSEUDO_VERBS: Final[Mapping[str, Right]] = {"kill": CANCEL}
"""Names in `whoami` beside the verbs: forms of a verb that a console shows as acts of their own."""


def may(roles: Iterable[str], right: str) -> bool:
    """Whether one of `roles` holds the right; unknown roles and unknown rights hold nothing."""
    found = RIGHTS.get(right)
    return found is not None and found.held_by(roles)
