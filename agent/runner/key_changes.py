"""Whether a change from afar of whose own signatures count here is carried out on this machine. Pure.

The hub carries it, and may be in somebody's hands. So it has to be of this hub, for this machine, within its time, made
later than the last change of that key, and signed by as many different people as this machine wants (two at least),
each with their console's key, known here under their name; a key of their own people may take out by themselves.
Nobody's key becomes a second person's. A passkey, which signs what a page of the hub shows, counts for nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.approvers import ADD_HINT, MAX_ALL_KEYS, MAX_CHANGES, MAX_KEYS, MAX_PEOPLE, KnownKeys, LastChange
from common.identity.signing import KEY_CHANGE_PURPOSE, verify
from common.key_change import MAX_AHEAD, KeyChange, SignedKeyChange


@dataclass(frozen=True, slots=True)
class Decision:
    """`known` is what holds from now on, None where that is what held before."""

    done: bool
    reason: str = ""  # why not, or what there was nothing to do
    known: KnownKeys | None = None


def decide(signed: SignedKeyChange, known: KnownKeys, *, machine: str, hub: str, now: float) -> Decision:
    """`machine` and `hub` are as trust.json has them."""
    change, last = signed.change, known.changes.get(signed.change.key)
    if change.hub != hub:
        return Decision(False, "it is for the machines of another hub")
    if not change.is_for(machine):
        return Decision(False, "it is not for this machine")
    if last is not None and last.order == change.order:
        return Decision(True, "it was carried out before")
    if last is not None and last.order > change.order:
        return Decision(False, "this key was changed here later than this was made: propose it anew")
    if change.expires < now:
        return Decision(False, "it has expired: propose it anew")
    if change.made_at / 1000 > now + MAX_AHEAD:
        return Decision(False, "it was made in the future: somebody's clock is off")
    why = _lacking(signed, known) or _objection(change, known)
    if why:
        return Decision(False, why)
    after = (
        known.with_key(change.person, change.key)
        if change.action == "add"
        else known.without_key(change.person, change.key)
    )
    after = after.noted([change.key], LastChange(change.made_at, change.id), now)
    if len(after.changes) > MAX_CHANGES:
        return Decision(False, f"{MAX_CHANGES} changes are remembered here already: make it on the machine")
    nothing = change.action == "remove" and not known.owner_of(change.key)
    return Decision(True, "the key was not known here" if nothing else "", after)


def _lacking(signed: SignedKeyChange, known: KnownKeys) -> str:
    """Why the signatures are not enough, "" where they are."""
    change, statement = signed.change, signed.change.statement()
    people: set[str] = set()
    for one in signed.signatures:
        if bytes.fromhex(one.key) not in known.people.get(one.person, ()):
            continue
        if verify(bytes.fromhex(one.key), statement, one.signature, KEY_CHANGE_PURPOSE):
            if change.action == "remove" and one.person == change.person:
                return ""  # theirs to take out
            people.add(one.person)
    if len(people) >= known.needed:
        return ""
    if len(known.signers) < known.needed:
        has = f"consoles' keys of {len(known.signers)} people are" if known.signers else "nobody's console's key is"
        return f"it wants {known.needed} people, and {has} known here: on the machine, {ADD_HINT}"
    return f"it wants the signatures of {known.needed} people whose keys this machine knows, and has {len(people)}"


def _objection(change: KeyChange, known: KnownKeys) -> str:
    """Why it is not done although it is signed, "" where it is."""
    owner = known.owner_of(change.key)
    if owner not in ("", change.person):
        return f"the key is known here as {owner}'s"
    if change.action == "remove" or owner:
        return ""
    if len(known.people.get(change.person, ())) >= MAX_KEYS:
        return f"{change.person} has {MAX_KEYS} keys here already: remove one first"
    if len(known.people) >= MAX_PEOPLE or len(known.by_key()) >= MAX_ALL_KEYS:
        return f"{MAX_ALL_KEYS} keys are known here already: remove one first"
    return ""
