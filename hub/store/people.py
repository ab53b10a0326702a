"""Queries and updates of people and agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from hub.core.records import Agent, Person
from hub.store.base import Repository
from hub.store.errors import Conflict
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper, from_json, to_json
from hub.store.schema import agents, people, recovery_codes
from hub.store.sql import Row, Statement

PERSON: Final = Mapper(
    Person,
    people,
    key="name",
    converters={
        name: (lambda values: to_json(list(values)), lambda text: tuple(from_json(text))) for name in ("roles", "chat")
    },
)
_AGENT: Final = Mapper(
    Agent, agents, key="name", converters={"labels": (to_json, from_json), "facts": (to_json, from_json)}
)

_ADD_PERSON: Final = Statement(PERSON.insert, ON_CONFLICT_DO_NOTHING)
_BY_NAME: Final = Statement(PERSON.select.where(people.c.name == sa.bindparam("name")))
_PEOPLE: Final = Statement(PERSON.select.order_by(people.c.name))
_DELETE_PERSON: Final = Statement(people.delete().where(people.c.name == sa.bindparam("name")))
_GUARDS: Final = (
    *("totp_last_step", "totp_failures", "totp_locked_until", "totp_pending", "revoked_at"),
    *("totp_console_failures", "totp_console_locked_until", "mac"),
)
_ADD_AGENT: Final = Statement(_AGENT.insert, ON_CONFLICT_DO_NOTHING)
_AGENT_BY_NAME: Final = Statement(_AGENT.select.where(agents.c.name == sa.bindparam("name")))
_AGENTS: Final = Statement(_AGENT.select.order_by(agents.c.name))
_DELETE_AGENT: Final = Statement(agents.delete().where(agents.c.name == sa.bindparam("name")))
_TOUCH: Final = Statement(
    agents.update().where(agents.c.name == sa.bindparam("key")).values(last_seen=sa.bindparam("seen"))
)
_TOUCH_FACTS: Final = Statement(
    agents.update()
    .where(agents.c.name == sa.bindparam("key"))
    .values(last_seen=sa.bindparam("seen"), facts=sa.bindparam("new_facts"))
)

_DROP_RECOVERY: Final = Statement(recovery_codes.delete().where(recovery_codes.c.person == sa.bindparam("who")))
_ADD_RECOVERY: Final = Statement(recovery_codes.insert())
_UNUSED: Final = (recovery_codes.c.person == sa.bindparam("who")) & recovery_codes.c.used_at.is_(None)
_USE_RECOVERY: Final = Statement(
    recovery_codes.update()
    .where(_UNUSED & (recovery_codes.c.hash == sa.bindparam("digest")))
    .values(used_at=sa.bindparam("now"))
)
_COUNT_RECOVERY: Final = Statement(sa.select(sa.func.count()).select_from(recovery_codes).where(_UNUSED))

_REFUSED_AT: Final = 0.0


def refused(name: str) -> Person:
    """What a row counts as that this hub did not write: a person without access, whatever hub.toml gives them."""
    return Person(name, (), _REFUSED_AT, revoked_at=_REFUSED_AT)


def is_refused(person: Person) -> bool:
    return person == refused(person.name)


AgentSighting = tuple[str, float, Mapping[str, str] | None]


class PeopleRepository(Repository):
    def add_person(self, person: Person) -> None:
        """Raises Conflict where the name is taken."""
        made = replace(person, mac=self.rows.mac(person))
        if self._db.change(_ADD_PERSON, PERSON.row(made)) != 1:
            raise Conflict(f"person {person.name}: is there already")

    def person(self, name: str) -> Person | None:
        """Where somebody else than this hub wrote the row: `refused`."""
        row = self._db.row(_BY_NAME, {"name": name})
        return None if row is None else self._person(row)

    def people(self) -> list[Person]:
        """By name; those whose row somebody else wrote are `refused`."""
        return [self._person(row) for row in self._db.rows(_PEOPLE)]

    def _person(self, row: Row) -> Person:
        return self._own(lambda: PERSON.from_row(row), "people", row[0]) or refused(str(row[0]))

    def replace_person(self, person: Person) -> None:
        """In the place of a row that somebody else wrote, which no save can change."""
        self._db.change(_DELETE_PERSON, {"name": person.name})
        self.add_person(person)

    def save_person(self, before: Person, after: Person) -> None:
        """Updates the fields that differ; raises Conflict where the second factor's counters or the revocation have
        changed, so that a code that is checked twice at the same time is accepted once, and where somebody else than
        this hub wrote the row.
        """
        if before == after:
            return
        row = self._db.row(_BY_NAME, {"name": before.name})
        stored = None if row is None else self._own(lambda: PERSON.from_row(row), "people", row[0])
        if stored is None:
            raise Conflict(f"people {before.name}: is not there, or this hub did not write it")
        mac = self._merged(stored, before, after).mac
        PERSON.save(self._db, replace(before, mac=stored.mac), replace(after, mac=mac), _GUARDS)

    def use_up_steps(self, step: int) -> None:
        """No one-time code up to this time step is taken from anybody. Not in a store that is only looked at: there it
        would leave nobody's row authentic.
        """
        for person in self.people() if self.rows.judges else ():
            if person.totp_last_step < step and not is_refused(person):
                self.save_person(person, replace(person, totp_last_step=step))

    def replace_recovery_codes(self, person: str, hashes: Sequence[str], now: float) -> None:
        """The person's recovery codes from now on, as hashes; those from before count no more. None: none are left."""
        self._db.change(_DROP_RECOVERY, {"who": person})
        rows = [{"person": person, "hash": one, "made_at": now, "used_at": None} for one in hashes]
        self._db.change_many(_ADD_RECOVERY, rows)

    def use_recovery_code(self, person: str, digest: str, now: float) -> bool:
        """Whether the code with this hash was there and unused; it is used then."""
        return self._db.change(_USE_RECOVERY, {"who": person, "digest": digest, "now": now}) == 1

    def count_recovery_codes(self, person: str) -> int:
        """Unused ones."""
        return int(self._db.value(_COUNT_RECOVERY, {"who": person}))

    def add_agent(self, agent: Agent) -> None:
        """Raises Conflict where the name is taken."""
        if self._db.change(_ADD_AGENT, _AGENT.row(agent)) != 1:
            raise Conflict(f"agent {agent.name}: is there already")

    def agent(self, name: str) -> Agent | None:
        row = self._db.row(_AGENT_BY_NAME, {"name": name})
        return None if row is None else _AGENT.from_row(row)

    def agents(self) -> list[Agent]:
        """By name."""
        return _AGENT.from_rows(self._db.rows(_AGENTS))

    def changed_agents(self, seen: Mapping[str, int]) -> tuple[list[Agent], dict[str, int]]:
        """Those whose row is another one than was `seen`; and what all rows are seen as now, by name: a number that
        says nothing outside this process. Decoding ten thousand rows takes longer than reading them.
        """
        rows = self._db.rows(_AGENTS)
        now = {str(row[0]): hash(tuple(row)) for row in rows}
        return _AGENT.from_rows(row for row in rows if seen.get(row[0]) != now[row[0]]), now

    def save_agent(self, before: Agent, after: Agent) -> None:
        """Updates the fields that differ; raises Conflict where the state or the generation has changed."""
        _AGENT.save(self._db, before, after, ("state", "generation"))

    def delete_agent(self, name: str) -> None:
        """Takes the row away; jobs, certificates and the audit keep the name."""
        self._db.change(_DELETE_AGENT, {"name": name})

    def touch_agents(self, sightings: Sequence[AgentSighting]) -> None:
        """Updates many agents: (name, last_seen, facts), facts None where unchanged. Unknown names are ignored."""
        plain = [{"key": name, "seen": at} for name, at, facts in sightings if facts is None]
        with_facts = [
            {"key": name, "seen": at, "new_facts": to_json(facts)} for name, at, facts in sightings if facts is not None
        ]
        self._db.change_many(_TOUCH, plain)
        self._db.change_many(_TOUCH_FACTS, with_facts)
