"""The code of a second factor that was said in chat, where others may read it: it is kept nowhere, used up, and its
message is removed where the platform lets us.

A code is known as one by the sender's own factor, not by its form, so that it is found in whatever words it stands. The
message is stored and planned without it; only `approve r42 123456` is planned with it. What only has a code's shape, of
somebody who has a second factor, is not stored either, but a command is planned with it: `tail -n 100000 FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.catalogue import Sentence
from common.command.lookalikes import ascii_digits
from common.identity.sealing import Sealer
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import Platform, ReplyContent
from hub.chat.platforms.code_form import has_forms
from hub.chat.platforms.privacy import REMOVAL, is_alone, sight_of
from hub.core.outcome import ChatCommand, PlanningOutcome
from hub.core.records import Person, Reply, Request
from hub.core.request import message_id
from hub.engine.unit_of_work import UnitOfWork
from hub.identity import recovery_codes, totp
from hub.planning.chat_commands import without_code_shapes
from hub.planning.runbooks.tokens import fold_width

MASK: Final = "******"
_SPACES: Final = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff \u00a0.-]{0,2}"
_DIGITS: Final = re.compile(rf"(?<![0-9])[0-9](?:{_SPACES}[0-9]){{5}}(?![0-9])", re.ASCII)
_NOT_DIGIT: Final = re.compile(r"[^0-9]", re.ASCII)


def gives_code(outcome: PlanningOutcome | None) -> bool:
    return isinstance(outcome, ChatCommand) and outcome.verb in ("approve", "allow") and bool(outcome.code)


class SaidCodes:
    def __init__(
        self, sealer: Sealer, inlet_of: Callable[[str], Inlet | None], public_url: Callable[[], str | None]
    ) -> None:
        self._sealer = sealer
        self._inlet_of = inlet_of
        self._public_url = public_url

    def find(self, text: str, person: Person | None, now: float) -> tuple[str, tuple[int, ...]]:
        """`text` without codes that `person` could have meant, and their steps (`totp.known_codes`); and without
        anybody's recovery codes, which are never for chat.
        """
        text = recovery_codes.SAID.sub(MASK, text)
        if person is None or not (person.totp_secret or person.totp_pending):
            return text, ()
        folded = ascii_digits(fold_width(text))  # each character in its place
        if (found := _DIGITS.search(folded)) is None:
            return text, ()
        known = totp.known_codes(person, self._sealer, now)
        parts, steps, at = list[str](), list[int](), 0
        while found is not None:
            step = known.get(_NOT_DIGIT.sub("", found[0]))
            if step is not None:
                parts += [text[at : found.start()], MASK]
                at = found.end()
                steps.append(step)
            found = _DIGITS.search(folded, found.start() + 1 if step is None else at)
        return "".join(parts) + text[at:], tuple(steps)

    def without_shapes(self, text: str, person: Person | None) -> str:
        """`text` as it is kept where its sender has a second factor: a number that has a code's shape may be one that
        was typed wrong, or has run out, and the next one is near it.
        """
        has_factor = person is not None and bool(person.totp_secret or person.totp_pending)
        return without_code_shapes(text) if has_factor else text

    def take_away(
        self, uow: UnitOfWork, request: Request, steps: tuple[int, ...], *, given: bool = False, event: str = ""
    ) -> tuple[Request, Sentence | None]:
        """Uses up the codes of these steps that `request` was said with and asks for its removal; the request to be
        answered, and what to add to the answer where others have seen the code, and it stays there. `given`: it gives
        a code that is none of the sender's; `event`: the message's id, where the request has another one.
        """
        if not (steps or given):
            return request, None
        row = uow.txn.person(request.person)
        if row is not None and (last := max(steps, default=0)) > row.totp_last_step:
            uow.txn.save_person(row, totp.spend(row, last))
        inlet = self._inlet_of(request.inlet)
        platform = inlet.platform if inlet is not None else None
        place = request.conversation, request.thread
        event = event or message_id(request)
        if inlet is not None and inlet.id_scope == "conversation":
            event = event.removeprefix(f"{request.conversation}/")
        sight = "unseen" if request.button else sight_of(platform, event, *place)
        alone = is_alone(platform, request.chat_user, *place)
        removal = sight if isinstance(sight, str) else "asked"
        uow.audit("message.code_said", request.id, request.person, {"inlet": request.inlet, "removal": removal})
        note = None if alone else self._note(platform)
        if sight == "unseen":
            return request, None
        if sight == "seen" or not request.reply_url:
            return request, note
        self._enqueue(uow, request, event, note)
        if request.thread == event:  # with the message goes what was said below it
            beside = replace(request, thread="")
            uow.txn.save_request(request, beside)
            return beside, None
        return request, None

    def _note(self, platform: Platform | None) -> Sentence:
        if platform is not None and has_forms(platform):
            return Sentence("code_seen_form")
        return Sentence("code_seen_page" if self._public_url() else "code_seen")

    def _enqueue(self, uow: UnitOfWork, request: Request, event: str, note: Sentence | None) -> None:
        """In the outbox, with what is said where it cannot be removed. It waits for no reply, and none waits for it."""
        content = ReplyContent(
            in_reply_to=event,
            conversation=request.conversation,
            text=note.render(request.language) if note is not None else "",
            kind=REMOVAL,
            thread=request.thread,
        )
        entry = Reply(
            id=0,
            request_id="",
            inlet=request.inlet,
            kind="progress",
            url=request.reply_url,
            body=content.to_json(),
            created_at=uow.now,
            next_at=uow.now,
        )
        uow.txn.add_reply(entry)
        uow.effects.replies = True
