"""People's logins are rotated: a new one is invited, those of before hold until it is used first, or until a time.

    rotate      marks what a person has of certificates as being replaced, or revokes it at once; makes the invitation
    note_use    a console has come with a certificate: with a new one, what it replaces ends
    end_due     what is replaced ends by its time, whether the new one was used or not

A certificate that is being replaced can be renewed, and its successor is being replaced too: renewing is no way around.
Invitations that nobody had used end with the rotation. Each function runs in one transaction with its audit row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from common.errors import UserError
from common.identity.certificates import LIFETIME, Identity
from common.values import format_duration
from hub.identity.certificates import create_token
from hub.store.transaction import Txn

MIN_KEEP: Final = 60.0
MAX_KEEP: Final = LIFETIME["operator"]
"""Seconds for which a login that is being replaced may hold at most: no longer than one lives."""


@dataclass(frozen=True, slots=True)
class Rotation:
    token: str
    ended: int  # certificates that were revoked at once
    holding: int  # those that hold on
    until: float | None  # at the latest; None where none holds on


def rotate(txn: Txn, name: str, *, ttl: float, keep: float | None, by: str, now: float) -> Rotation:
    """An invitation for `name`, whose logins of before hold for `keep` seconds at most; None ends them now. Raises
    UserError.
    """
    person = txn.person(name)
    if person is None or person.revoked_at is not None:
        cure = f"answerback-hub operator add {name[:64]} --role ROLE, which prints a login command too"
        raise UserError(f"{name[:64]} has no login here", cure)
    if keep is not None and not MIN_KEEP <= keep <= MAX_KEEP:
        low, high = format_duration(MIN_KEEP), format_duration(MAX_KEEP)
        raise UserError(f"--keep {format_duration(keep)} is out of range", f"use {low} to {high}, or --now")
    holding = [one for one in txn.holding_credentials("operator", name) if one.not_after > now or keep is None]
    until = None if keep is None or not holding else now + keep
    for one in holding:
        ends = now if until is None else min(until, one.retires_at or until)
        txn.save_credential(one, replace(one, retires_at=ends, revoked_at=now if until is None else None))
    voided = txn.void_tokens_of("operator", name, now)
    token = create_token(txn, "operator", name, {}, ttl, by, now)
    data = {"fingerprints": [one.fingerprint for one in holding], "until": until, "voided": voided}
    txn.audit("login.rotated", name, by, data, now)
    return Rotation(token, 0 if until is not None else len(holding), len(holding) if until is not None else 0, until)


def note_use(txn: Txn, identity: Identity, now: float) -> list[str]:
    """Notes that a person has come with this certificate, which was found valid; what it replaces is revoked. Returns
    the fingerprints whose links must be closed.
    """
    used = txn.credential(identity.fingerprint)
    if used is None:
        return []
    txn.save_credential(used, replace(used, used_at=now))
    return [] if used.retires_at is not None else _end(txn, identity.name, "used", now)


def end_due(txn: Txn, now: float) -> list[str]:
    """Ends the logins whose time is over; returns their people."""
    people = txn.due_retirements(now)
    for name in people:
        _end(txn, name, "time", now)
    return people


def _end(txn: Txn, name: str, why: str, now: float) -> list[str]:
    """Revokes what is being replaced: all of it where the new one was used, else what is due."""
    ended = [
        one
        for one in txn.holding_credentials("operator", name)
        if one.retires_at is not None and (why == "used" or one.retires_at <= now)
    ]
    for one in ended:
        txn.save_credential(one, replace(one, revoked_at=now))
    if ended:
        data = {"fingerprints": [one.fingerprint for one in ended], "why": why}
        txn.audit("login.ended", name, name if why == "used" else "hub", data, now)
    return [one.fingerprint for one in ended]
