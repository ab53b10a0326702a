"""Which machines there are and which of them are online: the store's rows and the live links.

The rows are read at start and again when something changed them (a join, a pause, a revocation by the command line,
found within `REFRESH_SECONDS` seconds); who is online is this process's own knowledge. The registry belongs to the
event loop. Other threads get a `MachinesSnapshot`: immutable, made at most once after each change, shared by everybody
who asks until the next, so that one costs nothing however many machines there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from hub.core.absence import INVITED, why_away
from hub.core.inventory import Inventory, Machine
from hub.core.name_set import NameSet
from hub.core.records import Agent, EnrolmentToken
from hub.core.vitals_history import VitalsHistory
from hub.store.store import Store
from hub.store.transaction import Txn

REFRESH_SECONDS: Final = 2.0
INVITATION_SHOWN: Final = 7 * 86_400.0  # seconds for which a machine that has not joined is listed
MAX_INVITED: Final = 200
ABSENT_STATES: Final = frozenset({"revoked", INVITED})


@dataclass(frozen=True)
class MachinesSnapshot:
    """All machines at one moment. Threads share it: nothing in it is ever changed."""

    agents: Mapping[str, Agent]
    online: NameSet
    stalled: Mapping[str, float] = field(default_factory=dict)  # linked, and since when their runner does not answer

    @cached_property
    def inventory(self) -> Inventory:
        """Machines that may be meant: all but those revoked or not joined yet. Made by the first who asks."""
        return Inventory(
            {
                agent.name: Machine(
                    name=agent.name,
                    labels=agent.labels,
                    online=agent.name in self.online,
                    paused=agent.paused_by,
                    facts=agent.facts or {},
                    away=why_away(agent, agent.name in self.online, self.stalled.get(agent.name)),
                )
                for agent in self.agents.values()
                if agent.state not in ABSENT_STATES
            },
            {agent.name: agent.state for agent in self.agents.values() if agent.state in ABSENT_STATES},
        )

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
        self._agents: dict[str, Agent] = {}  # replaced, never changed: snapshots share it
        self._online = NameSet()
        self._version = 0
        self._snapshot: MachinesSnapshot | None = None
        self._stalled: dict[str, float] = {}  # replaced, never changed, as well
        self.vitals: dict[str, dict[str, float]] = {}
        self.history = VitalsHistory()

    async def refresh(self) -> None:
        """Reads all rows again, since other processes may have changed them."""
        since = self._clock() - INVITATION_SHOWN

        def read(txn: Txn) -> dict[str, Agent]:
            joined = {agent.name: agent for agent in txn.agents()}
            invited = {token.name: _invited(token) for token in txn.unused_tokens("agent", since, MAX_INVITED)}
            return invited | joined

        agents = await self._store.read(read)
        if agents != self._agents:
            changed = {
                name for name in agents.keys() | self._agents.keys() if agents.get(name) != self._agents.get(name)
            }
            self._agents = agents
            self.history.keep_only(agents.keys())
            for name in changed:
                self._changed(name)

    async def reload(self, name: str) -> None:
        """Reads one agent's row again."""
        agent = await self._store.read(lambda txn: txn.agent(name))
        if agent is not None:
            self.update(agent)

    def update(self, agent: Agent) -> None:
        """Takes a row that was just written."""
        self._agents = {**self._agents, agent.name: agent}
        self._changed(agent.name)

    @property
    def snapshot(self) -> MachinesSnapshot:
        """What is known now; the same object until something changes."""
        if self._snapshot is None:
            self._snapshot = MachinesSnapshot(self._agents, self._online, self._stalled)
        return self._snapshot

    @property
    def inventory(self) -> Inventory:
        return self.snapshot.inventory

    def agent(self, name: str) -> Agent | None:
        return self._agents.get(name)

    def labels(self, name: str) -> Mapping[str, str]:
        return self.snapshot.labels(name)

    def agents(self) -> list[Agent]:
        return sorted(self._agents.values(), key=lambda agent: agent.name)

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
            self._agents = {**self._agents, name: replace(agent, last_seen=last_seen)}
        self._online = self._online.without_name(name)
        self.vitals.pop(name, None)
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
        self._snapshot = None
        self._on_change(name)
