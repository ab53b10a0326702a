"""Whether a message that comes under a known id is that message again, or another one. Pure."""

from __future__ import annotations

import hashlib

from common.plan import canonical_json
from hub.core.records import Request


def is_same_message(first: Request, again: Request) -> bool:
    """Both as stored, that is with second-factor codes masked. Who a chat user is may have changed meanwhile."""
    return _content(first) == _content(again)


def edit_event_id(edit: Request) -> str:
    """The id under which other content of a known id is kept, the same for the same content."""
    digest = hashlib.sha256(b"answerback edit 1\n" + canonical_json(_content(edit))).hexdigest()
    return f"{edit.event_id}#{digest[:16]}"


def _content(request: Request) -> tuple[str, str, str]:
    return request.chat_user, request.conversation, request.text
