"""The forms for a second factor's code: who is shown one, and what a sent one does.

Opening one approves nothing. A sent one is an approval like any other, by the person whom the verified callback names,
of the very plan that was shown, with all checks of chat and the code used up in the same transaction. It is no message:
what became of it is the answer, and the code is stored nowhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from common.catalogue import Language, Sentence, translate
from hub.chat.approval_text import fits_chat, plan_lines
from hub.chat.buttons import clicked_approval
from hub.chat.platforms.base import CodeGiven, IncomingMessage
from hub.chat.platforms.code_form import DIGEST_CHARS, CodeAnswer, CodeForm
from hub.core.approval import DecisionRefused, check_approve
from hub.core.rate_limits import TokenBuckets
from hub.core.records import Approval, Request
from hub.engine.actor import ActionResult, Actor
from hub.engine.request_actions import RequestActions
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.identity.people import PeopleDirectory
from hub.store.store import Store
from hub.store.transaction import Txn

TRIES: Final = 20.0
"""Forms that one person may open, and send, in a minute; more clicks are answered as without forms."""
_AGAIN: Final = frozenset({"code_needed", "bad_code"})


class CodeForms:
    def __init__(
        self,
        *,
        store: Store,
        units: UnitOfWorkRunner,
        actions: RequestActions,
        people: PeopleDirectory,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._units = units
        self._actions = actions
        self._people = people
        self._clock = clock
        self._opened = TokenBuckets(TRIES / 60, TRIES)
        self._sent = TokenBuckets(TRIES / 60, TRIES)

    async def form_for(self, inlet: str, click: IncomingMessage) -> CodeForm | None:
        """What a click on Approve is asked; None where it is handled as it is: no code is needed, or it would be
        refused.
        """
        asked = clicked_approval(click.text) if click.button else None
        person = self._people.find_by_chat(inlet, click.user)
        if asked is None or not person or not self._people.snapshot.has_factor(person):
            return None
        if self._opened.try_acquire(person, self._clock()) > 0:
            return None
        number, plan_code = asked

        def read(txn: Txn) -> tuple[Request | None, list[Approval]]:
            request = txn.request_by_number(number)
            return request, [] if request is None else txn.approvals(request.id)

        request, given = await self._store.read(read)
        if request is None or request.plan is None or not request.second_factor or not fits_chat(request.plan):
            return None
        roles, now = self._people.roles(person), self._clock()
        answer = check_approve(request, given, person=person, roles=roles, plan_hash="", now=now, plan_code=plan_code)
        if isinstance(answer, DecisionRefused):
            return None
        head = translate(request.language, "ask_head", person=request.person, number=number)
        text = f"{head}\n{plan_lines(request.plan, request.language)}"
        return CodeForm(number, request.plan_hash[:DIGEST_CHARS], text, request.language)

    async def take(self, inlet: str, given: CodeGiven) -> CodeAnswer:
        """Approves with the code of a sent form. It is committed when this returns; raises where it could not be."""
        person = self._people.find_by_chat(inlet, given.user)
        language: Language = "en"
        if not person or given.user != given.opened_by:
            return CodeAnswer(translate(language, "form_not_yours"), ok=False)
        if (wait := self._sent.try_acquire(person, self._clock())) > 0:
            return CodeAnswer(translate(language, "form_slower", seconds=round(wait) + 1), ok=False, again=True)
        actor = Actor(person, inlet, given.conversation)

        def unit(uow: UnitOfWork) -> ActionResult:
            nonlocal language
            request = uow.txn.request_by_number(given.number)
            if request is None:
                return ActionResult(Sentence("no_request", {"what": f"r{given.number}"}), "unknown")
            language = request.language
            shown = hmac.compare_digest(request.plan_hash[:DIGEST_CHARS].encode(), given.digest.encode())
            plan_hash = request.plan_hash if shown else "of another plan"
            return self._actions.approve(
                uow, actor, request, code=given.code, plan_hash=plan_hash, nonce=f"{inlet} {given.id}"
            )

        result = await self._units.write(unit)
        text = result.sentence.render(language)
        return CodeAnswer(text, ok=not result.code, again=result.code in _AGAIN, language=language)
