"""The overview of the demo world: lanes, what needs a person, the machines. Reads the world, changes nothing but the
trends."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.api.jobs import JobView
from common.api.overview import (
    FleetView,
    HubView,
    LaneView,
    NeedCounts,
    NeedView,
    Overview,
    RoundTrip,
    RoundTrips,
)
from common.api.requests import RequestDetails
from common.catalogue import Language, Sentence
from common.version import VERSION
from tui.demo.cast import DEMO_USER
from tui.demo.world import DemoWorld
from tui.text.format import format_age

BAR_SECONDS: Final = 15.0
"""Seconds of one bar of a trend; twenty are five minutes."""
BAR_COUNT: Final = 20
WINDOW: Final = 300.0
"""Seconds over which what has ended is counted."""
MAX_NEEDS: Final = 50
STAGES: Final = ("received", "planning", "approval", "queued", "running", "done")


class TrendHistory:
    """Counts by stage, one every `BAR_SECONDS` seconds."""

    def __init__(self) -> None:
        self.bars: dict[str, list[int]] = {stage: [] for stage in STAGES}
        self._next = 0.0

    def record(self, now: float, counts: Mapping[str, int]) -> None:
        while now >= self._next:
            self._next = self._next + BAR_SECONDS if self._next else now + BAR_SECONDS
            for stage, bars in self.bars.items():
                bars.append(counts.get(stage, 0))
                del bars[:-BAR_COUNT]


def quantile(values: Sequence[float], part: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None


@dataclass(frozen=True, slots=True)
class Present:
    """The rows that the overview is made of."""

    open_jobs: tuple[JobView, ...]
    asking: tuple[RequestDetails, ...]
    ended: tuple[JobView, ...]  # within `WINDOW`

    @classmethod
    def of(cls, world: DemoWorld) -> Present:
        jobs = world.jobs.values()
        return cls(
            tuple(job for job in jobs if job.is_open),
            tuple(request for request in world.requests.values() if request.is_asking),
            tuple(job for job in jobs if job.ended_at is not None and world.now - job.ended_at < WINDOW),
        )

    def in_state(self, state: str) -> tuple[JobView, ...]:
        return tuple(job for job in self.open_jobs if job.state == state)


def build_overview(world: DemoWorld, trends: TrendHistory, past: int, language: Language) -> Overview:
    """`past` is how many jobs ended before the world began."""
    found = Present.of(world)
    queued, running = len(found.in_state("queued")), len(found.in_state("running"))
    counts = {"queued": queued, "running": running, "unknown": len(found.in_state("unknown"))}
    counts |= {"approval": len(found.asking), "done": len(found.ended), "received": 0}
    trends.record(world.now, counts)
    needs = _needs(world, found)
    lanes = (_lane(world, found, stage, past, language) for stage in STAGES)
    return Overview(
        lanes=tuple(replace(lane, trend=tuple(trends.bars[lane.stage])) for lane in lanes),
        needs_you=tuple(needs[:MAX_NEEDS]),
        needs=NeedCounts(
            **{kind: sum(need.kind == kind for need in needs) for kind in ("approve", "unknown", "stuck")}
        ),
        fleet=_fleet(world),
        counts={"asking": len(found.asking), "queued": queued, "running": running},
        hub=HubView(id="demo", version=VERSION, queue_paused=world.queue_paused, now=world.now),
    )


# ---- lanes


def _lane(world: DemoWorld, found: Present, stage: str, past: int, language: Language) -> LaneView:
    match stage:
        case "approval":
            lane, note = _approval_lane(world, found)
        case "queued":
            lane, note = _queued_lane(world, found)
        case "running":
            lane, note = _running_lane(world, found)
        case "done":
            lane, note = _done_lane(world, found, past)
        case _:
            lane, note = LaneView(stage=stage), None
    rate = 0.0 if stage == "approval" else len(found.ended) / WINDOW
    return replace(lane, rate=rate, note=note.render(language) if note else "")


def _timed(lane: LaneView, times: Iterable[float]) -> LaneView:
    ordered = sorted(times)
    return replace(lane, p50=quantile(ordered, 0.5), p95=quantile(ordered, 0.95), p99=quantile(ordered, 0.99))


def _approval_lane(world: DemoWorld, found: Present) -> tuple[LaneView, Sentence | None]:
    decided = (request for request in world.requests.values() if request.approvers)
    times = [request.decided_at - request.received_at for request in decided if request.decided_at]
    lane = _timed(LaneView(stage="approval", count=len(found.asking)), times)
    if not found.asking:
        return lane, None
    oldest = max(world.now - request.received_at for request in found.asking)
    left = format_age(min(decide_by(request) for request in found.asking) - world.now)
    return replace(lane, oldest=oldest, state="waiting"), Sentence("lane_expires", {"left": left})


def _queued_lane(world: DemoWorld, found: Present) -> tuple[LaneView, Sentence | None]:
    jobs = found.in_state("queued")
    oldest = max((world.now - job.queued_at for job in jobs), default=None)
    lane = _timed(LaneView(stage="queued", count=len(jobs), oldest=oldest), world.waits)
    if world.queue_paused is not None:
        return replace(lane, state="paused"), Sentence("lane_paused", {"person": world.queue_paused.by})
    held = Counter(job.agent for job in jobs if job.agent_paused or job.is_machine_away)
    if not held:
        return lane, None
    crowd = ", ".join(f"{name} {number}" for name, number in held.most_common(3))
    values: dict[str, object] = {"count": held.total(), "machines": crowd}
    pauser = next((agent for name in held if (agent := world.agents[name]).is_paused), None)
    if pauser is None:
        return lane, Sentence("lane_absent", values)
    values |= {"person": pauser.paused_by, "why": pauser.pause_reason}
    if pauser.paused_until is None:
        return lane, Sentence("lane_held", values)
    return lane, Sentence("lane_held_until", {**values, "left": format_age(pauser.paused_until - world.now)})


def _running_lane(world: DemoWorld, found: Present) -> tuple[LaneView, Sentence | None]:
    jobs = found.in_state("running")
    oldest = max((world.now - job.started_at for job in jobs if job.started_at is not None), default=None)
    lane = _timed(LaneView(stage="running", count=len(jobs), oldest=oldest), world.durations)
    late = sum(1 for job in jobs if job.is_stuck(world.now))
    if not late:
        return lane, None
    return replace(lane, state="stuck"), Sentence("lane_over_limit", {"count": late})


def _done_lane(world: DemoWorld, found: Present, past: int) -> tuple[LaneView, Sentence | None]:
    """Its count is of all time."""
    timed = (job for job in found.ended if job.duration is not None)
    times = [job.ended_at - job.queued_at for job in timed if job.ended_at is not None]
    lane = _timed(LaneView(stage="done", count=world.ended + past), times)
    failed = sum(1 for job in found.ended if job.state == "failed")
    return lane, Sentence("lane_failed", {"count": failed}) if failed else None


# ---- what needs a person


def decide_by(request: RequestDetails) -> float:
    """Until when a request that asks may be decided."""
    return request.decide_by or request.received_at


def _needs(world: DemoWorld, found: Present) -> list[NeedView]:
    """What waits for a person: the most pressing first."""
    needs = []
    for job in found.open_jobs:
        kind = "unknown" if job.is_unknown else "stuck" if job.is_stuck(world.now) else ""
        if kind:
            needs.append(_job_need(kind, job))
    needs += [_approval_need(request) for request in sorted(found.asking, key=decide_by)]
    for agent in world.agents.values():
        if (drain := agent.draining) is not None:
            text = f"{drain.left} of {drain.of}"
            needs.append(
                NeedView(kind="drain", agent=agent.name, who=DEMO_USER, since=drain.at, draining=drain, text=text)
            )
    return [replace(need, age=max(0.0, world.now - need.since)) for need in needs]


def _approval_need(request: RequestDetails) -> NeedView:
    step = request.steps[0]
    return NeedView(
        kind="approve",
        number=request.number,
        agent=step.targets[0] if len(step.targets) == 1 else "",
        since=request.planned_at or request.received_at,
        who=request.person,
        inlet=request.inlet,
        text=shlex.join(step.argv),
        count=len(step.targets),
        given=request.given,
        approvers=request.approvers,
        second_factor=request.second_factor,
        expires=request.decide_by,
    )


def _job_need(kind: str, job: JobView) -> NeedView:
    return NeedView(
        kind=kind,
        number=job.number,
        job=job.id,
        agent=job.agent,
        since=job.started_at or job.queued_at,
        who=job.person,
        inlet=job.inlet,
        text=shlex.join(job.argv or ()),
    )


def _fleet(world: DemoWorld) -> FleetView:
    agents = world.agents.values()
    present = [agent for agent in agents if agent.online]
    trips = [agent.rtt or 0.0 for agent in present]
    worst = sorted(present, key=lambda agent: -(agent.rtt or 0.0))[:3]
    return FleetView(
        online=len(present),
        offline=len(world.agents) - len(present),
        busy=sum(1 for agent in agents if agent.is_busy),
        paused=sum(1 for agent in agents if agent.is_paused),
        draining=sum(1 for agent in agents if agent.is_draining),
        rtt=RoundTrips(p50=quantile(trips, 0.5), p95=quantile(trips, 0.95), p99=quantile(trips, 0.99)),
        worst=tuple(RoundTrip(agent=agent.name, rtt=agent.rtt or 0.0) for agent in worst),
        versions=dict(Counter(agent.version for agent in agents).most_common(4)),
    )
