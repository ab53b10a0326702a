"""The verbs of people and agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from hub.records import Agent, Person
from hub.store.errors import Conflict
from hub.store.mapping import OR_NOTHING, Mapper, from_json, to_json
from hub.store.room import Room
from hub.store.schema import agents, people
from hub.store.sql import Statement

_PERSON: Final = Mapper(
    Person,
    people,
    key="name",
    turned={"roles": (lambda roles: to_json(list(roles)), lambda text: tuple(from_json(text)))},
)
_AGENT: Final = Mapper(
    Agent, agents, key="name", turned={"labels": (to_json, from_json), "facts": (to_json, from_json)}
)

_ADD_PERSON: Final = Statement(_PERSON.insert, OR_NOTHING)
_BY_NAME: Final = Statement(_PERSON.select.where(people.c.name == sa.bindparam("name")))
_PEOPLE: Final = Statement(_PERSON.select.order_by(people.c.name))
_ADD_AGENT: Final = Statement(_AGENT.insert, OR_NOTHING)
_AGENT_BY_NAME: Final = Statement(_AGENT.select.where(agents.c.name == sa.bindparam("name")))
_AGENTS: Final = Statement(_AGENT.select.order_by(agents.c.name))
_TOUCH: Final = Statement(
    agents.update().where(agents.c.name == sa.bindparam("key")).values(last_seen=sa.bindparam("seen"))
)
_TOUCH_FACTS: Final = Statement(
    agents.update()
    .where(agents.c.name == sa.bindparam("key"))
    .values(last_seen=sa.bindparam("seen"), facts=sa.bindparam("told"))
)

Seen = tuple[str, float, Mapping[str, str] | None]


class PeopleRoom(Room):
    def add_person(self, person: Person) -> None:
        """Raises Conflict where the name is taken."""
        if self._db.change(_ADD_PERSON, _PERSON.row(person)) != 1:
            raise Conflict(f"person {person.name}: is there already")

    def person(self, name: str) -> Person | None:
        row = self._db.row(_BY_NAME, {"name": name})
        return None if row is None else _PERSON.record(row)

    def people(self) -> list[Person]:
        """By name."""
        return _PERSON.records(self._db.rows(_PEOPLE))

    def save_person(self, before: Person, after: Person) -> None:
        """Writes what differs; raises Conflict where the second factor's counters or the revocation have moved on, so a
        code that two entrances check at once is taken once.
        """
        guards = ("totp_last_step", "totp_failures", "totp_locked_until", "revoked_at")
        _PERSON.save(self._db, before, after, guards)

    def add_agent(self, agent: Agent) -> None:
        """Raises Conflict where the name is taken."""
        if self._db.change(_ADD_AGENT, _AGENT.row(agent)) != 1:
            raise Conflict(f"agent {agent.name}: is there already")

    def agent(self, name: str) -> Agent | None:
        row = self._db.row(_AGENT_BY_NAME, {"name": name})
        return None if row is None else _AGENT.record(row)

    def agents(self) -> list[Agent]:
        """By name."""
        return _AGENT.records(self._db.rows(_AGENTS))

    def save_agent(self, before: Agent, after: Agent) -> None:
        """Writes what differs; raises Conflict where the state or the generation has moved on."""
        _AGENT.save(self._db, before, after, ("state", "generation"))

    def touch_agents(self, seen: Sequence[Seen]) -> None:
        """Many at once: (name, last_seen, facts), facts None where unchanged. Unknown names are passed over."""
        plain = [{"key": name, "seen": at} for name, at, facts in seen if facts is None]
        told = [{"key": name, "seen": at, "told": to_json(facts)} for name, at, facts in seen if facts is not None]
        self._db.change_many(_TOUCH, plain)
        self._db.change_many(_TOUCH_FACTS, told)
