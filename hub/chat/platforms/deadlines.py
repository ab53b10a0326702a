"""Platforms that tell until when a request waits by each reader's own clock. Pure."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable


@runtime_checkable
class TellsDeadline(Protocol):
    """A platform whose cards say `ReplyContent.deadline` in the chat's own mark for a time, wherever the text is shown:
    the text of a question then leaves it out, or it would be said twice, once in UTC.
    """

    tells_deadline: Literal[True]
