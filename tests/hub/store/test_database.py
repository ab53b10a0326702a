"""Which database: URLs, locks, errors in words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from common.errors import UserError
from hub.store.database import Database, acquire_within
from hub.store.errors import StoreBusy, StoreFull, StoreLost


@pytest.mark.parametrize(
    ("url", "below"),
    [
        ("sqlite:///data/a.sqlite", "data/a.sqlite"),
        ("sqlite:///a b%.sqlite", "a b%.sqlite"),
        ("sqlite:///../a.sqlite", "../a.sqlite"),
    ],
)
def test_a_relative_path_begins_at_the_folder(tmp_path: Path, url: str, below: str) -> None:
    """The configuration's folder, not the current one, is where a relative path begins."""
    assert Database(url, tmp_path).path == tmp_path / below


def test_an_absolute_path_is_itself(tmp_path: Path) -> None:
    """Four slashes name a file from the root."""
    assert Database(f"sqlite:///{tmp_path}/a.sqlite", Path("elsewhere")).path == tmp_path / "a.sqlite"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgres_is_spoken_to_through_psycopg(tmp_path: Path, scheme: str) -> None:
    """Each spelling of the scheme means the one driver that is installed; the password is not in the name."""
    database = Database(f"{scheme}://bob:hunter2@host:5433/name", tmp_path)
    assert database.engine.dialect.driver == "psycopg"
    assert "hunter2" not in database.name
    assert "host:5433/name" in database.name


def test_a_lock_is_had_by_one(url: str, tmp_path: Path) -> None:
    """While one has the lock another does not get it; given back it is free; giving back twice is nothing wrong."""
    database = Database(url, tmp_path)
    database.create()
    one, two = database.lock(), database.lock()
    assert one.acquire()
    assert not two.acquire()
    assert not acquire_within(two, 0.0)
    one.release()
    one.release()
    assert acquire_within(two, 0.0)
    two.release()


def failed(code: int, words: str = "words") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (failed(sqlite3.SQLITE_FULL), StoreFull, "the disk is full: make room"),
        (failed(sqlite3.SQLITE_BUSY), StoreBusy, "another process is writing"),
        (failed(sqlite3.SQLITE_BUSY_SNAPSHOT), StoreBusy, "another process is writing"),
        (failed(sqlite3.SQLITE_PROTOCOL), StoreBusy, "another process is writing"),
        (failed(sqlite3.SQLITE_READONLY_DIRECTORY), UserError, "may write the file and its folder"),
        (failed(sqlite3.SQLITE_CANTOPEN), UserError, "may write the file and its folder"),
        (failed(sqlite3.SQLITE_NOTADB), UserError, "not an SQLite file"),
        (failed(sqlite3.SQLITE_CORRUPT), StoreLost, "restore a backup"),
        (failed(sqlite3.SQLITE_IOERR_FSYNC), StoreLost, "look at the disk"),
        (PermissionError(13, "Permission denied", "a.sqlite"), UserError, "Permission denied: see that this user"),
    ],
)
def test_errors_are_said_in_words(tmp_path: Path, error: Exception, kind: type[UserError], words: str) -> None:
    """Whatever the disk or the file does is said with the file's name and what to do."""
    database = Database("sqlite:///a.sqlite", tmp_path)
    for each in (error, sa.exc.OperationalError("SELECT secret", {}, error)):
        said = database.translate_error(each)
        assert type(said) is kind
        assert str(tmp_path / "a.sqlite") in str(said)
        assert words in str(said)
        assert "secret" not in str(said)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL])
def test_a_full_disk_has_many_names(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files beside the database find no room first; what they end in is the full disk all the same."""
    monkeypatch.setattr("hub.store.database.FULL", 1 << 62)
    said = Database("sqlite:///a.sqlite", tmp_path).translate_error(failed(code))
    assert type(said) is StoreFull


@pytest.mark.parametrize("error", [ValueError("x"), failed(sqlite3.SQLITE_CONSTRAINT), OSError("no file named")])
def test_other_errors_stay_what_they_are(tmp_path: Path, error: Exception) -> None:
    """What is nobody's disk is passed on as it is, so that it is seen."""
    assert Database("sqlite:///a.sqlite", tmp_path).translate_error(error) is error


@pytest.mark.parametrize(
    ("state", "kind"),
    [("53100", StoreFull), ("55P03", StoreBusy), ("08006", StoreLost), ("57P01", StoreLost), (None, StoreLost)],
)
def test_errors_of_postgres_are_said_in_words(tmp_path: Path, state: str | None, kind: type[UserError]) -> None:
    """A server that is full, locked or gone is said with its name, without the password."""
    psycopg = pytest.importorskip("psycopg")
    database = Database("postgresql://bob:hunter2@host/name", tmp_path)
    error = psycopg.OperationalError("gone\nmore")
    error.sqlstate = state
    said = database.translate_error(error)
    assert type(said) is kind
    assert "bob:***@host/name" in str(said)
    other = psycopg.errors.CheckViolation("x")
    assert database.translate_error(other) is other
