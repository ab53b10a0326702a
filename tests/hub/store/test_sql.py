"""Statements and the connection that runs them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.store.database import Database
from hub.store.sql import Connection, Statement

TABLE = sa.Table("things", sa.MetaData(), sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))
ADD = Statement(TABLE.insert().values(name=sa.bindparam("name"), size=7).inline(), " ON CONFLICT DO NOTHING")
ALL = Statement(sa.select(TABLE.c.name, TABLE.c.size).where(TABLE.c.size == 7).order_by(TABLE.c.name))


def opened(url: str, folder: Path) -> Connection:
    database = Database(url, folder)
    database.create()
    with database.engine.connect() as connection:
        TABLE.metadata.create_all(connection)
    return database.connect()


def test_constants_travel_with_the_statement(url: str, tmp_path: Path) -> None:
    """A value written in the statement is bound beside those of the call, for one row and for many."""
    db = opened(url, tmp_path)
    assert db.change(ADD, {"name": "a"}) == 1
    assert db.change(ADD, {"name": "a"}) == 0
    assert db.change_many(ADD, [{"name": "a"}, {"name": "b"}, {"name": "c"}]) == 2
    assert db.change_many(ADD, [{"name": "d"}]) == 1
    assert db.change_many(ADD, []) == 0
    assert db.rows(ALL) == [("a", 7), ("b", 7), ("c", 7), ("d", 7)]
    assert db.row(ALL) == ("a", 7)
    assert db.value(ALL) == "a"
    assert db.select(sa.select(TABLE.c.name).where(TABLE.c.name.in_(["b", "d", "x"]))) == [("b",), ("d",)]
    db.close()


def test_transactions_are_only_those_said(url: str, tmp_path: Path) -> None:
    """Nothing is begun by itself, a savepoint is undone alone, and what is not committed is not there."""
    db, other = opened(url, tmp_path), opened(url, tmp_path)
    assert not db.in_transaction()
    db.begin_write()
    assert db.in_transaction()
    db.change(ADD, {"name": "a"})
    db.execute("SAVEPOINT unit")
    db.change(ADD, {"name": "b"})
    db.execute("ROLLBACK TO SAVEPOINT unit")
    db.execute("RELEASE SAVEPOINT unit")
    assert other.rows(ALL) == []
    db.execute("COMMIT")
    assert not db.in_transaction()
    assert other.rows(ALL) == [("a", 7)]
    other.begin_read()
    assert other.rows(ALL) == [("a", 7)]
    db.change(ADD, {"name": "c"})
    assert other.rows(ALL) == [("a", 7)]
    other.execute("ROLLBACK")
    assert len(other.rows(ALL)) == 2
    db.close()
    other.close()


def test_who_only_reads_changes_nothing_and_keeps_few_pages(tmp_path: Path) -> None:
    """Of several readers each would come to hold the same pages as the writer."""
    opened("sqlite:///store.sqlite", tmp_path).close()
    database = Database("sqlite:///store.sqlite", tmp_path)
    reader, writer = database.connect(read_only=True), database.connect()
    pages = sa.text("PRAGMA cache_size")
    assert abs(int(reader.value(Statement(pages)))) < abs(int(writer.value(Statement(pages))))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.change(ADD, {"name": "a"})
    reader.close()
    writer.close()
