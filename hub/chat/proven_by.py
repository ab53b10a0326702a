"""Which of an inlet's secrets proved a delivery, also across the platform objects of one hub.toml and the next."""

from __future__ import annotations

from collections.abc import Mapping

from hub.chat.inlets import Inlet
from hub.chat.platforms.base import ReceiveResult, TellsSecret, WebhookRequest
from hub.core.secret_uses import SecretUses


def receive_noting(inlet: Inlet, request: WebhookRequest, now: float, uses: SecretUses) -> ReceiveResult:
    """What the platform receives, and a note of the secret that proved it, where one of the secrets did."""
    platform = inlet.platform
    if not isinstance(platform, TellsSecret):
        return platform.receive(request, now)
    before, platform.proven_by = platform.proven_by, b""
    try:
        received = platform.receive(request, now)
        if platform.proven_by:
            uses.note(_owner(inlet.name), platform.proven_by, now)
        return received
    finally:
        platform.proven_by = platform.proven_by or before


def remember_secrets(inlets: Mapping[str, Inlet], uses: SecretUses) -> None:
    """New platform objects go on from the secret that each sender used last: their replies are signed with what the
    sender knows. Forgets the uses of secrets that went.
    """
    lines = {_owner(name): inlet.table.secret_lines() for name, inlet in inlets.items() if inlet.table is not None}
    uses.keep("inlets", lines)
    for name, inlet in inlets.items():
        if isinstance(inlet.platform, TellsSecret):
            inlet.platform.proven_by = uses.latest(_owner(name), lines.get(_owner(name), ()))


def _owner(name: str) -> str:
    return f"inlets.{name}"
