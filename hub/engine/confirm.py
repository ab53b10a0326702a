"""The confirm page's part of the engine: who gets a link in chat, what its page shows, and what its form does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.approval_proof import askers
from common.catalogue import Sentence, translate
from common.identity.passkey import BadPasskey, origin_of, parse_passkey
from common.lifecycle import RequestState
from common.plan import Plan
from hub.chat.approval_text import plan_lines
from hub.chat.confirm_links import SECONDS, ConfirmLink, ConfirmLinks
from hub.chat.confirm_page import Done, Shown
from hub.chat.inlets import Inlet
from hub.chat.platforms.privacy import is_alone
from hub.core.approval_proofs import PasskeySignature, approval_expiry, passkey_challenge
from hub.core.chat_text import duration_text, join_names
from hub.core.passkeys import PasskeyAnswer, request_options
from hub.core.records import PersonPasskey, Request, state_words
from hub.engine.actor import ActionResult, Actor
from hub.engine.request_actions import RequestActions, refuse
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.store.store import Store
from hub.store.transaction import Txn

_TRY_AGAIN: Final = frozenset({"code_needed", "bad_code", "bad_signature"})


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
        a second factor, or for a signature that a passkey of theirs gives; there it takes no act that needs neither.
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
        proven = asked.second_factor or (uow.world.is_critical(asked) and self._passkeys(uow.txn, message.person))
        if not alone and not proven:
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

    def _origin(self) -> str:
        """Of our pages as browsers name it; "" where they can have no passkeys."""
        try:
            return origin_of(self._public_url() or "")
        except BadPasskey:
            return ""

    def _passkeys(self, txn: Txn, person: str) -> list[PersonPasskey]:
        """Those that answer to our pages as they are reached now."""
        origin = self._origin()
        return [one for one in txn.passkeys(person) if origin and one.line.endswith(f":{origin}")]

    async def show(self, link: ConfirmLink) -> Shown:
        """The plan as it is now, whole; nothing to decide where it is another one, or over."""

        def unit(txn: Txn) -> tuple[Request | None, list[PersonPasskey]]:
            return txn.request(link.request), self._passkeys(txn, link.person)

        request, passkeys = await self._store.read(unit)
        number = {"number": link.number}
        if request is None or request.plan is None or request.state is not RequestState.ASKING:
            return Shown(translate(link.language, "confirm_over", **number), open=False)
        if request.plan_hash != link.plan_hash:
            return Shown(translate(link.language, "confirm_changed", **number), open=False)
        head = translate(link.language, "ask_head", person=request.person, **number)
        shown = Shown(f"{head}\n{plan_lines(request.plan, link.language)}", second_factor=request.second_factor)
        if not self._units.world().is_critical(request):
            return shown
        if not passkeys:
            how = translate(link.language, "passkey_none" if self._origin() else "passkey_no_page", **number)
            return replace(shown, text=f"{shown.text}\n{how}", approvable=False)
        challenge = passkey_challenge(request, link.person, *_terms(link, request, request.plan))
        ask = request_options(self._origin(), challenge, [one.credential_id for one in passkeys])
        asked_by = join_names(askers(request.person, request.behalf.split()), link.language, most=None)
        more = translate(link.language, "passkey_signs", hash=request.plan_hash, names=asked_by, **number)
        trust = translate(link.language, "passkey_page_trust")
        return replace(shown, text=f"{shown.text}\n{more}\n{trust}", ask=ask)

    async def act(self, link: ConfirmLink, act: str, code: str, why: str, answer: PasskeyAnswer | None = None) -> Done:
        """Approves or rejects as the link's person, with all checks that chat has; `answer` is their passkey's."""
        actor = Actor(link.person, f"page:{link.inlet}")

        def unit(uow: UnitOfWork) -> ActionResult:
            request = uow.txn.request(link.request)
            if request is None:
                return ActionResult(Sentence("no_request", {"what": f"r{link.number}"}), "unknown")
            needs_proof = request.second_factor or (answer is not None and uow.world.is_critical(request))
            if "reject" not in link.acts and not needs_proof:
                return ActionResult(Sentence("confirm_changed", {"number": link.number}), "plan_changed")
            if act == "reject":
                return self._actions.reject(uow, actor, request, why=why, plan_hash=link.plan_hash)
            signed = self._signature(uow.txn, link, request, answer)
            if isinstance(signed, ActionResult):
                return refuse(uow, actor, "approve", signed, request.id)
            return self._actions.approve(uow, actor, request, code=code, plan_hash=link.plan_hash, signed=signed)

        result = await self._units.write(unit)
        sentence = result.sentence
        if result.code == "signature_needed":
            sentence = Sentence("passkey_none", {"number": link.number})
        return Done(sentence.render(link.language), not result.code, again=result.code in _TRY_AGAIN)

    def _signature(
        self, txn: Txn, link: ConfirmLink, request: Request, answer: PasskeyAnswer | None
    ) -> PasskeySignature | ActionResult | None:
        """What the person's passkey has signed; refused where it is not this, None where nothing was."""
        if answer is None or request.plan is None or request.plan_hash != link.plan_hash:
            return None  # which approving refuses by itself
        known = [one for one in self._passkeys(txn, link.person) if one.credential_id == answer.credential]
        try:
            passkey = parse_passkey(known[0].line)
        except (IndexError, BadPasskey):  # none of theirs, or a row that we never wrote
            return _wrong(request, "unknown")
        signed = PasskeySignature(
            passkey,
            *_terms(link, request, request.plan),
            client_data=answer.client_data,
            authenticator_data=answer.authenticator_data,
            signature=answer.signature,
        )
        objection = signed.objection(request, link.person)
        return _wrong(request, objection) if objection else signed


def _wrong(request: Request, why: str) -> ActionResult:
    values = {"number": request.number, "why": Sentence(f"passkey_wrong_{why}")}
    return ActionResult(Sentence("passkey_wrong", values), "bad_signature")


def _terms(link: ConfirmLink, request: Request, plan: Plan) -> tuple[float, float]:
    """When the yes that a link's page asks for is given, and until when it counts: the same each time that it is shown
    and taken.
    """
    at = link.until - SECONDS
    return at, max(link.until, approval_expiry(request, plan, at))
