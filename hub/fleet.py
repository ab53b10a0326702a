"""Which machines there are and which of them are here: the store's rows and the live links, as one `Inventory`.

The rows are read at start and again when something changed them (a join, a pause, a revocation by the command line,
seen within `REFRESH` seconds); who is online is this process's own knowledge. The inventory is made anew only after a
change. It is asked for from the store's writer thread too, so what is kept of it carries the version it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hub.machines import Inventory, Machine
from hub.records import Agent
from hub.store.engine import Store

REFRESH: Final = 2.0


class Fleet:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._agents: dict[str, Agent] = {}
        self._online: set[str] = set()
        self._version = 0
        self._made: tuple[int, Inventory] | None = None
        self.vitals: dict[str, dict[str, float]] = {}
        self.on_change: Callable[[str], None] = lambda name: None

    async def refresh(self) -> None:
        """Reads the rows again; needed after anything outside this process may have changed them."""
        agents = {agent.name: agent for agent in await self._store.read(lambda txn: txn.agents())}
        if agents != self._agents:
            changed = {
                name for name in agents.keys() | self._agents.keys() if agents.get(name) != self._agents.get(name)
            }
            self._agents = agents
            for name in changed:
                self._changed(name)

    async def look_at(self, name: str) -> None:
        """Reads one machine's row again."""
        agent = await self._store.read(lambda txn: txn.agent(name))
        if agent is not None:
            self.learn(agent)

    def learn(self, agent: Agent) -> None:
        """Takes a row that was just written, without reading all of them."""
        self._agents = {**self._agents, agent.name: agent}
        self._changed(agent.name)

    @property
    def inventory(self) -> Inventory:
        """Machines that may be meant: everything but the revoked."""
        made, version = self._made, self._version
        if made is not None and made[0] == version:
            return made[1]
        inventory = Inventory(
            {
                agent.name: Machine(
                    name=agent.name,
                    labels=agent.labels,
                    online=agent.name in self._online,
                    paused=agent.paused_by,
                    facts=agent.facts or {},
                )
                for agent in self._agents.values()
                if agent.state != "revoked"
            }
        )
        self._made = version, inventory
        return inventory

    def agent(self, name: str) -> Agent | None:
        return self._agents.get(name)

    def labels(self, name: str) -> Mapping[str, str]:
        agent = self._agents.get(name)
        return agent.labels if agent is not None else {}

    def agents(self) -> list[Agent]:
        return sorted(self._agents.values(), key=lambda agent: agent.name)

    @property
    def version(self) -> int:
        """Another number after each change of rows, or of who is here; vitals do not count."""
        return self._version

    def count(self) -> int:
        return len(self._agents)

    def online(self, name: str) -> bool:
        return name in self._online

    def count_online(self) -> int:
        return len(self._online)

    def came(self, name: str) -> None:
        self._online.add(name)
        self._changed(name)

    def left(self, name: str) -> None:
        self._online.discard(name)
        self.vitals.pop(name, None)
        self._changed(name)

    def _changed(self, name: str) -> None:
        self._version += 1
        self.on_change(name)
