"""Waking a machine that sleeps, and how the last wake of it stands."""

from __future__ import annotations

from common.api import verbs
from common.api.wake import WakeArgs, WakeResult, WakingArgs, WakingView
from hub.api.context import ApiContext
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller


class WakeHandlers:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def wake(self, caller: Caller, args: WakeArgs) -> WakeResult:
        return await self._context.run_action(caller, verbs.WAKE, args, self._begin)

    def _begin(self, uow: UnitOfWork, actor: Actor, args: WakeArgs) -> ActionResult:
        return self._context.engine.wakes.begin(uow, actor, args.agent)

    async def waking(self, caller: Caller, args: WakingArgs) -> WakingView:
        state = self._context.engine.wakes.state(args.agent)
        return WakingView(state=state.code, text=state.sentence.render(args.language), seconds=state.seconds)
