"""Drafts of runbooks: proposed, listed, shown, accepted, rejected. What these do is in `hub.engine.runbook_drafts`."""

from __future__ import annotations

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.codec import decode
from common.api.drafts import DraftArgs, DraftResult, DraftView, ProposeArgs, RejectDraftArgs
from hub.api.context import actor_of, to_result
from hub.engine.runbook_drafts import DraftActions
from hub.links.console import Caller


class DraftHandlers:
    def __init__(self, actions: DraftActions) -> None:
        self._actions = actions

    async def drafts(self, caller: Caller, args: NoArgs) -> tuple[DraftView, ...]:
        """Those that wait, the oldest first."""
        done = await self._actions.list_open(actor_of(caller))
        return tuple(decode(DraftView, draft) for draft in done.data["drafts"])

    async def draft(self, caller: Caller, args: DraftArgs) -> DraftResult:
        done = await self._actions.show(actor_of(caller), args.number)
        return to_result(verbs.DRAFT, done, args.language)

    async def propose(self, caller: Caller, args: ProposeArgs) -> DraftResult:
        """A runbook of what a request did; `say` is how to ask for it, where its message does not tell."""
        done = await self._actions.propose(actor_of(caller), args.number, args.name.lower(), args.say)
        return to_result(verbs.PROPOSE, done, args.language)

    async def accept_draft(self, caller: Caller, args: DraftArgs) -> DraftResult:
        done = await self._actions.accept(actor_of(caller), args.number)
        return to_result(verbs.ACCEPT_DRAFT, done, args.language)

    async def reject_draft(self, caller: Caller, args: RejectDraftArgs) -> DraftResult:
        """An admin rejects any; its proposer takes it back."""
        done = await self._actions.decline(actor_of(caller), args.number, args.why)
        return to_result(verbs.REJECT_DRAFT, done, args.language)
