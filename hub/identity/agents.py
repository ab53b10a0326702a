"""Which machines there are and which of them are online: the store's rows and the live links.

The rows are read at start and again when something changed them (a join, a pause, a revocation by the command line,
found within `REFRESH_SECONDS` seconds; of more than 4,000 machines within five for each 10,000); who is online is this
process's own knowledge. The registry belongs to the event loop. Other threads get a `MachinesSnapshot`: immutable, made
at most once after each change, shared by everybody who asks until the next, so that one costs nothing however many
machines there are.

Ten thousand machines that come back change a row each, and are looked at every two seconds besides: a change copies
little (`NameMap`), a row that has not changed is not decoded again, and the parts of an inventory outlive it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Final, NamedTuple

from hub.core.absence import INVITED, why_away
from hub.core.inventory import Inventory, Machine
from hub.core.name_map import NameMap
from hub.core.name_set import NameSet
from hub.core.records import Agent, EnrolmentToken
from hub.core.vitals_history import VitalsHistory
from hub.store.store import Store
from hub.store.transaction import Txn

REFRESH_SECONDS: Final = 2.0
ROWS_PER_SECOND: Final = 2_000
INVITATION_SHOWN: Final = 7 * 86_400.0  # seconds for which a machine that has not joined is listed
MAX_INVITED: Final = 200
ABSENT_STATES: Final = frozenset({"revoked", INVITED})


class _Made(NamedTuple):
    """A machine of an inventory, and what it was made of."""

    agent: Agent
    online: bool
    stalled: float | None
    machine: Machine


@dataclass(frozen=True)
class MachinesSnapshot:
    """All machines at one moment. Threads share it: nothing in it is ever changed."""

    agents: Mapping[str, Agent]
    online: NameSet
    stalled: Mapping[str, float] = field(default_factory=dict)  # linked, and since when their runner does not answer
    made: dict[str, _Made] = field(default_factory=dict, compare=False)  # of inventories before

    @cached_property
    def inventory(self) -> Inventory:
        """Machines that may be meant: all but those revoked or not joined yet. Made by the first who asks."""
        machines, absent = {}, {}
        for name, agent in self.agents.items():
            if agent.state in ABSENT_STATES:
                absent[name] = agent.state
            else:
                machines[name] = self._machine(name, agent)
        return Inventory(machines, absent)

    def _machine(self, name: str, agent: Agent) -> Machine:
        """The one that was made before, where nothing has changed since. Threads may make it twice."""
        online, stalled = name in self.online, self.stalled.get(name)
        before = self.made.get(name)
        if before is not None and before.agent is agent and (before.online, before.stalled) == (online, stalled):
            return before.machine
        machine = Machine(
            name=name,
            labels=agent.labels,
            online=online,
            paused=agent.paused_by,
            facts=agent.facts or {},
            away=why_away(agent, online, stalled),
        )
        self.made[name] = _Made(agent, online, stalled, machine)
        return machine

    @cached_property
    def away(self) -> Mapping[str, float]:
        """When those that are not linked now were seen last."""
        return {
            agent.name: agent.last_seen
            for agent in self.agents.values()
            if agent.last_seen is not None and agent.name not in self.online
        }

    def labels(self, name: str) -> Mapping[str, str]:
        agent = self.agents.get(name)
        return agent.labels if agent is not None else {}


def _invited(token: EnrolmentToken) -> Agent:
    """A machine that has not joined yet, as a row of the list: its token is all that there is of it."""
    return Agent(token.name, token.labels, INVITED, token.created_at)


def _ignore(name: str) -> None:
    """Nobody follows the machines."""


class AgentRegistry:
    """`on_change` is called with the name of each machine whose row has changed, that came, or that went."""

    def __init__(
        self, store: Store, on_change: Callable[[str], None] = _ignore, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._agents: NameMap[Agent] = NameMap()
        self._rows: dict[str, int] = {}  # what each row was seen as; replaced, never changed
        self._sorted: list[Agent] | None = None
        self._looked_at = -math.inf
        self._machines: dict[str, _Made] = {}
        self._online = NameSet()
        self._version = 0
        self._snapshot: MachinesSnapshot | None = None
        self._stalled: dict[str, float] = {}  # replaced, never changed, as well
        self.vitals: dict[str, dict[str, float]] = {}
        self.history = VitalsHistory()

    async def refresh_if_due(self) -> None:
        """`refresh`, of which ten thousand machines take their time: no more than `ROWS_PER_SECOND` are read. That a
        certificate was revoked is found elsewhere, and in time.
        """
        if len(self._rows) <= ROWS_PER_SECOND * REFRESH_SECONDS or not 0 <= self._clock() - self._looked_at < (
            len(self._rows) / ROWS_PER_SECOND
        ):
            await self.refresh()

    async def refresh(self) -> None:
        """Reads all rows again, since other processes may have changed them."""
        self._looked_at = self._clock()
        since, seen, before = self._clock() - INVITATION_SHOWN, self._rows, self._agents

        def read(txn: Txn) -> tuple[list[Agent], dict[str, int], list[EnrolmentToken]]:
            return *txn.changed_agents(seen), txn.unused_tokens("agent", since, MAX_INVITED)

        changed, self._rows, tokens = await self._store.read(read)
        found = {token.name: _invited(token) for token in tokens if token.name not in self._rows}
        found |= {agent.name: agent for agent in changed}
        for name in [name for name in before if name not in self._rows and name not in found]:
            self._agents = self._agents.without_name(name)
            self._machines.pop(name, None)
            self.history.forget(name)
            self._changed(name)
        for name, agent in found.items():
            here = self._agents.get(name)
            if here != agent and here is before.get(name):  # else it has changed since the read: the next one tells
                self._take(agent)

    async def reload(self, name: str) -> None:
        """Reads one agent's row again."""
        agent = await self._store.read(lambda txn: txn.agent(name))
        if agent is not None:
            self.update(agent)

    def update(self, agent: Agent) -> None:
        """Takes a row that was just written."""
        self._take(agent)

    def _take(self, agent: Agent) -> None:
        self._agents = self._agents.with_item(agent.name, agent)
        self._changed(agent.name)

    @property
    def snapshot(self) -> MachinesSnapshot:
        """What is known now; the same object until something changes."""
        if self._snapshot is None:
            self._snapshot = MachinesSnapshot(self._agents, self._online, self._stalled, self._machines)
        return self._snapshot

    @property
    def inventory(self) -> Inventory:
        return self.snapshot.inventory

    def agent(self, name: str) -> Agent | None:
        return self._agents.get(name)

    def labels(self, name: str) -> Mapping[str, str]:
        return self.snapshot.labels(name)

    def agents(self) -> list[Agent]:
        """By name."""
        if self._sorted is None:
            self._sorted = sorted(self._agents.values(), key=attrgetter("name"))
        return list(self._sorted)

    @property
    def version(self) -> int:
        """Changes with each change of rows or of who is online; vitals do not count."""
        return self._version

    def count(self) -> int:
        return len(self._agents)

    def online(self, name: str) -> bool:
        return name in self._online

    def count_online(self) -> int:
        return len(self._online)

    def set_online(self, name: str) -> None:
        self._online = self._online.with_name(name)
        self._changed(name)

    def set_offline(self, name: str, last_seen: float | None = None) -> None:
        """`last_seen` is what the row will say once it is written."""
        agent = self._agents.get(name)
        if agent is not None and last_seen is not None:
            self._agents = self._agents.with_item(name, replace(agent, last_seen=last_seen))
        self._online = self._online.without_name(name)
        self.vitals.pop(name, None)
        if name in self._stalled:
            self._stalled = {other: since for other, since in self._stalled.items() if other != name}
        self._changed(name)

    def record_vitals(self, name: str, vitals: dict[str, float], now: float) -> None:
        """What a heartbeat says; the last minutes of it are kept."""
        self.vitals[name] = vitals
        silent = vitals.get("runner_silent", 0.0)
        if bool(silent) != (name in self._stalled):
            others = {other: since for other, since in self._stalled.items() if other != name}
            self._stalled = {**others, name: now - silent} if silent else others
            self._changed(name)
        self.history.record(name, vitals, now)

    def _changed(self, name: str) -> None:
        self._version += 1
        self._snapshot = self._sorted = None
        self._on_change(name)
