"""What each inlet has done since the hub started: deliveries, refusals, replies. Pure; in memory alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from hub.core.quiet_inlets import QuietInlets
from hub.core.secret_uses import SecretUses

MAX_REASON: Final = 300  # characters
_NOBODY: Final = ""  # the name under which deliveries to no inlet are refused


@dataclass(slots=True)
class RefusalTally:
    """Deliveries and messages that were turned away."""

    count: int = 0
    code: str = ""  # of the last one, as in the metrics
    at: float = 0.0


@dataclass(slots=True)
class ReplyTally:
    """Attempts to post replies. `problem` is why the last one failed; "" once one succeeds."""

    problem: str = ""
    since: float = 0.0  # the first failure since one succeeded
    failed_at: float = 0.0  # the last one
    lost: bool = False  # one was given up since one succeeded
    given_up: int = 0  # since the hub started


class InletActivity:
    """Times are seconds since the epoch. Whoever writes names inlets of hub.toml alone, so `keep` is the bound."""

    def __init__(self, heard: dict[str, float] | None = None, secrets: SecretUses | None = None) -> None:
        """`heard` is kept here: inlet -> when its chat delivered last; `secrets`: which secret proved it."""
        self.heard: dict[str, float] = {} if heard is None else heard
        self.secrets = SecretUses() if secrets is None else secrets
        self.quiet = QuietInlets(self.heard)
        self.refused: dict[str, RefusalTally] = {}
        self.replies: dict[str, ReplyTally] = {}

    def note_refusal(self, inlet: str, code: str, now: float) -> None:
        if inlet == _NOBODY:
            return
        tally = self.refused.setdefault(inlet, RefusalTally())
        tally.count += 1
        tally.code, tally.at = code, now

    def note_reply(self, inlet: str) -> None:
        """One was posted."""
        if (tally := self.replies.get(inlet)) is not None:
            tally.problem, tally.since, tally.lost = "", 0.0, False

    def note_reply_failure(self, inlet: str, reason: str, now: float, *, given_up: bool = False) -> None:
        tally = self.replies.setdefault(inlet, ReplyTally())
        tally.problem, tally.failed_at = reason[:MAX_REASON], now
        tally.since = tally.since or now
        if given_up:
            tally.lost = True
            tally.given_up += 1

    def keep(self, inlets: Collection[str]) -> None:
        """Forgets those that went."""
        self.quiet.keep(inlets)
        for tallies in (self.refused, self.replies):
            for name in [one for one in tallies if one not in inlets]:
                del tallies[name]
