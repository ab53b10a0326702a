"""Towards a peer of a version before: what it is not sent, and which protocol's orders it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from common.link.messages import (
    MAX_REASON,
    ORDERS_FACT,
    RETRY_PROTOCOL,
    Ended,
    Heartbeat,
    Hello,
    Message,
    Refused,
    Report,
)
from common.machine.end_notes import fold_notes

PACE_PROTOCOL: Final = 7
"""From which on a peer knows a spread in `welcome` and an interval in `beat`."""
STAMP_PROTOCOL: Final = 8
"""From which on it knows stamps, and a dispatch with the hub's word."""


def for_protocol(message: Message, protocol: int) -> Message:
    """The message without what a peer of `protocol` would refuse: what the field says goes into words that it shows."""
    if protocol < 2 and isinstance(message, Ended) and message.notes:
        return replace(message, reason=fold_notes(message.reason, message.notes)[:MAX_REASON], notes=())
    if protocol < STAMP_PROTOCOL and isinstance(message, Report) and (message.ended or message.life):
        return replace(message, life=message.life if protocol >= 3 else "", ended=())
    if protocol < STAMP_PROTOCOL and isinstance(message, Heartbeat) and message.stamp:
        return replace(message, stamp="")
    if protocol < RETRY_PROTOCOL and isinstance(message, Refused) and message.code == "restarted":
        return replace(message, code="stopping")
    return message


def orders_protocol(hello: Hello, agreed: int) -> int:
    """The protocol of which a machine takes orders; `agreed` is the link's."""
    told = (hello.facts or {}).get(ORDERS_FACT, "")
    return min(agreed, int(told) if told.isascii() and told.isdecimal() and len(told) < 4 else 2)
