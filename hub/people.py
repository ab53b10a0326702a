"""Who people are: hub.toml's [people], and those added at the hub's terminal, as one directory.

A person in hub.toml has the roles written there; one added with `operator add` has the role in the store; one in both
has both. A revoked person has none, whatever any file says.
"""

from __future__ import annotations

from hub.authority import ROLES
from hub.config import HubConfig
from hub.records import Person
from hub.store.engine import Store


class People:
    def __init__(self, config: HubConfig, store: Store) -> None:
        self._store = store
        self._rows: dict[str, Person] = {}
        self._configured = {name: tuple(entry.roles) for name, entry in config.people.items()}
        self._chat = {identity: name for name, entry in config.people.items() for identity in entry.chat}

    async def refresh(self) -> None:
        self._rows = {person.name: person for person in await self._store.read(lambda txn: txn.people())}

    def of_chat(self, inlet: str, user: str) -> str:
        """The person behind a verified chat identity; "" where nobody is."""
        return self._chat.get(f"{inlet}:{user}", "")

    def roles(self, name: str) -> tuple[str, ...]:
        row = self._rows.get(name)
        if row is not None and row.revoked_at is not None:
            return ()
        held = {*self._configured.get(name, ()), *(row.roles if row is not None else ())}
        return tuple(role for role in ROLES if role in held)

    def revoked(self) -> set[str]:
        return {person.name for person in self._rows.values() if person.revoked_at is not None}

    def row(self, name: str) -> Person | None:
        return self._rows.get(name)

    def names(self) -> list[str]:
        return sorted({*self._configured, *self._rows})
