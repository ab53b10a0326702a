"""The ring's keys as the store knows them, by id alone, and wrapping again what they wrap.

Three kinds of values are wrapped by the ring itself: the data keys of sealed columns, people's second factors, and what
is sealed with requests (pictures, prompts, answers). A rotation wraps these again under the new first key, in small
transactions; what is still under another key is found by the key id in front of each value, so a rotation that was
killed goes on where it was. The values themselves are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from common.identity.sealing import Sealer, UnsealError, context, wrapping_key_id
from hub.store.cipher import BLOCK, data_key_context
from hub.store.mapping import Mapper
from hub.store.people import PERSON
from hub.store.schema import data_keys, people, sealed, sealing_keys
from hub.store.settings import SettingRepository
from hub.store.sql import ADD_KEY, Statement

LOADED: Final = "sealing:loaded"
"""`meta`: the ids of the ring that the serving hub has, the first one first."""
PAGE: Final = 500
_HEAD: Final = 9
"""Bytes of a value in front of its first nonce: version and key id (`common.identity.sealing`)."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key of the ring. `used_at` is when something was last seen to be sealed or opened with it."""

    id: str
    state: str  # primary | decrypt | retired
    added_at: float
    used_at: float | None = None
    retired_at: float | None = None


class WrapProblem(NamedTuple):
    """A value that does not open: it stays as it is."""

    place: str
    problem: str


class RewrapStep(NamedTuple):
    rewrapped: int
    left: bool  # call again
    problems: tuple[WrapProblem, ...] = ()


