"""The overview: pipeline lanes, what needs a person, the fleet, the hub itself. Built at most twice a second, and once
for all consoles that follow it; while none does only the durations of the lanes are recorded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from common.api import overview as api
from common.api.codec import encode
from common.api.versions import VIEW_VERSIONS
from common.catalogue import Language
from hub.api.attention import AttentionFacts, attention_list, read_facts
from hub.api.inlets import ReadInlets
from hub.api.rows import truncate
from hub.api.stage_latency import MachinePause, PipelineLatency, PipelineSnapshot, StageDepth
from hub.api.subscription import Access, PersonSubscription
from hub.cleanup import OverBudget
from hub.core.records import Agent
from hub.engine.effects import Effects
from hub.engine.recovery_state import RecoveryState
from hub.identity.agents import AgentRegistry
from hub.links.console import Caller
from hub.log import logger
from hub.planning.watched_files import FileProblem
from hub.storage import StorageState
from hub.store.overview import JobBacklog
from hub.store.store import Store
from hub.witness.service import PlaceState

MIN_INTERVAL: Final = 0.5
IDLE_REFRESH: Final = 2.0
READ_TIME_SHARE: Final = 0.1
MAX_SLOWEST: Final = 5

log = logger("overview")


class OverviewSubscription(PersonSubscription):
    def __init__(self, caller: Caller, access: Access, overview: OverviewReader, language: Language) -> None:
        super().__init__(caller, access, MIN_INTERVAL)
        self.is_behind = False  # it has not looked since the overview was built last
        self._overview = overview
        self._language = language

    async def read(self) -> Any | None:
        self.is_behind = False
        self._overview.taken()
        return self._overview.view(self._language)

    def close(self) -> None:
        self._overview.unsubscribe(self)


class OverviewReader:
    """`run` serves until it is cancelled; `on_commit` is called for every commit."""

    def __init__(
        self,
        *,
        store: Store,
        fleet: AgentRegistry,
        hub: api.HubView,
        count_planning: Callable[[], int],
        files: Callable[[], Sequence[FileProblem]] = lambda: (),
        clock: Callable[[], float],
        recovery: RecoveryState | None = None,
        inlets: ReadInlets = lambda waiting: (),
        witnesses: Callable[[], Sequence[PlaceState]] = lambda: (),
        hub_ahead: Callable[[], float] = lambda: 0.0,
        over_budget: Callable[[], OverBudget | None] = lambda: None,
        epoch: Callable[[], int] | None = None,
        storage: StorageState | None = None,
    ) -> None:
        """`hub` has what does not change: id, version; `epoch` may rise. `storage` tells of a full disk.
        `count_planning` counts messages that a planner has.
        """
        self.latency = PipelineLatency(started_at=clock())
        self._store = store
        self._fleet = fleet
        self._hub = hub
        self._count_planning = count_planning
        self._files = files
        self._inlets = inlets
        self._witnesses = witnesses
        self._hub_ahead = hub_ahead
        self._over_budget = over_budget
        self._epoch = epoch or (lambda: hub.epoch)
        self._storage = storage
        self._clock = clock
        self._recovery = recovery or RecoveryState()
        self._subscribers: dict[OverviewSubscription, None] = {}
        self._views: dict[Language, Mapping[str, Any]] = {}
        self._facts: AttentionFacts | None = None
        self._dirty = True
        self._wakeup = asyncio.Event()

    def on_commit(self, effects: Effects) -> None:
        self.latency.record(effects.stages, effects.failed, self._clock())
        self.mark_dirty()

    def mark_dirty(self) -> None:
        """Something has changed."""
        self._dirty = True
        if self._subscribers:
            self._wakeup.set()

    def subscribe(self, caller: Caller, access: Access, language: Language) -> OverviewSubscription:
        subscription = OverviewSubscription(caller, access, self, language)
        self._subscribers[subscription] = None
        self.mark_dirty()
        return subscription

    def unsubscribe(self, subscription: OverviewSubscription) -> None:
        self._subscribers.pop(subscription, None)

    def taken(self) -> None:
        """Somebody has taken what was built last."""
        self._wakeup.set()

    def _is_wanted(self) -> bool:
        """Whether anybody follows it who has taken what was built last."""
        return not all(subscription.is_behind for subscription in self._subscribers)

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            while not self._is_wanted():
                self._wakeup.clear()
                await self._wakeup.wait()
            begun = clock()
            try:
                await self.refresh()
            except Exception:
                log.exception("overview.failed")
            for subscription in list(self._subscribers):
                subscription.is_behind = True
                subscription.notify()
            took = clock() - begun
            await asyncio.sleep(max(MIN_INTERVAL - took, took / READ_TIME_SHARE))
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if self._dirty else max(0.0, IDLE_REFRESH - MIN_INTERVAL)):
                    self._wakeup.clear()
                    await self._wakeup.wait()

    async def refresh(self) -> None:
        now = self._clock()
        self._dirty = False
        self._facts = await self._store.read(lambda txn: read_facts(txn, now))
        self._views = {}

    def view(self, language: Language) -> Mapping[str, Any] | None:
        """The encoded push in a language; None before the first read."""
        facts = self._facts
        if facts is None:
            return None
        view = self._views.get(language)
        if view is None:
            view = self._views[language] = encode(self._compose(facts, language))
        return view

    def _compose(self, facts: AttentionFacts, language: Language) -> api.Overview:
        now = self._clock()
        agents = self._fleet.agents()
        return api.Overview(
            lanes=self.latency.view(self._pipeline(facts, now), language),
            needs_you=attention_list(
                facts,
                agents,
                self._fleet.online,
                now,
                language,
                self._files(),
                self._refusing(),
                self._recovery.record,
                self._clocks(),
                self._inlets(facts.replies),
                self._witnesses(),
                self._hub_ahead(),
                self._over_budget(),
                self._full_disk(language),
            ),
            needs=api.NeedCounts(
                approve=facts.requests.get("asking", (0, 0.0))[0],
                unknown=_count(facts.handed_out, "unknown"),
                stuck=len(facts.stuck),
            ),
            fleet=self._fleet_view(agents, facts),
            counts=_counts(facts),
            hub=replace(
                self._hub,
                queue_paused=_queue_pause(facts),
                epoch=self._epoch(),
                recovery=self._recovery.sentence(language) or None,
                storage=storage[1] if (storage := self._full_disk(language)) is not None else None,
                outbox=facts.outbox,
                now=now,
            ),
            version=VIEW_VERSIONS["overview"],
        )

    def _full_disk(self, language: Language) -> tuple[float, str] | None:
        storage = self._storage
        return (storage.since, storage.sentence(language)) if storage is not None and storage.read_only else None

    def _clocks(self) -> dict[str, float]:
        """How far ahead the clocks of linked machines are, of those that tell."""
        vitals = list(self._fleet.vitals.items())
        return {name: figures["clock_ahead"] for name, figures in vitals if "clock_ahead" in figures}

    def _refusing(self) -> list[tuple[str, float]]:
        """Machines that refuse every order, since their own policy or trust file cannot be used."""
        figures = self._fleet.vitals.items()
        return [(name, found.get("at", 0.0)) for name, found in figures if found.get("refusing")]

    def _pipeline(self, facts: AttentionFacts, now: float) -> PipelineSnapshot:
        received, since = facts.requests.get("received", (0, now))
        planning = min(received, self._count_planning())
        asking, asked_since = facts.requests.get("asking", (0, now))
        running = [entry for entry in facts.handed_out if entry.state != "unknown"]
        absent = [entry for entry in facts.queued if not self._takes_jobs(entry.agent)]
        crowded = sorted(absent or facts.queued, key=lambda entry: -entry.jobs)[:2]
        return PipelineSnapshot(
            now=now,
            depths={
                "received": StageDepth(received - planning, since),
                "planning": StageDepth(planning, since),
                "approval": StageDepth(asking, asked_since),
                "queued": _depth(facts.queued),
                "running": _depth(running),
            },
            paused_by=facts.paused[0] if facts.paused is not None else "",
            next_expiry=min((request.decide_by for request in facts.asking if request.decide_by), default=None),
            unavailable=sum(entry.jobs for entry in absent),
            busiest=tuple((entry.agent, entry.jobs) for entry in crowded),
            pauses={
                agent.name: MachinePause(agent.paused_by, truncate(agent.pause_reason), agent.paused_until)
                for entry in crowded
                if (agent := self._fleet.agent(entry.agent)) is not None and agent.paused_at is not None
            },
            stuck=len(facts.stuck),
            unknown=_count(facts.handed_out, "unknown"),
        )

    def _takes_jobs(self, name: str) -> bool:
        agent = self._fleet.agent(name)
        return agent is not None and agent.takes_jobs and self._fleet.online(name)

    def _fleet_view(self, agents: list[Agent], facts: AttentionFacts) -> api.FleetView:
        active = [agent for agent in agents if agent.state == "active"]
        online = self._fleet.count_online()
        trips = sorted((vitals["rtt"], name) for name, vitals in list(self._fleet.vitals.items()) if "rtt" in vitals)
        seconds = [trip for trip, _ in trips]
        versions = Counter(agent.version or "?" for agent in active)
        return api.FleetView(
            online=online,
            offline=max(0, len(active) - online),
            busy=len({entry.agent for entry in facts.handed_out if entry.state != "unknown"}),
            paused=sum(agent.paused_at is not None for agent in active),
            draining=sum(agent.drain_at is not None for agent in active),
            rtt=api.RoundTrips(
                p50=_percentile(seconds, 50), p95=_percentile(seconds, 95), p99=_percentile(seconds, 99)
            ),
            versions=dict(versions.most_common(8)),
            worst=tuple(api.RoundTrip(agent=name, rtt=trip) for trip, name in reversed(trips[-MAX_SLOWEST:])),
        )


def _queue_pause(facts: AttentionFacts) -> api.QueuePause | None:
    if facts.paused is None:
        return None
    person, at, reason = facts.paused
    return api.QueuePause(by=person, at=at, reason=truncate(reason), until=facts.paused_until)


# ---- sums


def _count(entries: Iterable[JobBacklog], state: str) -> int:
    return sum(entry.jobs for entry in entries if entry.state == state)


def _depth(entries: list[JobBacklog]) -> StageDepth:
    return StageDepth(sum(entry.jobs for entry in entries), min((entry.oldest for entry in entries), default=None))


def _counts(facts: AttentionFacts) -> dict[str, int]:
    """Of what is open: jobs by state, and requests by theirs."""
    counts: dict[str, int] = {"queued": sum(entry.jobs for entry in facts.queued)}
    for entry in facts.handed_out:
        counts[entry.state] = counts.get(entry.state, 0) + entry.jobs
    return {**counts, **{state: count for state, (count, _) in facts.requests.items()}}


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The value that `percent` of them are not above."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]
