"""The machines as a list that operators filter and sort: in memory, since which machines are online is known only to
this process.

Ten thousand machines are examined in some 20 ms, so the list is built anew only where the fleet has changed or a second
has passed, and a machine's view only where something of it has. How many jobs each has comes from the store, once for
all machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.api.agents import AgentView
from common.api.codec import encode
from common.filter.fields import FIELDS_BY_NAME
from common.filter.match import RowPredicate, compile_filter, row_value
from common.filter.parser import Compare, Filter
from hub.api.rows import Row, agent_row, agent_row_view
from hub.api.views import agent_view
from hub.core.records import Agent
from hub.identity.agents import AgentRegistry
from hub.store.lists import UnknownSort

MAX_AGE: Final = 1.0
"""Seconds for which a list whose filter depends on loads or times is taken as it is."""
AgentFields = Mapping[str, Any]
"""An encoded `AgentView`: what filters and sort orders read."""

_TEXT_KEYS: Final = frozenset({"name", "version", "state", "paused_by"})
_STATIC_KEYS: Final = frozenset({"name", "version", "state", "paused_by", "online", "labels"})


@dataclass(slots=True)
class _CachedAgent:
    """A machine's view, and what that was built from. The row is built only for those that are shown."""

    agent: Agent
    online: bool
    vitals: dict[str, float] | None
    queued: int
    running: int
    view: AgentView
    fields: AgentFields
    row: Row | None = None


class AgentRowCache:
    """Views and rows of machines; the same objects as before where nothing of a machine has changed."""

    def __init__(self, fleet: AgentRegistry) -> None:
        self._fleet = fleet
        self._entries: dict[str, _CachedAgent] = {}
        self.queued: Mapping[str, int] = {}  # jobs by machine, set by whoever counts them
        self.running: Mapping[str, int] = {}

    def _entry(self, agent: Agent) -> _CachedAgent:
        name = agent.name
        online, vitals = self._fleet.online(name), self._fleet.vitals.get(name)
        queued, running = self.queued.get(name, 0), self.running.get(name, 0)
        entry = self._entries.get(name)
        if (
            entry is not None
            and entry.vitals is vitals
            and (entry.online, entry.queued, entry.running) == (online, queued, running)
            and (entry.agent is agent or entry.agent == agent)
        ):
            entry.agent = agent  # read again from the store it is another object: the next time `is` answers
            return entry
        view = agent_view(agent, online=online, vitals=vitals, queued=queued, running=running)
        entry = self._entries[name] = _CachedAgent(agent, online, vitals, queued, running, view, encode(view))
        return entry

    def fields(self, agent: Agent) -> AgentFields:
        """The machine's whole view, encoded: for filters and sort orders."""
        return self._entry(agent).fields

    def row(self, agent: Agent) -> Row:
        entry = self._entry(agent)
        if entry.row is None:
            entry.row = agent_row(entry.view)
        return entry.row

    def row_view(self, agent: Agent) -> AgentView:
        """What the row shows, before it is encoded."""
        return agent_row_view(self._entry(agent).view)

    def evict_gone(self) -> None:
        """Forgets machines that are no more."""
        if len(self._entries) > len(self._fleet.agents()):
            alive = {agent.name for agent in self._fleet.agents()}
            self._entries = {name: entry for name, entry in self._entries.items() if name in alive}


class AgentList:
    """A filtered and sorted list of machines. Raises UnknownSort."""

    def __init__(self, rows: AgentRowCache, fleet: AgentRegistry, filter: Filter, sort: str = "") -> None:  # noqa: A002 - it is one
        self._rows = rows
        self._fleet = fleet
        self._matches: RowPredicate = compile_filter(filter)
        self._key, self._descending = _sort_key(sort)
        self._static = _is_static(filter) and self._key in _STATIC_KEYS
        self._names: list[str] = []
        self._version = -1
        self._filtered_at = float("-inf")

    def window(self, lo: int, n: int, now: float) -> tuple[tuple[Row, ...], int, int]:
        """Rows from the position `lo` on, how many machines fit the filter, how many there are."""
        agents = self._select(lo, n, now)
        return tuple(map(self._rows.row, agents)), len(self._names), self._fleet.count()

    def views(self, lo: int, n: int, now: float) -> list[AgentView]:
        """What the rows of such a window show."""
        return list(map(self._rows.row_view, self._select(lo, n, now)))

    def _select(self, lo: int, n: int, now: float) -> list[Agent]:
        fleet = self._fleet
        changed = fleet.version != self._version
        # A fleet of thousands changes all the time: who belongs to the list is decided once a second all the same.
        if (changed or not self._static) and not 0 <= now - self._filtered_at < (
            MAX_AGE if len(self._names) > 500 else 0.0
        ):
            self._version, self._filtered_at = fleet.version, now
            found = [fields for fields in map(self._rows.fields, fleet.agents()) if self._matches(fields, now)]
            self._names = [fields["name"] for fields in _sorted(found, self._key, self._descending)]
            self._rows.evict_gone()
        return [agent for name in self._names[lo : lo + n] if (agent := fleet.agent(name)) is not None]


def _is_static(filter: Filter) -> bool:  # noqa: A002
    """Whether the filter depends only on what counts as a change of the fleet: not on loads, not on times."""
    return not any(isinstance(term.predicate, Compare) for term in filter.terms) and not filter.is_time_dependent


def _sort_key(sort: str) -> tuple[str, bool]:
    name = sort.removeprefix("-")
    if name in ("", "age"):
        return "name", sort.startswith("-")
    field = FIELDS_BY_NAME["agents"].get(name)
    if field is None and name not in ("last_seen", "paused_at"):
        raise UnknownSort(name)
    key = field.key or "state" if field is not None else name
    turned = field is not None and field.kind == "age"
    return key, sort.startswith("-") is not turned


def _sorted(found: list[AgentFields], key: str, descending: bool) -> list[AgentFields]:
    """By the key, then by name; machines without a value come last either way."""
    if key == "state":
        return sorted(found, key=lambda fields: (_urgency(fields), fields["name"]), reverse=descending)
    if key == "name":
        return sorted(found, key=lambda fields: str(fields["name"]), reverse=descending)
    present: list[tuple[Any, AgentFields]] = []
    absent: list[AgentFields] = []
    for fields in sorted(found, key=lambda fields: str(fields["name"])):
        value = row_value(fields, key)
        if value is None or value == "":
            absent.append(fields)
        else:
            present.append((str(value) if key in _TEXT_KEYS else value, fields))
    present.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(fields for _, fields in present), *absent]


def _urgency(fields: AgentFields) -> int:
    """What needs a person comes first: locked, offline, paused, drained, then those that are well, then the revoked."""
    if fields["state"] != "active":
        return 0 if fields["state"] == "locked" else 5
    if not fields["online"]:
        return 1
    if fields["paused_by"]:
        return 2
    return 3 if fields["draining"] else 4
