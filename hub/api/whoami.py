"""Who calls, what they may, and what this hub has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.rights import PSEUDO_VERBS, Right
from common.api.verb import Verb
from common.api.versions import VIEW_VERSIONS
from common.api.whoami import LinkCodeResult, VerbRight, WhoAmI
from common.catalogue import Sentence
from common.version import VERSION
from hub.api.context import ApiContext
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork
from hub.identity.chat_links import create_code
from hub.links.console import Caller


class WhoAmIHandlers:
    def __init__(self, context: ApiContext, known: Mapping[str, Verb[Any, Any]]) -> None:
        """`known` are the verbs those of this hub, so that a console knows what an older one lacks."""
        self._context = context
        self._rights = {**{name: verb.right for name, verb in sorted(known.items())}, **PSEUDO_VERBS}

    async def whoami(self, caller: Caller, args: NoArgs) -> WhoAmI:
        context, roles = self._context, self._context.people.roles(caller.person)
        return WhoAmI(
            person=caller.person,
            roles=tuple(roles),
            hub=context.hub_id,
            version=VERSION,
            now=context.clock(),
            verbs={name: _verb_right(right, roles) for name, right in self._rights.items()},
            views=VIEW_VERSIONS,
        )

    async def link_code(self, caller: Caller, args: NoArgs) -> LinkCodeResult:
        def perform(uow: UnitOfWork, actor: Actor, args: NoArgs) -> ActionResult:
            code, ends = create_code(uow.txn, actor.person, uow.now)
            words = f"link {code}"
            said = Sentence("link_made", {"words": words, "minutes": round((ends - uow.now) / 60)})
            return ActionResult(said, "", {"words": words, "expires_at": ends})

        return await self._context.run_action(caller, verbs.LINK_CODE, args, perform)


def _verb_right(right: Right, roles: tuple[str, ...]) -> VerbRight:
    return VerbRight(may=right.held_by(roles), role=right.role)
