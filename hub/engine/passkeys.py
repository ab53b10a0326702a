"""People's passkeys in units of work: a link to the page that makes one, what the page made, and taking one away.

What this hub keeps of one is what its pages need to ask for it. A machine counts a passkey that it was given, by
whoever has the machine (`answerback-agent approvers add`), and nothing of what this hub says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from common.catalogue import Language, Sentence
from common.identity.passkey import BadPasskey, origin_of
from hub.chat.confirm_page import Done
from hub.chat.passkey_links import SECONDS, PasskeyLink, PasskeyLinks
from hub.core.passkeys import (
    MAX_PASSKEYS,
    BadRegistration,
    PasskeyAnswer,
    creation_options,
    read_registration,
)
from hub.core.records import PersonPasskey
from hub.engine.actor import ActionResult, Actor
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.store.store import Store


class Passkeys:
    def __init__(
        self,
        *,
        store: Store,
        units: UnitOfWorkRunner,
        links: PasskeyLinks,
        public_url: Callable[[], str | None],
        hub_id: str,
    ) -> None:
        self._store = store
        self._units = units
        self._links = links
        self._public_url = public_url
        self._hub_id = hub_id

    def _origin(self) -> str:
        """Raises BadPasskey where our pages can have no passkeys."""
        return origin_of(self._public_url() or "")

    def give(self, uow: UnitOfWork, actor: Actor, label: str, language: Language) -> ActionResult:
        """A link to the page that makes one; one that the person had before ends."""
        root = self._public_url() or ""
        try:
            self._origin()
        except BadPasskey:
            return ActionResult(Sentence("passkey_no_page"), "no_page")
        if len(uow.txn.passkeys(actor.person)) >= MAX_PASSKEYS:
            return ActionResult(Sentence("passkey_full", {"count": MAX_PASSKEYS}), "full")
        until = uow.now + SECONDS
        url = f"{root.rstrip('/')}/passkey/{self._links.give(PasskeyLink(actor.person, label, language, until))}"
        uow.audit("passkey.link_given", actor.person, actor.person, {"via": actor.via, "until": until})
        said = Sentence("passkey_link", {"url": url, "minutes": round(SECONDS / 60)})
        return ActionResult(said, "", {"url": url, "expires_at": until})

    async def ask(self, link: PasskeyLink) -> Mapping[str, Any] | None:
        """What the page asks the browser for; None where our pages can have no passkeys any more."""
        try:
            origin = self._origin()
        except BadPasskey:
            return None
        known = await self._store.read(lambda txn: txn.passkeys(link.person))
        return creation_options(link.person, origin, link.challenge, self._hub_id, [one.credential_id for one in known])

    async def add(self, link: PasskeyLink, answer: PasskeyAnswer) -> Done:
        """Keeps what the page made; what it says has the line that machines are given."""
        try:
            made = read_registration(answer.client_data, answer.authenticator_data, link.challenge, self._origin())
        except BadRegistration as error:
            why = Sentence(f"passkey_wrong_{error.code}")
            return Done(Sentence("passkey_not_made", {"why": why}).render(link.language), ok=False)
        except BadPasskey:
            return Done(Sentence("passkey_no_page").render(link.language), ok=False)
        key = made.passkey

        def unit(uow: UnitOfWork) -> ActionResult:
            if not uow.roles_now(link.person):
                return ActionResult(Sentence("passkey_nobody", {"person": link.person}), "no_right")
            row = PersonPasskey(key.id, link.person, key.line, made.credential_id, link.label, uow.now)
            if not uow.txn.add_passkey(row):
                return ActionResult(Sentence("passkey_full", {"count": MAX_PASSKEYS}), "full")
            uow.audit("passkey.added", link.person, link.person, {"key": key.id, "label": link.label})
            values = {"id": key.id, "command": f"answerback-agent approvers add {link.person} {key.line}"}
            uow.notify_person(link.person, Sentence("passkey_notice", {"id": key.id}))
            return ActionResult(Sentence("passkey_made", values))

        result = await self._units.write(unit)
        return Done(result.sentence.render(link.language), ok=not result.code)

    def remove(self, uow: UnitOfWork, actor: Actor, id: str) -> ActionResult:  # noqa: A002 - the record's word
        """Our pages ask it no more. Machines that were given it count it until it is taken out there."""
        found = next((one for one in uow.txn.passkeys(actor.person) if one.id == id), None)
        if found is None or not uow.txn.remove_passkey(actor.person, id):
            return ActionResult(Sentence("passkey_unknown", {"id": id}), "unknown")
        uow.audit("passkey.removed", actor.person, actor.person, {"key": id, "via": actor.via})
        return ActionResult(Sentence("passkey_removed", {"id": id, "person": actor.person, "key": found.line}))
