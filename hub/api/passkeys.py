"""The caller's passkeys: a link to the page that makes one, the list, and taking one away."""

from __future__ import annotations

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.passkeys import (
    PasskeyLinkArgs,
    PasskeyLinkResult,
    PasskeyRemoveArgs,
    PasskeyRemoveResult,
    PasskeyView,
)
from common.text import clean
from hub.api.context import ApiContext
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller


class PasskeyHandlers:
    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._passkeys = context.engine.passkeys

    async def link(self, caller: Caller, args: PasskeyLinkArgs) -> PasskeyLinkResult:
        return await self._context.run_action(caller, verbs.PASSKEY_LINK, args, self._link)

    def _link(self, uow: UnitOfWork, actor: Actor, args: PasskeyLinkArgs) -> ActionResult:
        return self._passkeys.give(uow, actor, clean(args.label), args.language)

    async def list(self, caller: Caller, args: NoArgs) -> tuple[PasskeyView, ...]:
        """The oldest first."""
        found = await self._context.store.read(lambda txn: txn.passkeys(caller.person))
        return tuple(PasskeyView(id=one.id, line=one.line, label=one.label, created_at=one.created_at) for one in found)

    async def remove(self, caller: Caller, args: PasskeyRemoveArgs) -> PasskeyRemoveResult:
        return await self._context.run_action(caller, verbs.PASSKEY_REMOVE, args, self._remove)

    def _remove(self, uow: UnitOfWork, actor: Actor, args: PasskeyRemoveArgs) -> ActionResult:
        return self._passkeys.remove(uow, actor, args.id)
