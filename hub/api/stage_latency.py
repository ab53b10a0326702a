"""The pipeline in lanes: how long each stage takes, how much goes through it, and its state. Pure.

`LatencyWindow` covers the last five minutes in slots of ten seconds. Durations are counted in buckets that grow by 8 %,
so a percentile is right within 4 %, takes no more room than there are buckets, and needs no stored samples.
`PipelineLatency.view` puts these beside what waits in the store now.

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
from typing import Final, Literal

from common.api.overview import LaneView
from common.catalogue import Language, Sentence
from common.values import format_age

SLOT: Final = 10.0  # seconds
SLOTS: Final = 30
RATE_SLOTS: Final = 6  # the rate is that of the last minute
_GROWTH: Final = math.log(1.08)
_LEAST: Final = 1e-4  # seconds; what is shorter counts as that
_MOST: Final = 1e7  # four months; what is longer counts as that

STAGES: Final = ("received", "planning", "approval", "queued", "running", "done")
LANE_OF_STAGE: Final[Mapping[str, str]] = {
    "wait": "received",
    "think": "planning",
    "approve": "approval",
    "queue": "queued",
    "run": "running",
    "total": "done",
}
"""The lane of each stage of `hub.engine.unit_of_work.Effects`."""
SLOW_P95: Final[Mapping[str, float]] = {"received": 2.0, "planning": 10.0, "queued": 30.0}
"""Seconds at the 95th percentile above which a lane is slow; how long people and commands take is theirs."""
OVERDUE: Final[Mapping[str, float]] = {"received": 30.0, "planning": 60.0}
"""Seconds that the oldest may be in a lane before the lane is stuck: nothing here waits for the outside."""

LaneState = Literal["ok", "slow", "waiting", "paused", "stuck"]


class LatencyWindow:
    """Durations of one stage over the last five minutes. `now` never goes back by more than a slot."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[int, int]] = {}  # slot -> bucket -> count

    def add(self, seconds: float, now: float) -> None:
        slot = int(now // SLOT)
        buckets = self._slots.get(slot)
        if buckets is None:
            buckets = self._slots[slot] = {}
            self._evict(slot)
        bucket = _bucket(seconds)
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def _evict(self, slot: int) -> None:
        for old in [known for known in self._slots if not slot - SLOTS < known <= slot]:
            del self._slots[old]

    def percentiles(self, now: float, shares: Iterable[float] = (0.5, 0.95, 0.99)) -> list[float | None]:
        """The durations, in seconds, that these shares were below; None where nothing went through."""
        self._evict(int(now // SLOT))
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
                found.append(_bucket_value(bucket))
                break
    return found


def _bucket(seconds: float) -> int:
    if not seconds > _LEAST:  # NaN is not
        return 0
    return 1 + int(math.log(min(seconds, _MOST) / _LEAST) / _GROWTH)


def _bucket_value(bucket: int) -> float:
    return _LEAST * math.exp(_GROWTH * (bucket - 0.5)) if bucket else _LEAST


@dataclass(frozen=True, slots=True)
class StageDepth:
    """What is in a lane now."""

    count: int = 0
    since: float | None = None  # since when the oldest has been in it


@dataclass(frozen=True, slots=True)
class MachinePause:
    """Why a machine takes no jobs."""

    by: str
    reason: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class PipelineSnapshot:
    """What the store and the links say now, for the lanes."""

    now: float
    depths: Mapping[str, StageDepth]
    paused_by: str = ""  # who paused the whole queue
    next_expiry: float | None = None  # of the requests that wait for approval
    unavailable: int = 0  # jobs queued for machines that are away, paused or drained
    busiest: tuple[tuple[str, int], ...] = ()  # machines with the most jobs queued
    pauses: Mapping[str, MachinePause] = field(default_factory=dict)  # of these, by name
    stuck: int = 0  # jobs past their time limit, or handed out and not taken up
    unknown: int = 0


@dataclass(slots=True)
class PipelineLatency:
    """The stages of all lanes; fed from the effects of commits, read by the overview."""

    started_at: float = 0.0  # when recording began
    stages: dict[str, LatencyWindow] = field(default_factory=lambda: {name: LatencyWindow() for name in STAGES})
    failures: LatencyWindow = field(default_factory=LatencyWindow)  # jobs that ended otherwise than well

    def record(self, stages: Iterable[tuple[str, float]], failed: int, now: float) -> None:
        for name, seconds in stages:
            lane = LANE_OF_STAGE.get(name)
            if lane is not None:
                self.stages[lane].add(seconds, now)
        for _ in range(failed):
            self.failures.add(0.0, now)

    def view(self, snapshot: PipelineSnapshot, language: Language = "en") -> tuple[LaneView, ...]:
        return tuple(self._lane(name, snapshot, language) for name in STAGES)

    def _lane(self, name: str, snapshot: PipelineSnapshot, language: Language) -> LaneView:
        stage, depth = self.stages[name], snapshot.depths.get(name, StageDepth())
        p50, p95, p99 = stage.percentiles(snapshot.now)
        counts = stage.counts(snapshot.now)
        oldest = None if depth.since is None or not depth.count else max(0.0, snapshot.now - depth.since)
        state, note = lane_state(name, depth, oldest, p95, snapshot)
        if name == "done" and (failed := sum(self.failures.counts(snapshot.now))):
            note = Sentence("lane_failed", {"count": failed})
        return LaneView(
            stage=name,
            count=sum(counts) if name == "done" else depth.count,
            oldest=oldest,
            p50=p50,
            p95=p95,
            p99=p99,
            rate=self._rate(counts, snapshot.now),
            trend=tuple(counts),
            state=state,
            note=note.render(language) if note is not None else "",
        )

    def _rate(self, counts: Sequence[int], now: float) -> float:
        span = min(SLOT * (RATE_SLOTS - 1) + now % SLOT, max(1.0, now - self.started_at))
        return round(sum(counts[-RATE_SLOTS:]) / span, 3)


def lane_state(
    name: str, depth: StageDepth, oldest: float | None, p95: float | None, snapshot: PipelineSnapshot
) -> tuple[LaneState, Sentence | None]:
    """The state of a lane, the worst first, and a remark about it."""
    if name == "queued":
        return _queued_state(depth, p95, snapshot)
    if name == "approval" and depth.count:
        left = None if snapshot.next_expiry is None else max(0.0, snapshot.next_expiry - snapshot.now)
        return "waiting", None if left is None else Sentence("lane_expires", {"left": format_age(left)})
    if name == "running" and snapshot.stuck:
        return "stuck", Sentence("lane_over_limit", {"count": snapshot.stuck})
    if name == "running" and snapshot.unknown:
        return "ok", Sentence("lane_unknown", {"count": snapshot.unknown})
    if oldest is not None and oldest > OVERDUE.get(name, math.inf):
        return "stuck", Sentence("lane_overdue", {"age": format_age(oldest)})
    if p95 is not None and p95 > SLOW_P95.get(name, math.inf):
        return "slow", None
    return "ok", None


def _queued_state(
    depth: StageDepth, p95: float | None, snapshot: PipelineSnapshot
) -> tuple[LaneState, Sentence | None]:
    if snapshot.paused_by:
        return "paused", Sentence("lane_paused", {"person": snapshot.paused_by})
    crowd = ", ".join(f"{agent} {count}" for agent, count in snapshot.busiest)
    if depth.count and snapshot.unavailable == depth.count:
        return "waiting", _held(crowd, snapshot)
    if p95 is not None and p95 > SLOW_P95["queued"]:
        return "slow", Sentence("lane_crowded", {"machines": crowd}) if crowd else None
    if snapshot.unavailable:
        return "ok", _held(crowd, snapshot)
    return "ok", None


def _held(crowd: str, snapshot: PipelineSnapshot) -> Sentence:
    """How many jobs wait for machines that take none now, and where the first of these is paused by whom, until when
    and why.
    """
    values: dict[str, object] = {"count": snapshot.unavailable, "machines": crowd}
    pause = next((snapshot.pauses[agent] for agent, _ in snapshot.busiest if agent in snapshot.pauses), None)
    if pause is None:
        return Sentence("lane_absent", values)
    values |= {"person": pause.by, "why": pause.reason or "-"}
    if pause.until is None:
        return Sentence("lane_held", values)
    return Sentence("lane_held_until", {**values, "left": format_age(max(0.0, pause.until - snapshot.now))})
