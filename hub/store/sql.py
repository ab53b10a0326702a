"""Statements that are compiled once a database, and the connection that runs them.

Statements are written in SQLAlchemy Core, so that one spelling serves both databases, and run on the driver's own
cursor: with some twenty statements a message, Core's result machinery was measured at five times the cost of the
statement itself. All columns are of types that both drivers accept and return unchanged (str, int, float, bool, bytes,
None), so nothing is lost; SQLite returns booleans as 0 and 1 (see `mapping`).

Transactions are explicit (`BEGIN IMMEDIATE`, `SAVEPOINT`, …): the drivers are in autocommit mode and begin none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

Row = tuple[Any, ...]
Params = Mapping[str, Any]

_NONE: Final[Params] = {}
_WRITE_LOCK: Final = (
    0x616E7377  # "answ": serialises PostgreSQL's writers as SQLite's are, so the audit chain has one head
)


class Statement:
    """One prebuilt statement with named parameters. `tail` is SQL of both databases that Core spells in two ways."""

    __slots__ = ("_compiled", "_core", "_tail")

    def __init__(self, core: sa.ClauseElement, tail: str = "") -> None:
        self._core = core
        self._tail = tail
        self._compiled: dict[str, tuple[str, Params]] = {}

    def compiled_for(self, dialect: sa.Dialect, params: Params) -> tuple[str, Params]:
        """The text, and the parameters with the statement's own constants among them."""
        ready = self._compiled.get(dialect.name)
        if ready is None:
            compiled: Any = self._core.compile(dialect=dialect)
            constants: Params = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
            ready = self._compiled[dialect.name] = str(compiled) + self._tail, constants
        text, own = ready
        return text, {**own, **params} if own else params


class Connection:
    """One connection to the database, used by one thread at a time."""

    def __init__(self, engine: sa.Engine, read_only: bool = False) -> None:
        self._dialect = engine.dialect
        self._postgres = engine.dialect.name == "postgresql"
        self._proxy = engine.raw_connection()
        raw: Any = self._proxy.dbapi_connection
        self._raw = raw
        self._cursor: Any = raw.cursor()
        if read_only and not self._postgres:  # on PostgreSQL each transaction says so
            self._cursor.execute("PRAGMA query_only = ON")

    @property
    def is_postgres(self) -> bool:
        return self._postgres

    def rows(self, statement: Statement, params: Params = _NONE) -> list[Row]:
        self._cursor.execute(*statement.compiled_for(self._dialect, params))
        found: list[Row] = self._cursor.fetchall()
        return found

    def row(self, statement: Statement, params: Params = _NONE) -> Row | None:
        """The first row. The statement must return at most one: unread rows would keep the snapshot open."""
        self._cursor.execute(*statement.compiled_for(self._dialect, params))
        found: Row | None = self._cursor.fetchone()
        return found

    def value(self, statement: Statement, params: Params = _NONE) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self.row(statement, params)
        return None if row is None else row[0]

    def change(self, statement: Statement, params: Params = _NONE) -> int:
        """Runs an INSERT, UPDATE or DELETE; returns how many rows it affected."""
        self._cursor.execute(*statement.compiled_for(self._dialect, params))
        count: int = self._cursor.rowcount
        return count

    def change_many(self, statement: Statement, params: Sequence[Params]) -> int:
        """The same for each of `params`; returns the rows affected in all."""
        if len(params) == 1:
            return self.change(statement, params[0])
        if not params:
            return 0
        text, constants = statement.compiled_for(self._dialect, _NONE)
        self._cursor.executemany(text, [{**constants, **each} for each in params] if constants else params)
        count: int = self._cursor.rowcount
        return count

    def select(self, query: sa.Select[Any]) -> list[Row]:
        """Runs a query that was built for one call: compiled each time, so not for the hot path."""
        compiled = query.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        self._cursor.execute(str(compiled), compiled.params)
        found: list[Row] = self._cursor.fetchall()
        return found

    def begin_write(self) -> None:
        """Begins a writing transaction, of which there is one at a time: waits for other processes' writers."""
        if self._postgres:
            self._cursor.execute("BEGIN")
            self._cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITE_LOCK,))
        else:
            self._cursor.execute("BEGIN IMMEDIATE")

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
