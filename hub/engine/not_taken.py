"""A word in chat to whoever sent a message that was not taken, since the line was too long, and that does not come
again by itself. Of the message nothing is kept.
"""

from __future__ import annotations

import math
from typing import Final

from common.catalogue import Sentence
from hub.chat.compose import ReplyComposer
from hub.core.fair_queue import Key
from hub.core.rate_limits import TokenBuckets
from hub.core.records import Request
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner

PAUSE: Final = 60.0
"""Seconds in which somebody is told once."""


class NotTaken:
    def __init__(self, units: UnitOfWorkRunner, composer: ReplyComposer) -> None:
        self._units = units
        self._composer = composer
        self._told = TokenBuckets(1 / PAUSE, 1.0)

    def may_tell(self, key: Key, now: float) -> bool:
        """Whether it is time to tell this person, which counts as told; a stranger (`?USER`) never is."""
        return not key.name.startswith("?") and not self._told.try_acquire(f"{key.group}\n{key.name}", now)

    async def tell(self, request: Request, wait: float) -> None:
        """`request` is the message's, which is in no store; `wait` the seconds after which to send it again."""
        said = Sentence("line_busy", {"seconds": math.ceil(wait)}).render(request.language)

        def unit(uow: UnitOfWork) -> None:
            uow.effects.replies = self._composer.enqueue_notice(uow.txn, request, said, uow.now)

        await self._units.write(unit)
