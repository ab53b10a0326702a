"""The pipeline in lanes: how long each stage takes, how much goes through it, and how it stands. Pure.

`Stage` remembers the last five minutes in slots of ten seconds. Durations are counted in buckets that grow by a
twelfth, so a percentile is right within 4 %, takes no more room than there are buckets, and needs no samples kept.
`lanes` puts these beside what waits in the store now.

    received   messages that wait for a planner; the time until one took them
    planning   messages that a planner works on; the time that took
    approval   requests that wait for a person's yes; planned to decided
    queued     jobs that wait for their machine; queued to handed out
    running    jobs that machines have; as they measured
    done       requests that ended in these five minutes; received to ended
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from common.catalogue import Language, Sentence

SLOT: Final = 10.0  # seconds
SLOTS: Final = 30
RATE_SLOTS: Final = 6  # the rate is that of the last minute
_GROWTH: Final = math.log(1.08)
_LEAST: Final = 1e-4  # seconds; what is shorter counts as that
_MOST: Final = 1e7  # four months; what is longer counts as that

STAGES: Final = ("received", "planning", "approval", "queued", "running", "done")
FEEDS: Final[Mapping[str, str]] = {
    "wait": "received",
    "think": "planning",
    "approve": "approval",
    "queue": "queued",
    "run": "running",
    "total": "done",
}
"""Which lane a stage of `hub.change.Effects` tells of."""
SLOW: Final[Mapping[str, float]] = {"received": 2.0, "planning": 10.0, "queued": 30.0}
"""Seconds at the 95th percentile above which a lane is slow; how long people and commands take is theirs."""
OVERDUE: Final[Mapping[str, float]] = {"received": 30.0, "planning": 60.0}
"""Seconds that the oldest may be in a lane before the lane is stuck: nothing here waits for the outside."""

State = Literal["ok", "slow", "waiting", "paused", "stuck"]


class Stage:
    """Durations of one stage over the last five minutes. `now` never goes back by more than a slot."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[int, int]] = {}  # slot -> bucket -> count

    def add(self, seconds: float, now: float) -> None:
        slot = int(now // SLOT)
        buckets = self._slots.get(slot)
        if buckets is None:
            buckets = self._slots[slot] = {}
            self._forget(slot)
        bucket = _bucket(seconds)
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def _forget(self, slot: int) -> None:
        for old in [known for known in self._slots if not slot - SLOTS < known <= slot]:
            del self._slots[old]

    def percentiles(self, now: float, shares: Iterable[float] = (0.5, 0.95, 0.99)) -> list[float | None]:
        """The durations, in seconds, that these shares were below; None where nothing went through."""
        self._forget(int(now // SLOT))
        counts: dict[int, int] = {}
        for buckets in self._slots.values():
            for bucket, count in buckets.items():
                counts[bucket] = counts.get(bucket, 0) + count
        return percentiles_of(counts, shares)

    def counts(self, now: float) -> list[int]:
        """How many went through in each slot, the oldest first, the one that has just begun last."""
        last = int(now // SLOT)
        return [sum(self._slots.get(slot, {}).values()) for slot in range(last - SLOTS + 1, last + 1)]


def percentiles_of(counts: Mapping[int, int], shares: Iterable[float]) -> list[float | None]:
    total = sum(counts.values())
    if not total:
        return [None for _ in shares]
    found: list[float | None] = []
    ordered = sorted(counts.items())
    for share in shares:
        rank = max(1, math.ceil(share * total))
        seen = 0
        for bucket, count in ordered:
            seen += count
            if seen >= rank:
                found.append(_middle(bucket))
                break
    return found


def _bucket(seconds: float) -> int:
    if not seconds > _LEAST:  # NaN is not
        return 0
    return 1 + int(math.log(min(seconds, _MOST) / _LEAST) / _GROWTH)


def _middle(bucket: int) -> float:
    return _LEAST * math.exp(_GROWTH * (bucket - 0.5)) if bucket else _LEAST


@dataclass(frozen=True, slots=True)
class Depth:
    """What is in a lane now."""

    count: int = 0
    since: float | None = None  # since when the oldest has been in it


@dataclass(frozen=True, slots=True)
class Board:
    """What the store and the links say now, for the lanes."""

    now: float
    depths: Mapping[str, Depth]
    paused_by: str = ""  # who paused the whole queue
    next_expiry: float | None = None  # of the requests that wait for approval
    absent: int = 0  # jobs queued for machines that are away, paused or drained
    crowded: tuple[tuple[str, int], ...] = ()  # machines with the most jobs queued
    stuck: int = 0  # jobs past their time limit, or handed out and not taken up
    unknown: int = 0


@dataclass(slots=True)
class Lanes:
    """The stages of all lanes; fed by what commits say, read by the overview."""

    begun: float = 0.0  # since when there is anything to remember
    stages: dict[str, Stage] = field(default_factory=lambda: {name: Stage() for name in STAGES})
    failures: Stage = field(default_factory=Stage)  # jobs that ended otherwise than well

    def feed(self, stages: Iterable[tuple[str, float]], failed: int, now: float) -> None:
        for name, seconds in stages:
            lane = FEEDS.get(name)
            if lane is not None:
                self.stages[lane].add(seconds, now)
        for _ in range(failed):
            self.failures.add(0.0, now)

    def view(self, board: Board, language: Language = "en") -> list[dict[str, Any]]:
        return [self._lane(name, board, language) for name in STAGES]

    def _lane(self, name: str, board: Board, language: Language) -> dict[str, Any]:
        stage, depth = self.stages[name], board.depths.get(name, Depth())
        p50, p95, p99 = stage.percentiles(board.now)
        counts = stage.counts(board.now)
        oldest = None if depth.since is None or not depth.count else max(0.0, board.now - depth.since)
        state, note = standing(name, depth, oldest, p95, board)
        if name == "done" and (failed := sum(self.failures.counts(board.now))):
            note = Sentence("lane_failed", {"count": failed})
        return {
            "stage": name,
            "count": sum(counts) if name == "done" else depth.count,
            "oldest": oldest,
            "p50": p50,
            "p95": p95,
            "p99": p99,
            "rate": self._rate(counts, board.now),
            "trend": counts,
            "state": state,
            "note": note.say(language) if note is not None else "",
        }

    def _rate(self, counts: Sequence[int], now: float) -> float:
        span = min(SLOT * (RATE_SLOTS - 1) + now % SLOT, max(1.0, now - self.begun))
        return round(sum(counts[-RATE_SLOTS:]) / span, 3)


def standing(
    name: str, depth: Depth, oldest: float | None, p95: float | None, board: Board
) -> tuple[State, Sentence | None]:
    """How a lane stands, the worst first, and what is to be said about it."""
    if name == "queued":
        return _queued(depth, p95, board)
    if name == "approval" and depth.count:
        left = None if board.next_expiry is None else max(0.0, board.next_expiry - board.now)
        return "waiting", None if left is None else Sentence("lane_expires", {"left": span(left)})
    if name == "running" and board.stuck:
        return "stuck", Sentence("lane_over_limit", {"count": board.stuck})
    if name == "running" and board.unknown:
        return "ok", Sentence("lane_unknown", {"count": board.unknown})
    if oldest is not None and oldest > OVERDUE.get(name, math.inf):
        return "stuck", Sentence("lane_overdue", {"age": span(oldest)})
    if p95 is not None and p95 > SLOW.get(name, math.inf):
        return "slow", None
    return "ok", None


def _queued(depth: Depth, p95: float | None, board: Board) -> tuple[State, Sentence | None]:
    if board.paused_by:
        return "paused", Sentence("lane_paused", {"person": board.paused_by})
    crowd = ", ".join(f"{agent} {count}" for agent, count in board.crowded)
    if depth.count and board.absent == depth.count:
        return "waiting", Sentence("lane_absent", {"count": board.absent, "machines": crowd})
    if p95 is not None and p95 > SLOW["queued"]:
        return "slow", Sentence("lane_crowded", {"machines": crowd}) if crowd else None
    if board.absent:
        return "ok", Sentence("lane_absent", {"count": board.absent, "machines": crowd})
    return "ok", None


def span(seconds: float) -> str:
    """4s, 3m12s, 2h05m, 3d04h: two units at most, the same in every language."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"
