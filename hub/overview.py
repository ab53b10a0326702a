"""The overview: pipeline lanes, what needs a person, the fleet, the hub itself. Made twice a second at most, and once
for all consoles that look at it; while none looks only the lanes' durations are kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from common.catalogue import Language
from hub.change import Effects
from hub.consoles import ConsoleLink, Subscription
from hub.fleet import Fleet
from hub.lanes import Board, Depth, Lanes
from hub.log import logger
from hub.needs import Facts, needs_you, read_facts
from hub.records import Agent
from hub.rows import short
from hub.store.boards import Waiting
from hub.store.engine import Store

EVERY: Final = 0.5
ANYWAY_EVERY: Final = 2.0
SHARE: Final = 0.1
WORST: Final = 5

log = logger("overview")


class Overview:
    """`run` serves until it is cancelled; `after` hears every commit."""

    def __init__(
        self,
        *,
        store: Store,
        fleet: Fleet,
        hub: dict[str, Any],
        planning: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        """`hub` is what does not change: id, version, epoch. `planning` says how many messages are thought about."""
        self.lanes = Lanes(begun=clock())
        self._store = store
        self._fleet = fleet
        self._hub = hub
        self._planning = planning
        self._clock = clock
        self._watchers: dict[Subscription, ConsoleLink] = {}
        self._views: dict[Language, dict[str, Any]] = {}
        self._facts: Facts | None = None
        self._dirty = True
        self._stirred = asyncio.Event()

    def after(self, effects: Effects) -> None:
        self.lanes.feed(effects.stages, effects.failed, self._clock())
        self.stir()

    def stir(self) -> None:
        """Something has changed."""
        self._dirty = True
        if self._watchers:
            self._stirred.set()

    def watch(self, link: ConsoleLink, call: int, language: Language) -> Subscription:
        async def look() -> Any:
            return self.view(language)

        subscription = Subscription(call, look, wants=lambda effects: False, every=EVERY)
        subscription.dropped = lambda: self._leave(subscription)
        self._watchers[subscription] = link
        self.stir()
        return subscription

    def _leave(self, subscription: Subscription) -> None:
        self._watchers.pop(subscription, None)

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            while not self._watchers:
                self._stirred.clear()
                await self._stirred.wait()
            begun = clock()
            try:
                await self.refresh()
            except Exception:
                log.exception("overview.failed")
            for subscription, link in list(self._watchers.items()):
                link.poke(subscription)
            took = clock() - begun
            await asyncio.sleep(max(EVERY - took, took / SHARE))
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if self._dirty else max(0.0, ANYWAY_EVERY - EVERY)):
                    self._stirred.clear()
                    await self._stirred.wait()

    async def refresh(self) -> None:
        now = self._clock()
        self._dirty = False
        self._facts = await self._store.read(lambda txn: read_facts(txn, now))
        self._views = {}

    def view(self, language: Language) -> dict[str, Any] | None:
        """The push in a language; None before the first look."""
        facts = self._facts
        if facts is None:
            return None
        view = self._views.get(language)
        if view is None:
            view = self._views[language] = self._compose(facts, language)
        return view

    def _compose(self, facts: Facts, language: Language) -> dict[str, Any]:
        now = self._clock()
        agents = self._fleet.agents()
        paused = facts.paused
        return {
            "lanes": self.lanes.view(self._board(facts, now), language),
            "needs_you": needs_you(facts, agents, self._fleet.online, now, language),
            "needs": {
                "approve": facts.requests.get("asking", (0, 0.0))[0],
                "unknown": _count(facts.opened, "unknown"),
                "stuck": len(facts.stuck),
            },
            "fleet": self._fleet_view(agents, facts),
            "counts": _counts(facts),
            "hub": {
                **self._hub,
                "queue_paused": None
                if paused is None
                else {"by": paused[0], "at": paused[1], "reason": short(paused[2]), "until": facts.paused_until},
                "outbox": facts.outbox,
                "now": now,
            },
        }

    def _board(self, facts: Facts, now: float) -> Board:
        received, since = facts.requests.get("received", (0, now))
        planning = min(received, self._planning())
        asking, asked_since = facts.requests.get("asking", (0, now))
        running = [entry for entry in facts.opened if entry.state != "unknown"]
        absent = [entry for entry in facts.queued if not self._takes_jobs(entry.agent)]
        crowded = sorted(absent or facts.queued, key=lambda entry: -entry.jobs)[:2]
        return Board(
            now=now,
            depths={
                "received": Depth(received - planning, since),
                "planning": Depth(planning, since),
                "approval": Depth(asking, asked_since),
                "queued": _depth(facts.queued),
                "running": _depth(running),
            },
            paused_by=facts.paused[0] if facts.paused is not None else "",
            next_expiry=min((request.decide_by for request in facts.asking if request.decide_by), default=None),
            absent=sum(entry.jobs for entry in absent),
            crowded=tuple((entry.agent, entry.jobs) for entry in crowded),
            stuck=len(facts.stuck),
            unknown=_count(facts.opened, "unknown"),
        )

    def _takes_jobs(self, name: str) -> bool:
        agent = self._fleet.agent(name)
        return agent is not None and agent.takes_jobs and self._fleet.online(name)

    def _fleet_view(self, agents: list[Agent], facts: Facts) -> dict[str, Any]:
        active = [agent for agent in agents if agent.state == "active"]
        online = self._fleet.count_online()
        trips = sorted((vitals["rtt"], name) for name, vitals in list(self._fleet.vitals.items()) if "rtt" in vitals)
        versions = Counter(agent.version or "?" for agent in active)
        return {
            "online": online,
            "offline": max(0, len(active) - online),
            "busy": len({entry.agent for entry in facts.opened if entry.state != "unknown"}),
            "paused": sum(agent.paused_at is not None for agent in active),
            "draining": sum(agent.drain_at is not None for agent in active),
            "rtt": {f"p{share}": _share([trip for trip, _ in trips], share) for share in (50, 95, 99)},
            "versions": dict(versions.most_common(8)),
            "worst": [{"agent": name, "rtt": trip} for trip, name in reversed(trips[-WORST:])],
        }


# ---- sums


def _count(entries: Iterable[Waiting], state: str) -> int:
    return sum(entry.jobs for entry in entries if entry.state == state)


def _depth(entries: list[Waiting]) -> Depth:
    return Depth(sum(entry.jobs for entry in entries), min((entry.oldest for entry in entries), default=None))


def _counts(facts: Facts) -> dict[str, int]:
    """Of what is open: jobs by state, and requests by theirs."""
    counts: dict[str, int] = {"queued": sum(entry.jobs for entry in facts.queued)}
    for entry in facts.opened:
        counts[entry.state] = counts.get(entry.state, 0) + entry.jobs
    return {**counts, **{state: count for state, (count, _) in facts.requests.items()}}


def _share(ordered: list[float], percent: int) -> float | None:
    """The value that `percent` of them are not above."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]
