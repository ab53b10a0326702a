"""The confirm page's part of the engine: who gets a link in chat, what its page shows, and what its form does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from common.catalogue import Sentence, translate
from common.lifecycle import RequestState
from hub.chat.approval_text import plan_lines
from hub.chat.confirm_links import SECONDS, ConfirmLink, ConfirmLinks
from hub.chat.confirm_page import Done, Shown
from hub.chat.inlets import Inlet
from hub.chat.platforms.privacy import is_alone
from hub.core.chat_text import duration_text
from hub.core.records import Request, state_words
from hub.engine.actor import ActionResult, Actor
from hub.engine.request_actions import RequestActions
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.store.store import Store

_TRY_AGAIN: Final = frozenset({"code_needed", "bad_code"})


class Confirmations:
    def __init__(
        self,
        *,
        store: Store,
        units: UnitOfWorkRunner,
        actions: RequestActions,
        links: ConfirmLinks,
        public_url: Callable[[], str | None],
        inlet_of: Callable[[str], Inlet | None],
    ) -> None:
        self._store = store
        self._units = units
        self._actions = actions
        self._links = links
        self._public_url = public_url
        self._inlet_of = inlet_of

    @property
    def has_pages(self) -> bool:
        return bool(self._public_url())

    def give(self, uow: UnitOfWork, message: Request, asked: Request) -> Sentence:
        """A link for whoever wrote `message` to decide on `asked`, or why there is none.

        Whoever has a link acts as that person. So it is given where they are alone with us, or where the rule asks for
        a second factor; there it takes no act that needs none.
        """
        number = {"number": asked.number}
        root = self._public_url()
        if not root:
            return Sentence("confirm_no_url")
        if asked.state is not RequestState.ASKING or asked.plan is None:
            return Sentence("not_asking", {**number, "state": state_words(asked.state)})
        inlet = self._inlet_of(message.inlet)
        platform = inlet.platform if inlet is not None else None
        alone = is_alone(platform, message.chat_user, message.conversation, message.thread)
        if not alone and not asked.second_factor:
            return Sentence("confirm_not_here", number)
        acts = ("approve", "reject") if alone else ("approve",)
        until = uow.now + SECONDS
        link = ConfirmLink(
            asked.id, asked.number, message.person, asked.plan_hash, acts, message.inlet, message.language, until
        )
        data = {"inlet": message.inlet, "conversation": message.conversation, "acts": acts, "until": until}
        uow.audit("confirm.link_given", asked.id, message.person, data)
        values = {**number, "url": f"{root.rstrip('/')}/confirm/{self._links.give(link)}"}
        return Sentence("confirm_link", {**values, "duration": duration_text(SECONDS, message.language)})

    async def show(self, link: ConfirmLink) -> Shown:
        """The plan as it is now, whole; nothing to decide where it is another one, or over."""
        request = await self._store.read(lambda txn: txn.request(link.request))
        number = {"number": link.number}
        if request is None or request.plan is None or request.state is not RequestState.ASKING:
            return Shown(translate(link.language, "confirm_over", **number), open=False)
        if request.plan_hash != link.plan_hash:
            return Shown(translate(link.language, "confirm_changed", **number), open=False)
        head = translate(link.language, "ask_head", person=request.person, **number)
        return Shown(f"{head}\n{plan_lines(request.plan, link.language)}", second_factor=request.second_factor)

    async def act(self, link: ConfirmLink, act: str, code: str, why: str) -> Done:
        """Approves or rejects as the link's person, with all checks that chat has."""
        actor = Actor(link.person, f"page:{link.inlet}")

        def unit(uow: UnitOfWork) -> ActionResult:
            request = uow.txn.request(link.request)
            if request is None:
                return ActionResult(Sentence("no_request", {"what": f"r{link.number}"}), "unknown")
            if "reject" not in link.acts and not request.second_factor:
                return ActionResult(Sentence("confirm_changed", {"number": link.number}), "plan_changed")
            if act == "approve":
                return self._actions.approve(uow, actor, request, code=code, plan_hash=link.plan_hash)
            return self._actions.reject(uow, actor, request, why=why, plan_hash=link.plan_hash)

        result = await self._units.write(unit)
        return Done(result.sentence.render(link.language), not result.code, again=result.code in _TRY_AGAIN)
