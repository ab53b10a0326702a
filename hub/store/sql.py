"""Statements that are compiled once a database, and the connection that runs them.

Statements are written in SQLAlchemy Core, so that one spelling serves both databases, and run on the driver's own
cursor: with some twenty statements a message, Core's result machinery was measured at five times the cost of the
statement itself. All columns are of types that both drivers accept and return unchanged (str, int, float, bool, bytes,
None), so nothing is lost; SQLite returns booleans as 0 and 1 (see `mapping`).

Values of sealed columns (`sealed_columns`) are sealed and opened here and nowhere else: whoever writes a row or reads
one has it in plain. A connection without a cipher writes them as they are, and refuses to read one that is sealed.

Transactions are explicit (`BEGIN IMMEDIATE`, `SAVEPOINT`, …): the drivers are in autocommit mode and begin none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from hub.core.unreadable import unreadable
from hub.store.broken import BrokenValues
from hub.store.cipher import BLOCK, BYTES_MARK, MAX_AGE, MAX_SEALS, TEXT_MARK, ColumnCipher
from hub.store.errors import SealBroken, StoreFenced
from hub.store.schema import data_keys, meta
from hub.store.sealed_columns import EVENT_DATA, NOTHING, Field, Layout, is_plain_event, layout_of, place_of

Row = tuple[Any, ...]
Params = Mapping[str, Any]

_NONE: Final[Params] = {}
_WRITE_LOCK: Final = (
    0x616E7377  # "answ": serialises PostgreSQL's writers as SQLite's are, so the audit chain has one head
)


class Statement:
    """One prebuilt statement with named parameters. `tail` is SQL of both databases that Core spells in two ways;
    `as_stored` leaves sealed values as they are.
    """

    __slots__ = ("_compiled", "_core", "_tail", "as_stored", "layout")

    def __init__(self, core: sa.ClauseElement, tail: str = "", *, as_stored: bool = False) -> None:
        self._core = core
        self._tail = tail
        self._compiled: dict[str, tuple[str, Params]] = {}
        self.as_stored = as_stored
        self.layout: Layout = NOTHING  # known once it was compiled

    @property
    def core(self) -> sa.ClauseElement:
        return self._core

    def compiled_for(self, dialect: sa.Dialect, params: Params) -> tuple[str, Params]:
        """The text, and the parameters with the statement's own constants among them."""
        ready = self._compiled.get(dialect.name)
        if ready is None:
            compiled: Any = self._core.compile(dialect=dialect)
            constants: Params = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
            if not self.as_stored:
                self.layout = layout_of(self._core, compiled.params)
            ready = self._compiled[dialect.name] = str(compiled) + self._tail, constants
        text, own = ready
        return text, {**own, **params} if own else params


_EPOCH: Final = f"SELECT value FROM {meta.name} WHERE key = 'epoch'"  # noqa: S608
_BEGIN_POSTGRES: Final = f"BEGIN; SELECT pg_advisory_xact_lock({_WRITE_LOCK})"
"""One round trip; and each statement has its own snapshot, so that an epoch which is asked for with it is that of now.
"""
_KEY_BY_ID: Final = Statement(sa.select(data_keys.c.wrapped).where(data_keys.c.id == sa.bindparam("id")))
_NEWEST_KEY: Final = Statement(
    sa.select(data_keys.c.id, data_keys.c.wrapped, data_keys.c.created_at, data_keys.c.seals)
    .order_by(data_keys.c.created_at.desc(), data_keys.c.id)
    .limit(1)
)
_LAST_KEYS: Final = Statement(
    sa.select(data_keys.c.id, data_keys.c.wrapped).order_by(data_keys.c.created_at.desc(), data_keys.c.id).limit(16)
)
_COUNT_SEALS: Final = Statement(
    data_keys.update()
    .where(data_keys.c.id == sa.bindparam("key"))
    .values(seals=data_keys.c.seals + sa.bindparam("more"))
)
ADD_KEY: Final = Statement(
    data_keys.insert().values({name: sa.bindparam(name) for name in ("id", "wrapped", "created_at", "seals")}).inline()
)


READ_CACHE: Final = 2048
"""KiB of pages that a connection keeps which only reads: there are several, and each would come to hold the same."""


