"""Queries and updates of people's passkeys (`hub.core.passkeys`)."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from hub.core.passkeys import MAX_PASSKEYS
from hub.core.records import PersonPasskey
from hub.store.base import Repository
from hub.store.mapping import ON_CONFLICT_DO_NOTHING, Mapper
from hub.store.schema import passkeys as table
from hub.store.sql import Statement

_PASSKEY: Final = Mapper(PersonPasskey, table, key="id")
_ADD: Final = Statement(_PASSKEY.insert, ON_CONFLICT_DO_NOTHING)
_OF: Final = Statement(
    _PASSKEY.select.where(table.c.person == sa.bindparam("who")).order_by(table.c.created_at, table.c.id)
)
_DROP: Final = Statement(table.delete().where(table.c.id == sa.bindparam("key"), table.c.person == sa.bindparam("who")))
_DROP_ALL: Final = Statement(table.delete().where(table.c.person == sa.bindparam("who")))


class PasskeyRepository(Repository):
    def add_passkey(self, passkey: PersonPasskey) -> bool:
        """False where it is there already, or the person has as many as may be."""
        if len(self.passkeys(passkey.person)) >= MAX_PASSKEYS:
            return False
        return self._db.change(_ADD, _PASSKEY.row(passkey)) == 1

    def passkeys(self, person: str) -> list[PersonPasskey]:
        """The oldest first."""
        return _PASSKEY.from_rows(self._db.rows(_OF, {"who": person}))

    def remove_passkey(self, person: str, id: str) -> bool:  # noqa: A002 - the record's word
        """Whether it was theirs and there."""
        return self._db.change(_DROP, {"who": person, "key": id}) == 1

    def remove_passkeys(self, person: str) -> int:
        """All of a person's; returns how many."""
        return self._db.change(_DROP_ALL, {"who": person})
