"""Rows that start something are authenticated: HMAC-SHA256 over what matters of them, with a key outside the database.

Whoever can write rows can then start nothing: a request, job or standing approval whose MAC does not fit is as if it
were not there, and what is found so is told. Covered is what decides over a start; times and figures of what has run
are not. A row that is written back as it once was does fit: against that stands the machine's own journal.

Of people and invitations everything is covered, since a role, a chat name or a label is what others are judged by. A
person whose row does not fit has no access, whatever hub.toml gives them: else the row of somebody who was revoked
would only have to be broken. That a row was taken away no MAC tells.

The bytes are `ascii(tuple)`: unambiguous, and the same on every Python, which `repr` is not.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

from common.lifecycle import RequestState
from common.plan import Plan, plan_hash
from hub.core.records import EnrolmentToken, Job, Person, Request, StandingApproval

KEY_BYTES: Final = 32
MAX_MADE: Final = 4096
AnyRow = Request | Job | StandingApproval | Person | EnrolmentToken


class RowAuthenticator:
    """Makes and checks MACs with one key. Where it does not judge, people and invitations are as they are written, for
    a store that is only looked at; nothing is authentic there all the same.
    """

    __slots__ = ("_key", "_made", "judges")

    def __init__(self, key: bytes, *, judges: bool = True) -> None:
        self.judges = judges
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {KEY_BYTES} bytes was expected")
        self._key = key
        self._made: dict[str, tuple[object, ...]] = {}  # MAC -> what it covers, of those made lately

    def mac(self, row: AnyRow) -> str:
        """Hex, 64 characters."""
        covered = _covered(row)
        mac = hmac.digest(self._key, ascii(covered).encode("ascii"), "sha256").hex()
        if len(self._made) >= MAX_MADE:
            self._made.clear()
        self._made[mac] = covered
        return mac

    def is_authentic(self, row: AnyRow) -> bool:
        """Whether this hub wrote the row as it is; of a request also whether its plan is the one that was hashed."""
        known = self._made.get(row.mac)  # a row is read again for each move: then only the fields are compared
        if known != _covered(row) and not hmac.compare_digest(row.mac.encode(), self.mac(row).encode()):
            return False
        if isinstance(row, Request) and row.plan is not None and row.plan_hash:
            return _hash_of(row.plan) == row.plan_hash
        return True


def _covered(row: AnyRow) -> tuple[object, ...]:
    match row:
        case Request():
            return _request(row)
        case Job():
            return _job(row)
        case StandingApproval():
            return _standing(row)
        case Person():
            return _person(row)
        case EnrolmentToken():
            return _token(row)


@lru_cache(maxsize=512)
def _hash_of(plan: Plan) -> str:
    """Cached: a request's plan is looked at for each of its jobs."""
    return plan_hash(plan)


def _request(row: Request) -> tuple[object, ...]:
    plan = row.plan
    return (
        "request 1",
        row.id,
        0 if row.state is RequestState.RECEIVED else row.number,  # which the database gives when the row is there
        row.state.value,
        row.inlet,
        row.event_id,
        row.conversation,
        row.chat_user,
        row.person,
        row.text,
        None if plan is None else (plan.source, plan.tainted, plan.proposed, plan.explanation),
        row.plan_hash,
        row.approvers,
        row.second_factor,
        row.own_approval,
        row.rule,
        None if row.decide_by is None else float(row.decide_by),
        row.step,
        row.parent,
        row.behalf,
        float(row.hold),
    )


def _job(row: Job) -> tuple[object, ...]:
    return (
        "job 1",
        row.id,
        row.request_id,
        row.person,
        row.agent,
        row.state.value,
        row.step,
        row.plan_hash,
        float(row.not_after),
        float(row.queued_at),
        float(row.not_before),
        row.parent,
        row.life,
        *([row.stamp] if row.stamp else []),  # rows of before there were any keep their MAC
    )


def _standing(row: StandingApproval) -> tuple[object, ...]:
    return (
        "standing approval 1",
        row.request_id,
        row.plan_hash,
        row.person,
        row.granted_by,
        row.via,
        float(row.granted_at),
        float(row.expires_at),
        row.max_uses,
        row.uses,
        row.second_factor,
        None if row.revoked_at is None else float(row.revoked_at),
        row.revoked_by,
    )


def _person(row: Person) -> tuple[object, ...]:
    return (
        "person 1",
        row.name,
        row.roles,
        float(row.created_at),
        bytes(row.totp_secret or b""),  # rows of old versions have '' where there is none
        row.totp_last_step,
        row.totp_failures,
        float(row.totp_locked_until),
        None if row.revoked_at is None else float(row.revoked_at),
        bytes(row.totp_pending or b""),
        float(row.totp_pending_until),
        row.chat,
        row.totp_console_failures,
        float(row.totp_console_locked_until),
    )


def _token(row: EnrolmentToken) -> tuple[object, ...]:
    return (
        "token 1",
        row.hash,
        row.kind,
        row.name,
        tuple(sorted(row.labels.items())),
        float(row.created_at),
        float(row.expires_at),
        row.created_by,
        None if row.used_at is None else float(row.used_at),
    )