class Connection:
    """One connection to the database, used by one thread at a time."""

    def __init__(self, engine: sa.Engine, read_only: bool = False, cipher: ColumnCipher | None = None) -> None:
        self._dialect = engine.dialect
        self.cipher = cipher
        self.epoch = 0
        """That of the hub which writes here: a transaction of it begins only while no other has served the store since.
        0: a command beside the hub.
        """
        self.broken = cipher.broken if cipher is not None else BrokenValues()
        self._postgres = engine.dialect.name == "postgresql"
        self._proxy = engine.raw_connection()
        raw: Any = self._proxy.dbapi_connection
        self._raw = raw
        self._cursor: Any = raw.cursor()
        if read_only and not self._postgres:  # on PostgreSQL each transaction says so
            self._cursor.execute("PRAGMA query_only = ON")
            self._cursor.execute(f"PRAGMA cache_size = -{READ_CACHE}")

    @property
    def is_postgres(self) -> bool:
        return self._postgres

    def rows(self, statement: Statement, params: Params = _NONE) -> list[Row]:
        self._cursor.execute(*statement.compiled_for(self._dialect, params))
        found: list[Row] = self._cursor.fetchall()
        return self._opened(statement.layout, found) if statement.layout.reads else found

    def row(self, statement: Statement, params: Params = _NONE) -> Row | None:
        """The first row. The statement must return at most one: unread rows would keep the snapshot open."""
        text, bound = statement.compiled_for(self._dialect, params)
        self._cursor.execute(text, self._sealed(statement, bound) if statement.layout.writes else bound)
        found: Row | None = self._cursor.fetchone()
        if found is not None and statement.layout.reads:
            return self._opened(statement.layout, [found])[0]
        return found

    def value(self, statement: Statement, params: Params = _NONE) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self.row(statement, params)
        return None if row is None else row[0]

    def change(self, statement: Statement, params: Params = _NONE) -> int:
        """Runs an INSERT, UPDATE or DELETE; returns how many rows it affected."""
        text, bound = statement.compiled_for(self._dialect, params)
        self._cursor.execute(text, self._sealed(statement, bound) if statement.layout.writes else bound)
        count: int = self._cursor.rowcount
        return count

    def change_many(self, statement: Statement, params: Sequence[Params]) -> int:
        """The same for each of `params`; returns the rows affected in all."""
        if len(params) == 1:
            return self.change(statement, params[0])
        if not params:
            return 0
        text, constants = statement.compiled_for(self._dialect, _NONE)
        if constants:
            params = [{**constants, **each} for each in params]
        if statement.layout.writes:
            params = [self._sealed(statement, each) for each in params]
        self._cursor.executemany(text, params)
        count: int = self._cursor.rowcount
        return count

    def select(self, query: sa.Select[Any]) -> list[Row]:
        """Runs a query that was built for one call: compiled each time, so not for the hot path."""
        compiled = query.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        self._cursor.execute(str(compiled), compiled.params)
        found: list[Row] = self._cursor.fetchall()
        layout = layout_of(query, compiled.params)
        return self._opened(layout, found) if layout.reads else found

    # ---- sealed columns

    def _sealed(self, statement: Statement, params: Params) -> Params:
        """The parameters with the sealed ones sealed. Empty texts stay, as does what quotes nobody."""
        cipher = self.cipher
        if cipher is None:
            return params
        sealed = dict(params)
        for field in statement.layout.writes:
            at, prefix, bound, binary, kind_at = field
            value = params[at]
            if not value or (kind_at is not None and is_plain_event(params[kind_at], value)):
                continue
            place = f"{prefix}{params[bound[0][0]]}" if len(bound) == 1 else place_of(field, params)
            sealed[at] = cipher.seal_bytes(value, place) if binary else cipher.seal_text(value, place)
        return sealed

    def _opened(self, layout: Layout, rows: list[Row]) -> list[Row]:
        """The rows with their sealed values opened; see `opened`."""
        return [self.opened(layout.reads, row) for row in rows]

    def opened(self, fields: Sequence[Field], row: Row, *, strict: bool = False) -> Row:
        """A row with these fields opened. In the place of one that does not open stands `hub.core.unreadable`; raises
        SealBroken instead where `strict`, and where this program has not the keys of the store at all.
        """
        values: list[Any] | None = None
        for field in fields:
            at, prefix, bound, binary, kind_at = field  # unpacked: this is run for every row that is read
            stored = row[at]
            if type(stored) is not (bytes if binary else str):
                continue  # none, or no value of ours: whoever reads the row has to say so
            mark: Any = BYTES_MARK if binary else TEXT_MARK
            if not stored.startswith(mark):
                continue  # empty, of a kind that stays plain, or from before sealing and not converted yet
            if values is None:
                values = list(row)
            place = f"{prefix}{row[bound[0][0]]}" if len(bound) == 1 else place_of(field, row)
            try:
                values[at] = self._open_value(binary, stored, place)
            except SealBroken as error:
                if strict or not self._has_keys():
                    raise
                self.broken.note(place, error.problem)
                values[at] = unreadable(place, binary=binary, is_json=kind_at is not None or prefix == EVENT_DATA)
        return row if values is None else tuple(values)

    def _open_value(self, binary: bool, stored: Any, place: str) -> Any:
        if self.cipher is None:
            raise SealBroken(f"{place}: sealed, and this program was given no key", "open the store with its keys")
        if binary:
            return self.cipher.open_bytes(stored, place, self._wrapped_key)
        return self.cipher.open_text(stored, place, self._wrapped_key)

    def _has_keys(self) -> bool:
        """Whether the ring opens a data key of this store: then it is the value that is broken, not the set-up."""
        cipher = self.cipher
        if cipher is None:
            return False
        for id, wrapped in [] if cipher.is_proven else self.rows(_LAST_KEYS):  # noqa: A001
            if cipher.try_key(id, wrapped):
                break
        return cipher.is_proven

    def _wrapped_key(self, id: str) -> bytes | None:  # noqa: A002 - the record's word
        wrapped: bytes | None = self.value(_KEY_BY_ID, {"id": id})
        return wrapped

    def data_key(self, id: str) -> bytes | None:  # noqa: A002
        """A data key as it is wrapped now; None where the store has none of this id."""
        return self._wrapped_key(id)

    def has_data_key(self, id: str) -> bool:  # noqa: A002
        return self._wrapped_key(id) is not None

    def _take_block(self, cipher: ColumnCipher) -> None:
        """Takes a block of the newest data key, or makes another, in a transaction of its own: a value sealed under a
        key whose row was rolled back would be lost.
        """
        self._begin_write()
        try:
            now, more = cipher.now(), BLOCK + cipher.overdrawn
            row = self.row(_NEWEST_KEY)
            key = self._newest_key(cipher, row)
            if row is not None and key is not None and row[3] + more <= MAX_SEALS and 0 <= now - row[2] < MAX_AGE:
                id, _, at, _ = row  # noqa: A001
                self.change(_COUNT_SEALS, {"key": id, "more": more})
            else:
                id, wrapped, key = cipher.new_key()  # noqa: A001
                at = now
                self.change(ADD_KEY, {"id": id, "wrapped": wrapped, "created_at": now, "seals": more})
            self._cursor.execute("COMMIT")
        except BaseException:
            if self.in_transaction():
                self._cursor.execute("ROLLBACK")
            raise
        cipher.use(id, key, at)

    def _newest_key(self, cipher: ColumnCipher, row: Row | None) -> bytes | None:
        """None where another must be made: there is none, or its row was changed outside the hub."""
        try:
            return cipher.unwrap_newest(row[0], row[1]) if row is not None else None
        except SealBroken as error:
            if row is None or not self._has_keys():
                raise
            self.broken.note(f"data_keys|wrapped|{row[0]}", error.problem)
            return None

    def begin_write(self) -> None:
        """Begins a writing transaction, of which there is one at a time: waits for other processes' writers."""
        if self.cipher is not None and self.cipher.needs_key():
            self._take_block(self.cipher)
        self._begin_write()

    def _begin_write(self) -> None:
        if self._postgres:
            self._cursor.execute(f"{_BEGIN_POSTGRES}; {_EPOCH}" if self.epoch else _BEGIN_POSTGRES, prepare=False)
            while self._cursor.nextset():
                pass
        else:
            self._cursor.execute("BEGIN IMMEDIATE")
            if self.epoch:
                self._cursor.execute(_EPOCH)
        if self.epoch and ((row := self._cursor.fetchone()) is None or row[0] != str(self.epoch)):
            self._cursor.execute("ROLLBACK")
            now = "another epoch" if row is None else f"epoch {row[0]}"
            problem = f"another hub serves the store since: it is at {now}, this one is of epoch {self.epoch}"
            raise StoreFenced(problem, "stop one of the two; see which one systemd or somebody else has started")

    def begin_read(self) -> None:
        """Begins a read-only snapshot."""
        self._cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self._postgres else "BEGIN")

    def execute(self, command: str) -> None:
        """Runs a transaction command: COMMIT, ROLLBACK, SAVEPOINT x …"""
        self._cursor.execute(command)

    def in_transaction(self) -> bool:
        """False where the database has already rolled the transaction back (disk full, connection lost)."""
        if self._postgres:
            return not self._raw.closed and self._raw.info.transaction_status.name in ("INTRANS", "INERROR")
        return bool(self._raw.in_transaction)

    def close(self) -> None:
        """Closes and ignores errors: what matters has been committed."""
        try:
            self._raw.close()
        except Exception:  # noqa: S110 - a lost connection cannot be closed properly; its transaction is gone with it
            pass
        self._proxy.invalidate()
