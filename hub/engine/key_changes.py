"""Changes of whose own signatures machines count: proposed, signed, withdrawn, handed out, answered."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.key_change import BadKeyChange, KeyChange, KeySignature, SignedKeyChange
from common.link.messages import KnownKeys
from hub.core.authorization import may
from hub.core.key_changes import KEPT, MAX_LIVE, is_due, is_live, is_news, is_signed, objection, signed_of
from hub.core.records import KeyAnswer, MachineKeys, OfferedKeyChange
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork

RIGHT: Final = "approve"


class KeyChanges:
    """`hub` is this hub's id, which a change names."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def propose(self, uow: UnitOfWork, actor: Actor, text: str) -> ActionResult:
        """Takes what somebody made and signed at their console."""
        try:
            signed = SignedKeyChange.from_bytes(text.encode())
        except (BadKeyChange, ValueError):
            return ActionResult(Sentence("key_change_bad"), "bad_signature")
        change = signed.change
        if (refused := self._refusal(uow, actor, change)) is not None:
            return refused
        if len(signed.signatures) != 1 or not is_signed(change, signed.signatures[0], actor.person):
            return ActionResult(Sentence("key_change_bad"), "bad_signature")
        if len(uow.txn.live_key_changes(uow.now)) >= MAX_LIVE:
            return ActionResult(Sentence("key_change_many", {"most": MAX_LIVE}), "full")
        if uow.txn.key_change(change.id) is not None:
            return ActionResult(Sentence("key_change_bad"), "already_decided")
        uow.txn.drop_key_changes(uow.now - KEPT)
        uow.txn.add_key_change(
            OfferedKeyChange(change.id, signed.to_bytes(), actor.person, uow.now, float(change.expires))
        )
        uow.audit("key_change.proposed", change.id, actor.person, _facts(signed, actor))
        self._offer(uow, signed)
        said = "key_change_offered" if signed.is_offered else "key_change_proposed"
        return ActionResult(Sentence(said, {"id": change.id}), "", {"id": change.id}, change.id)

    def sign(self, uow: UnitOfWork, actor: Actor, change_id: str, signature: KeySignature) -> ActionResult:
        """One more signature."""
        found = uow.txn.key_change(change_id)
        signed = None if found is None else signed_of(found)
        if found is None or signed is None or not is_live(found, uow.now):
            return ActionResult(Sentence("key_change_unknown", {"id": change_id}), "unknown")
        if (refused := self._refusal(uow, actor, signed.change)) is not None:
            return refused
        if not is_signed(signed.change, signature, actor.person):
            return ActionResult(Sentence("key_change_bad"), "bad_signature")
        try:
            after = signed.with_signature(signature)
        except BadKeyChange:
            return ActionResult(Sentence("key_change_bad"), "full")
        uow.txn.save_key_change(found, replace(found, body=after.to_bytes()))
        uow.audit("key_change.signed", change_id, actor.person, _facts(after, actor))
        self._offer(uow, after)
        said = "key_change_offered" if after.is_offered else "key_change_proposed"
        return ActionResult(Sentence(said, {"id": change_id}), "", {"id": change_id}, change_id)

    def withdraw(self, uow: UnitOfWork, actor: Actor, change_id: str) -> ActionResult:
        """It is handed to no further machine; those that have carried it out have."""
        found = uow.txn.key_change(change_id)
        if found is None or not is_live(found, uow.now):
            return ActionResult(Sentence("key_change_unknown", {"id": change_id}), "unknown")
        if not may(uow.roles_now(actor.person), RIGHT):
            return self._no_right(uow, actor, change_id)
        uow.txn.save_key_change(found, replace(found, ended_at=uow.now, ended_by=actor.person))
        uow.audit("key_change.withdrawn", change_id, actor.person, {"via": actor.via})
        return ActionResult(Sentence("key_change_withdrawn", {"id": change_id}), "", {"id": change_id}, change_id)

    def _refusal(self, uow: UnitOfWork, actor: Actor, change: KeyChange) -> ActionResult | None:
        if not may(uow.roles_now(actor.person), RIGHT):
            return self._no_right(uow, actor, change.id)
        why = objection(change, self._hub, uow.now)
        return None if why is None else ActionResult(why, "expired")

    def _no_right(self, uow: UnitOfWork, actor: Actor, subject: str) -> ActionResult:
        uow.audit("act.refused", subject, actor.person, actor.audit_data("sign_key", "no_right"))
        return ActionResult(Sentence("approve_no_right", {"person": actor.person}), "no_right")

    def _offer(self, uow: UnitOfWork, signed: SignedKeyChange) -> None:
        if signed.is_offered:
            uow.effects.key_changes.append(signed)


def due_for(uow: UnitOfWork, agent: str) -> list[bytes]:
    """What a machine is handed when it comes, in the order in which it was proposed."""
    due: list[bytes] = []
    for offered in uow.txn.live_key_changes(uow.now):
        signed = signed_of(offered)
        if signed is not None and is_due(signed, agent, uow.txn.key_answer(offered.id, agent)):
            due.append(offered.body)
    return due


def note_known(uow: UnitOfWork, agent: str, told: KnownKeys) -> None:
    """What a machine says: whose own signatures count there, and what became of a change."""
    before = uow.txn.keys_of(agent)
    if before is None or (before.keys, before.needed) != (told.keys, told.needed):
        uow.txn.put_keys_of(MachineKeys(agent, told.keys, told.needed, uow.now))
    offered = uow.txn.key_change(told.change) if told.change else None
    signed = None if offered is None else signed_of(offered)
    if signed is None or not signed.change.is_for(agent):
        return
    answer = KeyAnswer(told.change, agent, told.done, told.reason, len(signed.signatures), uow.now)
    known = uow.txn.key_answer(told.change, agent)
    if (known is not None and known.done) or not is_news(known, answer):
        return
    uow.txn.put_key_answer(answer)
    data = {"agent": agent, "why": told.reason, **_what(signed.change)}
    if told.done:
        uow.audit("key_change.done", told.change, agent, data)
    else:
        uow.audit("key_change.turned_away", told.change, agent, data)


def _what(change: KeyChange) -> dict[str, str]:
    return {"action": change.action, "person": change.person, "key": change.key}


def _facts(signed: SignedKeyChange, actor: Actor) -> dict[str, object]:
    change = signed.change
    return {
        **_what(change),
        "machines": list(change.machines),
        "until": float(change.expires),
        "signed_by": list(signed.people),
        "via": actor.via,
    }
