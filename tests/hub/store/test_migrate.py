"""The schema at open: made by the steps, the same as the tables the code speaks of, refused where it is newer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from common.errors import UserError
from hub.store import migrate as migrate_module
from hub.store.database import Database
from hub.store.jobs import JOB
from hub.store.migrate import HEAD, migrate
from hub.store.requests import REQUEST
from hub.store.schema import metadata
from hub.store.store import Store


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    opened = Database(url, tmp_path)
    opened.create()
    yield opened
    opened.engine.dispose()


def shape(connection: sa.Connection) -> dict[str, Any]:
    """Everything about every table that the inspector knows, but for the order it comes in."""
    inspector = sa.inspect(connection)
    found: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table in ("alembic_version", "sqlite_stat1", "sqlite_sequence"):
            continue
        found[table] = {
            "columns": [
                (column["name"], repr(column["type"]), column["nullable"]) for column in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "foreign": inspector.get_foreign_keys(table),
            "unique": _sorted(inspector.get_unique_constraints(table)),
            "checks": _sorted(inspector.get_check_constraints(table)),
            "indexes": _sorted(inspector.get_indexes(table)),
        }
    return found


def _sorted(things: list[Any]) -> list[str]:
    return sorted(repr(_plain(thing)) for thing in things)


def _plain(thing: Any) -> Any:
    if isinstance(thing, dict):
        return sorted((str(name), _plain(value)) for name, value in thing.items())
    return str(thing)  # the condition of a partial index is an object that equals only itself


def test_the_steps_make_the_schema_that_the_code_speaks_of(database: Database) -> None:
    """Tables, columns, keys, checks and indexes are the same made by the steps and from the schema itself."""
    migrate(database)
    with database.engine.connect() as connection:
        stepped = shape(connection)
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.DDL(f"DROP TABLE {table.name}"))
            for index in table.indexes:  # `columns.index` leaves the other dialect's out
                index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
        metadata.create_all(connection)
        assert stepped == shape(connection)
    assert set(stepped) == set(metadata.tables)
    assert sum(len(table["indexes"]) for table in stepped.values()) > 15


def test_head_is_the_newest_step() -> None:
    """The number that opens a store without looking at the steps is the last step's."""
    steps = sorted(
        step.name.removesuffix(".py")
        for step in (resources.files("hub.store") / "migrations" / "versions").iterdir()
        if step.name.endswith(".py")
    )
    assert steps[-1].split("_")[0] == HEAD


def test_migrating_again_is_nothing(database: Database) -> None:
    """A store that is up to date is left alone, and what is in it stays."""
    migrate(database)
    with database.engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO meta (key, value) VALUES ('k', 'v')"))
    migrate(database)
    with database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT value FROM meta WHERE key = 'k'")) == "v"


def test_a_newer_schema_is_refused(url: str, tmp_path: Path, database: Database, clock: Callable[[], float]) -> None:
    """A store that a newer program has changed is not touched, and both ways out are told."""
    migrate(database)
    with database.engine.connect() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UserError, match=f"schema 9999 is newer than this program, which knows up to {HEAD}") as caught:
        Store.open(url, folder=tmp_path, clock=clock)
    assert "install the newer" in caught.value.cure
    assert "backup" in caught.value.cure


def test_the_schema_is_not_changed_under_a_serving_hub(
    url: str, tmp_path: Path, clock: Callable[[], float], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer program that comes while an older hub serves is told to stop that first."""
    monkeypatch.setattr(migrate_module, "LOCK_SECONDS", 0.0)
    hub = Store.open(url, folder=tmp_path, clock=clock)
    hub.acquire()
    with database.engine.connect() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    with pytest.raises(UserError, match="a running hub uses an older schema: stop it"):
        Store.open(url, folder=tmp_path, clock=clock)
    hub.close()


def test_a_step_that_fails_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps are one transaction: after a failure the store is as it was, and the next open may go through."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.operations.ops.CreateIndexOp.create_index", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            migrate(database)
    with database.engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    migrate(database)


def test_a_store_up_to_date_opens_without_alembic(tmp_path: Path, clock: Callable[[], float]) -> None:
    """The command line does not pay for the migration tool each time."""
    Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock).close()
    code = (
        "import sys, pathlib; from hub.store.store import Store\n"
        "Store.open('sqlite:///a.sqlite', folder=pathlib.Path(sys.argv[1]), clock=float).close()\n"
        "print('alembic' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_a_store_from_before_the_console_is_brought_along(
    database: Database, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    """Jobs from the first schema get the facts of their request and step; a pause of then is still one."""
    with database.engine.connect() as connection:
        monkeypatch.setattr(migrate_module, "TARGET", "0001")
        migrate_module._upgrade(database)
        request = make.request(plan=make.plan, number=7)
        row = REQUEST.row(request)
        since = ("behalf", "hold", "outcome", "thread", "button", "mac")
        old = {name: value for name, value in row.items() if name not in since}
        columns = ", ".join(["number", *old])
        marks = ", ".join(["7", *(f":{name}" for name in old)])
        connection.execute(sa.text(f"INSERT INTO requests ({columns}) VALUES ({marks})"), old)  # noqa: S608
        later = ("number", "inlet", "source", "command", "time_limit", "not_before", "notes", "replied_at")
        later = (*later, "life", "mac", "redeliveries", "redelivery_code", "stamp")
        job = {name: value for name, value in JOB.row(make.job(request)).items() if name not in later}
        marks = ", ".join(f":{name}" for name in job)
        connection.execute(sa.text(f"INSERT INTO jobs ({', '.join(job)}) VALUES ({marks})"), job)  # noqa: S608
        connection.execute(sa.text("INSERT INTO switches VALUES ('queue', 'alice', 1.0, 'why')"))
        monkeypatch.undo()
        migrate(database)
        found = connection.execute(sa.text("SELECT number, inlet, source, command, time_limit, not_before FROM jobs"))
        assert tuple(found.one()) == (7, "ops", make.plan.source, "", make.plan.steps[0].time_limit, 0.0)
        assert tuple(connection.execute(sa.text("SELECT reason, until FROM switches")).one()) == ("why", None)
        assert connection.scalar(sa.text("SELECT behalf FROM requests")) == ""


def test_logins_from_before_the_rotation_of_the_ca(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a person's certificates all but the newest count as renewed: they were not told apart by login."""
    with database.engine.connect() as connection:
        monkeypatch.setattr(migrate_module, "TARGET", "0019")
        migrate_module._upgrade(database)
        for fingerprint, kind, name, generation in (
            ("a1", "operator", "alice", 1),
            ("a2", "operator", "alice", 2),
            ("b1", "operator", "bob", 1),
            ("w1", "agent", "alice", 1),
        ):
            values = {"f": fingerprint, "k": kind, "n": name, "g": generation}
            connection.execute(
                sa.text(
                    "INSERT INTO credentials (fingerprint, kind, name, generation, issued_at, not_after, key_hash)"
                    " VALUES (:f, :k, :n, :g, 1.0, 2.0, '')"
                ),
                values,
            )
        monkeypatch.undo()
        migrate(database)
        found = connection.execute(
            sa.text("SELECT fingerprint, issuer, trusts, successor FROM credentials ORDER BY fingerprint")
        )
        assert [tuple(row) for row in found] == [
            ("a1", "", "", "-"),
            ("a2", "", "", ""),
            ("b1", "", "", ""),
            ("w1", "", "", ""),
        ]
