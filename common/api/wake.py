"""Waking a machine that sleeps: arguments and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.arguments import Arguments
from common.api.constraints import OMIT, Chars
from common.api.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeArgs(Arguments):
    agent: Annotated[str, Chars(least=1, expected="the machine to wake is expected")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeResult(Outcome):
    """Says that it is asked for; `waking` tells when it has happened."""

    waking: Annotated[bool | None, OMIT, "false: it is online, and nothing is sent"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WakingArgs(Arguments):
    agent: Annotated[str, Chars(least=1, expected="the machine that was woken is expected")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WakingView:
    state: Annotated[str, "waking, woke, late, not_sent; none: not since the hub started"]
    text: str
    seconds: Annotated[float, "from the wish to wake it to its end"] = 0.0
