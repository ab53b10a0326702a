"""The machines as a list that operators filter and sort: in memory, since who is here is this process's own knowledge.

Ten thousand machines are looked at in some 20 ms, so the list is made anew only where the fleet has changed or a
second has passed, and a machine's row only where something of it has. How many jobs it has comes from the store, once
for all machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.filter import Compare, Filter
from common.filter_fields import BY_NAME
from common.filter_match import Matcher, matcher, value_of
from hub.fleet import Fleet
from hub.records import Agent
from hub.rows import Row, agent_row
from hub.store.windows import NoSort
from hub.views import agent_view

AGAIN: Final = 1.0
"""Seconds for which a list that loads or times decide about is taken as it is."""
Told = Mapping[str, Any]

_TEXT_KEYS: Final = frozenset({"name", "version", "state", "paused_by"})
_CALM_KEYS: Final = frozenset({"name", "version", "state", "paused_by", "online", "labels"})


@dataclass(slots=True)
class _Made:
    """What is said of a machine, and what that was made of. The row is made only for those that are shown."""

    agent: Agent
    online: bool
    vitals: dict[str, float] | None
    queued: int
    running: int
    told: dict[str, Any]
    row: Row | None = None


class Roster:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._made: dict[str, _Made] = {}
        self.queued: Mapping[str, int] = {}  # by machine; who has them may set them
        self.running: Mapping[str, int] = {}

    def _look(self, agent: Agent) -> _Made:
        name = agent.name
        online, vitals = self._fleet.online(name), self._fleet.vitals.get(name)
        queued, running = self.queued.get(name, 0), self.running.get(name, 0)
        made = self._made.get(name)
        if (
            made is not None
            and made.vitals is vitals
            and (made.online, made.queued, made.running) == (online, queued, running)
            and (made.agent is agent or made.agent == agent)
        ):
            made.agent = agent  # read again from the store it is another object: the next look need not compare
            return made
        told = agent_view(agent, online=online, vitals=vitals, queued=queued, running=running)
        made = self._made[name] = _Made(agent, online, vitals, queued, running, told)
        return made

    def told(self, agent: Agent) -> Mapping[str, Any]:
        """All that is said of the machine."""
        return self._look(agent).told

    def row(self, agent: Agent) -> Row:
        """The machine's row; the same object as before where nothing of it has changed."""
        made = self._look(agent)
        if made.row is None:
            made.row = agent_row(made.told)
        return made.row

    def forget_gone(self) -> None:
        """Rows of machines that are no more."""
        if len(self._made) > len(self._fleet.agents()):
            alive = {agent.name for agent in self._fleet.agents()}
            self._made = {name: made for name, made in self._made.items() if name in alive}


class AgentList:
    """A filtered and sorted list of machines. Raises NoSort."""

    def __init__(self, roster: Roster, fleet: Fleet, filter: Filter, sort: str = "") -> None:  # noqa: A002 - it is one
        self._roster = roster
        self._fleet = fleet
        self._fits: Matcher = matcher(filter)
        self._key, self._descending = _sort_key(sort)
        self._calm = _is_calm(filter) and self._key in _CALM_KEYS
        self._names: list[str] = []
        self._version = -1
        self._looked_at = float("-inf")

    def window(self, lo: int, n: int, now: float) -> tuple[tuple[Row, ...], int, int]:
        """Rows, how many fit, how many there are."""
        fleet, roster = self._fleet, self._roster
        changed = fleet.version != self._version
        # A fleet of thousands changes all the time: membership is looked at again once a second all the same.
        if (changed or not self._calm) and not 0 <= now - self._looked_at < (AGAIN if len(self._names) > 500 else 0.0):
            self._version, self._looked_at = fleet.version, now
            found = [told for told in map(roster.told, fleet.agents()) if self._fits(told, now)]
            self._names = [told["name"] for told in _sorted(found, self._key, self._descending)]
            roster.forget_gone()
        agents = [agent for name in self._names[lo : lo + n] if (agent := fleet.agent(name)) is not None]
        return tuple(map(roster.row, agents)), len(self._names), fleet.count()


def _is_calm(filter: Filter) -> bool:  # noqa: A002
    """Whether only what the fleet says changes decides who fits: not loads, not times."""
    return not any(isinstance(term.test, Compare) for term in filter.terms) and not filter.timely


def _sort_key(sort: str) -> tuple[str, bool]:
    name = sort.removeprefix("-")
    if name in ("", "age"):
        return "name", sort.startswith("-")
    field = BY_NAME["agents"].get(name)
    if field is None and name not in ("last_seen", "paused_at"):
        raise NoSort(name)
    key = field.key or "state" if field is not None else name
    turned = field is not None and field.kind == "age"
    return key, sort.startswith("-") is not turned


def _sorted(found: list[Told], key: str, descending: bool) -> list[Told]:
    """By the key, then by name; machines without a value come last either way."""
    if key == "state":
        return sorted(found, key=lambda told: (_standing(told), told["name"]), reverse=descending)
    if key == "name":
        return sorted(found, key=lambda told: str(told["name"]), reverse=descending)
    present: list[tuple[Any, Told]] = []
    absent: list[Told] = []
    for told in sorted(found, key=lambda told: str(told["name"])):
        value = value_of(told, key)
        if value is None or value == "":
            absent.append(told)
        else:
            present.append((str(value) if key in _TEXT_KEYS else value, told))
    present.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(told for _, told in present), *absent]


def _standing(told: Told) -> int:
    """What needs a person comes first: locked, offline, paused, drained, then those that are well, then the revoked."""
    if told["state"] != "active":
        return 0 if told["state"] == "locked" else 5
    if not told["online"]:
        return 1
    if told["paused_by"]:
        return 2
    return 3 if told["draining"] else 4
