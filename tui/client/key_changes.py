"""A change of whose own signatures machines count, made and signed here, with this person's own key.

What is signed is what was shown: the change is read from the bytes that are signed, and nothing that the hub says
beside them is. The clock is this machine's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from common.errors import UserError
from common.identity.signing import KEY_CHANGE_PURPOSE, SigningKey
from common.key_change import (
    MAX_AHEAD,
    MAX_LIFETIME,
    Action,
    BadKeyChange,
    KeyChange,
    KeySignature,
    SignedKeyChange,
    sorted_machines,
)
from common.times import Zone, format_moment

MIN_LIFETIME: Final = 60


def make_change(
    hub: str, action: Action, person: str, key: str, machines: Sequence[str], *, lifetime: int, now: float
) -> KeyChange:
    """Raises UserError."""
    if not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
        raise UserError(f"--for: 1 minute to {MAX_LIFETIME // 86_400} days are possible", "the default is 7d")
    lower = key if key.lower().startswith("passkey:") else key.lower()
    try:
        return KeyChange(
            id=secrets.token_hex(8),
            hub=hub,
            action=action,
            person=person,
            key=lower,
            machines=sorted_machines(machines or ["*"]),
            made_at=int(now * 1000),
            expires=int(now) + lifetime,
        )
    except BadKeyChange as error:
        cure = "name and key are the line that the person's `answerback whoami --approval-key` prints"
        raise UserError(str(error), cure) from None


def sign_change(key: SigningKey, person: str, change: KeyChange) -> KeySignature:
    return KeySignature(person, key.public.hex(), key.sign(KEY_CHANGE_PURPOSE, change.statement()))


def offered_change(text: str, change_id: str, hub: str, now: float | None = None) -> SignedKeyChange:
    """What the hub has, to be signed `now` if that is given; raises UserError where it is none, another one, or not of
    now.
    """
    try:
        signed = SignedKeyChange.from_bytes(text.encode())
    except (BadKeyChange, ValueError):
        raise UserError("the hub shows a change that is none", "sign nothing, and tell the hub's operator") from None
    change = signed.change
    if (change.id, change.hub) != (change_id, hub):
        raise UserError("the hub shows another change than was asked for", "sign nothing, and have it looked at")
    if now is None:
        return signed
    if change.expires <= now or change.made_at / 1000 > now + MAX_AHEAD:
        raise UserError(f"{change_id} is not of now", "propose it anew, and look at this machine's clock")
    return signed


def change_lines(change: KeyChange, zone: Zone) -> list[str]:
    """All of it, for whoever is to sign it."""
    what = "ADD a key: approvals signed with it count from then on" if change.action == "add" else "REMOVE a key"
    until = format_moment(float(change.expires), None, zone, seconds=False)
    return [
        f"{change.id}: {what}",
        f"  of        {change.person}",
        f"  key       {change.key}",
        f"  machines  {', '.join(change.machines)}" + (" (all of them)" if "*" in change.machines else ""),
        f"  until     {until}",
    ]
