"""Queries and updates of changes of approvers' keys (`hub.core.key_changes`), and of what machines told of theirs.

These rows have no MAC: machines take nothing of them that people have not signed.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from hub.core.records import KeyAnswer, MachineKeys, OfferedKeyChange
from hub.store.base import Repository
from hub.store.key_schema import key_answers, key_changes, machine_keys
from hub.store.mapping import Mapper, from_json, to_json
from hub.store.sql import Statement

MAX_LISTED: Final = 256
_CHANGE: Final = Mapper(
    OfferedKeyChange, key_changes, key="id", converters={"body": (lambda data: data.decode(), str.encode)}
)
_ANSWER: Final = Mapper(KeyAnswer, key_answers, key="change_id")
_KEYS: Final = Mapper(MachineKeys, machine_keys, key="agent", converters={"keys": (to_json, from_json)})
_ADD: Final = Statement(_CHANGE.insert)
_BY_ID: Final = Statement(_CHANGE.select.where(key_changes.c.id == sa.bindparam("id")))
_LIVE: Final = Statement(
    _CHANGE.select.where(key_changes.c.ended_at.is_(None), key_changes.c.expires_at >= sa.bindparam("now"))
    .order_by(key_changes.c.proposed_at, key_changes.c.id)
    .limit(MAX_LISTED)
)
_RECENT: Final = Statement(
    _CHANGE.select.order_by(key_changes.c.proposed_at.desc(), key_changes.c.id).limit(sa.bindparam("limit"))
)
_OLD: Final = key_changes.c.expires_at < sa.bindparam("before")
_DROP_ANSWERS: Final = Statement(
    key_answers.delete().where(key_answers.c.change_id.in_(sa.select(key_changes.c.id).where(_OLD)))
)
_DROP: Final = Statement(key_changes.delete().where(_OLD))
_ANSWERS: Final = Statement(
    _ANSWER.select.where(key_answers.c.change_id == sa.bindparam("change_id")).order_by(key_answers.c.agent)
)
_ANSWER_OF: Final = Statement(
    _ANSWER.select.where(
        key_answers.c.change_id == sa.bindparam("change_id"), key_answers.c.agent == sa.bindparam("agent")
    )
)
_PUT_ANSWER: Final = Statement(
    _ANSWER.insert,
    " ON CONFLICT (change_id, agent) DO UPDATE SET done = excluded.done, reason = excluded.reason, "
    "signatures = excluded.signatures, at = excluded.at",
)
_ALL_KEYS: Final = Statement(
    _KEYS.select.where(machine_keys.c.agent > sa.bindparam("after"))
    .order_by(machine_keys.c.agent)
    .limit(sa.bindparam("limit"))
)
_KEYS_OF: Final = Statement(_KEYS.select.where(machine_keys.c.agent == sa.bindparam("agent")))
_PUT_KEYS: Final = Statement(
    _KEYS.insert, " ON CONFLICT (agent) DO UPDATE SET keys = excluded.keys, needed = excluded.needed, at = excluded.at"
)


class KeyChangeRepository(Repository):
    def add_key_change(self, change: OfferedKeyChange) -> None:
        self._db.change(_ADD, _CHANGE.row(change))

    def key_change(self, change_id: str) -> OfferedKeyChange | None:
        row = self._db.row(_BY_ID, {"id": change_id})
        return None if row is None else _CHANGE.from_row(row)

    def save_key_change(self, before: OfferedKeyChange, after: OfferedKeyChange) -> None:
        """Updates the fields that differ; raises Conflict where it was signed or withdrawn meanwhile."""
        _CHANGE.save(self._db, before, after, ("body", "ended_at"))

    def live_key_changes(self, now: float) -> list[OfferedKeyChange]:
        """Those that are neither withdrawn nor expired, in the order in which they were proposed."""
        return _CHANGE.from_rows(self._db.rows(_LIVE, {"now": now}))

    def recent_key_changes(self, limit: int) -> list[OfferedKeyChange]:
        """The newest first."""
        return _CHANGE.from_rows(self._db.rows(_RECENT, {"limit": limit}))

    def drop_key_changes(self, before: float) -> None:
        """Those that expired before then, with what machines said of them."""
        self._db.change(_DROP_ANSWERS, {"before": before})
        self._db.change(_DROP, {"before": before})

    def key_answers(self, change_id: str) -> list[KeyAnswer]:
        """By machine."""
        return _ANSWER.from_rows(self._db.rows(_ANSWERS, {"change_id": change_id}))

    def key_answer(self, change_id: str, agent: str) -> KeyAnswer | None:
        row = self._db.row(_ANSWER_OF, {"change_id": change_id, "agent": agent})
        return None if row is None else _ANSWER.from_row(row)

    def put_key_answer(self, answer: KeyAnswer) -> None:
        self._db.change(_PUT_ANSWER, _ANSWER.row(answer))

    def machine_keys(self, after: str, limit: int) -> list[MachineKeys]:
        """By machine, those behind `after`."""
        return _KEYS.from_rows(self._db.rows(_ALL_KEYS, {"after": after, "limit": limit}))

    def keys_of(self, agent: str) -> MachineKeys | None:
        row = self._db.row(_KEYS_OF, {"agent": agent})
        return None if row is None else _KEYS.from_row(row)

    def put_keys_of(self, keys: MachineKeys) -> None:
        self._db.change(_PUT_KEYS, _KEYS.row(keys))
