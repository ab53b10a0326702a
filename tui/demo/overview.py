"""What the overview says of the demo world: lanes, what needs you, the fleet. Reads rows, changes none."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from common.catalogue import Language, Sentence
from common.filter_match import is_stuck
from common.version import VERSION
from tui.demo.cast import ME
from tui.demo.world import ENDED, Row, World
from tui.format import age

STEP: Final = 15.0
"""Seconds of one bar of a trend; twenty are five minutes."""
BARS: Final = 20
STAGES: Final = ("received", "planning", "approval", "queued", "running", "done")


class Trends:
    """Counts by stage, one every `STEP` seconds."""

    def __init__(self) -> None:
        self.bars: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._next = 0.0

    def look(self, now: float, counts: dict[str, float]) -> None:
        while now >= self._next:
            self._next = self._next + STEP if self._next else now + STEP
            for stage, bars in self.bars.items():
                bars.append(counts.get(stage, 0))
                del bars[:-BARS]


def quantile(values: Sequence[float], part: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None


def overview(world: World, trends: Trends, past: int, language: Language) -> dict[str, Any]:
    now = world.now
    open_jobs = [job for job in world.jobs.values() if job["state"] not in ENDED]
    asking = [row for row in world.requests.values() if row["state"] == "asking"]
    ended = [job for job in world.jobs.values() if job["ended_at"] is not None and now - job["ended_at"] < 300]
    by_state = {
        state: [job for job in open_jobs if job["state"] == state] for state in ("queued", "running", "unknown")
    }
    counts: dict[str, float] = {state: len(jobs) for state, jobs in by_state.items()}
    counts |= {"approval": len(asking), "done": len(ended), "received": 0}
    trends.look(now, counts)
    lanes = [_lane(world, trends, stage, by_state, asking, ended, past, language) for stage in STAGES]
    return {
        "lanes": lanes,
        "needs_you": _needs(world, asking, open_jobs),
        "fleet": _fleet(world),
        "counts": {
            "asking": len(asking),
            "queued": len(by_state["queued"]),
            "running": len(by_state["running"]),
        },
        "hub": {"id": "demo", "version": VERSION, "queue_paused": world.queue_paused, "now": now},
    }


def _lane(
    world: World,
    trends: Trends,
    stage: str,
    by_state: dict[str, list[Row]],
    asking: list[Row],
    ended: list[Row],
    past: int,
    language: Language,
) -> dict[str, Any]:
    now, state = world.now, "ok"
    note: Sentence | None = None
    rows: list[Row] = {"approval": asking, "done": ended}.get(stage, by_state.get(stage, []))
    since = {"approval": "received_at", "running": "started_at", "done": "ended_at"}.get(stage, "queued_at")
    oldest = max((now - row[since] for row in rows if row.get(since) is not None), default=None)
    times: list[float] = {"running": list(world.durations), "queued": list(world.waits)}.get(stage, [])
    count: float = len(rows)
    if stage == "approval":
        decided = [row for row in world.requests.values() if row["approvers"] and row["decided_at"]]
        times = [row["decided_at"] - row["received_at"] for row in decided]
        if asking:
            left = age(min(row["decide_by"] for row in asking) - now)
            state, note = "waiting", Sentence("lane_expires", {"left": left})
    elif stage == "queued" and world.queue_paused:
        state, note = "paused", Sentence("lane_paused", {"person": world.queue_paused["by"]})
    elif stage == "queued":
        held = Counter(job["agent"] for job in rows if job.get("agent_paused") or job.get("agent_online") is False)
        if held:
            crowd = ", ".join(f"{name} {number}" for name, number in held.most_common(3))
            note = Sentence("lane_absent", {"count": held.total(), "machines": crowd})
    elif stage == "running" and (late := sum(1 for job in rows if is_stuck(job, now))):
        state, note = "stuck", Sentence("lane_over_limit", {"count": late})
    elif stage == "done":
        count, oldest = world.ended + past, None
        times = [job["ended_at"] - job["queued_at"] for job in ended if job["duration"] is not None]
        if failed := sum(1 for job in ended if job["state"] == "failed"):
            note = Sentence("lane_failed", {"count": failed})
    rate = 0.0 if stage == "approval" else len(ended) / 300
    found = {key: quantile(times, part) for key, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    row = {
        "stage": stage,
        "count": count,
        "oldest": oldest,
        "rate": rate,
        "trend": list(trends.bars[stage]),
        "state": state,
    }
    return row | {"note": note.say(language) if note else ""} | found


def _needs(world: World, asking: Iterable[Row], open_jobs: Iterable[Row]) -> list[dict[str, Any]]:
    """What waits for a person: the most pressing first, in the hub's form."""
    found = []
    for row in sorted(asking, key=lambda row: float(row["decide_by"])):
        step = row["plan"]["steps"][0]
        entry = {key: row[key] for key in ("number", "inlet", "given", "approvers", "second_factor")}
        names = step["targets"]
        entry |= {
            "kind": "approve",
            "who": row["person"],
            "text": shlex.join(step["argv"]),
            "expires": row["decide_by"],
        }
        found.append(
            entry | {"agent": names[0] if len(names) == 1 else "", "count": len(names), "since": row["planned_at"]}
        )
    for job in open_jobs:
        kind = "unknown" if job["state"] == "unknown" else "stuck" if is_stuck(job, world.now) else ""
        if kind:
            entry = {key: job[key] for key in ("number", "agent", "inlet")}
            found.append(
                entry
                | {
                    "kind": kind,
                    "job": job["id"],
                    "who": job["person"],
                    "since": job["started_at"],
                    "text": shlex.join(job["argv"]),
                }
            )
    for agent in world.agents.values():
        if agent["draining"]:
            text = f"{agent['draining']['left']} of {agent['draining']['of']}"
            found.append(
                {"kind": "drain", "agent": agent["name"], "who": ME, "since": agent["draining"]["at"], "text": text}
            )
    return found[:50]


def _fleet(world: World) -> dict[str, Any]:
    agents = world.agents.values()
    trips = [agent["rtt"] for agent in agents if agent["online"]]
    worst = sorted((agent for agent in agents if agent["online"]), key=lambda agent: -float(agent["rtt"]))[:3]
    return {
        "online": len(trips),
        "busy": sum(1 for agent in agents if agent["running"]),
        "offline": len(world.agents) - len(trips),
        "paused": sum(1 for agent in agents if agent["paused_by"]),
        "rtt": {key: quantile(trips, part) for key, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        "worst": [{"agent": agent["name"], "rtt": agent["rtt"]} for agent in worst],
        "versions": dict(Counter(agent["version"] for agent in agents).most_common(4)),
    }
