"""`link CODE`, said in chat by somebody whom nobody knows: from then on that chat user is the person whose code it is.

Wrong codes are limited for each chat user and for each conversation; who is over the limit is not listened to, right or
wrong.
"""

from __future__ import annotations

from typing import Final

from common.catalogue import Sentence
from common.errors import UserError
from hub.core.rate_limits import TokenBuckets
from hub.core.records import Request
from hub.engine.unit_of_work import UnitOfWork
from hub.identity import chat_links

WINDOW: Final = 600.0  # seconds in which so many wrong codes are heard:
USER_TRIES: Final = 5.0
ROOM_TRIES: Final = 20.0


class ChatLinks:
    def __init__(self) -> None:
        self._users = TokenBuckets(USER_TRIES / WINDOW, USER_TRIES)
        self._rooms = TokenBuckets(ROOM_TRIES / WINDOW, ROOM_TRIES)

    def handle(self, uow: UnitOfWork, request: Request, code: str) -> Sentence:
        """Links the sender of `request`, or says why not."""
        if request.person:
            return Sentence("link_known", {"person": request.person})
        identity = f"{request.inlet}:{request.chat_user}"
        room = f"{request.inlet}\n{request.conversation}"
        if self._users.wait_time(identity, uow.now) or self._rooms.wait_time(room, uow.now):
            return Sentence("link_too_many")
        person = chat_links.use_code(uow.txn, code, uow.now)
        if person:
            try:
                chat_links.link(uow.txn, uow.world.people, person, identity, f"chat:{identity}", uow.now)
            except UserError as error:
                return Sentence("link_refused", {"why": error.problem})
            return Sentence("link_done", {"person": person})
        self._users.try_acquire(identity, uow.now)
        self._rooms.try_acquire(room, uow.now)
        uow.audit("person.link_refused", identity, identity, {"request": request.id})
        return Sentence("link_wrong")