class WrapCheck(NamedTuple):
    checked: int
    problems: tuple[WrapProblem, ...]


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A column that the ring's keys wrap: how its rows are found, and what a row's value may be sealed for."""

    name: str
    column: sa.Column[Any]
    key: sa.Column[Any]
    contexts: Callable[[Sequence[Any]], tuple[str, ...]]
    more: tuple[sa.Column[Any], ...] = ()

    def rows(self, *fits: sa.ColumnElement[bool]) -> Statement:
        """Rows beyond `after` that have a value."""
        return Statement(
            sa.select(self.key, self.column, *self.more)
            .where(self.key > sa.bindparam("after"), sa.func.length(self.column) > 0, *fits)
            .order_by(self.key)
            .limit(sa.bindparam("n"))
        )

    def other_than(self) -> Statement:
        """Rows beyond `after` whose value is not under the key of `head`."""
        return self.rows(sa.func.substr(self.column, 1, _HEAD) != sa.bindparam("head"))


def _of_request(row: Sequence[Any]) -> tuple[str, ...]:
    return context("sealed", "data", row[2]), context("sealed", "picture name", row[2])


WRAPPED: Final = (
    Wrapped("data keys", data_keys.c.wrapped, data_keys.c.id, lambda row: (data_key_context(row[0]),)),
    *(
        Wrapped(f"second factors ({name})", people.c[name], people.c.name,
                lambda row: (context("people", "totp_secret", row[0]),))
        for name in ("totp_secret", "totp_pending")
    ),
    Wrapped("what is sealed with requests", sealed.c.data, sealed.c.id, _of_request, (sealed.c.request_id,)),
)  # fmt: skip
_ALL: Final = {one.name: one.rows() for one in WRAPPED}
_OTHER: Final = {one.name: one.other_than() for one in WRAPPED}
_SET: Final = {
    one.name: Statement(
        one.column.table.update().where(one.key == sa.bindparam("key")).values({one.column.name: sa.bindparam("new")})
    )
    for one in WRAPPED
}
_PERSON: Final = Statement(PERSON.select.where(people.c.name == sa.bindparam("key")))
_SET_MAC: Final = Statement(people.update().where(people.c.name == sa.bindparam("key")).values(mac=sa.bindparam("new")))
_COUNTS: Final = {
    one.name: Statement(
        sa.select(sa.func.substr(one.column, 1, _HEAD).label("head"), sa.func.count())
        .where(sa.func.length(one.column) > 0)
        .group_by(sa.text("head"))
    )
    for one in WRAPPED
}
_KEY: Final = Mapper(SealingKey, sealing_keys, key="id")
_KEYS: Final = Statement(_KEY.select.order_by(sealing_keys.c.added_at, sealing_keys.c.id))
_ADD: Final = Statement(_KEY.insert, " ON CONFLICT DO NOTHING")


class SealingKeyRepository(SettingRepository):
    def sealing_keys(self) -> list[SealingKey]:
        """Those that were ever in the ring, the oldest first."""
        return _KEY.from_rows(self._db.rows(_KEYS))

    def primary_key(self) -> str:
        """The key that the store is to be sealed under; "" where no hub has said it yet."""
        return next((key.id for key in self.sealing_keys() if key.state == "primary"), "")

    def note_ring(self, ids: Sequence[str], now: float) -> None:
        """The ring is these keys from now on, the first one seals. A key that comes back after it was retired counts
        again.
        """
        known = {key.id: key for key in self.sealing_keys()}
        for position, identifier in enumerate(ids):
            state = "decrypt" if position else "primary"
            fresh = SealingKey(identifier, state, now)
            before = known.get(identifier)
            if before is None:
                self._db.change(_ADD, _KEY.row(fresh))
            else:
                _KEY.save(self._db, before, SealingKey(identifier, state, before.added_at, before.used_at), ())
        for identifier, before in known.items():
            if identifier not in ids and before.state != "retired":
                _KEY.save(self._db, before, SealingKey(identifier, "retired", before.added_at, before.used_at, now), ())

    def note_key_use(self, ids: Sequence[str], now: float) -> None:
        for key in self.sealing_keys():
            if key.id in ids:
                after = SealingKey(key.id, key.state, key.added_at, now, key.retired_at)
                _KEY.save(self._db, key, after, ())

    def wrapped_counts(self) -> dict[str, dict[str, int]]:
        """For each key of the ring that wraps something: how many values of which kind."""
        found: dict[str, dict[str, int]] = {}
        for one in WRAPPED:
            for head, count in self._db.rows(_COUNTS[one.name]):
                found.setdefault(wrapping_key_id(bytes(head)), {})[one.name] = int(count)
        return found

    def begin_data_key(self, now: float) -> None:
        """A new data key, for whoever takes a block from now on: what is sealed after a rotation is under no data key
        that the old ring's key ever wrapped.
        """
        cipher = self._db.cipher
        assert cipher is not None  # noqa: S101 - a store without a cipher has no ring to rotate
        made = cipher.new_key()
        self._db.change(ADD_KEY, {"id": made.id, "wrapped": made.wrapped, "created_at": now, "seals": BLOCK})

    def check_wrapped(self, ring: Sealer) -> WrapCheck:
        """Opens every value that the ring's keys wrap."""
        checked, problems = 0, list[WrapProblem]()
        for one in WRAPPED:
            after: Any = 0 if one.key is sealed.c.id else ""
            while rows := self._db.rows(_ALL[one.name], {"after": after, "n": PAGE}):
                for row in rows:
                    after = row[0]
                    checked += 1
                    try:
                        _rewrapped(ring, bytes(row[1]), one.contexts(row))
                    except UnsealError as error:
                        problems.append(WrapProblem(f"{one.name}: {row[0]}", str(error)))
        return WrapCheck(checked, tuple(problems))

    def rewrap(self, ring: Sealer, limit: int) -> RewrapStep:
        """Wraps up to about `limit` values again under the ring's first key. Values that do not open are named and left
        as they are; `left` says whether there may be others.
        """
        head = b"\x01" + bytes.fromhex(ring.ids[0])
        problems = list[WrapProblem]()
        for one in WRAPPED:
            after: Any = 0 if one.key is sealed.c.id else ""
            done = 0
            while rows := self._db.rows(_OTHER[one.name], {"after": after, "head": head, "n": limit}):
                for row in rows:
                    after = row[0]
                    try:
                        new = _rewrapped(ring, bytes(row[1]), one.contexts(row))
                    except UnsealError as error:
                        problems.append(WrapProblem(f"{one.name}: {row[0]}", str(error)))
                        continue
                    self._set_wrapped(one, row[0], new)
                    done += 1
                if done:
                    return RewrapStep(done, True, tuple(problems))
        return RewrapStep(0, False, tuple(problems))

    def _set_wrapped(self, one: Wrapped, key: Any, new: bytes) -> None:
        """A person's row has a MAC over it; one that this hub did not write keeps what does not fit it."""
        row = self._db.row(_PERSON, {"key": key}) if one.column.table is people else None
        before = None if row is None else self._own(lambda: PERSON.from_row(row), "people", key)
        self._db.change(_SET[one.name], {"key": key, "new": new})
        if before is not None and self.rows.judges:
            # Not of the row read again: on PostgreSQL somebody else may have written into it in between.
            pending = one.column is people.c.totp_pending
            after = replace(before, totp_pending=new) if pending else replace(before, totp_secret=new)
            self._db.change(_SET_MAC, {"key": key, "new": self.rows.mac(after)})


def _rewrapped(ring: Sealer, blob: bytes, contexts: Sequence[str]) -> bytes:
    """Raises UnsealError where it opens for none of them."""
    for one in contexts[:-1]:
        try:
            return ring.rewrap(blob, one)
        except UnsealError:
            continue
    return ring.rewrap(blob, contexts[-1])
