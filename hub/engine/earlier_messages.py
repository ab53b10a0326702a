"""What was said in a conversation before a message: was its sender just refused, was something asked there."""

from __future__ import annotations

from typing import Final

from common.lifecycle import RequestState
from hub.core.records import Request
from hub.core.short_refusal import REPEATED_WITHIN
from hub.engine.unit_of_work import UnitOfWork

MAX_EARLIER: Final = 12
"""Earlier messages of a conversation that are looked at."""


def was_just_refused(uow: UnitOfWork, request: Request) -> bool:
    """Whether the sender's last message in this conversation was refused too, a short while ago."""
    earlier = uow.txn.earlier_requests(request, uow.now - REPEATED_WITHIN, MAX_EARLIER)
    own = next((one for one in earlier if one.chat_user == request.chat_user), None)
    return own is not None and own.state is RequestState.REFUSED


def asks(earlier: Request, request: Request) -> bool:
    """Whether an earlier request of the conversation waits for an answer in it: a yes to its plan, or, where it was
    the sender's own, what we asked back.
    """
    if earlier.state is RequestState.ASKING:
        return True
    return earlier.state is RequestState.REFUSED and earlier.chat_user == request.chat_user
