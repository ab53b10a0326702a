"""People: those of hub.toml's [people] and those added with `operator add`, as one directory.

A person in hub.toml has the roles written there, whatever the store says; one who was added at the command line has
those of the store. A revoked person has none, wherever they stand. The same holds in chat, at the console, for
approvals and for what a model is told: everybody asks `roles`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from common.roles import ROLES, may
from hub.config import HubConfig, PersonTable
from hub.core.records import Person
from hub.store.store import Store


@dataclass(frozen=True)
class PeopleSnapshot:
    """Everybody at one moment. Threads share it: none of the mappings is ever changed, only replaced."""

    configured: Mapping[str, tuple[str, ...]]  # roles by person, as hub.toml has them
    rows: Mapping[str, Person]
    chat: Mapping[str, str]  # "INLET:USER" -> person

    def roles(self, name: str) -> tuple[str, ...]:
        return self.roles_by(name, self.rows.get(name))

    def roles_by(self, name: str, row: Person | None) -> tuple[str, ...]:
        """The roles of somebody whose row in the store is `row`."""
        if row is not None and row.revoked_at is not None:
            return ()
        held = self.configured.get(name, row.roles if row is not None else ())
        return tuple(role for role in ROLES if role in held)

    def names(self) -> list[str]:
        return sorted({*self.configured, *self.rows})

    def holders(self, role: str) -> tuple[str, ...]:
        """Who has a role or a higher one, by name; made by the first who asks."""
        return self._holders.get(role, ())

    def has_factor(self, name: str) -> bool:
        row = self.rows.get(name)
        return row is not None and bool(row.totp_secret)

    @cached_property
    def _holders(self) -> Mapping[str, tuple[str, ...]]:
        return {role: tuple(name for name in self.names() if may(self.roles(name), role)) for role in ROLES}


def snapshot(people: Mapping[str, PersonTable], rows: Iterable[Person]) -> PeopleSnapshot:
    """A chat user whom hub.toml gives to somebody is that person, whoever else claims to be."""
    stored = {row.name: row for row in rows}
    chat = {identity: row.name for row in stored.values() for identity in row.chat}
    chat |= {identity: name for name, entry in people.items() for identity in entry.chat}
    return PeopleSnapshot({name: tuple(entry.roles) for name, entry in people.items()}, stored, chat)


def narrowed(before: Mapping[str, PersonTable], written: object) -> dict[str, PersonTable]:
    """People as they were, without what the [people] of a hub.toml with a mistake no longer gives them: who has left
    it, roles above those written there, chat names. Nobody gains anything. `written` is that table as TOML has it.
    """
    people: dict[str, PersonTable] = {}
    for name, person in before.items():
        entry = written.get(name) if isinstance(written, dict) else None
        if isinstance(entry, dict):
            given, chat = _words(entry.get("roles")), _words(entry.get("chat"))
            held = [role for role in ROLES if may(person.roles, role)]
            kept = tuple(role for role in held if may(given, role))
            roles = person.roles if len(kept) == len(held) else kept
            people[name] = PersonTable(roles, tuple(one for one in person.chat if one in chat))
    return people


def _words(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


class PeopleDirectory:
    def __init__(self, config: HubConfig, store: Store) -> None:
        self._store = store
        self._configured = config.people
        self.snapshot = snapshot(config.people, ())

    def configure(self, people: Mapping[str, PersonTable]) -> None:
        """Takes [people] of a hub.toml that was read again."""
        self._configured = people
        self.snapshot = snapshot(people, self.snapshot.rows.values())

    async def refresh(self) -> None:
        rows = await self._store.read(lambda txn: txn.people())
        if rows != list(self.snapshot.rows.values()):
            self.snapshot = snapshot(self._configured, rows)

    def find_by_chat(self, inlet: str, user: str) -> str:
        """The name of the person with a verified chat identity; "" where there is none."""
        return self.snapshot.chat.get(f"{inlet}:{user}", "")

    def roles(self, name: str) -> tuple[str, ...]:
        return self.snapshot.roles(name)

    def holders(self, role: str) -> tuple[str, ...]:
        return self.snapshot.holders(role)

    def revoked(self) -> set[str]:
        return {person.name for person in self.snapshot.rows.values() if person.revoked_at is not None}

    def row(self, name: str) -> Person | None:
        return self.snapshot.rows.get(name)

    def names(self) -> list[str]:
        return self.snapshot.names()
