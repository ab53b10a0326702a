"""A change of whose own signatures machines count where a rule is critical: what the hub takes of it, and whom it is
handed to. Pure.

The hub carries it and is not believed: each machine verifies the signatures against the keys that it knows itself. So
what is looked at here is for people: that what they signed is whole, in time, of this hub, and by whom they say.
"""

from __future__ import annotations

from typing import Final

from common.catalogue import Sentence
from common.identity.signing import KEY_CHANGE_PURPOSE, verify
from common.key_change import MAX_AHEAD, BadKeyChange, KeyChange, KeySignature, SignedKeyChange
from hub.core.records import KeyAnswer, OfferedKeyChange

MAX_LIVE: Final = 64
"""Changes that are under way at a time."""
KEPT: Final = 30 * 86_400.0
"""Seconds that one is kept beyond its end; the audit has it for good."""


def signed_of(offered: OfferedKeyChange) -> SignedKeyChange | None:
    """What people signed; None where the row has been tampered with."""
    try:
        return SignedKeyChange.from_bytes(offered.body)
    except BadKeyChange:
        return None


def objection(change: KeyChange, hub: str, now: float) -> Sentence | None:
    """Why a change is not taken."""
    if change.hub != hub:
        return Sentence("key_change_other_hub")
    if change.expires <= now or change.made_at / 1000 > now + MAX_AHEAD:
        return Sentence("key_change_untimely")
    return None


def is_signed(change: KeyChange, signature: KeySignature, person: str) -> bool:
    """Whether it is that person's, by the key that it names. Whether that key counts is each machine's to say."""
    key = bytes.fromhex(signature.key)
    return signature.person == person and verify(key, change.statement(), signature.signature, KEY_CHANGE_PURPOSE)


def is_live(offered: OfferedKeyChange, now: float) -> bool:
    return offered.ended_at is None and offered.expires_at >= now


def is_due(signed: SignedKeyChange, agent: str, answer: KeyAnswer | None) -> bool:
    """Whether it is to be handed to a machine now: it has not carried it out yet, and may."""
    return signed.is_offered and signed.change.is_for(agent) and not (answer is not None and answer.done)


def is_news(before: KeyAnswer | None, after: KeyAnswer) -> bool:
    """Whether an answer tells more than the one before: a machine that repeats itself fills no audit."""
    return before is None or (before.done, before.signatures) != (after.done, after.signatures)
