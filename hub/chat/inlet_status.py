"""How each inlet is: whether it gets messages and why not, its last delivery, its refusals, replies that wait.

Joins what is known in three places: the outbound modes, what each inlet did since the hub started, and the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hub.chat.inlets import Inlet
from hub.chat.outbound import OutboundState
from hub.chat.platforms.outbound import outbound_mode
from hub.core.inlet_activity import InletActivity, RefusalTally, ReplyTally
from hub.store.outbox import WaitingReplies

SETTLE: Final = 30.0
"""Seconds for which replies may fail before anybody is told: a platform that is busy for a moment is no trouble."""
LOST_WINDOW: Final = 3_600.0
"""Seconds for which a reply that was given up is told of, where no later one was posted."""


@dataclass(frozen=True, slots=True)
class InletStatus:
    """Times are seconds since the epoch, 0 where it did not happen; counts are since the hub started."""

    name: str
    platform: str
    answer: str = "everything"
    outbound: OutboundState | None = None  # None: it takes webhooks
    delivered_at: float = 0.0
    quiet_after: float = 0.0  # seconds; 0: never
    quiet: bool = False  # silent for longer than that
    refused: int = 0
    refused_code: str = ""  # of the last one
    refused_at: float = 0.0
    waiting: int = 0  # replies
    waiting_since: float = 0.0
    reply_problem: str = ""  # why replies do not arrive
    reply_failed_at: float = 0.0  # since when
    given_up: int = 0
    recording: int = 0  # deliveries that are still to be recorded

    @property
    def problem(self) -> str:
        """Why it gets no messages."""
        return self.outbound.error if self.outbound is not None else ""


class InletStatusReader:
    def __init__(
        self,
        inlets: Mapping[str, Inlet],
        activity: InletActivity,
        outbound: Callable[[], Sequence[OutboundState]],
        clock: Callable[[], float],
        recording: Callable[[str], int] = lambda name: 0,
    ) -> None:
        """`recording` says how many deliveries of an inlet are still to be recorded."""
        self._inlets = inlets
        self._activity = activity
        self._outbound = outbound
        self._clock = clock
        self._recording = recording

    def quiet_limits(self) -> dict[str, float]:
        """Of each inlet that is ever quiet: after how many seconds."""
        tables = {name: one.table for name, one in self._inlets.items()}
        configured = {name: table.quiet_after for name, table in tables.items() if table is not None}
        return {name: limit for name, limit in self._activity.quiet.limits(configured).items() if limit}

    def quiet(self) -> dict[str, bool]:
        """Of each inlet that is ever quiet: whether it is now."""
        limits = self.quiet_limits()
        silent = self._activity.quiet.silent(limits, self._clock())
        return {name: name in silent for name in limits}

    def recording(self) -> dict[str, int]:
        """Of each inlet that is recorded: how many deliveries are left."""
        return {name: left for name in self._inlets if (left := self._recording(name))}

    def read(self, waiting: Mapping[str, WaitingReplies] | None = None) -> list[InletStatus]:
        """All inlets by name. `waiting` is the store's; without it only posts since the hub started are known."""
        now = self._clock()
        states = {state.inlet: state for state in self._outbound()}
        limits = self.quiet_limits()
        silent = self._activity.quiet.silent(limits, now)
        found = []
        for name, inlet in sorted(self._inlets.items()):
            refused = self._activity.refused.get(name, RefusalTally())
            replies = (waiting or {}).get(name, WaitingReplies(0, 0.0, ""))
            tally = self._activity.replies.get(name, ReplyTally())
            problem, since = _reply_trouble(tally, replies, now)
            asks = outbound_mode(inlet.platform) is not None
            found.append(
                InletStatus(
                    name=name,
                    platform=inlet.platform.kind,
                    answer=inlet.answer,
                    outbound=states.get(name) or (OutboundState(name) if asks else None),
                    delivered_at=self._activity.heard.get(name, 0.0),
                    quiet_after=limits.get(name, 0.0),
                    quiet=name in silent,
                    refused=refused.count,
                    refused_code=refused.code,
                    refused_at=refused.at,
                    waiting=replies.pending,
                    waiting_since=replies.oldest,
                    reply_problem=problem,
                    reply_failed_at=since,
                    given_up=tally.given_up,
                    recording=self._recording(name),
                )
            )
        return found


def _reply_trouble(tally: ReplyTally, replies: WaitingReplies, now: float) -> tuple[str, float]:
    """Why replies do not arrive and since when; "" and 0.0 where they do, or may yet."""
    if tally.problem and (tally.lost or now - tally.since >= SETTLE):
        if replies.pending or now - tally.failed_at < LOST_WINDOW:
            return tally.problem, tally.since
    elif replies.error and now - replies.oldest >= SETTLE:
        return replies.error, replies.oldest
    return "", 0.0
