"""Whose own signatures machines count: listed, proposed to be changed, signed, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from common.api import verbs
from common.api.key_changes import (
    MAX_ANSWERS,
    ApproverKeysArgs,
    ApproverKeyView,
    KeyAnswerView,
    KeyChangeResult,
    KeyChangesArgs,
    KeyChangeView,
    MachineKeysView,
    ProposeKeyArgs,
    SignKeyArgs,
    WithdrawKeyArgs,
)
from common.key_change import KeySignature
from hub.api.context import ApiContext
from hub.core.key_changes import signed_of
from hub.core.records import KeyAnswer, MachineKeys, OfferedKeyChange
from hub.engine.actor import ActionResult, Actor
from hub.engine.key_changes import KeyChanges
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller
from hub.store.transaction import Txn

PAGE: Final = 100
"""Machines of one page."""
PAGE_KEYS: Final = 1_000
"""Keys of one page, or of its one machine: so it fits a frame."""
_ORDER: Final = {"refused": 0, "waiting": 1, "done": 2}


class KeyChangeHandlers:
    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._changes = KeyChanges(context.hub_id)

    async def key_changes(self, caller: Caller, args: KeyChangesArgs) -> tuple[KeyChangeView, ...]:
        """The newest first, without the machines; of one that is named, with them."""
        now, names = self._context.clock(), sorted(self._context.fleet.snapshot.inventory.machines)

        def read(txn: Txn) -> tuple[KeyChangeView, ...]:
            one = txn.key_change(args.id) if args.id else None
            found = [one] if one is not None else [] if args.id else txn.recent_key_changes(args.limit)
            views = [view_of(change, txn.key_answers(change.id), names, now) for change in found]
            shown = [view for view in views if view is not None]
            return tuple(shown if args.id else (replace(view, answers=()) for view in shown))

        return await self._context.store.read(read)

    async def approver_keys(self, caller: Caller, args: ApproverKeysArgs) -> tuple[MachineKeysView, ...]:
        """As many as fit one frame; none where there are no more."""
        found = _page(await self._context.store.read(lambda txn: txn.machine_keys(args.after, PAGE)))
        return tuple(
            MachineKeysView(
                agent=one.agent,
                keys=tuple(ApproverKeyView(person=person, key=key) for key, person in one.keys.items()),
                needed=one.needed,
                at=one.at,
            )
            for one in found
        )

    async def propose(self, caller: Caller, args: ProposeKeyArgs) -> KeyChangeResult:
        return await self._context.run_action(caller, verbs.PROPOSE_KEY, args, self._propose)

    def _propose(self, uow: UnitOfWork, actor: Actor, args: ProposeKeyArgs) -> ActionResult:
        return self._changes.propose(uow, actor, args.change)

    async def sign(self, caller: Caller, args: SignKeyArgs) -> KeyChangeResult:
        return await self._context.run_action(caller, verbs.SIGN_KEY, args, self._sign)

    def _sign(self, uow: UnitOfWork, actor: Actor, args: SignKeyArgs) -> ActionResult:
        signature = KeySignature(actor.person, args.key, bytes.fromhex(args.signature))
        return self._changes.sign(uow, actor, args.id, signature)

    async def withdraw(self, caller: Caller, args: WithdrawKeyArgs) -> KeyChangeResult:
        return await self._context.run_action(caller, verbs.WITHDRAW_KEY, args, self._withdraw)

    def _withdraw(self, uow: UnitOfWork, actor: Actor, args: WithdrawKeyArgs) -> ActionResult:
        return self._changes.withdraw(uow, actor, args.id)


def _page(found: Sequence[MachineKeys]) -> Sequence[MachineKeys]:
    count = 0
    for index, one in enumerate(found):
        count += len(one.keys)
        if index and count > PAGE_KEYS:
            return found[:index]
    return found


def view_of(
    offered: OfferedKeyChange, given: Iterable[KeyAnswer], machines: Iterable[str], now: float
) -> KeyChangeView | None:
    """`machines` are the names of all; None where the row is none that people signed."""
    signed = signed_of(offered)
    if signed is None:
        return None
    change, by_agent = signed.change, {answer.agent: answer for answer in given}
    answers = [_answer(name, by_agent.get(name)) for name in machines if change.is_for(name)]
    counts = [sum(answer.state == state for answer in answers) for state in ("done", "refused", "waiting")]
    if offered.ended_at is not None:
        state = "withdrawn"
    elif offered.expires_at < now:
        state = "expired"
    else:
        state = "offered" if signed.is_offered else "signing"
    return KeyChangeView(
        id=offered.id,
        change=offered.body.decode(),
        action=change.action,
        person=change.person,
        key=change.key,
        machines=change.machines,
        proposed_by=offered.proposed_by,
        proposed_at=offered.proposed_at,
        expires_at=offered.expires_at,
        signed_by=signed.people,
        state=state,
        done=counts[0],
        refused=counts[1],
        waiting=counts[2],
        answers=tuple(sorted(answers, key=lambda one: (_ORDER[one.state], one.agent))[:MAX_ANSWERS]),
    )


def _answer(agent: str, answer: KeyAnswer | None) -> KeyAnswerView:
    if answer is None:
        return KeyAnswerView(agent=agent, state="waiting")
    state = "done" if answer.done else "refused"
    return KeyAnswerView(agent=agent, state=state, reason=answer.reason, at=answer.at)
