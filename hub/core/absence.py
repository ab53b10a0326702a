"""Why a machine is away, from its row and whether it is linked now. Pure.

The row keeps the last refusal of a link that proved to be the machine's; a link that comes about clears it. So a
refusal counts where it is newer than the machine was last seen, and a copy of a machine that is refused while the
machine itself is linked says nothing here (its refusal is in the audit).
"""

from __future__ import annotations

from typing import Final

from common.machine.absence import CLOCK_OFF, CODES, Absence
from hub.core.records import Agent

INVITED: Final = "invited"
"""The state of a machine for which there is a token and nothing else: it is listed, and cannot be meant."""
CLOCK_REFUSED: Final = "clock"
"""The code of a link that did not come about since the machine's clock does not take the hub's certificate."""


def why_away(agent: Agent, online: bool, stalled: float | None = None) -> Absence | None:
    """None where the machine is linked and may be, and its runner answers; `stalled` is since when it does not."""
    if agent.state == INVITED:
        return Absence("never_joined", agent.joined_at)
    if agent.state in ("revoked", "locked"):
        return Absence(agent.state, agent.refused_at)
    if online:
        return None if stalled is None else Absence("runner", stalled)
    refused_at = agent.refused_at
    if refused_at is not None and agent.refused_code and refused_at >= (agent.last_seen or 0.0):
        return _refused(agent, refused_at)
    if is_off(agent.clock_ahead):
        return Absence("clock", agent.last_seen, agent.clock_ahead)
    if agent.last_seen is None:
        return Absence("never_linked", agent.joined_at)
    return Absence("silent", agent.last_seen)


def _refused(agent: Agent, at: float) -> Absence:
    code = agent.refused_code
    if code == CLOCK_REFUSED:
        return Absence("clock", at, agent.clock_ahead)
    if code == "expired":
        return Absence("expired", agent.refused_since)
    return Absence(code if code in CODES else "refused", at)


def is_off(clock_ahead: float | None) -> bool:
    """Whether a clock is so far off that commands expire wrongly by it."""
    return clock_ahead is not None and abs(clock_ahead) >= CLOCK_OFF
