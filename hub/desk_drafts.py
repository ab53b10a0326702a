"""The room for drafts of runbooks: proposed, looked at, accepted, rejected. What they do is `hub.acts_drafts`'.

Acts answer {"code", "text"} and the draft; "code" is "ok", or why it was not done: unknown, no_right, own_draft,
already_decided, clash (it does not fit with the other runbooks), file, phrase, name, not_ended, denied, other, full.
"""

from __future__ import annotations

from typing import Any, Final

from common.errors import Refused
from hub.acts import By
from hub.acts_drafts import Drafts
from hub.consoles import BadCall, Caller
from hub.desk_args import Args, Office, answer, integer, language_of, text
from hub.plan.draft_acts import MAX_PHRASE, NAME

MAX_NUMBER: Final = 10**12


class DraftRoom:
    def __init__(self, office: Office, drafts: Drafts) -> None:
        self._office = office
        self._drafts = drafts

    async def drafts(self, caller: Caller, args: Args) -> Any:
        """Those that wait, the oldest first."""
        self._office.allow(caller, "drafts")
        done = await self._drafts.listed(_by(caller))
        return done.more["drafts"]

    async def draft(self, caller: Caller, args: Args) -> Any:
        self._office.allow(caller, "drafts")
        return answer(await self._drafts.shown(_by(caller), _number(args)), language_of(args))

    async def propose(self, caller: Caller, args: Args) -> Any:
        """A runbook NAME of what request `number` did; `say` is how to ask for it, where its message does not tell."""
        if (no := self._no_right(caller, "propose")) is not None:
            return no
        name, say = text(args, "name", 64), text(args, "say", MAX_PHRASE)
        if not NAME.fullmatch(name):
            raise BadCall("name: letters, digits, - and _, a letter first, at most 48, are expected")
        done = await self._drafts.propose(_by(caller), _number(args), name.lower(), say)
        return answer(done, language_of(args))

    async def accept_draft(self, caller: Caller, args: Args) -> Any:
        if (no := self._no_right(caller, "review")) is not None:
            return no
        return answer(await self._drafts.accept(_by(caller), _number(args)), language_of(args))

    async def reject_draft(self, caller: Caller, args: Args) -> Any:
        """An admin's no, or its proposer's, which takes it back."""
        if (no := self._no_right(caller, "propose")) is not None:
            return no
        return answer(await self._drafts.decline(_by(caller), _number(args), text(args, "why")), language_of(args))

    def _no_right(self, caller: Caller, verb: str) -> dict[str, Any] | None:
        try:
            self._office.allow(caller, verb)
        except Refused as error:
            return {"code": "no_right", "text": str(error)}
        return None


def _by(caller: Caller) -> By:
    return By(caller.person, "console", remote=caller.link.remote)


def _number(args: Args) -> int:
    number = integer(args, "number", 1, MAX_NUMBER)
    if number is None:
        raise BadCall("number: a whole number is expected")
    return number
