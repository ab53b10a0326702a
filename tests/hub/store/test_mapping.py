"""Records to rows and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.store.database import Database
from hub.store.errors import Conflict
from hub.store.mapping import Mapper, from_json, to_json
from hub.store.sql import Connection, Statement


@dataclass(frozen=True)
class Thing:
    name: str
    number: int
    tags: list[str]
    good: bool
    note: str | None = None


TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("good", sa.Boolean),
    sa.Column("tags", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("name", sa.Text, unique=True),
)
THING = Mapper(Thing, TABLE, key="name", converters={"tags": (to_json, from_json)}, generated=("number",))
ADD = Statement(THING.insert, " RETURNING number")
ALL = Statement(THING.select.order_by(TABLE.c.number))


@pytest.fixture
def db(url: str, tmp_path: Path) -> Iterator[Connection]:
    database = Database(url, tmp_path)
    database.create()
    with database.engine.connect() as connection:
        TABLE.metadata.create_all(connection)
    opened = database.connect()
    yield opened
    opened.close()


def test_a_record_comes_back_as_it_was(db: Connection) -> None:
    """Whatever the columns' order, fields are turned on the way, flags are bool, the database's own is left."""
    thing = Thing("a", 99, ["x", "é"], True)
    assert set(THING.row(thing)) == {"name", "tags", "good", "note"}
    assert db.value(ADD, THING.row(thing)) == 1
    (found,) = THING.from_rows(db.rows(ALL))
    assert found == replace(thing, number=1)
    assert found.good is True


def test_only_the_difference_is_written_and_only_onto_what_was_seen(db: Connection) -> None:
    """A save writes the changed fields where the guards still hold, None included, and conflicts where they do not."""
    first = replace(Thing("a", 0, [], False), number=db.value(ADD, THING.row(Thing("a", 0, [], False))))
    noted = replace(first, note="n", tags=["t"])
    THING.save(db, first, noted, ("note",))
    assert THING.from_rows(db.rows(ALL)) == [noted]
    with pytest.raises(Conflict, match="things a"):
        THING.save(db, first, replace(first, good=True), ("note",))
    THING.save(db, replace(first, tags=["t"]), replace(first, tags=["t"], good=True), ("tags",))
    assert THING.from_rows(db.rows(ALL)) == [replace(noted, good=True)]
    with pytest.raises(Conflict):
        THING.save(db, replace(first, name="b"), replace(first, name="b", good=True), ())
    with pytest.raises(ValueError, match="two different rows"):
        THING.save(db, first, replace(first, name="b"), ())


def test_json_is_canonical_and_none_is_none() -> None:
    """JSON columns hold one spelling of a value."""
    assert to_json({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'
    assert from_json(to_json({"b": [1, None]})) == {"b": [1, None]}
    assert to_json(None) is None
    assert from_json(None) is None
