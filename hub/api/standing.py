"""Approvals that hold for a while: listed, taken back. They are given with `approve`."""

from __future__ import annotations

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.codec import decode
from common.api.standing import DisallowArgs, DisallowResult, StandingView
from hub.api.context import ApiContext
from hub.engine.actor import ActionResult, Actor
from hub.engine.standing_approvals import view_of
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller


class StandingHandlers:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def allowed(self, caller: Caller, args: NoArgs) -> tuple[StandingView, ...]:
        """Those that are not over, the next to end first."""
        now = self._context.clock()
        found = await self._context.store.read(lambda txn: txn.live_standing(now))
        return tuple(decode(StandingView, view_of(one)) for one in found)

    async def disallow(self, caller: Caller, args: DisallowArgs) -> DisallowResult:
        return await self._context.run_action(caller, verbs.DISALLOW, args, self._disallow)

    def _disallow(self, uow: UnitOfWork, actor: Actor, args: DisallowArgs) -> ActionResult:
        return self._context.actions.standing.revoke(uow, actor, args.number)
